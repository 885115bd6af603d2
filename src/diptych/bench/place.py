"""Where a bench keeps what, and its small files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diptych.bench.plan import slug
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
        return self.out / "results"

    def result(self, row: str, seed: int) -> Path:
        """What came of one run."""
        return self.results / f"{row}-{seed}.json"

    def strip(self, row: str, seed: int, part: str) -> Path:
        """The pictures of one run for one direction or domain, below each other."""
        return self.results / f"{row}-{seed}.{slug(part)}.png"

    def real(self, section: str, domain: str) -> Path:
        """Real pictures of one domain, below each other: inputs, and the truth."""
        return self.results / f"real-{section}.{slug(domain)}.png"

    def run(self, row: str, seed: int) -> Path:
        return self.runs / f"{row}-{seed}"


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


def read_result(place: Place, row: str, seed: int) -> dict[str, Any] | None:
    """What came of one run; None where none is done. Raises InputError: the file is damaged."""
    path = place.result(row, seed)
    known = read_json(path)
    if known is not None and not {"trained", "seed"} <= known.keys():
        raise InputError(f"{path} is no result of a bench: remove it to make it anew")
    return known


def without_details(scores: Mapping[str, Any]) -> dict[str, Any]:
    """The scores of the way: without classes, spreads and notes, which are told of the end."""
    if "mean" in scores or "value" in scores:
        return {key: scores[key] for key in ("mean", "value") if key in scores}
    return {
        key: without_details(value) if isinstance(value, Mapping) else value
        for key, value in scores.items()
        if not key.endswith("_per_class") and not isinstance(value, list | tuple)
    }
