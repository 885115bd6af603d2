"""TensorBoard's event files, in the run's folder."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image
from torch.utils.tensorboard import SummaryWriter

from diptych.training.loggers import LoggedRun

EVENTS_FOLDER = "tensorboard"


def open_events(run: LoggedRun) -> TensorBoard:
    """Event files that go on after `run.resume_at`."""
    return TensorBoard(run)


class TensorBoard:
    """What was logged beyond the step of a resumed run is purged."""

    def __init__(self, run: LoggedRun) -> None:
        folder = run.folder / EVENTS_FOLDER
        _wait_for_a_later_name(folder)
        purge_from = 0 if run.resume_at is None else run.resume_at + 1
        self._events = SummaryWriter(str(folder), purge_step=purge_from)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():  # as they are: TensorBoard marks NaN itself
            self._events.add_scalar(name, value, step)

    def preview(self, step: int, grid: Image.Image) -> None:
        pixels = np.asarray(grid.convert("RGB"))
        self._events.add_image("previews", pixels, step, dataformats="HWC")
        self._events.flush()

    def close(self) -> None:
        self._events.close()


def _wait_for_a_later_name(folder: Path) -> None:
    """Return once a new event file in `folder` sorts after all that are there.

    TensorBoard reads them in the order of their names, events.out.tfevents.SECONDS.HOST.PID.N.
    Of two from one second N decides, as text: 10 would come before 9, and what a
    resumed run wrote anew would be purged for what it replaces.
    """
    names = [path.name.split(".") for path in folder.glob("events.out.tfevents.*")]
    seconds = {name[3] for name in names}
    while f"{int(time.time()):010d}" in seconds:
        time.sleep(0.02)
