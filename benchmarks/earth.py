"""Diptych's CycleGAN and UNIT against a plain CycleGAN: ten minutes each, two cores, real data.

    python -m benchmarks.earth             everything below that is not done yet
    python -m benchmarks.earth measure     how many steps each takes in ten minutes
    python -m benchmarks.earth run         train and score; goes on where it was stopped
    python -m benchmarks.earth table       the results as a table in benchmarks/README.md
    python -m benchmarks.earth grid        the results as pictures
    python -m benchmarks.earth curves      scores on the way, where they were kept

With --task earth_quality the reference has 20 minutes and the product, Diptych's CycleGAN, 7.

Speeds are measured once, by turns, on a machine that does nothing else. What is
trained then is that number of steps, with the learning rate's schedule set to
it: results do not depend on what the machine does meanwhile. So two processes may
share it, a thread each: `run --threads 1 --samples earth-climate` and `... earth-map`.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.earth_curves import write_curves
from benchmarks.earth_results import write_grids, write_table
from benchmarks.earth_speed import measure, read_speed
from benchmarks.earth_systems import (
    SAMPLES,
    SEEDS,
    SIZE,
    SNAPSHOTS,
    SYSTEMS,
    TASKS,
    THREADS,
    Job,
    Place,
    System,
    load_job,
    train_job,
)
from benchmarks.running import carry_out, circumstances, say, write_json
from diptych.errors import InputError
from diptych.evaluation import evaluate
from diptych.training.loop import DivergedError

_HERE = Path(__file__).parent


def jobs(task: str) -> list[Job]:
    """Every training, one seed of everything first: a part of them is a result already."""
    systems = TASKS[task]
    return [Job(sample, system, seed) for seed in SEEDS for sample in SAMPLES for system in systems]


def run(place: Place, wanted: list[Job], steps: int | None) -> int:
    """Train and score what has no scores yet; returns how many failed.

    `steps` replaces the measured number, for a trial.
    """
    speed = read_speed(place.speed)
    known = circumstances()  # of the code that is loaded, whatever is committed meanwhile
    failures = 0
    for job in wanted:
        if place.scores(job).exists():
            continue
        budget = steps or steps_of(speed, place.task, job.system)
        say(f"{job.name}: {budget:,} steps, {TASKS[place.task][job.system]:g} minutes")
        try:
            _run_one(place, job, budget, speed, known)
        except (InputError, DivergedError) as error:
            say(f"{job.name} failed: {error}")
            failures += 1
    return failures


def steps_of(speed: dict[str, Any], task: str, system: System) -> int:
    """So many steps fill the system's minutes in `task`."""
    per_minute: float = speed["systems"][system]["steps"] / speed["minutes"]
    return round(per_minute * TASKS[task][system])


def _run_one(
    place: Place, job: Job, steps: int, speed: dict[str, Any], known: dict[str, Any]
) -> None:
    folder = place.folder(job)
    measured = speed["systems"][job.system]
    threads = min(measured.get("training_threads", THREADS), torch.get_num_threads())
    precision = measured.get("precision", "fp32")
    keeps = place.task == "earth_quality" and job.seed == SEEDS[0]
    seconds = train_job(
        job,
        folder,
        steps,
        precision=precision,
        threads=threads,
        keep_every=max(1, steps // SNAPSHOTS) if keeps else None,
    )
    data = job.data()
    scores = evaluate(load_job(job, folder, data.domains), data, "test", size=SIZE)
    write_json(
        place.scores(job),
        {
            "sample": job.sample,
            "system": job.system,
            "seed": job.seed,
            "steps": steps,
            "minutes": TASKS[place.task][job.system],
            "seconds": seconds,
            "precision": precision,
            "training_threads": threads,
            "data_fingerprint": data.fingerprint,
            "scores": scores.to_dict(),
        }
        | known,
    )
    say(f"{job.name}: scored, {place.scores(job)}")


def main(arguments: list[str] | None = None) -> int:
    """One command, or all of them; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.earth",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "command",
        nargs="?",
        choices=("all", "measure", "run", "table", "grid", "curves"),
        default="all",
    )
    parser.add_argument("--steps", type=int, help="a trial of so many steps, not ten minutes")
    parser.add_argument("--rounds", type=int, default=9, help="of timing, 20 steps each")
    parser.add_argument("--threads", type=int, default=THREADS, help="of PyTorch")
    parser.add_argument("--samples", nargs="+", choices=SAMPLES, default=SAMPLES)
    parser.add_argument("--task", choices=tuple(TASKS), default="earth")
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=SYSTEMS)
    parser.add_argument("--seeds", nargs="+", type=int, choices=SEEDS, default=SEEDS)
    parser.add_argument("--results", type=Path, default=_HERE / "results")
    parser.add_argument("--runs", type=Path, default=_HERE.parent / "runs" / "benchmark")
    parser.add_argument("--readme", type=Path, default=_HERE / "README.md")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    return carry_out("earth", partial(_do, options))


def _do(options: argparse.Namespace) -> int:
    place = Place(options.results, options.runs, options.task)
    everything = options.command == "all"
    failures = 0
    if options.command == "measure" or (everything and not place.speed.exists()):
        measure(place.speed, options.systems, rounds=options.rounds)
    if options.command == "run" or everything:
        wanted = [
            job
            for job in jobs(place.task)
            if job.sample in options.samples
            and job.system in options.systems
            and job.seed in options.seeds
        ]
        failures = run(place, wanted, options.steps)
    if options.command == "table" or everything:
        write_table(place, options.readme)
    if options.command == "grid" or everything:
        write_grids(place)
    if options.command == "curves" or (everything and place.task == "earth_quality"):
        write_curves(place)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
