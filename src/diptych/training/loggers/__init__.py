"""Where losses and previews go besides the run's folder: TensorBoard, W&B, MLflow, callbacks.

A logger is anything with the three methods of `Logger`. A new one is a module NAME_events here
and its name in `LoggerName`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, cast

from PIL import Image

from diptych.errors import InputError, check_callable, option
from diptych.training.random_state import random_state_kept

LoggerName = Literal["tensorboard", "wandb", "mlflow", "none"]
_EXTRAS = ("wandb", "mlflow")
"""Loggers whose library is not installed with Diptych."""
LOGGER_FOLDERS = ("tensorboard", "wandb")
LOGGER_FILES = ("wandb.id", "mlflow.id")
"""What loggers leave in a run's folder; mlflow.id and wandb.id say which run of theirs it is."""


@dataclass(frozen=True)
class LoggedRun:
    """What a logger may know of a run."""

    folder: Path
    resume_at: int | None
    """The step from which the run goes on; None where it begins."""
    options: Mapping[str, Any]
    """The run's options by name, such as cyclegan.width and run.steps."""


class Logger(Protocol):
    """Takes what a training logs, in the first process alone."""

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """One logged step: losses/NAME, learning_rates/GROUP and speed/images_per_second."""
        ...

    def preview(self, step: int, grid: Image.Image) -> None:
        """The grid of a preview."""
        ...

    def close(self) -> None:
        """Training has ended or stopped."""
        ...


class Callbacks:
    """A user's own functions as a logger. They may draw random numbers: the run does not see it."""

    def __init__(
        self,
        on_log: Callable[[int, dict[str, float]], object] | None = None,
        on_preview: Callable[[Image.Image], object] | None = None,
    ) -> None:
        """Raises InputError if one of them is no function."""
        check_callable("on_log", on_log)
        check_callable("on_preview", on_preview)
        self._on_log, self._on_preview = on_log, on_preview

    def log(self, step: int, values: Mapping[str, float]) -> None:
        if self._on_log is not None:
            losses = {
                name.removeprefix("losses/"): value
                for name, value in values.items()
                if name.startswith("losses/")
            }
            with random_state_kept():
                self._on_log(step, losses)

    def preview(self, step: int, grid: Image.Image) -> None:
        if self._on_preview is not None:
            with random_state_kept():
                self._on_preview(grid.copy())  # theirs to draw on

    def close(self) -> None:
        """Nothing is open."""


def check_logger(name: LoggerName) -> None:
    """Import the library of a logger, to find out before training whether it can be had.

    Raises:
        InputError: it is not installed.
    """
    if name not in _EXTRAS:
        return
    try:
        _module(name)
    except ImportError as error:
        raise InputError(
            f"{option('logger', name)} needs a library that cannot be imported ({error}):"
            f" pip install 'diptych[{name}]'"
        ) from error


def open_logger(name: LoggerName, run: LoggedRun) -> Logger | None:
    """The logger called `name` for a run; None for "none".

    Raises:
        InputError: its server refuses, or is not there.
    """
    return None if name == "none" else cast(Logger, _module(name).open_events(run))


def _module(name: str) -> Any:
    return importlib.import_module(f"diptych.training.loggers.{name}_events")
