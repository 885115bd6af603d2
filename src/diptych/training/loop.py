"""The loop that every method trains in. It imports types only."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import torch
from torch import Tensor

from diptych.types import Clock, Method


class Minimiser(Protocol):
    """Takes one optimiser step over its own parameters."""

    def minimise(self, loss: Tensor) -> None: ...


class DivergedError(RuntimeError):
    """A loss is not finite; the message names the term and the step."""


def train_iteration(
    method: Method,
    batches: Iterator[Any],
    clock: Clock,
    optimisers: Mapping[str, Minimiser],
    autocast: Callable[[], AbstractContextManager[object]],
    agree: Callable[[Sequence[Tensor]], None] = lambda _: None,
) -> dict[str, float]:
    """Run one `method.iteration`, performing each update that it yields.

    Returns the logged terms, as `agree` leaves them, which may average them over
    processes, so that all come to the same end. No frame of the method is alive after it: the one
    place where a checkpoint can be taken.

    Raises:
        DivergedError: a loss or term is not finite; the weights are then spoilt.
    """
    watched: dict[str, Tensor] = {}
    terms: dict[str, Tensor] = {}
    updates = method.iteration(batches, clock)
    while True:
        with autocast():  # forward passes only
            update = next(updates, None)
        if update is None:
            break
        optimisers[update.group].minimise(update.loss)
        terms |= {name: term.detach() for name, term in update.terms.items()}
        watched[f"the loss of {update.group}"] = update.loss.detach()
        del update  # and with it the graph, before the next one grows
    return _finite(terms, watched, clock.step, agree)


def _finite(
    terms: dict[str, Tensor],
    watched: dict[str, Tensor],
    step: int,
    agree: Callable[[Sequence[Tensor]], None],
) -> dict[str, float]:
    named = terms | watched  # terms first: they say more than the sum that they broke
    if not named:
        return {}
    stacked = torch.stack([value.float() for value in named.values()])
    agree([stacked])
    values = stacked.tolist()  # one sync
    for name, value in zip(named, values, strict=True):
        if not math.isfinite(value):
            raise DivergedError(f"{name} is {value} at step {step + 1}")
    return dict(zip(terms, values, strict=False))
