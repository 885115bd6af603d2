import numpy as np
import pytest
import torch
from torch import nn
from torchmetrics.image.kid import KernelInceptionDistance

from diptych.evaluation.distances import fid, kid


def _features(n: int, shift: float, seed: int, dimensions: int = 8) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(n, dimensions, generator=rng) + shift


def _mmd(x: torch.Tensor, y: torch.Tensor) -> float:
    """Binkowski et al. 2018, Eq. (4), with the cubic kernel, written out."""
    x, y, d, m = x.double(), y.double(), x.shape[1], len(x)

    def kernel(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return (a @ b.T / d + 1) ** 3

    within = sum((k.sum() - k.trace()) / (m * (m - 1)) for k in (kernel(x, x), kernel(y, y)))
    return float(within - 2 * kernel(x, y).mean())


def test_kid_of_whole_sets_is_the_unbiased_mmd_worked_out_plainly() -> None:
    x, y = _features(600, 0.0, 0), _features(600, 0.4, 1)
    found = kid(x, y)
    # Subsets of half the images: their mean is an unbiased estimate of the same number.
    spread = found["std"] / found["subsets"] ** 0.5
    assert abs(found["mean"] - _mmd(x, y)) < 5 * spread
    assert (found["images"], found["real_images"], found["subset_size"]) == (600, 600, 300)


def test_kid_of_two_draws_from_one_distribution_is_about_zero() -> None:
    found = kid(_features(400, 0.0, 0), _features(300, 0.0, 1))
    assert abs(found["mean"]) < 0.02
    assert found["subset_size"] == 150


def test_kid_repeats_by_seed_and_leaves_the_global_random_state_alone() -> None:
    x, y = _features(50, 0.0, 0), _features(50, 0.4, 1)
    before = torch.get_rng_state()
    first, second, other = kid(x, y, seed=3), kid(x, y, seed=3), kid(x, y, seed=4)
    assert first == second != other
    assert torch.equal(before, torch.get_rng_state())


def test_kid_of_too_few_images_says_why_not() -> None:
    assert "needs 4 images" in kid(_features(3, 0.0, 0), _features(9, 0.0, 1))["why_not"]


def test_fid_is_the_frechet_distance_of_the_two_gaussians() -> None:
    x, y = _features(200, 0.0, 0), _features(300, 0.5, 1)
    a, b = (np.cov(f.double().numpy(), rowvar=False) for f in (x, y))
    mean = float((x.double().mean(0) - y.double().mean(0)).square().sum())
    root_trace = np.sqrt(np.linalg.eigvals(a @ b).real).sum()  # of the square root of a b
    expected = mean + float(np.trace(a + b)) - 2 * root_trace
    assert fid(x, y)["value"] == pytest.approx(expected, rel=1e-6)


def test_fid_wants_twice_as_many_images_as_dimensions() -> None:
    assert "value" in fid(_features(16, 0.0, 0), _features(16, 0.0, 1))
    refused = fid(_features(15, 0.0, 0), _features(99, 0.0, 1))
    assert refused == {"why_not": "8 feature dimensions need 16 images a set; there are 15 and 99"}


def test_kid_has_the_papers_kernel_and_estimator_by_default() -> None:
    """A third degree, γ of 1/d, a constant of 1, no bias: worked out without torchmetrics."""
    with pytest.warns(UserWarning, match="save all extracted features"):
        metric = KernelInceptionDistance(feature=nn.Identity(), subsets=1, subset_size=2)
    assert (metric.degree, metric.gamma, metric.coef) == (3, None, 1.0)
    # Four images of one repeated feature a set, so that every subset is the same.
    x = torch.tensor([[1.0, 0.0]]).repeat(4, 1)
    y = torch.tensor([[1.0, 2.0]]).repeat(4, 1)
    # (1/2 + 1)³ + (5/2 + 1)³ - 2 (1/2 + 1)³; the diagonal's part is left out of both sums.
    assert kid(x, y)["mean"] == pytest.approx(1.5**3 + 3.5**3 - 2 * 1.5**3)
