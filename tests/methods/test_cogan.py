"""CoGAN against values worked out by hand: networks are functions of a number.

G_shared(z) = 2z with z = 1/4 or 1/8 by turns, G1(h) = h - 1/4, G2(h) = 1/2 - h; D1(t) = t + 1,
D2(t) = 3t, D_shared(t) = 2t. x1 = 1/2, x2 = -1/4.

D's turn, z = 1/4: fakes 1/4 and 0; scores 3 and -3/2 of what is real, 5/2 and 0 of fakes.
G's turn, z = 1/8: fakes 0 and 1/4; scores 2 and 3/2.
"""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import nn

from diptych.errors import InputError
from diptych.methods import make_config
from diptych.methods.cogan import RECIPES, CoGAN, Config
from diptych.types import Generates, Unpaired
from tests.methods.by_hand import (
    Affine,
    approx,
    batches,
    parameters,
    refused,
    softplus,
    terms,
    updates,
)

D1 = softplus(-3.0) + softplus(2.5)
D2 = softplus(1.5) + softplus(0.0)


def _by_hand(**options: Any) -> CoGAN:
    method = CoGAN(Config(**{"width": 1, "size": 16, "batch_size": 2} | options))
    method.G_shared, method.G1, method.G2 = Affine(2.0), Affine(1.0, -0.25), Affine(-1.0, 0.5)
    method.D1, method.D2, method.D_shared = Affine(1.0, 1.0), Affine(3.0), Affine(2.0)
    draws = itertools.cycle((0.25, 0.125))
    method._draw = lambda count, rng: torch.full((count, 3, 4, 4), next(draws))  # type: ignore[method-assign]
    return method


def test_the_value_function_has_the_values_worked_out_by_hand_and_d_comes_first():
    discriminators, generators = updates(_by_hand(), batches(Unpaired, 0.5, -0.25))
    assert (discriminators.group, generators.group) == ("discriminators", "generators")
    assert terms(discriminators) == approx({"D1": D1, "D2": D2})
    assert discriminators.loss.item() == approx(D1 + D2)
    assert terms(generators) == approx({"G1": softplus(-2.0), "G2": softplus(-1.5)})
    assert generators.loss.item() == approx(softplus(-2.0) + softplus(-1.5))


def test_the_discriminators_loss_sends_no_gradient_to_the_generators():
    method = _by_hand()
    updates(method, batches(Unpaired, 0.5, -0.25))[0].loss.backward()
    of_G = [p for m in method.groups()["generators"].modules for p in m.parameters()]
    assert len(of_G) == 6
    assert all(p.grad is None for p in of_G)


def test_what_is_real_and_what_is_generated_is_judged_as_one_batch_in_both_turns():
    method = _by_hand()
    seen: dict[str, list[int]] = {"D1": [], "D2": [], "D_shared": []}
    for name, sizes in seen.items():
        getattr(method, name).register_forward_hook(
            lambda _, x, __, sizes=sizes: sizes.append(len(x[0]))
        )
    batch = len(next(batches(Unpaired, 0.5, -0.25)).x)
    updates(method, batches(Unpaired, 0.5, -0.25))
    assert seen == {"D1": [2 * batch] * 2, "D2": [2 * batch] * 2, "D_shared": [4 * batch] * 2}


def test_the_weights_decay_as_asked():
    for group in CoGAN(Config(width=1, size=16, weight_decay=0.5)).groups().values():
        assert group.weight_decay == 0.5


# --- translation (Sec. 5) ------------------------------------------------------


