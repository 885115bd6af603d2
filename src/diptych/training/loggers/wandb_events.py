"""Weights & Biases: one of its runs for each of ours, which a resumed run goes on with.

Project, entity and mode (online, offline) are those of its environment variables, such as
WANDB_PROJECT and WANDB_MODE. What it would collect by itself is off, unless such a variable
turns it on: console output, git state, code, hardware, installed packages, reports of errors.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from PIL import Image

from diptych.errors import InputError, option
from diptych.files import atomic_write_text
from diptych.training.loggers import LoggedRun

os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # read when wandb is imported

# Names of it, too: a folder called wandb, such as its own, is imported as an empty package.
import wandb
from wandb import Settings
from wandb.errors import Error

ID_FILE = "wandb.id"
_OFF: dict[str, Any] = {
    "console": "off",
    "disable_code": True,
    "disable_git": True,
    "x_disable_machine_info": True,
    "x_disable_meta": True,
    "x_disable_stats": True,
    "x_save_requirements": False,
}
"""W&B's own collection, turned off."""


def open_events(run: LoggedRun) -> WeightsAndBiases:
    """A run of W&B, or the one that was begun with this run's folder.

    Raises:
        InputError: W&B refuses, such as for want of a key.
    """
    try:
        return WeightsAndBiases(run)
    except Error as error:
        raise InputError(
            f"{option('logger', 'wandb')} does not work ({' '.join(str(error).split())}):"
            " run wandb login, or set WANDB_MODE=offline"
        ) from error


class WeightsAndBiases:
    """Steps that W&B has seen already are left out: an exact resume repeats them to the bit."""

    def __init__(self, run: LoggedRun) -> None:
        id_file = run.folder / ID_FILE
        goes_on = run.resume_at is not None and id_file.exists()
        known = id_file.read_text(encoding="utf-8").split() if goes_on else []
        self._seen = int(known[1]) if known else -1
        self._id_file, self._step = id_file, self._seen
        own = {k: v for k, v in _OFF.items() if f"WANDB_{k.upper()}" not in os.environ}
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "diptych"),
            name=run.folder.resolve().name,
            dir=run.folder,
            config=dict(run.options),
            id=known[0] if known else None,
            resume="allow",
            settings=Settings(**own),
        )
        self._remember()

    def log(self, step: int, values: Mapping[str, float]) -> None:
        if step > self._seen:
            self._run.log(dict(values), step=step)
            self._advance(step)

    def preview(self, step: int, grid: Image.Image) -> None:
        if step > self._seen:
            self._run.log({"previews": wandb.Image(grid.convert("RGB"))}, step=step)
            self._advance(step)

    def close(self) -> None:
        self._remember()
        self._run.finish()

    def _advance(self, step: int) -> None:
        if step > self._step:
            self._step = step
            self._remember()

    def _remember(self) -> None:
        atomic_write_text(self._id_file, f"{self._run.id} {self._step}\n")
