"""Whether CycleGAN's translations teach a segmenter the target: GTA5 → Cityscapes, in small.

    python -m benchmarks.segmentation
    python -m benchmarks.segmentation --seeds 0      a part of it
    python -m benchmarks.segmentation --only table   the table anew

The relief maps of `sample:earth-adaptation` are the simulation, the aerial pictures the real
thing, and the climate of each pixel its label. Trains CycleGAN on the two without pairs
(`--preset fast`), without the identity loss and with it, then an FCN-8s on labelled maps, on
the same maps translated, and, as the oracle, on labelled aerial pictures; scores all of them
on the aerial test pictures, from three seeds. What is done is not done again. The table goes
into benchmarks/README.md.

The numbers of steps were fixed before any target was scored. Labels of the target score, and
train the oracle; nothing else reads one.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.harness import (
    MEANS,
    SEEDS,
    Result,
    add_training_options,
    carry_out,
    cell,
    every,
    exit_code,
    parser_of,
    read_results,
    say,
    table,
    train_to_end,
)
from diptych.data import open_data
from diptych.errors import InputError
from diptych.evaluation.segmentation_adaptation import ROWS, Row, adaptation_scores
from diptych.evaluation.segmentation_training import STEPS as FCN_STEPS
from diptych.inference.load import load
from diptych.methods import make_config
from diptych.training.presets import chosen
from diptych.training.settings import Settings, read_plan

METHOD = "cyclegan"
SAMPLE = "earth-adaptation"
SIZE = 64
STEPS = 1500
"""The steps of CycleGAN: what ten minutes of two cores are worth."""
LABELS: dict[Row, str] = {
    "source only": "source only (maps as they are)",
    "target (oracle)": "oracle (aerial pictures)",
}


@dataclass(frozen=True)
class Translation:
    """What translates the maps."""

    label: str
    identity_weight: float
    """The weight of CycleGAN's identity loss, as a share of the cycle's; the paper's is 0.5."""


TRANSLATIONS = {
    "cyclegan": Translation("CycleGAN (maps translated)", 0.0),
    "identity": Translation("CycleGAN with identity loss (maps translated)", 0.5),
}
CITED = (
    ("oracle, by the authors", "60.3", "93.1"),
    ("source only, by the authors", "17.9", "54.0"),
    ("FCN in the wild (Hoffman et al. 2016), by the authors", "27.1", "—"),
    ("CycleGAN, by the authors", "34.8", "82.8"),
)
"""Per-class and per-pixel accuracy in percent, GTA5 → Cityscapes: CycleGAN's project page.

The former are probably class IoU, as 27.1 is that of its own paper (arXiv:1612.02649).
"""
FIGURES = ("class_accuracy", "pixel_accuracy", "mean_iou")


@dataclass(frozen=True)
class Job:
    """One CycleGAN, and what its translations teach."""

    translation: str
    """A key of `TRANSLATIONS`."""
    seed: int

    @property
    def name(self) -> str:
        return f"{SAMPLE}-{self.translation}-{self.seed}"

    @property
    def rows(self) -> tuple[Row, ...]:
        """Those that know no translation are scored beside the first of them."""
        return ROWS if self.translation == "cyclegan" else ("translated",)


def scored(options: argparse.Namespace, job: Job) -> Result:
    """Train, translate and score.

    Raises:
        InputError: the samples extra is missing, or the run's folder holds another training.
        KeyboardInterrupt: it was interrupted, and can go on.
        DivergedError: a loss was not finite.
    """
    folder = trained(options.runs / job.name, job, options)
    plan = read_plan(folder)
    data = open_data(f"sample:{SAMPLE}", size=SIZE)
    assert data.test is not None
    say(f"{job.name}: FCNs of {options.fcn_steps:,} steps")
    scores = adaptation_scores(
        load(folder, device="cpu").translate_batch,
        data,
        data.test,
        size=SIZE,
        rows=job.rows,
        seed=job.seed,
        steps=options.fcn_steps,
        folder=options.runs,
    )
    return {
        "sample": SAMPLE,
        "seed": job.seed,
        "method": plan.method,
        "steps": plan.resolved.steps,
        "fcn_steps": options.fcn_steps,
        "config": vars(plan.config),
        "precision": plan.resolved.precision,
        "data_fingerprint": data.fingerprint,
        "scores": scores,
    }


