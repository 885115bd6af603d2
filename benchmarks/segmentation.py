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
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.earth_systems import METHODS, SIZE, product_options
from benchmarks.running import (
    carry_out,
    circumstances,
    replace_block,
    say,
    train_to_end,
    write_json,
)
from diptych.data import open_data
from diptych.errors import InputError
from diptych.evaluation.seeds import interval
from diptych.evaluation.segmentation_adaptation import ROWS, Row, adaptation_scores
from diptych.evaluation.segmentation_training import STEPS as FCN_STEPS
from diptych.inference.load import load
from diptych.networks.device import Precision
from diptych.training.loop import DivergedError
from diptych.training.settings import read_plan

SAMPLE = "earth-adaptation"
SEEDS = (0, 1, 2)
STEPS = 1500
"""Of CycleGAN: what ten minutes of two cores are worth."""
LABELS: dict[Row, str] = {
    "source only": "source only (maps as they are)",
    "target (oracle)": "oracle (aerial pictures)",
}


@dataclass(frozen=True)
class Translation:
    """What translates the maps."""

    label: str
    identity_weight: float
    """Of CycleGAN's identity loss, as a share of the cycle's; the paper's is 0.5."""


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

Result = dict[str, Any]

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Place:
    """Where results and runs go."""

    results: Path
    runs: Path

    def scores(self, job: Job) -> Path:
        return self.results / f"{job.name}.json"

    def folder(self, job: Job) -> Path:
        return self.runs / job.name


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


def run_job(place: Place, job: Job, *, steps: int, fcn_steps: int, precision: Precision) -> None:
    """Train, translate and score; nothing if that is done.

    Raises:
        InputError: the samples extra is missing, the run's folder holds another training, or
            there is a result of other numbers of steps.
        KeyboardInterrupt: it was interrupted, and can go on.
        DivergedError: a loss was not finite.
    """
    path = place.scores(job)
    if path.exists():
        _check_is_of(path, steps=steps, fcn_steps=fcn_steps)
        return
    known = circumstances()  # of the code that is loaded, whatever is committed meanwhile
    folder = _trained(place.folder(job), job, steps, precision)
    plan = read_plan(folder)
    data = open_data(f"sample:{SAMPLE}", size=SIZE)
    assert data.test is not None
    translate = load(folder, device="cpu").translate_batch
    say(f"{path.stem}: FCNs of {fcn_steps:,} steps")
    scores = adaptation_scores(
        translate,
        data,
        data.test,
        size=SIZE,
        rows=job.rows,
        seed=job.seed,
        steps=fcn_steps,
        folder=place.runs,
    )
    facts = {
        "sample": SAMPLE,
        "seed": job.seed,
        "method": plan.method,
        "steps": plan.resolved.steps,
        "fcn_steps": fcn_steps,
        "config": vars(plan.config),
        "precision": plan.resolved.precision,
        "data_fingerprint": data.fingerprint,
        "scores": scores,
    }
    write_json(path, facts | known)
    say(f"{path.stem}: scored, {path}")


def _check_is_of(path: Path, **wanted: int) -> None:
    """Raises InputError where a result is of other numbers of steps: a trial is not the whole."""
    known = json.loads(path.read_text("utf-8"))
    for name, count in wanted.items():
        if known[name] != count:
            raise InputError(
                f"{path} is of {known[name]:,} {name}, not {count:,}: move it, or give another"
                " --results"
            )


def _trained(folder: Path, job: Job, steps: int, precision: Precision) -> Path:
    config, settings = product_options(
        "product",
        SAMPLE,
        seed=job.seed,
        steps=steps,
        precision=precision,
        threads=torch.get_num_threads(),
        out=folder,
    )
    config = replace(config, identity_weight=TRANSLATIONS[job.translation].identity_weight)
    say(f"{folder.name}: CycleGAN, {steps:,} steps")
    train_to_end(METHODS["product"], config, settings)
    return folder


