"""The Earth comparison as a table and as pictures."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from benchmarks.earth_speed import read_speed
from benchmarks.earth_systems import (
    SAMPLES,
    SEEDS,
    SIZE,
    SYSTEMS,
    TASKS,
    Job,
    Place,
    System,
    load_job,
)
from benchmarks.running import replace_block, say
from diptych.data import evaluation_pairs
from diptych.errors import InputError
from diptych.evaluation.seeds import interval
from diptych.report.grids import picture_grid, write_grid

GRID_ROWS = 6
NAMES: dict[System, str] = {"reference": "reference", "product": "CycleGAN", "unit": "UNIT"}
"""As tables and pictures call the systems; the reference is a plain CycleGAN."""


@dataclass(frozen=True)
class Row:
    """One score of one direction."""

    sample: str
    direction: str
    key: str
    label: str


ROWS = (
    Row("earth-climate", "aerial→climate", "pixel_accuracy", "per-pixel accuracy ↑"),
    Row("earth-climate", "aerial→climate", "class_accuracy", "per-class accuracy ↑"),
    Row("earth-climate", "aerial→climate", "mean_iou", "class IoU ↑"),
    Row("earth-climate", "aerial→climate", "kid", "KID ↓"),
    Row("earth-climate", "climate→aerial", "kid", "KID ↓"),
    Row("earth-map", "aerial→map", "l1", "L1 ↓"),
    Row("earth-map", "aerial→map", "within_16", "pixels within 16 of 255 ↑"),
    Row("earth-map", "aerial→map", "kid", "KID ↓"),
    Row("earth-map", "map→aerial", "kid", "KID ↓"),
)


def write_table(place: Place, readme: Path) -> None:
    """Put the table between the markers in `readme`.

    Raises:
        InputError: no results yet, or no markers.
    """
    speeds = [*_speed_lines(place), ""] if place.task == "earth" else []
    replace_block(readme, place.task, "\n".join([*speeds, *_score_lines(place)]))


def _speed_lines(place: Place) -> Iterator[str]:
    speed = read_speed(place.speed)
    names = [name for name in SYSTEMS if name in speed["systems"]]
    systems = [speed["systems"][name] for name in names]
    yield f"| | {' | '.join(NAMES[name] for name in names)} |"
    yield "|---" * (len(names) + 1) + "|"
    yield _line("ms a step, median", [f"{s['ms_per_step']:.1f}" for s in systems])
    spans = [
        f"{s['ms_per_step_least']:.1f} to {s['ms_per_step_most']:.1f} ({s['blocks_timed']})"
        for s in systems
    ]
    yield _line("from … to (blocks of 20 steps)", spans)
    by_ratio = [s.get("ms_by_ratio") for s in systems]
    yield _line("by its ratio to the reference", [f"{ms:.1f}" if ms else "—" for ms in by_ratio])
    yield _line(f"steps in {speed['minutes']:g} minutes", [f"{s['steps']:,}" for s in systems])
    yield ""
    for name, s in zip(names, systems, strict=True):
        if "speedup" in s:
            yield (
                f"{NAMES[name]}: {s['speedup']:.2f} times the reference's steps a second"
                f" ({s['precision']} on {s['training_threads']} threads against fp32 on"
                f" {s['threads']}; {s['machine']}; torch {s['versions']['torch']};"
                f" commit {s['commit'][:10]})."
            )


def _score_lines(place: Place) -> Iterator[str]:
    results = {name: _read(place, name) for name in SAMPLES}
    if not any(found for by_system in results.values() for found in by_system.values()):
        raise InputError(
            f"no results in {place.results / place.task}: run python -m benchmarks.earth"
        )
    systems = TASKS[place.task]
    heads = [f"{NAMES[system]}, {minutes:g} minutes" for system, minutes in systems.items()]
    yield f"| sample | direction | score | {' | '.join(heads)} |"
    yield "|---" * (len(heads) + 3) + "|"
    for row in ROWS:
        cells = [_cell(row, results[row.sample][system]) for system in systems]
        yield _line(f"{row.sample} | {row.direction} | {row.label}", cells)
    yield ""
    found = [result for by in results.values() for many in by.values() for result in many]
    commits = sorted({result["commit"][:10] for result in found})
    yield (
        "Mean over n seeds ± half of the 95% t-interval; a single seed has none."
        f" Commits of the runs: {', '.join(commits)}."
    )


def _read(place: Place, sample: str) -> dict[System, list[dict[str, Any]]]:
    """Results by system, those that there are."""
    return {
        system: [
            json.loads(file.read_text("utf-8"))
            for seed in SEEDS
            if (file := place.scores(Job(sample, system, seed))).exists()
        ]
        for system in TASKS[place.task]
    }


def _cell(row: Row, results: list[dict[str, Any]]) -> str:
    if not results:
        return "—"
    mean, half = interval([score(r["scores"], row.direction, row.key) for r in results])
    shown = f"{mean:.4f}" if half is None else f"{mean:.4f} ± {half:.4f}"
    return f"{shown} (n={len(results)})"


def score(scores: Mapping[str, Any], direction: str, key: str) -> float:
    """The number called `key`, a plain one or one with a mean, of one direction.

    Raises:
        InputError: the scores do not hold it, with what they say instead.
    """
    value = scores.get(direction, {}).get(key)
    if isinstance(value, Mapping):
        value = value.get("mean", value.get("value", value.get("why_not")))
    if not isinstance(value, int | float):
        raise InputError(f"no number for {key} of {direction} in the scores, but {value!r}")
    return float(value)


def _line(head: str, cells: list[str]) -> str:
    return f"| {head} | {' | '.join(cells)} |"


def write_grids(place: Place) -> None:
    """Test inputs, all systems' translations and the truth, of the first seed: one PNG a sample.

    Samples that lack a result are left out.
    """
    for sample in SAMPLES:
        systems = tuple(TASKS[place.task])
        chosen_jobs = [Job(sample, system, SEEDS[0]) for system in systems]
        if not all(place.scores(job).exists() for job in chosen_jobs):
            say(f"no grid of {sample}: it lacks results of seed {SEEDS[0]}")
            continue
        data = chosen_jobs[0].data()
        assert data.test is not None
        assert data.test.pairs is not None
        count = len(data.test.pairs[0])
        indices = [int((i + 0.5) * count / GRID_ROWS) for i in range(GRID_ROWS)]  # unchosen
        pairs = evaluation_pairs(data.test.pairs, indices, size=SIZE, is_tiled=data.is_tiled)
        columns: list[Tensor] = []
        names: list[str] = []
        translators = [load_job(job, place.folder(job), data.domains) for job in chosen_jobs]
        for source, target in ((1, 0), (0, 1)):
            to = data.domains[target]
            columns += [pairs[source], *(t(pairs[source], to) for t in translators), pairs[target]]
            names += [data.domains[source], *(NAMES[s] for s in systems), f"true {to}"]
        rows = [list(row) for row in zip(*columns, strict=True)]
        write_grid(
            place.grid(sample), picture_grid(rows, names, scale=2, groups=(len(systems) + 2,) * 2)
        )
        say(f"wrote {place.grid(sample)}")
