"""Everything that changes as a run trains, in one object that can be saved."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from diptych.checkpoint import (
    inference_weights,
)
from diptych.data import Data, Stream, default_workers, stream
from diptych.data.pixels import channel_counts
from diptych.errors import InputError, option
from diptych.methods import build
from diptych.networks.device import keep_kernels, make_autocast
from diptych.networks.fusing import fuse
from diptych.training.ema import Average
from diptych.training.loop import train_iteration
from diptych.training.optimisers import GroupOptimiser
from diptych.training.random_state import random_state, set_random_state
from diptych.training.ranks import Ranks
from diptych.training.settings import Plan
from diptych.training.starting_weights import start_from
from diptych.types import Classifies, Clock, Method

_log = logging.getLogger("diptych")
_SEEDS_APART = 1_000_003
"""Between the seeds of two ranks, each of which draws other noise."""
_STARTS_APART = 1_000_000_007
"""Between the seeds of two starts, far from those of the ranks."""
_SEGMENTS = 4
"""Segments of each network with --recompute: few, since the first and last layers are the
largest."""


class Trainer:
    """A method, its optimisers and its place in the data; one `step` is one iteration."""

    def __init__(
        self,
        plan: Plan,
        data: Data,
        state: Mapping[str, Any] | None = None,
        ranks: Ranks | None = None,
        *,
        start: int = 0,
    ) -> None:
        """Begins anew from the plan's seed, or goes on from `state`.

        With several `ranks`, every process makes its own at the same time.
        Each `start` has first weights and noise of its own, and the same data.
        """
        self._ranks = ranks = ranks or Ranks()
        self.device = torch.device(plan.resolved.device)
        # Half precision is fast on this layout only, on CPUs and on tensor cores.
        is_full = plan.resolved.precision == "fp32"
        self._layout = torch.contiguous_format if is_full else torch.channels_last
        seed = plan.run.seed + start * _STARTS_APART
        own_seed = seed + ranks.rank * _SEEDS_APART
        torch.manual_seed(seed)
        # The same in every process.
        method = build(plan.method, plan.config, channel_counts(data.pixels))
        torch.manual_seed(own_seed)
        if plan.run.init is not None and state is None:
            start_from(method, Path(plan.run.init))
        _check_classes(method, data)
        self.method = _place(method, self.device, self._layout).train()
        _fuse(self.method, plan)
        self._as_method = cast(Method, self.method)
        self.optimisers = _optimisers(self._as_method, plan, ranks)
        self.clock = Clock(0, 0.0, torch.Generator().manual_seed(own_seed))
        ema = plan.run.ema
        self.average = Average(inference_weights(self.method), ema) if ema else None
        self._autocast = make_autocast(plan.resolved.precision, self.device)
        if state is not None:
            self._load(state)
        position = 0 if state is None else state["position"]
        self._stream = _stream(self._as_method, plan, data, ranks, position)
        self._batches = self._to_device()

    @property
    def epoch_batches(self) -> int:
        """Batches in one pass through the larger domain."""
        return self._stream.epoch_batches

    @property
    def step_images(self) -> int:
        """Real images in one batch of all processes, by which speeds are told."""
        return self._stream.batch_images

    @property
    def skipped(self) -> Mapping[str, str]:
        """Images that could not be used so far, and why."""
        return self._stream.skipped

    @property
    def learning_rates(self) -> dict[str, float]:
        """By group, at the clock's place in the budget."""
        return {name: o.follow(self.clock.fraction) for name, o in self.optimisers.items()}

    def step(self, steps: int | None) -> dict[str, float]:
        """One iteration of a budget of `steps` (None: not known yet); returns its terms.

        Raises:
            DivergedError: a loss is not finite.
        """
        self.clock.fraction = self.clock.step / steps if steps else 0.0
        for optimiser in self.optimisers.values():
            optimiser.follow(self.clock.fraction)
        terms = train_iteration(
            self._as_method,
            self._batches,
            self.clock,
            self.optimisers,
            self._autocast,
            self._ranks.average,
        )
        self.clock.step += 1
        if self.average is not None:
            self.average.update(self.clock.step)
        return terms

    def averaged(self) -> AbstractContextManager[None]:
        """Inside it the method has the weights that are saved for translating."""
        return self.average.applied() if self.average is not None else nullcontext()

    def inference_weights(self) -> dict[str, Tensor]:
        """The weights that are saved for translating, averaged if asked for."""
        with self.averaged():
            return {name: w.clone() for name, w in inference_weights(self.method).items()}

    def state(self) -> dict[str, Any]:
        """Everything that `Trainer(plan, data, state)` needs to go on with the same bits.

        With several ranks all call it, and the first one's is whole.
        """
        return {
            "step": self.clock.step,
            "position": self._stream.position,
            "method": {
                name: w for name, w in self.method.state_dict().items() if not _is_extra(name)
            },
            "optimisers": {name: o.state_dict() for name, o in self.optimisers.items()},
            "average": self.average.weights if self.average is not None else {},
            "ranks": self._ranks.gather(self._own_state()),
        }

    def _own_state(self) -> dict[str, Any]:
        """What differs between ranks: random states, and histories of generated images."""
        weights = self.method.state_dict()
        return {
            "extra": {name: value for name, value in weights.items() if _is_extra(name)},
            "rng": self.clock.rng.get_state(),
            **random_state(self.device),
        }

    def close(self) -> None:
        """Stop the workers."""
        self._stream.close()

    def _load(self, state: Mapping[str, Any]) -> None:
        own = state["ranks"][self._ranks.rank]
        self.method.load_state_dict({**state["method"], **own["extra"]})
        for name, optimiser in self.optimisers.items():
            optimiser.load_state_dict(state["optimisers"][name])
        if self.average is not None:
            self.average.load(state["average"])
        self.clock.step = state["step"]
        self.clock.rng.set_state(own["rng"])
        set_random_state(own, self.device)

    def _to_device(self) -> Iterator[Any]:
        """The stream's batches, where and as the method computes."""
        for batch in self._stream:
            yield type(batch)(**{f.name: self._placed(vars(batch)[f.name]) for f in fields(batch)})

    def _placed(self, part: Tensor | tuple[Tensor, ...]) -> Any:
        if isinstance(part, tuple):
            return tuple(self._place_tensor(tensor) for tensor in part)
        return self._place_tensor(part)

    def _place_tensor(self, tensor: Tensor) -> Tensor:
        if tensor.ndim == 4:
            tensor = tensor.contiguous(memory_format=self._layout)
        return tensor.to(self.device, non_blocking=True)


