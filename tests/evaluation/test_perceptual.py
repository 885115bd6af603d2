"""LPIPS and DISTS: by hand, and against torchmetrics' on a VGG-16 of random weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torchmetrics.functional.image import dists as their_dists
from torchmetrics.functional.image import lpips as their_lpips

from diptych.errors import InputError
from diptych.evaluation import perceptual
from diptych.evaluation.perceptual import LAYERS, Perceptual, dists, l2_pool, lpips
from diptych.networks.features import FEATURES, FeatureNetwork, load_features
from diptych.networks.vgg import VGG16


@pytest.fixture(scope="module")
def vgg() -> FeatureNetwork:
    """Return a network of weights that seed 0 draws, since any weights will do."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return FeatureNetwork("vgg16", VGG16())


def _images(count: int, side: int, seed: int) -> Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_lpips_is_the_weighted_distance_of_unit_vectors_averaged_over_places() -> None:
    # One layer, 1x2 places, 2 channels: unit vectors (0.6, 0.8) and (1, 0) differ by
    # (-0.4, 0.8), squares 0.16 and 0.64; the second place is the same in both but for length.
    a = torch.tensor([[[[3.0, 5.0]], [[4.0, 0.0]]]])  # (1, 2, 1, 2)
    b = torch.tensor([[[[2.0, 7.0]], [[0.0, 0.0]]]])
    assert lpips([a], [b]).item() == pytest.approx(0.8 / 2)
    weighted = lpips([a, a], [b, b], [torch.tensor([1.0, 0.5]), torch.tensor([0.0, 2.0])])
    assert weighted.item() == pytest.approx((0.16 + 0.32) / 2 + 1.28 / 2)


def test_dists_is_one_minus_the_similarities_of_means_and_of_correlations() -> None:
    # Means 2 and 1, variances 1 and 1, covariance -1: texture 4/5, structure -1.
    a, b = torch.tensor([[[[1.0, 3.0]]]]), torch.tensor([[[[2.0, 0.0]]]])
    assert dists([a], [b]).item() == pytest.approx(1 - (0.8 - 1) / 2, abs=1e-5)
    alpha, beta = torch.tensor([3.0]), torch.tensor([1.0])
    assert dists([a], [b], alpha, beta).item() == pytest.approx(1 - (0.6 - 0.25), abs=1e-5)
    assert dists([a, b], [a, b]).item() == pytest.approx(0.0, abs=1e-6)


def test_l2_pooling_of_a_constant_map_keeps_it_within_and_halves_its_size() -> None:
    pooled = l2_pool(torch.full((1, 2, 8, 8), 3.0))
    assert pooled.shape == (1, 2, 4, 4)
    assert torch.allclose(pooled[..., 1:, 1:], torch.tensor(3.0))
    # Beside the border a quarter of the window is zeros, of squares: √(9 · 3/4).
    assert pooled[0, 0, 0, 2].item() == pytest.approx((9 * 0.75) ** 0.5)


def test_with_vgg16_lpips_is_torchmetrics_own(
    vgg: FeatureNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(vgg.trunk, VGG16)
    monkeypatch.setattr(
        their_lpips, "_get_tv_model_features", lambda name, pretrained: vgg.trunk.features
    )
    theirs = their_lpips._LPIPS(net="vgg", use_dropout=True)  # with its learnt linear layers
    a, b = _images(2, 64, 0), _images(2, 64, 1)
    found = Perceptual(vgg)(a, b)["lpips"]
    with torch.no_grad():
        expected = theirs(a, b).flatten()
    assert torch.allclose(found, expected, rtol=1e-3)
    assert found.min() > 0


def test_with_vgg16_dists_is_torchmetrics_own(vgg: FeatureNetwork) -> None:
    assert isinstance(vgg.trunk, VGG16)
    theirs = their_dists.DISTSNetwork.__new__(their_dists.DISTSNetwork)
    nn.Module.__init__(theirs)  # its own wants torchvision's weights
    stages: list[nn.Sequential] = [nn.Sequential()]
    channels = 3
    for module in list(vgg.trunk.features)[:30]:
        if isinstance(module, nn.MaxPool2d):
            stages.append(nn.Sequential(their_dists.L2pooling(channels=channels)))
        else:
            channels = module.out_channels if isinstance(module, nn.Conv2d) else channels
            stages[-1].append(module)
    for number, stage in enumerate(stages, 1):
        setattr(theirs, f"stage{number}", stage)
    held = torch.load(their_dists._PATH_WEIGHT_DISTS, weights_only=True)
    theirs.mean = torch.tensor([0.485, 0.456, 0.406]).view(1, -1, 1, 1)
    theirs.std = torch.tensor([0.229, 0.224, 0.225]).view(1, -1, 1, 1)
    theirs.alpha, theirs.beta = nn.Parameter(held["alpha"]), nn.Parameter(held["beta"])
    theirs.chns = [3, 64, 128, 256, 512, 512]
    a, b = _images(2, 64, 0), _images(2, 64, 1)
    with torch.no_grad():
        expected = theirs((a + 1) / 2, (b + 1) / 2)
    assert torch.allclose(Perceptual(vgg)(a, b)["dists"], expected, atol=1e-5)


def test_without_learnt_weights_the_scores_have_other_names_and_say_so() -> None:
    measure = Perceptual(load_features())
    photo = _images(1, 64, 0)
    noisy = (photo + 0.1 * _images(1, 64, 1)).clamp(-1, 1)
    near, far = measure(noisy, photo), measure(_images(1, 64, 2), photo)
    assert set(near) == {"perceptual", "structure_texture"}
    assert "without learnt weights" in measure.note
    for name in near:
        assert 0 < near[name] < far[name]
        assert measure(photo, photo)[name].item() == pytest.approx(0.0, abs=1e-5)


def test_every_feature_network_has_layers_to_compare() -> None:
    assert set(LAYERS) == set(FEATURES)
    for name, layers in LAYERS.items():
        assert set(layers) <= set(FEATURES[name].layers)


def test_a_torchmetrics_without_the_weights_is_named(
    vgg: FeatureNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "is_file", lambda self: False)
    with pytest.raises(InputError, match=r"torchmetrics lacks lpips_models/vgg.pth"):
        perceptual.Perceptual(vgg)
