"""Where a bench keeps what, and its small files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diptych.errors import InputError
from diptych.files import atomic_write_text

SHARES = (25, 50, 100)
"""Percent of the budget at which runs are scored."""


@dataclass(frozen=True)
class Place:
    """`out` is small and made to be kept, such as in a repository; `runs` holds the weights."""

    out: Path
    runs: Path

    @property
    def plan(self) -> Path:
        """What the tables hold: rows, groups, seeds; made from the plan when a bench begins."""
        return self.out / "plan.json"

    @property
    def speed(self) -> Path:
        """What a step takes, row by row, as it was measured once."""
        return self.out / "speed.json"

    @property
    def notes(self) -> Path:
        """Written by hand, in Markdown: stands on the page above the tables."""
        return self.out / "notes.md"

    @property
    def results(self) -> Path:
        """What came of each run, by `run_name`."""
        return self.out / "results.json"

    def picture(self, row: str) -> Path:
        """What the row's first seed that went well makes of test images."""
        return self.out / "pictures" / f"{row}.webp"

    def real(self, section: str) -> Path:
        """These test images: a column a domain."""
        return self.out / "pictures" / f"real-{section}.webp"

    def run(self, row: str, seed: int) -> Path:
        return self.runs / run_name(row, seed)


def run_name(row: str, seed: int) -> str:
    return f"{row}-{seed}"


def section_of(data: Mapping[str, Any]) -> str:
    """Names the data at one size, whatever they are called: rows of one section compare."""
    return f"{data['fingerprint'][:8]}-{data['size']}"


def write_json(path: Path, values: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write_text(path, json.dumps(values, indent=1, ensure_ascii=False) + "\n")


def read_json(path: Path) -> dict[str, Any] | None:
    """None where there is no such file.

    Raises:
        InputError: it is damaged.
    """
    if not path.exists():
        return None
    try:
        values = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}): remove it to make it anew") from error
    if not isinstance(values, dict):
        raise InputError(f"{path} is no result of a bench: remove it to make it anew")
    return values


def read_results(place: Place) -> dict[str, Any]:
    """What came of each run that is done, by `run_name`. Raises InputError: it is damaged."""
    known, files = read_json(place.results), dict[str, Path]()
    if known is None:  # a bench of Diptych 0.1.0 kept a file a run
        files = {file.stem: file for file in sorted((place.out / "results").glob("*.json"))}
        known = {name: read_json(file) for name, file in files.items()}
    for name, run in known.items():
        if not isinstance(run, dict) or not {"trained", "seed"} <= run.keys():
            file = files.get(name, place.results)
            raise InputError(f"{file} is no result of a bench: remove it to make it anew")
    return known


def read_result(place: Place, row: str, seed: int) -> dict[str, Any] | None:
    """What came of one run; None where none is done. Raises InputError: the file is damaged."""
    return read_results(place).get(run_name(row, seed))


def write_result(place: Place, row: str, seed: int, values: Mapping[str, Any]) -> None:
    """Keep what came of one run beside the others'."""
    known = read_results(place) | {run_name(row, seed): dict(values)}
    write_json(place.results, dict(sorted(known.items())))
