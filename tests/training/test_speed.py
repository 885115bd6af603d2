"""How long a step takes."""

from __future__ import annotations

import time
from typing import Any

import pytest

from diptych.training.speed import seconds_per_step


class Steps:
    """Counts its steps; the first is slow."""

    def __init__(self) -> None:
        self.count = 0

    def step(self, steps: int | None) -> dict[str, float]:
        assert steps is None
        time.sleep(0.1 if self.count == 0 else 0.01)
        self.count += 1
        return {}


def test_the_mean_is_of_at_least_five_steps_after_two_to_warm_up() -> None:
    trainer: Any = Steps()
    assert seconds_per_step(trainer, 0.0) == pytest.approx(0.01, abs=0.008)  # not the slow first
    assert trainer.count == 2 + 5


def test_steps_go_on_as_long_as_asked_and_all_processes_agree() -> None:
    trainer: Any = Steps()
    asked: list[bool] = []

    def agree(goes_on: bool) -> bool:
        asked.append(goes_on)
        return goes_on

    seconds_per_step(trainer, 0.2, agree)
    assert trainer.count >= 2 + 10
    assert asked == [True] * (trainer.count - 2) + [False]
