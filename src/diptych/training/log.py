"""What a run writes down as it goes: metrics.jsonl, and what loggers are told.

metrics.jsonl holds one JSON object a logged step:

    {"step": 50, "losses": {"adversarial": 0.71, "cycle": 0.12},
     "learning_rates": {"generators": 0.0002}, "seconds": 5.1, "images_per_second": 9.8}

All but the last two is the same whenever the same run is repeated.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from diptych.errors import InputError
from diptych.files import atomic_write
from diptych.training.loggers import Logger

METRICS_FILE = "metrics.jsonl"


class RunLog:
    """Writes the metrics of the run in `folder`; a context manager.

    With `resume_at` None the logs begin anew. Else they go on after that step:
    what was logged beyond it, and a last line that a crash tore, are dropped.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        resume_at: int | None = None,
        loggers: Sequence[Logger] = (),
    ) -> None:
        """`loggers` are told the same; they are closed with it."""
        self._path = Path(folder) / METRICS_FILE
        kept = []
        if resume_at is not None and self._path.exists():
            kept = [line for line in read_metrics(self._path) if line["step"] <= resume_at]
        _rewrite(self._path, kept)
        self.seconds_before: float = (kept[-1].get("seconds") or 0.0) if kept else 0.0
        """The `seconds` of the last line kept: the time that earlier sessions took."""
        self._file = self._path.open("a", encoding="utf-8")
        self._loggers = loggers

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

        `seconds` counts the whole run, earlier sessions included. NaN and the
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
        values = {f"losses/{name}": float(value) for name, value in losses.items()}
        values |= {f"learning_rates/{name}": rate for name, rate in learning_rates.items()}
        values["speed/images_per_second"] = images_per_second
        for logger in self._loggers:
            logger.log(step, values)
        return line

    def preview(self, step: int, grid: Image.Image) -> None:
        """Show the preview of a step to the loggers."""
        for logger in self._loggers:
            logger.preview(step, grid)

    def close(self) -> None:
        """Write out what is buffered; closing twice does no harm."""
        if not self._file.closed:
            self._file.close()
            for logger in self._loggers:
                logger.close()

    def __enter__(self) -> RunLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


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
