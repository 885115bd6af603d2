"""An exponential moving average of weights (Polyak averaging)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor


class Average:
    """Keeps average = decay * average + (1 - decay) * weights, one tensor a weight.

    The decay is (1 + steps) / (5 + steps) until that exceeds the one asked for, after
    about 4 / (1 - decay) steps. Till then the weights of step t count as t³: the start is
    forgotten, and the average reaches back over a quarter of what has been, however short
    the training (the power function profile of Karras et al. 2024, arXiv:2312.02696,
    Sec. 3.1, with γ = 3).
    """

    def __init__(self, weights: Mapping[str, Tensor], decay: float) -> None:
        """`weights` are the live ones: the average follows them by reference."""
        self._live = {name: w for name, w in weights.items() if w.is_floating_point()}
        self.weights = {name: w.detach().clone() for name, w in self._live.items()}
        self.decay = decay

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after `step` iterations."""
        decay = min(self.decay, (1 + step) / (5 + step))
        torch._foreach_lerp_(list(self.weights.values()), list(self._live.values()), 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The live weights are the averaged ones inside the block."""
        kept = {name: w.clone() for name, w in self._live.items()}
        _copy(self.weights, self._live)
        try:
            yield
        finally:
            _copy(kept, self._live)

    def load(self, weights: Mapping[str, Tensor]) -> None:
        _copy(weights, self.weights)


@torch.no_grad()
def _copy(source: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> None:
    for name, value in source.items():
        target[name].copy_(value)
