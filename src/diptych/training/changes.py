"""What may be other than before when a run goes on: its place, its device, its budget."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, replace
from pathlib import Path

from diptych.errors import InputError, check_whole, counted, option
from diptych.networks.device import find_device
from diptych.training.settings import Plan, Settings

Place = str | os.PathLike[str]
_log = logging.getLogger("diptych")


@dataclass(frozen=True, kw_only=True)
class Changes:
    """Replacements for parts of a run's plan; None keeps a part."""

    device: str | None = None
    workers: int | None = None
    data: Place | None = None
    """Where the run's data are now."""
    x: Place | None = None
    y: Place | None = None
    steps: int | None = None
    """The budget, of which the steps done are a part. It may be larger than before."""

    def __post_init__(self) -> None:
        """Raises InputError if a value is out of range."""
        if self.workers is not None:
            check_whole("workers", self.workers, 0)
        if self.steps is not None:
            check_whole("steps", self.steps, 1)

    def applied(self, plan: Plan, folder: Path, done: int) -> Plan:
        """Return the plan of the run in `folder`, of which `done` steps are done, as changed.

        Raises:
            InputError: the budget is not larger than what is done; there is no such device.
        """
        run = plan.run if self.workers is None else replace(plan.run, workers=self.workers)
        run = moved(run, self.data, self.x, self.y)
        resolved = plan.resolved
        resolved = replace(resolved, device=str(find_device(self.device or resolved.device)))
        if self.steps is not None and self.steps != resolved.steps:
            if self.steps <= done:
                raise InputError(
                    f"{option('steps')} is {self.steps}, and {folder} has done"
                    f" {counted(done, 'step')}: give the new total, more than that"
                )
            run = replace(run, steps=self.steps, epochs=None, minutes=None)
            resolved = replace(resolved, steps=self.steps)
            _log.info(
                "the budget is %s now: learning rates follow it, as if it had been so from the"
                " start",
                counted(self.steps, "step"),
            )
        return replace(plan, run=run, resolved=resolved)


def moved(settings: Settings, data: Place | None, x: Place | None, y: Place | None) -> Settings:
    """Return the settings with other places of the data, if any is given.

    Raises:
        InputError: one of `x` and `y` is missing, or `data` is given with them.
    """
    if data is None and x is None and y is None:
        return settings
    if (x is None) != (y is None):
        both = f"{option('x')} and {option('y')}"
        raise InputError(f"only one of {both} was given: give both")
    return replace(settings, data=_absolute(data), x=_absolute(x), y=_absolute(y))


def _absolute(place: Place | None) -> str | None:
    if place is None or os.fspath(place).startswith("sample:"):
        return place if place is None else os.fspath(place)
    return str(Path(place).expanduser().absolute())


def in_its_folder(settings: Settings, started_in: str) -> Settings:
    """Return the settings with relative places found from the folder that a run was begun in.

    Places that are not there are left as they are, and so found from the folder of now.
    """
    if not started_in:
        return settings

    def found(given: str | None) -> str | None:
        if given is None or given.startswith("sample:"):
            return given
        place = Path(started_in) / Path(given).expanduser()
        return str(place) if place.exists() and place != Path(given) else given

    def of_palette(text: str) -> str:
        name, _, place = text.partition("=")
        return f"{name}={found(place)}"

    return replace(
        settings,
        data=found(settings.data),
        x=found(settings.x),
        y=found(settings.y),
        attributes=found(settings.attributes),
        palette=tuple(map(of_palette, settings.palette)),
    )
