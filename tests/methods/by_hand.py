"""Networks that are functions of a pixel, for equations worked out by hand."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from diptych.methods import make_config
from diptych.types import Clock, Update
from tests.methods.outside_cases import refusal


class Affine(nn.Module):
    """scale * t + shift."""

    def __init__(self, scale: float, shift: float = 0.0) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale))
        self.shift = nn.Parameter(torch.tensor(shift))

    def forward(self, t: Tensor) -> Tensor:
        return self.scale * t + self.shift


class OfPairs(nn.Module):
    """first * a + second * b + shift, of a and b stacked in the channels."""

    def __init__(self, first: float, second: float, shift: float = 0.0) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.tensor([first, second, shift]))

    def forward(self, pair: Tensor) -> Tensor:
        assert pair.shape[1] == 6
        return self.weights[0] * pair[:, :3] + self.weights[1] * pair[:, 3:] + self.weights[2]


def constant(value: float, count: int = 2) -> Tensor:
    """(`count`, 3, 4, 4) images of one value."""
    return torch.full((count, 3, 4, 4), value)


def batches(kind: type[Any], *values: float) -> Iterator[Any]:
    """The batch of constant images, again and again."""
    return itertools.repeat(kind(*map(constant, values)))


def updates(method: Any, source: Iterator[Any], *, step: int = 0, seed: int = 0) -> list[Update]:
    """What one iteration yields, with nothing stepped in between."""
    clock = Clock(step, 0.0, torch.Generator().manual_seed(seed))
    return list(method.iteration(source, clock))


def terms(update: Update) -> dict[str, float]:
    return {name: term.item() for name, term in update.terms.items()}


def approx(values: Any) -> Any:
    return pytest.approx(values, rel=1e-5)


def softplus(s: float) -> float:
    """-log sigmoid(s) = softplus(-s), -log(1 - sigmoid(s)) = softplus(s)."""
    return math.log1p(math.exp(s))


def sigmoid(s: float) -> float:
    """The derivative of `softplus`."""
    return 1 / (1 + math.exp(-s))


def hinge(s: float) -> float:
    """D's hinge loss: max(0, 1 - s) = hinge(-s) where s should be real, else hinge(s)."""
    return max(0.0, 1 + s)


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def refused(method: str, options: dict[str, Any]) -> str:
    """The one line that says what is wrong with options of a method."""
    return refusal(lambda: make_config(method, options))
