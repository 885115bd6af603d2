"""pix2pix against values worked out by hand: networks are functions of a pixel.

x = 1/2, y = -1/4; G(t) = t/2 + 1/4, F(t) = 1/2 - t; D_Y(a, b) = a + 2b + 1,
D_X(a, b) = a - 2b. So fake_y = 1/2, fake_x = 3/4, and

D_Y(x, y) = 1, D_Y(x, fake_y) = 5/2, D_X(y, x) = -5/4, D_X(y, fake_x) = -7/4.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

from diptych.errors import InputError
from diptych.methods import make_config
from diptych.methods.pix2pix import RECIPES, Config, Pix2Pix
from diptych.networks.resnet import ResNetGenerator
from diptych.networks.unet import UNetGenerator
from diptych.types import Paired
from tests.methods.by_hand import (
    Affine,
    OfPairs,
    approx,
    batches,
    hinge,
    parameters,
    refused,
    softplus,
    terms,
    updates,
)

L1 = abs(0.5 + 0.25) + abs(0.75 - 0.5)
FOOL = softplus(-2.5) + softplus(1.75)
D_Y = 0.5 * (softplus(-1.0) + softplus(2.5))
D_X = 0.5 * (softplus(1.25) + softplus(-1.75))


def _by_hand(**options: Any) -> Pix2Pix:
    method = Pix2Pix(Config(width=1, size=32, **options))
    method.G, method.F = Affine(0.5, 0.25), Affine(-1.0, 0.5)
    if method.config.is_conditional:
        method.D_Y, method.D_X = OfPairs(1.0, 2.0, 1.0), OfPairs(1.0, -2.0)
    else:
        method.D_Y, method.D_X = Affine(1.0, 1.0), Affine(3.0)
    return method


def _updates(method: Pix2Pix) -> list[Any]:
    return updates(method, batches(Paired, 0.5, -0.25))


# --- the objective -------------------------------------------------------------


def test_eqs_1_3_and_4_have_the_values_worked_out_by_hand_and_d_comes_first():
    discriminators, generators = _updates(_by_hand())
    assert (discriminators.group, generators.group) == ("discriminators", "generators")
    assert terms(discriminators) == approx({"D_Y": D_Y, "D_X": D_X})
    assert discriminators.loss.item() == approx(D_Y + D_X)
    assert terms(generators) == approx({"l1": L1, "adversarial": FOOL})
    assert generators.loss.item() == approx(FOOL + 100 * L1)


def test_eq_2_shows_d_the_output_alone():
    discriminators, generators = _updates(_by_hand(is_conditional=False))
    # D_Y(y) = 3/4, D_Y(fake_y) = 3/2, D_X(x) = 3/2, D_X(fake_x) = 9/4.
    d_y, d_x = (softplus(-0.75) + softplus(1.5)) / 2, (softplus(-1.5) + softplus(2.25)) / 2
    assert terms(discriminators) == approx({"D_Y": d_y, "D_X": d_x})
    assert terms(generators)["adversarial"] == approx(softplus(-1.5) + softplus(-2.25))


def test_least_squares_replace_the_logarithms():
    discriminators, generators = _updates(_by_hand(gan_loss="lsgan"))
    d_y, d_x = (0.0 + 2.5**2) / 2, (2.25**2 + 1.75**2) / 2
    assert terms(discriminators) == approx({"D_Y": d_y, "D_X": d_x})
    assert terms(generators)["adversarial"] == approx(1.5**2 + 2.75**2)


def test_a_hinge_loss_replaces_the_logarithms():
    discriminators, generators = _updates(_by_hand(gan_loss="hinge"))
    d_y, d_x = (hinge(-1.0) + hinge(2.5)) / 2, (hinge(1.25) + hinge(-1.75)) / 2
    assert terms(discriminators) == approx({"D_Y": d_y, "D_X": d_x})
    assert terms(generators)["adversarial"] == approx(-2.5 + 1.75)


def test_weights_multiply_their_terms_and_leave_what_is_logged():
    generators = _updates(_by_hand(gan_weight=3.0, l1_weight=7.0))[1]
    assert terms(generators) == approx({"l1": L1, "adversarial": FOOL})
    assert generators.loss.item() == approx(3 * FOOL + 7 * L1)


def test_l1_alone_has_no_discriminator_and_the_gan_alone_no_l1():
    method = _by_hand(gan_weight=0.0)
    assert set(method.groups()) == {"generators"}
    (generators,) = _updates(method)
    assert terms(generators) == approx({"l1": L1})
    assert generators.loss.item() == approx(100 * L1)
    assert _updates(_by_hand(l1_weight=0.0))[1].loss.item() == approx(FOOL)


def test_the_discriminators_loss_sends_no_gradient_to_the_generators():
    method = _by_hand()
    discriminators, _ = _updates(method)
    own = [*method.G.parameters(), *method.F.parameters()]
    assert torch.autograd.grad(discriminators.loss, own, allow_unused=True) == (None,) * 4


# --- the noise -----------------------------------------------------------------


def _images(count: int = 2, side: int = 32) -> torch.Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(5)) * 2 - 1


def test_a_seed_gives_one_translation_and_another_seed_another():
    torch.manual_seed(0)
    method, image = Pix2Pix(Config(width=4, size=32)).eval(), _images()
    with torch.no_grad():
        a, b, c = (
            method.translate(image, (1,), torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
        )
        assert torch.equal(a, b)
        assert not torch.equal(a, c)
        without = method.translate(image, (1,))
        assert torch.equal(without, method.translate(image, (1,), torch.Generator().manual_seed(0)))


def test_noise_stays_on_when_translating_unless_dropout_is_zero():
    torch.manual_seed(0)
    method, image = Pix2Pix(Config(width=4, size=32)).eval(), _images()
    with torch.no_grad():
        assert not torch.equal(method.translate(image, (1,)), method.G(image))
        plain = Pix2Pix(Config(width=4, size=32, dropout=0.0)).eval()
        assert torch.equal(plain.translate(image, (1,)), plain.G(image))


def test_with_a_history_d_sees_pairs_of_the_past_and_the_generators_the_present():
    method = _by_hand(buffer_size=2)
    _updates(method)
    for history in (method.fakes_y, method.fakes_x):
        assert [tuple(pair.shape)[:1] for pair in history.images] == [(6,)] * 2  # with its input
    of_D, of_G = set(), set()
    for seed in range(20):
        discriminators, generators = updates(method, batches(Paired, 0.0, 0.0), seed=seed)
        of_D.add(round(discriminators.terms["D_Y"].item(), 4))
        of_G.add(round(generators.terms["adversarial"].item(), 4))
    assert len(of_D) > 1
    assert len(of_G) == 1


def test_training_draws_noise_for_each_image_from_the_clock_alone():
    method = Pix2Pix(Config(width=4, size=32))
    noise: dict[str, list[Sequence[torch.Tensor]]] = {"G": [], "F": []}
    for name, seen in noise.items():
        network = getattr(method, name)
        network.forward = partial(_noted, network.forward, seen)
    before = torch.get_rng_state()
    for seed in (0, 0, 1):
        list(updates(method, iter([Paired(_images(), _images())]), seed=seed))
    assert torch.equal(torch.get_rng_state(), before)
    for seen in noise.values():
        assert len(seen[0][0]) == 2
        assert not torch.equal(seen[0][0][0], seen[0][0][1])
        assert all(map(torch.equal, seen[0], seen[1]))
        assert not torch.equal(seen[0][0], seen[2][0])
    assert not torch.equal(noise["G"][0][0], noise["F"][0][0])


def _noted(
    forward: Callable[..., torch.Tensor],
    seen: list[Sequence[torch.Tensor]],
    image: torch.Tensor,
    z: Sequence[torch.Tensor] = (),
) -> torch.Tensor:
    seen.append(z)
    return forward(image, z)


# --- networks and options ------------------------------------------------------


def test_networks_are_those_of_the_appendix():
    method = Pix2Pix(Config())
    assert parameters(method.G) == parameters(method.F) == 54_409_603
    # The 70x70 PatchGAN of pairs: 3 more input channels of 64 4x4 filters.
    assert parameters(method.D_Y) == parameters(method.D_X) == 2_764_737 + 3 * 64 * 16
    first = next(m for m in method.D_Y.modules() if isinstance(m, nn.Conv2d))
    assert first.in_channels == 6
    group = method.groups()["generators"]
    assert (group.lr, group.betas, group.decay_from) == (2e-4, (0.5, 0.999), 1.0)


def test_defaults_are_those_of_the_paper():
    c = Config()
    assert (c.width, c.size, c.batch_size, c.l1_weight, c.gan_weight) == (64, 256, 1, 100.0, 1.0)
    assert (c.generator, c.discriminator, c.dropout) == ("unet", "70x70", 0.5)
    assert (c.is_conditional, c.gan_loss, c.buffer_size) == (True, "log", 0)


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_are_configurations_of_the_method(name: str):
    make_config("pix2pix", RECIPES[name].config)


def test_cyclegans_comparison_has_cyclegans_networks_and_no_noise():
    method = Pix2Pix(Config(**{**RECIPES["cyclegan-comparison"].config, "width": 2, "size": 64}))
    assert isinstance(method.G, ResNetGenerator)
    assert (method.config.l1_weight, method.config.buffer_size) == (10.0, 50)
    assert method.size_multiple == 4
    assert isinstance(Pix2Pix(Config(width=2, size=64)).G, UNetGenerator)
    assert Pix2Pix(Config(width=2, size=64)).size_multiple == 64


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"size": 48}, "size is 48: it must be a power of two"),
        ({"size": 34, "generator": "resnet"}, "size is 34: it must be a multiple of 4"),
        ({"size": 16}, "size is 16: a 70x70 discriminator needs at least 32"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"l1_weight": -1.0}, "l1_weight is -1"),
        ({"gan_weight": 0.0, "l1_weight": 0.0}, "both 0"),
        ({"discriminator": "71x71"}, "discriminator is '71x71'"),
    ],
)
def test_a_value_out_of_range_is_named_in_one_line(options: dict[str, Any], named: str):
    assert named in refused("pix2pix", options)


def test_pix2pix_has_two_domains():
    with pytest.raises(InputError, match="between 2 domains, not 3"):
        Pix2Pix(Config(width=1, size=32), channels=(3,) * 3)