def _fuse(method: nn.Module, plan: Plan) -> None:
    """Layers between convolutions as one function, compiled where the plan says so."""
    if plan.resolved.compiled:
        keep_kernels()
    segments = _SEGMENTS if plan.run.recompute else 1
    fuse(method, compiled=bool(plan.resolved.compiled), segments=segments)


def _optimisers(method: Method, plan: Plan, ranks: Ranks) -> dict[str, GroupOptimiser]:
    is_scaled = plan.resolved.precision == "fp16"
    return {
        name: GroupOptimiser(
            replace(group, lr=group.lr * plan.run.lr_scale), is_scaled=is_scaled, ranks=ranks
        )
        for name, group in method.groups().items()
    }


def _stream(method: Method, plan: Plan, data: Data, ranks: Ranks, position: int) -> Stream[Any]:
    run, config = plan.run, plan.config
    return stream(
        data,
        method.batch_type,
        batch_size=config.batch_size,
        size=config.size,
        load_size=run.load_size,
        seed=run.seed,
        start=position,
        rank=ranks.rank,
        world=ranks.world,
        workers=default_workers(data) if run.workers is None else run.workers,
    )


def _check_classes(method: nn.Module, data: Data) -> None:
    if isinstance(method, Classifies) and data.classes and len(data.classes) != method.classes:
        first = ", ".join(data.classes[:5]) + (", ..." if len(data.classes) > 5 else "")
        count = len(data.classes)
        raise InputError(
            f"{data.source} has {count} classes ({first}) and the classifier {method.classes}:"
            f" pass {option('classes', count)}"
        )


def _is_extra(name: str) -> bool:
    return name.endswith("_extra_state")


def _place(module: nn.Module, device: torch.device, layout: torch.memory_format) -> nn.Module:
    return module.to(device=device, memory_format=layout)  # type: ignore[call-overload,no-any-return]
