"""What the tests of runs read in a run's folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def metrics(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def losses(folder: Path) -> list[Any]:
    return [(line["step"], line["losses"]) for line in metrics(folder)]


def one_line(error: BaseException) -> str:
    assert "\n" not in str(error)
    return str(error)
