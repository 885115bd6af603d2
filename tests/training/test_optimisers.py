"""Learning rates by hand, and which parameters a step touches."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from diptych.training.optimisers import GroupOptimiser, scheduled_lr
from diptych.types import Group


def _layer(value: float = 1.0) -> nn.Linear:
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, value)
    return layer


@pytest.mark.parametrize(
    ("fraction", "expected"),
    [(0.0, 2e-4), (0.25, 2e-4), (0.5, 2e-4), (0.75, 1e-4), (0.9, 0.4e-4), (1.0, 0.0)],
)
def test_rate_is_constant_for_half_of_the_budget_then_linear_to_zero(fraction, expected):
    group = Group(modules=(_layer(),), lr=2e-4, decay_from=0.5)
    assert scheduled_lr(group, fraction) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("decay_from", "fraction", "expected"),
    [(1.0, 1.0, 1.0), (1.0, 0.99, 1.0), (0.0, 0.0, 1.0), (0.0, 0.25, 0.75), (0.8, 0.9, 0.5)],
)
def test_decay_can_begin_anywhere_and_never(decay_from, fraction, expected):
    group = Group(modules=(_layer(),), lr=1.0, decay_from=decay_from)
    assert scheduled_lr(group, fraction) == pytest.approx(expected)


def test_follow_sets_the_rate_that_the_next_step_takes():
    layer = _layer()
    group = Group(modules=(layer,), lr=1.0, betas=(0.0, 0.0), optimiser="sgd", decay_from=0.5)
    optimiser = GroupOptimiser(group)
    assert optimiser.follow(0.75) == 0.5
    optimiser.minimise(layer.weight.sum())  # gradient 1
    assert layer.weight.item() == 0.5
    assert optimiser.follow(1.0) == 0.0
    optimiser.minimise(layer.weight.sum())
    assert layer.weight.item() == 0.5


def test_adam_takes_its_first_step_as_kingma_and_ba_write_it():
    layer = _layer()
    optimiser = GroupOptimiser(Group(modules=(layer,), lr=0.1))
    optimiser.minimise(3 * layer.weight.sum())
    # The first bias-corrected step is lr * g / (|g| + eps), whatever g is.
    assert layer.weight.item() == pytest.approx(0.9, abs=1e-6)
    optimiser.minimise(-layer.weight.sum())
    # m = (0.5*0.5*3 - 0.5) / 0.75 = 1/3; v = (0.999*0.001*9 + 0.001) / (1 - 0.999²).
    v = (0.999 * 0.001 * 9 + 0.001) / (1 - 0.999**2)
    assert layer.weight.item() == pytest.approx(0.9 - 0.1 * (1 / 3) / v**0.5, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("adam", torch.optim.Adam), ("rmsprop", torch.optim.RMSprop), ("sgd", torch.optim.SGD)],
)
def test_each_optimiser_by_name(name, kind):
    layer = _layer()
    optimiser = GroupOptimiser(Group(modules=(layer,), lr=0.1, optimiser=name))
    assert type(optimiser.optimiser) is kind
    optimiser.minimise(layer.weight.square().sum())
    assert layer.weight.item() < 1.0


def _three_steps(layout: torch.memory_format) -> tuple[nn.Conv2d, GroupOptimiser]:
    torch.manual_seed(0)
    layer = nn.Conv2d(3, 4, 3).to(memory_format=layout)
    optimiser = GroupOptimiser(Group(modules=(layer,), lr=0.1))
    image = torch.rand(2, 3, 8, 8).contiguous(memory_format=layout)
    for _ in range(3):
        optimiser.minimise(layer(image).square().mean())
    return layer, optimiser


@pytest.mark.parametrize("name", ["sgd", "rmsprop", "adam"])
def test_decayed_weights_step_as_if_the_loss_held_their_squares(name):
    decayed, plain = _layer(3.0), _layer(3.0)
    first = GroupOptimiser(Group(modules=(decayed,), lr=0.1, optimiser=name, weight_decay=0.5))
    second = GroupOptimiser(Group(modules=(plain,), lr=0.1, optimiser=name))
    for _ in range(3):
        first.minimise(2 * decayed.weight.sum())
        second.minimise(2 * plain.weight.sum() + 0.5 * plain.weight.square().sum() / 2)
        assert decayed.weight.item() == pytest.approx(plain.weight.item(), rel=1e-6)
    assert decayed.weight.item() < 3.0


def test_the_layout_of_weights_changes_neither_steps_nor_what_is_saved():
    plain, first = _three_steps(torch.contiguous_format)
    other, second = _three_steps(torch.channels_last)
    assert other.weight.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(other.weight.detach(), plain.weight.detach())
    saved = [o.state_dict()["optimiser"]["state"] for o in (first, second)]
    assert saved[1][0]["exp_avg"].shape == (4, 3, 3, 3)
    for name in ("exp_avg", "exp_avg_sq"):
        torch.testing.assert_close(saved[1][0][name], saved[0][0][name])
    states = [copy.deepcopy(optimiser.state_dict()) for optimiser in (first, second)]
    first.load_state_dict(states[1])
    second.load_state_dict(states[0])
    for optimiser, layer in ((first, plain), (second, other)):
        optimiser.minimise(layer.weight.sum())
    torch.testing.assert_close(other.weight.detach(), plain.weight.detach())


def test_shared_parameters_are_counted_once():
    shared, own = _layer(), _layer()
    first, second = nn.Sequential(shared, own), nn.Sequential(shared)
    optimiser = GroupOptimiser(
        Group(modules=(first, second, first), lr=0.25, betas=(0.0, 0.0), optimiser="sgd")
    )
    assert [p is q for p, q in zip(optimiser.parameters, (shared.weight, own.weight), strict=True)]
    assert len(optimiser.parameters) == 2
    optimiser.minimise(shared.weight.sum() + own.weight.sum())
    assert shared.weight.item() == 0.75  # stepped once


def test_parameters_of_others_get_no_gradient_and_no_step():
    ours, others = _layer(), _layer(2.0)
    optimiser = GroupOptimiser(Group(modules=(ours,), lr=0.1))
    optimiser.minimise((ours.weight * others.weight).sum())
    assert others.weight.grad is None
    assert others.weight.item() == 2.0
    assert ours.weight.grad is not None
    assert ours.weight.grad.item() == 2.0


def test_gradients_do_not_add_up_between_steps():
    layer = _layer()
    optimiser = GroupOptimiser(Group(modules=(layer,), lr=0.0))
    for _ in range(3):
        optimiser.minimise(layer.weight.sum())
    assert layer.weight.grad is not None
    assert layer.weight.grad.item() == 1.0


def test_state_round_trip_takes_the_same_next_step():
    a, b = _layer(), _layer()
    first = GroupOptimiser(Group(modules=(a,), lr=0.1))
    for _ in range(3):
        first.minimise(a.weight.square().sum())
    second = GroupOptimiser(Group(modules=(b,), lr=0.1))
    with torch.no_grad():
        b.weight.copy_(a.weight)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    first.minimise(a.weight.square().sum())
    second.minimise(b.weight.square().sum())
    assert torch.equal(a.weight, b.weight)


def test_rmsprop_smooths_by_the_second_beta_and_decays_weights():
    layer = _layer(2.0)
    group = Group(
        modules=(layer,), lr=0.1, betas=(0.5, 0.9), optimiser="rmsprop", weight_decay=0.25
    )
    GroupOptimiser(group).minimise(layer.weight.sum())
    # Gradient 1 + 0.25 * 2 = 1.5; its square's average 0.1 * 2.25; 0.1 * 1.5 / (0.1**0.5 * 1.5).
    assert layer.weight.item() == pytest.approx(2 - 0.1 / 0.1**0.5, rel=1e-5)


def test_weight_decay_alone_shrinks_weights_under_adam():
    layer = _layer(2.0)
    group = Group(modules=(layer,), lr=0.1, weight_decay=0.5)
    GroupOptimiser(group).minimise((layer.weight * 0).sum())
    assert layer.weight.item() == pytest.approx(1.9)  # Adam's first step is the rate's size
