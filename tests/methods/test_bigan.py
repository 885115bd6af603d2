"""BiGAN against values worked out by hand: networks are functions of a pixel.

x = 1/2, y = -1/4; G(t) = t/2 + 1/4, F(t) = 1/2 - t; D(a, b) = a + 2b + 1. So
G(x) = 1/2, F(y) = 3/4, D(x, G(x)) = 5/2 and D(F(y), y) = 5/4.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch

from diptych.errors import InputError
from diptych.methods import make_config
from diptych.methods.bigan import RECIPES, BiGAN, Config
from diptych.types import Unpaired
from tests.methods.by_hand import (
    Affine,
    OfPairs,
    approx,
    batches,
    constant,
    hinge,
    parameters,
    refused,
    softplus,
    terms,
    updates,
)


def _by_hand(**options: Any) -> BiGAN:
    method = BiGAN(Config(width=1, size=32, **options))
    method.G, method.F, method.D = Affine(0.5, 0.25), Affine(-1.0, 0.5), OfPairs(1.0, 2.0, 1.0)
    return method


def test_the_joint_objective_has_the_values_worked_out_by_hand_and_d_comes_first():
    discriminator, generators = updates(_by_hand(), batches(Unpaired, 0.5, -0.25))
    assert (discriminator.group, generators.group) == ("discriminator", "generators")
    d = ((2.5 - 1) ** 2 + 1.25**2) / 2
    assert terms(discriminator) == approx({"D": d})
    assert discriminator.loss.item() == approx(d)
    # The labels exchanged: (x, G(x)) should pass for (F(y), y), and the other way round.
    assert terms(generators) == approx({"G": 2.5**2, "F": (1.25 - 1) ** 2})
    assert generators.loss.item() == approx(2.5**2 + 0.25**2)


def test_eq_3_has_its_logarithms():
    discriminator, generators = updates(_by_hand(gan_loss="log"), batches(Unpaired, 0.5, -0.25))
    assert terms(discriminator) == approx({"D": (softplus(-2.5) + softplus(1.25)) / 2})
    assert terms(generators) == approx({"G": softplus(2.5), "F": softplus(-1.25)})


def test_of_a_hinge_loss_ds_side_alone_is_hinged():
    discriminator, generators = updates(_by_hand(gan_loss="hinge"), batches(Unpaired, 0.5, -0.25))
    assert terms(discriminator) == approx({"D": (hinge(-2.5) + hinge(1.25)) / 2})
    assert terms(generators) == approx({"G": 2.5, "F": -1.25})


def test_d_sees_histories_of_both_kinds_of_pair_and_the_generators_the_present():
    method = _by_hand(buffer_size=2)
    updates(method, batches(Unpaired, 0.5, -0.25))
    assert [tuple(image.shape) for image in method.pairs_of_G.images] == [(6, 4, 4)] * 2
    pair = method.pairs_of_F.images[0]
    assert pair[:3].unique().tolist() == [0.75]
    assert pair[3:].unique().tolist() == [-0.25]
    of_D = set()
    for seed in range(20):  # other images, of which D now sees some
        discriminator, generators = updates(method, batches(Unpaired, 0.0, 0.0), seed=seed)
        assert generators.terms["G"].item() == approx(1.5**2)  # D(0, 1/4)
        of_D.add(round(discriminator.terms["D"].item(), 4))
    assert len(of_D) > 1


def test_each_generator_learns_from_its_own_pair_and_d_from_neither():
    method = _by_hand()
    discriminator, generators = updates(method, batches(Unpaired, 0.5, -0.25))
    own = [*method.G.parameters(), *method.F.parameters()]
    assert torch.autograd.grad(discriminator.loss, own, allow_unused=True) == (None,) * 4
    of_F = list(method.F.parameters())
    from_G = torch.autograd.grad(generators.terms["G"], of_F, retain_graph=True)
    assert [gradient.item() for gradient in from_G] == [0.0, 0.0]
    # d/dshift of mean (D - 1)², D = a + ...: 2 (5/4 - 1).
    assert torch.autograd.grad(generators.terms["F"], of_F)[1].item() == approx(0.5)


def test_translation_is_g_to_y_and_f_to_x():
    method = _by_hand()
    assert method.translate(constant(0.5), (1,)).unique().tolist() == [0.5]
    assert method.translate(constant(-0.25), (0,)).unique().tolist() == [0.75]


def test_networks_and_training_are_cyclegans_and_d_sees_six_channels():
    method = BiGAN(Config())
    assert parameters(method.G) == parameters(method.F) == 11_378_179
    assert parameters(method.D) == 2_764_737 + 3 * 64 * 16
    c = method.config
    assert (c.gan_loss, c.buffer_size, c.batch_size, c.discriminator) == ("lsgan", 50, 1, "70x70")
    for group in method.groups().values():
        assert (group.lr, group.betas, group.decay_from) == (2e-4, (0.5, 0.999), 0.5)


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_are_configurations_of_the_method(name: str):
    assert make_config("bigan", RECIPES[name].config) != Config()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"size": 16}, "size is 16: a 70x70 discriminator needs at least 32"),
        ({"size": 34}, "size is 34: it must be a multiple of 4"),
        ({"size": 48, "discriminator": "image"}, "size is 48: it must be a power of two"),
        ({"buffer_size": -1}, "buffer_size is -1"),
        ({"gan_loss": "wgan"}, "gan_loss is 'wgan'"),
    ],
)
def test_a_value_out_of_range_is_named_in_one_line(options: dict[str, Any], named: str):
    assert named in refused("bigan", options)


def test_bigan_has_two_domains():
    with pytest.raises(InputError, match="between 2 domains, not 3"):
        BiGAN(Config(width=1, size=32), channels=(3,) * 3)