class Rendering(nn.Module):
    """(B, 2) codes to images of a left and a right half."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        columns = (self.scale * z).repeat_interleave(8, dim=1)  # (B, 16)
        return columns[:, None, None, :].expand(-1, 3, 16, 16)


def _renderer(**options: Any) -> CoGAN:
    method = CoGAN(Config(**{"width": 1, "size": 16, "batch_size": 2, "z_size": 2} | options))
    method.G_shared, method.G1, method.G2 = nn.Identity(), Rendering(2.0), Rendering(-0.5)
    return method


def test_an_image_is_translated_by_the_code_that_renders_it():
    method = _renderer()
    image = Rendering(1.0)(torch.tensor([[0.8, -0.4], [0.1, 0.6]]))
    with torch.no_grad():
        z = method.find(image[:1], 0)
        assert z.tolist()[0] == approx([0.4, -0.2])  # 2z is the image
        translated = method.translate(image, (1,))
        back = method.translate(translated, (0,))
    assert translated[0, 0, 0, [0, 15]].tolist() == approx([-0.2, 0.1])
    assert translated[1, 0, 0, [0, 15]].tolist() == approx([-0.025, -0.15])
    torch.testing.assert_close(back, image, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("steps", [3, 5, 10])
def test_the_search_takes_the_iterations_it_is_given(steps: int, monkeypatch):
    done = []
    step = torch.optim.LBFGS.step

    def watched(optimiser, closure):
        result = step(optimiser, closure)
        done.append(optimiser.state[optimiser.param_groups[0]["params"][0]]["n_iter"])
        return result

    monkeypatch.setattr(torch.optim.LBFGS, "step", watched)
    torch.manual_seed(0)
    method = CoGAN(Config(width=4, size=32, batch_size=2, translation_steps=steps)).eval()
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1
    method.find(image, 0)
    assert done == [steps]


def test_of_images_that_it_cannot_render_it_finds_the_closest():
    image = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    z = _renderer().find(image, 0)[0]
    means = image[..., :8].mean().item(), image[..., 8:].mean().item()
    assert (2 * z).tolist() == pytest.approx(means, rel=1e-4)  # least squares are means


def test_finding_leaves_no_gradient_on_the_weights():
    torch.manual_seed(0)
    method = CoGAN(Config(width=1, size=16, batch_size=2, translation_steps=2)).eval()
    method.translate(torch.zeros(1, 3, 16, 16), (1,))
    assert all(p.grad is None for p in method.parameters())


def test_generated_images_of_one_seed_share_their_code():
    torch.manual_seed(0)
    method = CoGAN(Config(width=2, size=16, batch_size=2)).eval()
    assert isinstance(method, Generates)
    with torch.no_grad():
        pair = [method.generate(2, to, torch.Generator().manual_seed(3)) for to in (0, 1)]
        z = method._draw(2, torch.Generator().manual_seed(3))
        assert torch.equal(pair[0], method.render(z, 0))
        assert torch.equal(pair[1], method.render(z, 1))
    assert z.abs().max().item() <= 1


# --- networks ------------------------------------------------------------------


def test_networks_of_128_pixels_are_those_of_the_code_for_faces():
    config = Config()
    method = CoGAN(config)
    ups = [m for m in method.G_shared.modules() if isinstance(m, nn.ConvTranspose2d)]
    assert [m.out_channels for m in ups] == [512, 256, 128, 64]
    assert [m.out_channels for m in method.G1 if isinstance(m, nn.ConvTranspose2d | nn.Conv2d)] == [
        32,
        3,
    ]
    convolutions = [
        m for D in (method.D1, method.D_shared) for m in D.modules() if isinstance(m, nn.Conv2d)
    ]
    assert [m.out_channels for m in convolutions] == [32, 64, 128, 256, 512, 1024]
    assert [m.kernel_size[0] for m in convolutions] == [5, 5, 5, 3, 3, 3]
    drops = [m.p for m in method.D_shared.modules() if isinstance(m, nn.Dropout)]
    assert drops == [0.1, 0.3, 0.3, 0.5, 0.5]
    linear = [m for m in method.D_shared.modules() if isinstance(m, nn.Linear)]
    assert [(m.in_features, m.out_features) for m in linear] == [(4096, 2048), (2048, 1)]
    first = next(m for m in method.G_shared.modules() if isinstance(m, nn.Linear))
    assert (first.in_features, first.out_features) == (100, 16384)
    # 1024 to 512 and so on by 4x4 kernels, 3x3 to an image; biases, norms, slopes.
    pairs = list(itertools.pairwise([1024, 512, 256, 128, 64, 32]))
    g = 100 * 16384 + 16384 + 3 * 1024 + sum(16 * a * b + 4 * b for a, b in pairs)
    g += 32 * 3 * 9 + 3
    assert parameters(method.G_shared) + parameters(method.G1) == g


@pytest.mark.parametrize("size", [16, 32, 64, 128])
@pytest.mark.parametrize("own", [1, 2])
def test_images_have_their_size_and_scores_are_one_an_image(size: int, own: int):
    method = CoGAN(Config(width=1, size=size, batch_size=2, own_layers=own))
    with torch.no_grad():
        images = method.generate(2, 1, torch.Generator())
        assert images.shape == (2, 3, size, size)
        assert [tuple(s.shape) for s in method._judge(*[images] * 4)] == [(2, 1)] * 4


@pytest.mark.parametrize("own", [1, 2, 3])
def test_tied_layers_are_the_first_of_g_and_the_last_of_d(own: int):
    method = CoGAN(Config(width=1, size=32, batch_size=2, own_layers=own))

    def layers(network: nn.Module) -> int:
        kinds = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
        return sum(isinstance(m, kinds) for m in network.modules())

    assert layers(method.G1) == layers(method.G2) == layers(method.D1) == layers(method.D2) == own
    assert layers(method.G_shared) == 5 - own  # a linear one, three up, one to an image
    assert layers(method.D_shared) == 6 - own


# --- options -------------------------------------------------------------------


def test_defaults_are_those_of_the_paper_and_the_code():
    c = Config()
    assert (c.width, c.size, c.batch_size, c.z_size) == (32, 128, 128, 100)
    for group in CoGAN(Config(width=1, size=16)).groups().values():
        assert (group.lr, group.betas, group.weight_decay) == (2e-4, (0.5, 0.999), 1e-4)


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_are_configurations_of_the_method(name: str):
    assert make_config("cogan", RECIPES[name].config) != Config()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"size": 48}, "size is 48: it must be a power of two"),
        ({"batch_size": 1}, "batch_size is 1: it must be at least 2"),
        ({"own_layers": 0}, "own_layers is 0"),
        ({"own_layers": 5, "size": 64}, "own_layers is 5: at 64 pixels it must be at most 4"),
        ({"translation_steps": 0}, "translation_steps is 0"),
    ],
)
def test_a_value_out_of_range_is_named_in_one_line(options: dict[str, Any], named: str):
    assert named in refused("cogan", options)


def test_cogan_has_two_domains():
    with pytest.raises(InputError, match="between 2 domains, not 3"):
        CoGAN(Config(width=1, size=16), channels=(3,) * 3)
