"""CycleGAN's equations against values worked out by hand.

The networks are replaced by functions of a pixel, and the images are constant:

    x = 1/2, y = -1/4               G(t) = t/2 + 1/4      F(t) = 1/2 - t
    D_Y(t) = t + 1                  D_X(t) = 3t
    C_X(a, b) = a + 2b + 1          C_Y(a, b) = a - 2b

so that fake_y = G(x) = 1/2, fake_x = F(y) = 3/4, F(G(x)) = 0, G(F(y)) = 5/8.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from diptych.errors import InputError
from diptych.methods.cyclegan import RECIPES, Config, CycleGAN
from diptych.networks.replay import ReplayBuffer
from diptych.types import Clock, Unpaired, Update
from tests.methods.by_hand import (
    Affine,
    OfPairs,
    batches,
    constant,
    terms,
    updates,
)

ADVERSARIAL = (1.5 - 1) ** 2 + (2.25 - 1) ** 2  # D_Y(1/2) = 3/2, D_X(3/4) = 9/4
FORWARD = 0.5  # |F(G(x)) - x| = |0 - 1/2|
BACKWARD = 0.875  # |G(F(y)) - y| = |5/8 + 1/4|
IDENTITY = 0.375 + 0.5  # |G(y) - y| = |1/8 + 1/4|, |F(x) - x| = |0 - 1/2|
D_Y = 0.5 * ((0.75 - 1) ** 2 + 1.5**2)  # D_Y(y) = 3/4, D_Y(fake_y) = 3/2
D_X = 0.5 * ((1.5 - 1) ** 2 + 2.25**2)  # D_X(x) = 3/2, D_X(fake_x) = 9/4


def _by_hand(**options: Any) -> CycleGAN:
    """A CycleGAN whose networks are the functions above."""
    method = CycleGAN(Config(width=1, size=32, **options))
    method.G, method.F = Affine(0.5, 0.25), Affine(-1.0, 0.5)
    method.D_Y, method.D_X = nn.ModuleList([Affine(1.0, 1.0)]), nn.ModuleList([Affine(3.0)])
    if len(method.C_X):
        method.C_X = nn.ModuleList([OfPairs(1.0, 2.0, 1.0)])
    if len(method.C_Y):
        method.C_Y = nn.ModuleList([OfPairs(1.0, -2.0, 0.0)])
    return method


def _batches(x: float = 0.5, y: float = -0.25) -> Iterator[Unpaired]:
    return batches(Unpaired, x, y)


def _updates(method: CycleGAN, seed: int = 0) -> list[Update]:
    return updates(method, _batches(), seed=seed)


# --- the objective -------------------------------------------------------------


def test_eq_1_2_and_3_have_the_values_worked_out_by_hand():
    generators, discriminators = _updates(_by_hand())
    assert terms(generators) == pytest.approx(
        {"adversarial": ADVERSARIAL, "cycle": FORWARD + BACKWARD}
    )
    assert generators.loss.item() == pytest.approx(ADVERSARIAL + 10 * (FORWARD + BACKWARD))
    assert terms(discriminators) == pytest.approx({"D_Y": D_Y, "D_X": D_X})
    assert discriminators.loss.item() == pytest.approx(D_Y + D_X)


def test_numbers_of_this_file_are_the_fractions_of_its_first_lines():
    assert (ADVERSARIAL, FORWARD + BACKWARD, IDENTITY) == (1.8125, 1.375, 0.875)
    assert (D_Y, D_X) == (1.15625, 2.65625)


def test_weights_multiply_their_terms_and_leave_what_is_logged():
    generators, _ = _updates(_by_hand(cycle_weight=4.0, gan_weight=0.5, identity_weight=0.5))
    assert terms(generators) == pytest.approx(
        {"adversarial": ADVERSARIAL, "cycle": FORWARD + BACKWARD, "identity": IDENTITY}
    )
    by_hand = 0.5 * ADVERSARIAL + 4.0 * (FORWARD + BACKWARD) + 4.0 * 0.5 * IDENTITY
    assert generators.loss.item() == pytest.approx(by_hand)


def test_identity_loss_is_relative_to_lambda_and_absent_at_weight_zero():
    generators, _ = _updates(_by_hand(identity_weight=0.5))
    total = ADVERSARIAL + 10 * (FORWARD + BACKWARD) + 10 * 0.5 * IDENTITY
    assert generators.loss.item() == pytest.approx(total)
    calls = []
    method = _by_hand(identity_weight=0.0)
    method.G.register_forward_hook(lambda *_: calls.append(1))
    generators, _ = _updates(method)
    assert "identity" not in generators.terms
    assert len(calls) == 2  # G(x) and G(F(y)): no third pass for G(y)


def _log_sigmoid(logit: float) -> float:
    return math.log(1 / (1 + math.exp(-logit)))


# log(1 - sigmoid(s)) is log sigmoid(-s).
LOG_D_Y = -0.5 * (_log_sigmoid(0.75) + _log_sigmoid(-1.5))
LOG_D_X = -0.5 * (_log_sigmoid(1.5) + _log_sigmoid(-2.25))


@pytest.mark.parametrize(
    ("gan_loss", "adversarial"),
    [
        ("log", -_log_sigmoid(1.5) - _log_sigmoid(2.25)),
        ("log-saturating", _log_sigmoid(-1.5) + _log_sigmoid(-2.25)),
    ],
)
def test_eq_1_with_logarithms(gan_loss: str, adversarial: float):
    generators, discriminators = _updates(_by_hand(gan_loss=gan_loss))
    assert generators.terms["adversarial"].item() == pytest.approx(adversarial, rel=1e-5)
    total = adversarial + 10 * (FORWARD + BACKWARD)
    assert generators.loss.item() == pytest.approx(total, rel=1e-5)
    assert terms(discriminators) == pytest.approx({"D_Y": LOG_D_Y, "D_X": LOG_D_X}, rel=1e-5)


def test_eq_1_with_a_hinge_loss_has_the_values_and_gradients_worked_out_by_hand():
    method = _by_hand(gan_loss="hinge")
    generators, discriminators = _updates(method)
    assert generators.terms["adversarial"].item() == pytest.approx(-1.5 - 2.25)
    # max(0, 1 - 3/4) + max(0, 1 + 3/2), and max(0, 1 - 3/2) + max(0, 1 + 9/4): halved.
    assert terms(discriminators) == pytest.approx({"D_Y": (0.25 + 2.5) / 2, "D_X": (0 + 3.25) / 2})
    discriminators.loss.backward()
    # By D_Y's factor -y and fake_y, by D_X's only fake_x: x has its margin.
    assert method.D_Y[0].scale.grad.item() == pytest.approx((0.25 + 0.5) / 2)
    assert method.D_X[0].scale.grad.item() == pytest.approx((0 + 0.75) / 2)


@pytest.mark.parametrize(
    ("cycle", "expected"),
    [("both", FORWARD + BACKWARD), ("forward", FORWARD), ("backward", BACKWARD)],
)
def test_halves_of_eq_2(cycle: str, expected: float):
    generators, discriminators = _updates(_by_hand(cycle=cycle))
    assert terms(generators) == pytest.approx({"adversarial": ADVERSARIAL, "cycle": expected})
    assert generators.loss.item() == pytest.approx(ADVERSARIAL + 10 * expected)
    # Both, in every ablation.
    assert terms(discriminators) == pytest.approx({"D_Y": D_Y, "D_X": D_X})


@pytest.mark.parametrize("options", [{"cycle": "none"}, {"cycle_weight": 0.0}])
def test_without_a_cycle_only_eq_1_is_left(options: dict[str, Any]):
    generators, _ = _updates(_by_hand(**options))
    assert terms(generators) == pytest.approx({"adversarial": ADVERSARIAL})
    assert generators.loss.item() == pytest.approx(ADVERSARIAL)


def test_at_gan_weight_zero_there_is_one_update_and_no_discriminator_to_train():
    method = _by_hand(gan_weight=0.0)
    (generators,) = _updates(method)
    assert terms(generators) == pytest.approx({"cycle": FORWARD + BACKWARD})
    assert generators.loss.item() == pytest.approx(10 * (FORWARD + BACKWARD))
    assert list(method.groups()) == ["generators"]
    assert method.fakes_x.images == []


def test_adversarial_cycle_loss_judges_pairs_by_hand():
    generators, discriminators = _updates(_by_hand(cycle_loss="adversarial"))
    # C_X(x, F(G(x))) = 1/2 + 0 + 1 = 3/2;  C_Y(y, G(F(y))) = -1/4 - 5/4 = -3/2.
    cycle = (1.5 - 1) ** 2 + (-1.5 - 1) ** 2
    assert generators.terms["cycle"].item() == pytest.approx(cycle)
    assert generators.loss.item() == pytest.approx(ADVERSARIAL + 10 * cycle)
    # C_X(x, x) = 1/2 + 1 + 1 = 5/2;  C_Y(y, y) = -1/4 + 1/2 = 1/4.
    judges = {
        "C_X": 0.5 * ((2.5 - 1) ** 2 + 1.5**2),
        "C_Y": 0.5 * ((0.25 - 1) ** 2 + 1.5**2),
    }
    assert terms(discriminators) == pytest.approx({"D_Y": D_Y, "D_X": D_X} | judges)
    assert discriminators.loss.item() == pytest.approx(D_Y + D_X + sum(judges.values()))


def test_adversarial_cycle_loss_has_judges_for_the_halves_in_use_only():
    method = _by_hand(cycle_loss="adversarial", cycle="forward")
    assert (len(method.C_X), len(method.C_Y)) == (1, 0)
    generators, discriminators = _updates(method)
    assert generators.terms["cycle"].item() == pytest.approx(0.25)
    assert list(discriminators.terms) == ["D_Y", "D_X", "C_X"]
    alone = _by_hand(cycle_loss="adversarial", gan_weight=0.0)
    assert list(_updates(alone)[1].terms) == ["C_X", "C_Y"]


def test_several_discriminators_are_averaged():
    method = _by_hand(discriminators=2)
    method.D_Y = nn.ModuleList([Affine(1.0, 1.0), Affine(2.0)])
    method.D_X = nn.ModuleList([Affine(3.0), Affine(0.0, 1.0)])
    generators, discriminators = _updates(method)
    # The second ones: D_Y2(1/2) = 1 is fooled, D_X2 = 1 everywhere is too.
    assert generators.terms["adversarial"].item() == pytest.approx(
        (0.25 + 0) / 2 + (1.5625 + 0) / 2
    )
    # D_Y2(y) = -1/2: (−3/2)² + 1² = 13/4.  D_X2: 0² + 1² = 1.
    assert terms(discriminators) == pytest.approx(
        {"D_Y": (D_Y + 0.5 * 3.25) / 2, "D_X": (D_X + 0.5 * 1.0) / 2}
    )


def test_several_discriminators_start_from_different_weights():
    D = CycleGAN(Config(width=2, size=32, discriminators=3)).D_X
    assert len(D) == 3
    firsts = [d[0].weight for d in D]
    assert not torch.equal(firsts[0], firsts[1])
    assert not torch.equal(firsts[1], firsts[2])


# --- the updates ---------------------------------------------------------------


def test_generators_are_stepped_before_discriminators_and_d_sees_the_fakes_from_before():
    method = _by_hand(buffer_size=0)
    updates = method.iteration(_batches(), Clock(0, 0.0, torch.Generator()))
    assert next(updates).group == "generators"
    with torch.no_grad():
        for p in (*method.G.parameters(), *method.F.parameters()):
            p.fill_(100.0)  # the trainer's step
        method.D_Y[0].shift.fill_(3.0)
    discriminators = next(updates)
    assert discriminators.group == "discriminators"
    # D_Y is now t + 3: D_Y(y) = 11/4, D_Y(fake_y) = 7/2, fake_y as before the step.
    assert discriminators.terms["D_Y"].item() == pytest.approx(0.5 * (1.75**2 + 3.5**2))
    assert next(updates, None) is None


def test_discriminators_loss_has_no_path_to_the_generators():
    for options in ({}, {"cycle_loss": "adversarial"}, {"buffer_size": 0}):
        method = _by_hand(**options)
        _, discriminators = _updates(method)
        discriminators.loss.backward()
        assert all(p.grad is None for p in (*method.G.parameters(), *method.F.parameters()))
        assert all(p.grad is not None for p in (*method.D_X.parameters(), *method.D_Y.parameters()))


def test_discriminators_see_the_histories_images_and_generators_fool_with_the_fresh_ones():
    method = _by_hand(buffer_size=4)
    clock, twin_rng = Clock(0, 0.0, torch.Generator().manual_seed(5)), torch.Generator()
    twin_rng.manual_seed(5)
    twin_y, twin_x = ReplayBuffer(4), ReplayBuffer(4)
    judged: list[Tensor] = []
    method.D_Y[0].register_forward_hook(lambda _m, given, _o: judged.append(given[0].detach()))
    older = 0
    for i in range(20):
        judged.clear()
        list(method.iteration(_batches(x=i / 20, y=-i / 20), clock))
        fresh = constant(i / 40 + 0.25)  # G(x)
        past = twin_y.exchange(fresh, twin_rng)
        twin_x.exchange(constant(0.5 + i / 20), twin_rng)
        fooled, (real, seen) = judged[0], judged[1].chunk(2)
        assert torch.allclose(fooled, fresh)
        assert torch.allclose(real, constant(-i / 20))
        assert torch.allclose(seen, past)
        older += not torch.allclose(seen, fresh)
    assert older >= 8  # of the 18 iterations with a full history, each with two images


def test_groups_hold_the_papers_optimiser():
    groups = CycleGAN(Config(width=2, size=32)).groups()
    assert list(groups) == ["generators", "discriminators"]
    for group in groups.values():
        assert (group.optimiser, group.lr, group.betas) == ("adam", 2e-4, (0.5, 0.999))
        assert group.decay_from == 0.5


def test_every_network_starts_from_the_papers_gaussian():
    torch.manual_seed(0)
    method = CycleGAN(Config(width=8, size=32, cycle_loss="adversarial"))
    for network in (method.G, method.F, method.D_X, method.D_Y, method.C_X, method.C_Y):
        weights = torch.cat([p.flatten() for p in network.parameters() if p.ndim == 4])
        biases = torch.cat([p.flatten() for p in network.parameters() if p.ndim == 1])
        assert abs(weights.mean().item()) < 4 * 0.02 / len(weights) ** 0.5
        assert weights.std().item() == pytest.approx(0.02, rel=4 / (2 * len(weights)) ** 0.5)
        assert biases.abs().max().item() == 0.0
    assert not torch.equal(method.G[1].weight, method.F[1].weight)


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        ("cycle-alone", {"cycle": FORWARD + BACKWARD}),
        ("gan-alone", {"adversarial": ADVERSARIAL}),
        ("gan-forward", {"adversarial": ADVERSARIAL, "cycle": FORWARD}),
        ("gan-backward", {"adversarial": ADVERSARIAL, "cycle": BACKWARD}),
    ],
)
def test_ablations_leave_out_what_tables_4_and_5_say(recipe: str, expected: dict[str, float]):
    options = {k: v for k, v in RECIPES[recipe].config.items() if k != "size"}
    assert terms(_updates(_by_hand(**options))[0]) == pytest.approx(expected)


# --- translating ---------------------------------------------------------------


def test_translate_is_g_towards_y_and_f_towards_x():
    method = _by_hand()
    image = constant(0.5)
    assert torch.equal(method.translate(image, (1,)), constant(0.5))  # G
    assert torch.equal(method.translate(image, (0,)), constant(0.0))  # F


def test_three_domains_are_refused():
    with pytest.raises(InputError, match="2 domains, not 3"):
        CycleGAN(Config(width=1, size=32), channels=(3,) * 3)


@pytest.mark.parametrize(
    ("generator", "size", "multiple"), [("resnet", 64, 4), ("resnet", 40, 4), ("unet", 64, 64)]
)
def test_size_multiple_is_what_the_generator_takes(generator: str, size: int, multiple: int):
    method = CycleGAN(Config(width=1, size=size, generator=generator))
    assert method.size_multiple == multiple
    with torch.no_grad():
        for network in (method.G, method.F):
            shape = (1, 3, 2 * multiple, 3 * multiple)
            assert network(torch.zeros(shape)).shape == shape
