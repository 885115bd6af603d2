"""What a run writes down as it goes: metrics.jsonl and TensorBoard events.

metrics.jsonl holds one JSON object a logged step:

    {"step": 50, "losses": {"adversarial": 0.71, "cycle": 0.12},
     "learning_rates": {"generators": 0.0002}, "seconds": 5.1, "images_per_second": 9.8}

All but the last two is the same whenever the same run is repeated.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from torch import Tensor

from diptych.errors import InputError
from diptych.files import atomic_write

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

METRICS_FILE = "metrics.jsonl"
EVENTS_FOLDER = "tensorboard"


class RunLog:
    """Writes the metrics of the run in `folder`; a context manager.

    With `resume_at` None the logs begin anew. Else they go on after that step:
    what was logged beyond it, and a last line that a crash tore, are dropped.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        resume_at: int | None = None,
        *,
        tensorboard: bool = True,
    ) -> None:
        self._path = Path(folder) / METRICS_FILE
        kept = []
        if resume_at is not None and self._path.exists():
            kept = [line for line in read_metrics(self._path) if line["step"] <= resume_at]
        _rewrite(self._path, kept)
        self.seconds_before: float = (kept[-1].get("seconds") or 0.0) if kept else 0.0
        """The `seconds` of the last line kept: the time that earlier sittings took."""
        self._file = self._path.open("a", encoding="utf-8")
        self._events: SummaryWriter | None = None
        if tensorboard:
            from torch.utils.tensorboard import SummaryWriter  # slow to import

            events = self._path.parent / EVENTS_FOLDER
            _wait_for_a_later_name(events)
            self._events = SummaryWriter(
                str(events),
                purge_step=0 if resume_at is None else resume_at + 1,
            )

    def write(
        self,
        step: int,
        losses: Mapping[str, float | Tensor],
        *,
        learning_rates: Mapping[str, float],
        seconds: float,
        images_per_second: float,
    ) -> dict[str, Any]:
        """Log one step: () scalars by term, rates by group; returns the line.

        `seconds` counts the whole run, earlier sittings included. NaN and the
        infinities become null, which JSON can say.
        """
        line = {
            "step": step,
            "losses": {name: _finite(value) for name, value in losses.items()},
            "learning_rates": {name: _finite(value) for name, value in learning_rates.items()},
            "seconds": round(seconds, 3),
            "images_per_second": round(images_per_second, 3),
        }
        self._file.write(_as_json(line) + "\n")
        self._file.flush()
        if self._events is not None:
            for name, value in losses.items():  # as they are: TensorBoard marks NaN itself
                self._scalar(f"losses/{name}", float(value), step)
            for name, value in learning_rates.items():
                self._scalar(f"learning_rates/{name}", value, step)
            self._scalar("speed/images_per_second", images_per_second, step)
        return line

    def picture(self, step: int, picture: Image.Image, name: str = "samples") -> None:
        """Add a picture, such as a sample grid, to the TensorBoard events."""
        if self._events is not None:
            pixels = np.asarray(picture.convert("RGB"))
            self._events.add_image(name, pixels, step, dataformats="HWC")
            self._events.flush()

    def close(self) -> None:
        """Write out what is buffered; closing twice does no harm."""
        self._file.close()
        if self._events is not None:
            self._events.close()
            self._events = None

    def __enter__(self) -> RunLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _scalar(self, name: str, value: float, step: int) -> None:
        assert self._events is not None
        self._events.add_scalar(name, value, step)


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


def read_metrics(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The lines of a metrics.jsonl, oldest first, without a torn last one.

    Raises:
        InputError: there is no such file, or a line before the last is no metrics.
    """
    path = Path(path)
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}): a run writes it as it trains"
        ) from error
    # A whole line ends in a newline, so what follows the last one is torn, or nothing.
    return [_parse(line, path, i + 1) for i, line in enumerate(lines[:-1]) if line.strip()]


def _parse(line: bytes, path: Path, number: int) -> dict[str, Any]:
    try:
        known = json.loads(line)
    except ValueError:
        known = None
    if not isinstance(known, dict) or not isinstance(known.get("step"), int):
        raise InputError(
            f'{path}, line {number}: expected a JSON object with a "step"; '
            "delete that line, or begin the run anew in another folder"
        )
    return known


def _rewrite(path: Path, lines: list[dict[str, Any]]) -> None:
    with atomic_write(path) as file:
        for line in lines:
            file.write((_as_json(line) + "\n").encode())


def _as_json(line: Mapping[str, Any]) -> str:
    return json.dumps(line, ensure_ascii=False, allow_nan=False)


def _finite(value: float | Tensor) -> float | None:
    number = float(value)
    # Nine digits tell every float32 apart.
    return float(f"{number:.9g}") if math.isfinite(number) else None
