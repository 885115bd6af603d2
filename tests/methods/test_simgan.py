"""SimGAN against values worked out by hand: networks are functions of a pixel.

x = 1/2, y = -1/4; G(t) = t/2 + 1/4, F(t) = 1/2 - t; D_Y(t) = t + 1, D_X(t) = 3t. So
fake_y = 1/2 and fake_x = 3/4, and |fake_y - x| = 0, |fake_x - y| = 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from diptych.errors import InputError
from diptych.methods import make_config
from diptych.methods.simgan import RECIPES, Config, SimGAN
from diptych.types import Unpaired
from tests.methods.by_hand import (
    Affine,
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

D_Y = ((0.75 - 1) ** 2 + 1.5**2) / 2
D_X = ((1.5 - 1) ** 2 + 2.25**2) / 2
FOOL = (1.5 - 1) ** 2 + (2.25 - 1) ** 2


def _by_hand(**options: Any) -> SimGAN:
    method = SimGAN(Config(width=1, size=32, **options))
    method.G, method.F = Affine(0.5, 0.25), Affine(-1.0, 0.5)
    method.D_Y, method.D_X = Affine(1.0, 1.0), Affine(3.0)
    return method


def _updates(method: SimGAN, step: int = 0) -> list[Any]:
    return updates(method, batches(Unpaired, 0.5, -0.25), step=step)


def test_eqs_2_to_4_have_the_values_worked_out_by_hand():
    *refiners, discriminators = _updates(_by_hand())
    for update in refiners:
        assert terms(update) == approx({"self_regularisation": 1.0, "adversarial": FOOL})
        assert update.loss.item() == approx(FOOL + 10 * 1.0)
    assert terms(discriminators) == approx({"D_Y": D_Y, "D_X": D_X})
    assert discriminators.loss.item() == approx(D_Y + D_X)


def test_eqs_2_to_4_have_the_gradients_worked_out_by_hand():
    method = _by_hand()
    source = batches(Unpaired, 0.25, -0.25)  # G(1/4) = 3/8, F(-1/4) = 3/4
    updates(method, source)[0].loss.backward()
    # By G's factor: fake_y - x > 0 rises by x, D_Y(fake_y) = 11/8 by x.
    assert method.G.scale.grad.item() == approx(10 * 0.25 + 2 * 0.375 * 0.25)
    # By F's: fake_x - y > 0 rises by y, D_X(fake_x) = 9/4 by 3y.
    assert method.F.scale.grad.item() == approx(10 * -0.25 + 2 * 1.25 * -0.75)

    method = _by_hand()
    _updates(method)[-1].loss.backward()
    assert method.D_Y.scale.grad.item() == approx(-0.25 * -0.25 + 1.5 * 0.5)
    assert method.D_X.scale.grad.item() == approx(0.5 * 0.5 + 2.25 * 0.75)


def test_eqs_2_and_3_have_their_logarithms():
    refiners, _, discriminators = _updates(_by_hand(gan_loss="log"))
    assert terms(refiners)["adversarial"] == approx(softplus(-1.5) + softplus(-2.25))
    d_y = (softplus(-0.75) + softplus(1.5)) / 2
    assert terms(discriminators) == approx(
        {"D_Y": d_y, "D_X": (softplus(-1.5) + softplus(2.25)) / 2}
    )


def test_a_hinge_loss_replaces_the_squares():
    refiners, _, discriminators = _updates(_by_hand(gan_loss="hinge"))
    assert terms(refiners)["adversarial"] == approx(-1.5 - 2.25)
    d_y, d_x = (hinge(-0.75) + hinge(1.5)) / 2, (hinge(-1.5) + hinge(2.25)) / 2
    assert terms(discriminators) == approx({"D_Y": d_y, "D_X": d_x})


def test_lambda_weighs_the_regularisation():
    assert _updates(_by_hand(regularisation_weight=3.0))[0].loss.item() == approx(FOOL + 3)


@pytest.mark.parametrize(("k_g", "k_d"), [(2, 1), (1, 1), (3, 2)])
def test_algorithm_1_steps_the_refiner_k_g_and_d_k_d_times_each_on_a_batch_of_its_own(k_g, k_d):
    method = _by_hand(refiner_steps=k_g, discriminator_steps=k_d)
    drawn = 0

    def count() -> Iterator[Unpaired]:
        nonlocal drawn
        for batch in batches(Unpaired, 0.5, -0.25):
            drawn += 1
            yield batch

    groups = [update.group for update in updates(method, count())]
    assert groups == ["refiners"] * k_g + ["discriminators"] * k_d
    assert drawn == k_g + k_d


def test_warm_up_is_the_refiners_regularisation_and_then_d_alone():
    method = _by_hand(refiner_warm_up=2, discriminator_warm_up=1)
    groups = [[update.group for update in _updates(method, step)] for step in range(4)]
    assert groups[:3] == [["refiners"], ["refiners"], ["discriminators"]]
    assert groups[3] == ["refiners", "refiners", "discriminators"]
    (update,) = _updates(method, 0)
    assert terms(update) == approx({"self_regularisation": 1.0})
    assert update.loss.item() == approx(10.0)


def test_half_of_what_d_sees_is_history():
    method = _by_hand(buffer_size=2)
    _updates(method)  # fills both histories
    # Now x = y = 0: fake_y = 1/4; of two images one is 1/4 and one is the old 1/2.
    last = updates(method, batches(Unpaired, 0.0, 0.0))[-1]
    by_hand = ((1.0 - 1) ** 2 + (1.25**2 + 1.5**2) / 2) / 2
    assert terms(last)["D_Y"] == approx(by_hand)
    held = {round(image.mean().item(), 3) for image in method.fakes_y.images}
    assert held <= {0.25, 0.5}
    assert 0.25 in held


def test_discriminators_draw_no_graph_through_the_refiners():
    method = _by_hand()
    _updates(method)[-1].loss.backward()
    refiners = [*method.G.parameters(), *method.F.parameters()]
    assert all(p.grad is None for p in refiners)


def test_translation_is_g_to_y_and_f_to_x():
    method = _by_hand()
    assert method.translate(constant(0.5), (1,)).unique().tolist() == [0.5]
    assert method.translate(constant(-0.25), (0,)).unique().tolist() == [0.75]


def test_networks_are_cyclegans_and_steps_algorithm_1s():
    method, c = SimGAN(Config()), Config()
    assert parameters(method.G) == parameters(method.F) == 11_378_179
    assert parameters(method.D_X) == parameters(method.D_Y) == 2_764_737
    assert (c.refiner_steps, c.discriminator_steps, c.buffer_size) == (2, 1, 50)
    assert (c.regularisation_weight, c.gan_loss, c.batch_size) == (10.0, "lsgan", 1)
    for group in method.groups().values():
        assert (group.lr, group.betas, group.decay_from) == (2e-4, (0.5, 0.999), 0.5)


def test_recipes_are_simgans_own_training_and_that_of_the_comparison():
    made = {name: make_config("simgan", recipe.config) for name, recipe in RECIPES.items()}
    assert made == {
        "algorithm-1": Config(gan_loss="log", refiner_warm_up=1000, discriminator_warm_up=200),
        "cyclegan-comparison": Config(refiner_steps=1),
    }


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"size": 16}, "size is 16: a 70x70 discriminator needs at least 32"),
        ({"size": 34}, "size is 34: it must be a multiple of 4"),
        ({"refiner_steps": 0}, "refiner_steps is 0"),
        ({"regularisation_weight": -1.0}, "regularisation_weight is -1"),
        ({"refiner_warm_up": -1}, "refiner_warm_up is -1"),
    ],
)
def test_a_value_out_of_range_is_named_in_one_line(options: dict[str, Any], named: str):
    assert named in refused("simgan", options)


def test_simgan_has_two_domains():
    with pytest.raises(InputError, match="between 2 domains, not 3"):
        SimGAN(Config(width=1, size=32), channels=(3,) * 3)
