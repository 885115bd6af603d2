"""The results of a bench, read back from its small files alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from diptych.bench.place import Place, read_json, read_results, run_name, section_of
from diptych.bench.plan import is_same, without_budget
from diptych.errors import InputError
from diptych.evaluation.labels import Confusion


@dataclass(frozen=True)
class Measured:
    """One row with what is known of it so far."""

    label: str
    row: str
    groups: tuple[str, ...]
    seeds: tuple[int, ...]
    minutes: float | None
    speed: Mapping[str, Any] | None
    """As it was timed; None while that has not been done."""
    runs: tuple[Mapping[str, Any], ...]
    """The result of each run that is done, of the training that the plan asks for."""

    @cached_property
    def scored(self) -> tuple[Mapping[str, Any], ...]:
        return tuple(run for run in self.runs if "scores" in run)

    @cached_property
    def data(self) -> Mapping[str, Any] | None:
        """Facts of its data; None while nothing is known."""
        known = [run["data"] for run in self.scored]
        known += [self.speed["data"]] if self.speed and "data" in self.speed else []
        return known[0] if known else None

    @property
    def section(self) -> str | None:
        return None if self.data is None else section_of(self.data)

    @cached_property
    def parts(self) -> tuple[str, ...]:
        """The directions and domains that it has scores of, or will have."""
        parts = dict.fromkeys(self.speed.get("parts", ()) if self.speed else ())
        for run in self.scored:
            scores = run["scores"]["100"]
            parts |= dict.fromkeys(key for key, value in scores.items() if _is_part(value))
        return tuple(parts)

    @property
    def pending(self) -> list[int]:
        done = [run["seed"] for run in self.runs]
        return [seed for seed in self.seeds if seed not in done]

    def problem(self, run: Mapping[str, Any]) -> str | None:
        """Why a run has no scores, in one line."""
        return run.get("diverged") or run.get("why_not")

    def values(self, part: str, path: tuple[str, ...], share: int = 100) -> list[float]:
        """A score of one direction, of each run that has it, in the seeds' order."""
        found = (value_at(run["scores"][str(share)].get(part), path) for run in self.scored)
        return [value for value in found if value is not None]


@dataclass(frozen=True)
class BenchReport:
    """All that a page is made from."""

    title: str
    rows: tuple[Measured, ...]
    left_out: Mapping[str, str]
    notes: str
    place: Place

    def sections(self) -> Iterator[tuple[Mapping[str, Any], list[Measured]]]:
        """The data at one size, and the rows that were trained on them."""
        sections: dict[str, list[Measured]] = {}
        for row in self.rows:
            if row.section is not None:
                sections.setdefault(row.section, []).append(row)
        for rows in sections.values():
            data = rows[0].data
            assert data is not None
            yield data, rows


def read_report(place: Place) -> BenchReport:
    """What the files in `place.out` hold.

    Raises:
        InputError: there is no bench, or a file in it is damaged.
    """
    plan = read_json(place.plan)
    if plan is None:
        raise InputError(f"{place.out} holds no bench: give a folder with a {place.plan.name}")
    speeds, results = read_json(place.speed) or {}, read_results(place)
    rows = tuple(_row(entry, speeds.get(entry["row"]), results) for entry in plan["rows"])
    return BenchReport(plan["title"], rows, plan["left_out"], _notes(place.notes), place)


def _notes(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as UTF-8 text: {error}") from error


def _row(
    entry: Mapping[str, Any], speed: Mapping[str, Any] | None, results: Mapping[str, Any]
) -> Measured:
    wanted, runs = entry["trained"], []
    for seed in entry["seeds"]:
        run = results.get(run_name(entry["row"], seed))
        # What another plan has left is not this row's.
        if run is None or not wanted or not is_same(run["trained"], wanted):
            continue
        if is_scored_by(run, entry.get("palettes")):
            _add_matched(run.get("scores", {}))
            runs.append(run)
    if wanted and speed and not is_same(without_budget(speed["trained"]), without_budget(wanted)):
        speed = None
    return Measured(
        label=entry["label"],
        row=entry["row"],
        groups=tuple(entry["groups"]),
        seeds=tuple(entry["seeds"]),
        minutes=entry["minutes"],
        speed=speed,
        runs=tuple(runs),
    )


def _add_matched(scores: Any) -> None:
    """Where a confusion matrix is and no `matched_accuracy`, as in older results, add it."""
    if not isinstance(scores, dict):
        return
    counts = scores.get("confusion", {}).get("counts")
    if counts and "matched_accuracy" not in scores:
        scores["matched_accuracy"] = Confusion(torch.tensor(counts)).matched_accuracy
    for value in scores.values():
        _add_matched(value)


def is_scored_by(known: Mapping[str, Any], palettes: str | None) -> bool:
    """Whether a run's scores are by the palettes of this digest.

    Where either says nothing of palettes, as it is older, they agree.
    """
    scored_by = known.get("data", {}).get("palettes")
    return palettes is None or scored_by is None or scored_by == palettes


def value_at(scores: Any, path: tuple[str, ...]) -> float | None:
    """A number in nested scores; of a mapping its mean or its value."""
    for key in path:
        if not isinstance(scores, Mapping) or key not in scores:
            return None
        scores = scores[key]
    if isinstance(scores, Mapping):
        scores = scores.get("mean", scores.get("value"))
    return float(scores) if isinstance(scores, int | float) else None


def _is_part(value: Any) -> bool:
    return isinstance(value, Mapping)
