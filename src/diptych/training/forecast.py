"""How long a training will take on this machine, said once its own first steps have shown it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from diptych.errors import call, counted, option
from diptych.training.presets import chosen
from diptych.training.settings import Plan

_WORTH_TELLING = 10 * 60.0
"""Seconds of training below which nothing is said: the progress shows the time left anyway."""
_WORTH_SHORTENING = 3600.0
_WARM_UP_STEPS, _COMPILED_WARM_UP_STEPS = 1, 2
_LEAST_STEPS, _LEAST_SECONDS = 3, 2.0
"""How many steps, and how long, are timed after those."""
_PATIENCE = 8.0
"""Seconds after which the steps that there are must do."""


class Forecast:
    """Times the first steps of a training, and tells once how long all of them take.

    The steps are the training's own, so that none are wasted.
    """

    def __init__(
        self,
        plan: Plan,
        steps: int,
        *,
        done: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Made right before the first step; a training that has `done` steps is not told of."""
        self._plan, self._steps, self._clock = plan, steps, clock
        is_compiled = bool(plan.resolved.compiled)
        self._warm_up = _COMPILED_WARM_UP_STEPS if is_compiled else _WARM_UP_STEPS
        self._is_told = done > 0
        self._moments = [clock()]

    def after_step(self) -> list[str]:
        """What to tell after one more step: mostly nothing."""
        if self._is_told:
            return []
        self._moments.append(self._clock())
        speed = self._speed()
        if speed is None:
            return []
        self._is_told = True
        return _lines(self._plan, self._steps, speed)

    def _speed(self) -> _Speed | None:
        """The mean of the steps after those to warm up; None while they are too few."""
        begin, now = self._moments[0], self._moments[-1]
        timed = self._moments[self._warm_up :]
        is_enough = len(timed) > _LEAST_STEPS and now - timed[0] >= _LEAST_SECONDS
        is_late = now - begin >= _PATIENCE
        if len(timed) > 1 and (is_enough or is_late):
            return _Speed((now - timed[0]) / (len(timed) - 1))
        # A first step as slow as that says enough, unless it compiled.
        is_compiled = self._plan.resolved.compiled
        return _Speed(now - begin, is_bound=True) if is_late and not is_compiled else None


@dataclass(frozen=True)
class _Speed:
    seconds_per_step: float
    is_bound: bool = False
    """It is the first step's, which took up to two and a half times as long as the others."""


def _lines(plan: Plan, steps: int, speed: _Speed) -> list[str]:
    total = steps * speed.seconds_per_step
    if total < _WORTH_TELLING:
        return []
    found = plan.resolved
    machine = f"{found.device}, {found.precision}"
    if found.processes > 1:
        machine = f"{found.processes} processes, {machine}"
    about, of = ("at most about", "of up to") if speed.is_bound else ("about", "of")
    each = _seconds(speed.seconds_per_step)
    lines = [
        f"{about} {_long(total)} on this machine ({machine}): {counted(steps, 'step')} {of} {each}"
    ]
    has_budget = any(vars(plan.run)[name] is not None for name in ("steps", "epochs", "minutes"))
    if total >= _WORTH_SHORTENING and not has_budget:
        lines.append(_shorter(plan, speed.seconds_per_step))
    return lines


def _shorter(plan: Plan, seconds: float) -> str:
    """Ways to a shorter training; the run that has begun is in their way."""
    ways = [option("minutes", 30)]
    if not _is_fast(plan):
        ways.insert(0, option("preset", "fast"))
    return (
        f"shorter: stop, and begin again with {option('overwrite', True)} and"
        f" {call(' ', ', ').join(ways)}, or {option('steps', _rounded(3600 / seconds))} (an hour)"
    )


def _is_fast(plan: Plan) -> bool:
    """Whether the plan has all that the preset `fast` sets."""
    config, run = chosen(plan.method, preset="fast")
    return all(vars(plan.config)[name] == value for name, value in config.items()) and all(
        vars(plan.run)[name] == value for name, value in run.items()
    )


def _long(seconds: float) -> str:
    """A duration in the unit that suits it: 12 minutes, 2.5 hours, 35 hours, 3.1 days."""
    if seconds < 90 * 60:
        unit, number = "minutes", seconds / 60
    elif seconds < 48 * 3600:
        unit, number = "hours", seconds / 3600
    else:
        unit, number = "days", seconds / 86400
    return f"{number:.1f} {unit}" if number < 10 else f"{number:,.0f} {unit}"


def _seconds(seconds: float) -> str:
    """Seconds with two digits, or all before the point."""
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.2g} s"


def _rounded(steps: float) -> int:
    """A number of steps with two digits, at least 1."""
    return max(1, int(float(f"{steps:.2g}")))