def write_table(place: Place, readme: Path) -> None:
    """Put the tables between their markers in `readme`.

    Raises:
        InputError: no results yet, some of other numbers of steps than others, or no markers.
    """
    files = {
        name: [path for seed in SEEDS if (path := place.scores(Job(name, seed))).exists()]
        for name in TRANSLATIONS
    }
    if not files["cyclegan"]:
        raise InputError(f"no results in {place.results}: run python -m benchmarks.segmentation")
    found = {
        name: [json.loads(path.read_text("utf-8")) for path in paths]
        for name, paths in files.items()
    }
    first = found["cyclegan"][0]
    for path in (path for paths in files.values() for path in paths):
        _check_is_of(path, steps=first["steps"], fcn_steps=first["fcn_steps"])
    replace_block(readme, "segmentation", "\n".join(_lines(found)))


def _rows(found: Mapping[str, list[Result]]) -> Iterator[tuple[str, list[Any]]]:
    """What each row of the tables is called, and its scores of every seed."""
    for row in ROWS:
        if row == "translated":
            for name, results in found.items():
                if results:
                    yield TRANSLATIONS[name].label, [one["scores"][row] for one in results]
        else:
            yield LABELS[row], [one["scores"][row] for one in found["cyclegan"]]


def _lines(found: Mapping[str, list[Result]]) -> Iterator[str]:
    yield "| trained on | per-class accuracy, % | per-pixel accuracy, % | class IoU, % |"
    yield "|---|---:|---:|---:|"
    for label, scores in _rows(found):
        cells = [_cell([one[key] for one in scores]) for key in FIGURES]
        yield f"| {label} | {' | '.join(cells)} |"
    for label, per_class, per_pixel in CITED:
        yield f"| {label} | {per_class} | {per_pixel} | — |"
    results = [one for each in found.values() for one in each]
    first = results[0]["scores"][ROWS[0]]
    yield ""
    yield f"| accuracy of a class, % | {' | '.join(first['accuracy_per_class'])} |"
    yield "|---" + "|---:" * len(first["accuracy_per_class"]) + "|"
    for label, scores in _rows(found):
        parts = [one["accuracy_per_class"] for one in scores]
        yield f"| {label} | {' | '.join(_cell([p[k] for p in parts]) for k in parts[0])} |"
    yield ""
    precisions = sorted({one["precision"] for one in results})
    commits = sorted({one["commit"][:10] for one in results})
    yield (
        "Mean over n seeds ± half of the 95% t-interval; a single seed has none. The authors'"
        " rows are of GTA5 → Cityscapes, 19 classes."
        f" {first['images']} test pictures; naming the most frequent class everywhere would get"
        f" {100 * first['majority_share']:.1f}% of the pixels. CycleGAN: {results[0]['steps']:,}"
        f" steps, {' and '.join(precisions)}; FCNs: {results[0]['fcn_steps']:,}. Commits of the"
        f" runs: {', '.join(commits)}."
    )


def _cell(values: list[float | None]) -> str:
    known = [100 * value for value in values if value is not None]
    if not known:
        return "—"
    mean, half = interval(known)
    shown = f"{mean:.1f}" if half is None else f"{mean:.1f} ± {half:.1f}"
    return f"{shown} (n={len(known)})"


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.segmentation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", choices=("run", "table"), help="do one half of it")
    parser.add_argument("--seeds", nargs="+", type=int, choices=SEEDS, default=SEEDS)
    names = tuple(TRANSLATIONS)
    parser.add_argument("--translations", nargs="+", choices=names, default=names)
    parser.add_argument("--steps", type=int, default=STEPS, help="of CycleGAN, for a trial")
    parser.add_argument("--fcn-steps", type=int, default=FCN_STEPS, help="the same of the FCNs")
    parser.add_argument("--threads", type=int, default=2, help="of PyTorch")
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto")
    parser.add_argument("--results", type=Path, default=_HERE / "results" / "segmentation")
    parser.add_argument(
        "--runs", type=Path, default=_HERE.parent / "runs" / "benchmark" / "segmentation"
    )
    parser.add_argument("--readme", type=Path, default=_HERE / "README.md")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    return carry_out("segmentation", partial(_do, options))


def _do(options: argparse.Namespace) -> int:
    place, failures = Place(options.results, options.runs), 0
    jobs = [Job(name, seed) for name in options.translations for seed in options.seeds]
    for job in jobs if options.only != "table" else ():
        try:
            run_job(
                place,
                job,
                steps=options.steps,
                fcn_steps=options.fcn_steps,
                precision=options.precision,
            )
        except (InputError, DivergedError) as error:
            say(f"{job.name} failed: {error}")
            failures += 1
    if options.only != "run":
        write_table(place, options.readme)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
