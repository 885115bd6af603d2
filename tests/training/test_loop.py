"""The loop against one written by hand, and the trainer's state."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from diptych.checkpoint import (
    TranslatorInfo,
    inference_weights,
    read_translator,
    save_state,
    save_translator,
)
from diptych.data import Data, open_data
from diptych.errors import InputError
from diptych.methods.cyclegan import Config, CycleGAN
from diptych.networks.replay import ReplayBuffer
from diptych.objectives import l1, lsgan
from diptych.training.loop import DivergedError, train_iteration
from diptych.training.optimisers import GroupOptimiser
from diptych.training.settings import Plan, Resolved, Settings
from diptych.training.trainer import Trainer
from diptych.types import Clock, Group, Unpaired, Update


def _batches(count: int, size: int = 32) -> list[Unpaired]:
    rng = torch.Generator().manual_seed(0)
    draw = lambda: torch.rand(1, 3, size, size, generator=rng) * 2 - 1  # noqa: E731
    return [Unpaired(draw(), draw()) for _ in range(count)]


def _train_by_hand(model: CycleGAN, batches: list[Unpaired]) -> list[dict[str, float]]:
    """CycleGAN as a plain loop writes it: requires_grad toggled, gradients kept and zeroed."""
    generators = [*model.G.parameters(), *model.F.parameters()]
    discriminators = [*model.D_X.parameters(), *model.D_Y.parameters()]
    step_g, step_d = (
        torch.optim.Adam(parameters, lr=2e-4, betas=(0.5, 0.999), fused=True)
        for parameters in (generators, discriminators)
    )
    past_y, past_x, rng = ReplayBuffer(2), ReplayBuffer(2), torch.Generator().manual_seed(0)
    logged = []
    for batch in batches:
        x, y = batch.x, batch.y
        for p in discriminators:
            p.requires_grad_(False)
        fake_y = model.G(x)
        fake_x, cycled_x = model.F(torch.cat([y, fake_y])).split(1)
        adversarial = lsgan(model.D_Y[0](fake_y), real=True) + lsgan(
            model.D_X[0](fake_x), real=True
        )
        cycle = l1(cycled_x, x) + l1(model.G(fake_x), y)
        step_g.zero_grad()
        (adversarial + 10 * cycle).backward()
        step_g.step()
        for p in discriminators:
            p.requires_grad_(True)
        losses = []
        for D, real, fake, past in (
            (model.D_Y[0], y, fake_y, past_y),
            (model.D_X[0], x, fake_x, past_x),
        ):
            seen = past.exchange(fake, rng)
            score_real, score_seen = D(torch.cat([real, seen])).split(1)
            losses.append(0.5 * (lsgan(score_real, real=True) + lsgan(score_seen, real=False)))
        step_d.zero_grad()
        (losses[0] + losses[1]).backward()
        step_d.step()
        named = {"adversarial": adversarial, "cycle": cycle, "D_Y": losses[0], "D_X": losses[1]}
        logged.append({name: value.item() for name, value in named.items()})
    return logged


def test_loop_equals_a_hand_written_one_bit_for_bit():
    torch.manual_seed(0)
    ours = CycleGAN(Config(width=4, size=32, buffer_size=2, blocks=2))
    theirs = copy.deepcopy(ours)
    batches = _batches(6)
    by_hand = _train_by_hand(theirs, batches)
    optimisers = {name: GroupOptimiser(group) for name, group in ours.groups().items()}
    stream, clock = iter(batches), Clock(0, 0.0, torch.Generator().manual_seed(0))
    logged = [train_iteration(ours, stream, clock, optimisers, nullcontext) for _ in batches]
    assert logged == by_hand
    for (name, a), (_, b) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        assert torch.equal(a, b), name


class _Toy(nn.Module):
    """Two parameters, each minimised by an update of its own; `spoil` names a term to break."""

    batch_type = Unpaired
    config = None

    def __init__(self, spoil: str | None = None, value: float = float("nan")) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
        nn.init.constant_(self.a.weight, 1.0)
        nn.init.constant_(self.b.weight, 1.0)
        self.spoil, self.value = spoil, value
        self.seen: list[float] = []

    def groups(self) -> dict[str, Group]:
        return {
            name: Group(modules=(module,), lr=0.25, betas=(0.0, 0.0), optimiser="sgd")
            for name, module in (("a", self.a), ("b", self.b))
        }

    def iteration(self, batches: Iterator[Any], clock: Clock) -> Iterator[Update]:
        next(batches)
        a = self.a.weight.square().sum()
        yield Update("a", a, {"first": self._maybe("first", a)})
        self.seen.append(self.a.weight.item())
        b = (self.a.weight * self.b.weight).square().sum()
        loss = self._maybe("loss", b)
        yield Update("b", loss, {"second": b, "third": self._maybe("third", b)})
        self.seen.append(self.b.weight.item())

    def _maybe(self, name: str, value: Tensor) -> Tensor:
        return value * self.value if name == self.spoil else value


def _run_toy(toy: _Toy, step: int = 0) -> dict[str, float]:
    optimisers = {name: GroupOptimiser(group) for name, group in toy.groups().items()}
    clock = Clock(step, 0.0, torch.Generator())
    return train_iteration(toy, itertools.repeat(None), clock, optimisers, nullcontext)


def test_method_goes_on_with_the_stepped_weights_of_the_named_group_only():
    toy = _Toy()
    terms = _run_toy(toy)
    # a: 1 - 1/4 * 2 = 1/2. Then b's loss is (b/2)², with gradient b/2: 1 - 1/4 * 1/2 = 7/8.
    assert toy.seen == [0.5, 0.875]
    assert toy.a.weight.item() == 0.5  # b's loss depends on a, and left it alone
    assert terms == {"first": 1.0, "second": 0.25, "third": 0.25}


@pytest.mark.parametrize(
    ("spoil", "value", "message"),
    [
        ("first", float("nan"), "first is nan at step 8"),
        ("third", float("inf"), "third is inf at step 8"),
        ("loss", float("nan"), "the loss of b is nan at step 8"),
    ],
)
def test_a_number_that_is_not_finite_is_named_with_its_step(spoil, value, message):
    with pytest.raises(DivergedError) as caught:
        _run_toy(_Toy(spoil, value), step=7)
    assert str(caught.value) == message


def test_autocast_is_on_in_forward_passes_and_off_in_steps():
    states = []

    class Noting(_Toy):
        def iteration(self, batches, clock):
            states.append(torch.is_autocast_enabled("cpu"))
            yield Update("a", self.a.weight.square().sum())
            states.append(torch.is_autocast_enabled("cpu"))

    class Step:
        def minimise(self, loss: Tensor) -> None:
            states.append(torch.is_autocast_enabled("cpu"))

    cast = lambda: torch.autocast("cpu", dtype=torch.bfloat16)  # noqa: E731
    clock = Clock(0, 0.0, torch.Generator())
    train_iteration(Noting(), iter([]), clock, {"a": Step()}, cast)
    assert states == [True, False, True]


# --- the trainer ---------------------------------------------------------------


def _plan(data: Data, **options: Any) -> Plan:
    precision = options.pop("precision", "fp32")
    config = Config(width=4, size=32, blocks=1, **options.pop("config", {}))
    return Plan(
        method="cyclegan",
        config=config,
        run=Settings(workers=0, **options),
        resolved=Resolved(
            threads=torch.get_num_threads(),
            domains=data.domains,
            fingerprint="f",
            steps=10,
            precision=precision,
            device="cpu",
        ),
    )


@pytest.fixture
def data(picture_folders) -> Data:
    x, y = picture_folders()
    return open_data(x=x, y=y, size=32)


def _same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_step_runs_in_each_precision_and_weights_stay_float32(data, precision):
    trainer = Trainer(_plan(data, precision=precision), data)
    before = trainer.inference_weights()
    terms = trainer.step(10)
    assert list(terms) == ["adversarial", "cycle", "D_Y", "D_X"]
    assert 0 < terms["cycle"] < 4
    assert {w.dtype for w in trainer.inference_weights().values()} == {torch.float32}
    assert not _same(before, trainer.inference_weights())
    assert trainer.method.fakes_x.images[0].dtype == (
        torch.bfloat16 if precision == "bf16" else torch.float32
    )


def test_half_precision_losses_are_those_of_float32_to_two_digits(data):
    a, b = (Trainer(_plan(data, precision=p), data).step(10) for p in ("fp32", "bf16"))
    assert a != b
    assert b == pytest.approx(a, rel=0.02)


def test_learning_rate_follows_the_budget(data):
    trainer = Trainer(_plan(data), data)
    rates = []
    for _ in range(10):
        trainer.step(10)
        rates.append(trainer.learning_rates["generators"])
    # Steps 1-6 begin at fractions 0 to 0.5; then 0.6, 0.7, 0.8, 0.9 of the budget are done.
    assert rates == pytest.approx([2e-4] * 6 + [1.6e-4, 1.2e-4, 0.8e-4, 0.4e-4])


def test_state_holds_everything_by_name(data):
    trainer = Trainer(_plan(data, ema=0.9), data)
    for _ in range(3):
        trainer.step(10)
    state = trainer.state()
    assert set(state) == {
        "step", "position", "method", "optimisers", "average", "ranks"
    }  # fmt: skip
    assert (state["step"], state["position"]) == (3, 3)
    assert set(state["optimisers"]) == {"generators", "discriminators"}
    (own,) = state["ranks"]
    assert set(own) == {"extra", "rng", "global_rng", "cuda_rng", "mps_rng"}
    assert len(own["extra"]["fakes_x._extra_state"]["images"]) == 3
    assert not any("extra" in name for name in state["method"])
    assert state["average"].keys() == trainer.inference_weights().keys()


def test_budget_that_is_not_known_keeps_the_rate_constant(data):
    trainer = Trainer(_plan(data), data)
    trainer.step(None)
    assert trainer.clock.fraction == 0.0
    assert trainer.learning_rates == {"generators": 2e-4, "discriminators": 2e-4}


def test_saved_weights_are_the_averaged_ones_and_training_goes_on_with_the_live_ones(data):
    trainer = Trainer(_plan(data, ema=0.9), data)
    start = {n: w.clone() for n, w in inference_weights(trainer.method).items()}
    trainer.step(10)
    live = {n: w.clone() for n, w in inference_weights(trainer.method).items()}
    saved = trainer.inference_weights()
    assert _same(live, inference_weights(trainer.method))
    for name, weight in saved.items():  # decay after one step: 2/6
        expected = start[name] * 2 / 6 + live[name] * 4 / 6
        assert (weight - expected).abs().max().item() < 1e-7
    with trainer.averaged():
        assert _same(saved, inference_weights(trainer.method))


def test_init_from_a_run_takes_all_weights_and_leaves_histories_behind(data, tmp_path):
    first = Trainer(_plan(data, seed=1), data)
    for _ in range(2):
        first.step(10)
    save_state(tmp_path, first.state())
    second = Trainer(_plan(data, seed=2, init=str(tmp_path)), data)
    theirs, ours = first.method.state_dict(), second.method.state_dict()
    tensors = {n: w for n, w in theirs.items() if isinstance(w, Tensor)}
    assert any(name.startswith("D_X") for name in tensors)
    assert _same(tensors, {n: w for n, w in ours.items() if isinstance(w, Tensor)})
    assert second.method.fakes_x.images == []
    assert second.clock.step == 0


def test_init_from_a_translator_takes_the_generators_only(data, tmp_path):
    first = Trainer(_plan(data, seed=1), data)
    info = TranslatorInfo(
        method="cyclegan", config={}, domains=data.domains, size=32, step=0,
        fingerprint="f", source="s", version="0",
    )  # fmt: skip
    file = tmp_path / "one.safetensors"
    save_translator(file, first.inference_weights(), info)
    second = Trainer(_plan(data, seed=2, init=str(file)), data)
    fresh = Trainer(_plan(data, seed=2), data)
    assert _same(second.inference_weights(), read_translator(file)[0])
    assert _same(second.method.D_X.state_dict(), fresh.method.D_X.state_dict())


@pytest.mark.parametrize("kind", ["run", "translator"])
def test_init_of_another_shape_is_refused_in_one_line(data, tmp_path, kind):
    wider = Trainer(_plan(data, config={"discriminator": "34x34"}), data)
    if kind == "run":
        save_state(tmp_path, wider.state())
        source, options = tmp_path, {}
    else:
        source, options = tmp_path / "one.safetensors", {"generator": "unet"}
        info = TranslatorInfo(
            method="cyclegan", config={}, domains=data.domains, size=32, step=0,
            fingerprint="f", source="s", version="0",
        )  # fmt: skip
        save_translator(source, wider.inference_weights(), info)
    with pytest.raises(InputError, match="does not fit this configuration") as caught:
        Trainer(_plan(data, init=str(source), config=options), data)
    assert str(source) in str(caught.value)
    assert "\n" not in str(caught.value)
