"""Scores on the way to a trained translator, as numbers and as a plot in docs/."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.earth_results import NAMES, ROWS, Row, score
from benchmarks.earth_systems import SAMPLES, SEEDS, SIZE, TASKS, Job, Place, System, load_job
from benchmarks.running import say, write_json
from diptych.errors import InputError
from diptych.evaluation import evaluate

PLOT = Path(__file__).parent.parent / "docs" / "images" / "time-to-quality.png"
_COLOURS: dict[System, str] = {"reference": "#8a8a8a", "product": "#1f6feb"}


def write_curves(place: Place) -> None:
    """Score what was kept of the first seed, and plot it; scores that are there stay.

    Raises:
        InputError: nothing was kept: the task has not been run.
    """
    path = place.results / place.task / "curves.json"
    known: dict[str, list[dict[str, Any]]] = json.loads(path.read_text()) if path.exists() else {}
    for sample in SAMPLES:
        for system in TASKS[place.task]:
            job = Job(sample, system, SEEDS[0])
            for points in _points(place, job, known.get(job.name, [])):
                known[job.name] = points
                write_json(path, known)
    if not any(known.values()):
        raise InputError(
            f"nothing in {place.runs}: run python -m benchmarks.earth --task {place.task}"
        )
    _plot(known)
    say(f"wrote {path} and {PLOT}")


def _points(place: Place, job: Job, known: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """The job's points by step, `known` and those that are scored now, as they become more."""
    snapshots = sorted(place.snapshots(job).glob("*.safetensors"))
    done = {point["step"] for point in known}
    data = job.data()
    for snapshot in snapshots:
        step = int(snapshot.stem)
        if step in done:
            continue
        translate = load_job(job, place.folder(job), data.domains, snapshot)
        scores = evaluate(translate, data, "test", size=SIZE).to_dict()
        minutes = TASKS[place.task][job.system] * step / int(snapshots[-1].stem)
        rows = [row for row in ROWS if row.sample == job.sample]
        values = {f"{r.direction} {r.key}": score(scores, r.direction, r.key) for r in rows}
        known = sorted([*known, {"step": step, "minutes": minutes} | values], key=_step)
        say(f"{job.name}: step {step:,} scored")
        yield known


def _plot(curves: dict[str, list[dict[str, Any]]]) -> None:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError("the plot needs matplotlib: pip install -e '.[bench]'") from error
    shown = [row for row in ROWS if row.key in ("kid", "pixel_accuracy", "within_16")]
    figure = Figure(figsize=(11, 6), layout="constrained")
    axes = figure.subplots(2, 3).flat
    for axis, row in zip(axes, shown, strict=True):
        for system in _COLOURS:
            points = curves.get(Job(row.sample, system, SEEDS[0]).name, [])
            axis.plot(
                [point["minutes"] for point in points],
                [point[_key(row)] for point in points],
                color=_COLOURS[system],
                marker="o",
                markersize=3,
                label=NAMES[system],
            )
        axis.set_title(f"{row.sample}: {row.direction}", fontsize=9)
        axis.set_ylabel(row.label, fontsize=9)
        axis.set_xlabel("minutes", fontsize=9)
        axis.grid(alpha=0.25)
    axes[0].legend(frameon=False, fontsize=9)
    PLOT.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PLOT, dpi=110)


def _step(point: dict[str, Any]) -> int:
    return int(point["step"])


def _key(row: Row) -> str:
    return f"{row.direction} {row.key}"