def trained(folder: Path, job: Job, options: argparse.Namespace) -> Path:
    """The folder of CycleGAN, trained to its end."""
    config, run = chosen(METHOD, preset="fast")
    weight = TRANSLATIONS[job.translation].identity_weight
    given = {"data": f"sample:{SAMPLE}", "seed": job.seed, "steps": options.steps or STEPS}
    given |= {"precision": options.precision, "threads": options.threads, "out": str(folder)}
    say(f"{folder.name}: CycleGAN, {given['steps']:,} steps")
    train_to_end(
        METHOD, make_config(METHOD, config | {"identity_weight": weight}), Settings(**run | given)
    )
    return folder


def check_alike(found: Mapping[str, Result], **wanted: int) -> None:
    """Raises InputError where a result is of other numbers of steps: a trial is not the whole."""
    for name, one in found.items():
        for key, count in wanted.items():
            if one[key] != count:
                raise InputError(
                    f"{name} is of {one[key]:,} {key}, not {count:,}: give another --results"
                )


def _rows(found: Mapping[str, Result]) -> Iterator[tuple[str, list[Any]]]:
    """What each row of the tables is called, and its scores of every seed."""
    jobs = {name: [Job(name, seed).name for seed in SEEDS] for name in TRANSLATIONS}
    results = {name: [found[one] for one in names if one in found] for name, names in jobs.items()}
    for row in ROWS:
        if row == "translated":
            for name, many in results.items():
                if many:
                    yield TRANSLATIONS[name].label, [one["scores"][row] for one in many]
        else:
            yield LABELS[row], [one["scores"][row] for one in results["cyclegan"]]


def lines(found: Mapping[str, Result]) -> Iterator[str]:
    """The two tables.

    Raises:
        InputError: some results are of other numbers of steps than others.
    """
    results = list(found.values())
    check_alike(found, steps=results[0]["steps"], fcn_steps=results[0]["fcn_steps"])
    rows = list(_rows(found))
    shown = [
        [label, *(_percent([one[key] for one in scores]) for key in FIGURES)]
        for label, scores in rows
    ]
    shown += [[*cited, "—"] for cited in CITED]
    heads = ["trained on", "per-class accuracy, %", "per-pixel accuracy, %", "class IoU, %"]
    yield from table(heads, shown, numbers=True)
    yield ""
    first = rows[0][1][0]
    classes = list(first["accuracy_per_class"])
    yield from table(
        ["accuracy of a class, %", *classes],
        [
            [label, *(_percent([one["accuracy_per_class"][k] for one in scores]) for k in classes)]
            for label, scores in rows
        ],
        numbers=True,
    )
    yield ""
    precisions = sorted({one["precision"] for one in results})
    yield (
        f"{MEANS} The authors' rows are of GTA5 → Cityscapes, 19 classes."
        f" {first['images']} test pictures; naming the most frequent class everywhere would get"
        f" {100 * first['majority_share']:.1f}% of the pixels. CycleGAN: {results[0]['steps']:,}"
        f" steps, {' and '.join(precisions)}; FCNs: {results[0]['fcn_steps']:,}. Commits of the"
        f" runs: {every(results, 'commit')}."
    )


def _percent(values: list[float | None]) -> str:
    return cell([100 * value for value in values if value is not None], 1)


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code."""
    parser = parser_of("segmentation", __doc__)
    add_training_options(parser, "segmentation")
    names = tuple(TRANSLATIONS)
    parser.add_argument("--translations", nargs="+", choices=names, default=names)
    parser.add_argument("--fcn-steps", type=int, default=FCN_STEPS, help="fewer, for a trial")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    wanted = [Job(name, seed) for name in options.translations for seed in options.seeds]
    jobs = {job.name: partial(scored, options, job) for job in wanted}

    def do() -> int:
        if options.only != "table":
            there = {
                name: one for name, one in read_results(options.results).items() if name in jobs
            }
            check_alike(there, steps=options.steps or STEPS, fcn_steps=options.fcn_steps)
        return carry_out("segmentation", options, jobs, lines, keeps=True)

    return exit_code("segmentation", do)


if __name__ == "__main__":
    sys.exit(main())
