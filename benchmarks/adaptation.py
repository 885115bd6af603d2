"""A classifier adapted to digits of which no label is seen: the paper's Table 3, in small.

    DIPTYCH_USPS=FOLDER python -m benchmarks.adaptation
    ... python -m benchmarks.adaptation --samples digits-color --seeds 0     a part of it
    ... python -m benchmarks.adaptation --only table                         the table anew

Trains the classifier alone (source only, and where the target comes first, the oracle)
and UNIT's adaptation, from three seeds each, and scores the last weights on each
domain's test images. What is done is not done again, and what was stopped goes on. The
table goes into benchmarks/README.md.

The settings below were fixed before any target was scored, save what benchmarks/README.md
lists; no target label is used in training.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.running import (
    carry_out,
    circumstances,
    replace_block,
    say,
    spread,
    train_to_end,
    write_json,
)
from diptych.data import Data, evaluation_images, open_data
from diptych.errors import InputError
from diptych.evaluation.adaptation import accuracies
from diptych.evaluation.seeds import interval
from diptych.inference.classifier import load_classifier
from diptych.inference.load import load
from diptych.methods import make_config
from diptych.methods.unit_adaptation import SIZE
from diptych.networks.device import Precision
from diptych.training.loop import DivergedError
from diptych.training.settings import Settings, read_plan

METHOD = "unit_adaptation"
SEEDS = (0, 1, 2)
CONFIG: dict[str, Any] = {
    "width": 16,
    "batch_size": 32,
    "lr": 1.5e-3,
    "decay_from": 0.5,
    "classification_weight": 1.0,
    "feature_weight": 1.0,
    "reconstruction_weight": 10.0,
}
"""Of both rows: a network that two cores train in minutes, and a rate and weights for few steps.

The authors' weights are for 200,000 steps. These were chosen by what needs no label of
the target: after 1,000 steps on MNIST → MNIST-M the discriminators still tell real from
generated (with classification ten times as heavy they stop within 400: Adam's step is
then the classifier's), translated source images keep the class that they are labelled
with, and target images have the class of their translations. The features' distance weighs
little: after 1,500 steps on USPS → MNIST four times as much changes these shares by 0.006.
"""
GREY = {
    "digits-usps": "both",
    "usps-digits": "both",
    "digits-color": "source",
    "color-digits": "target",
}
STEPS = 2500
LONGER = {"source-only-longer": 5000, "unit-longer": 5000}
"""The steps of the rows that have more."""
ALONE: dict[str, Any] = {"gan_weight": 0.0}
AUGMENTED: dict[str, Any] = {"augment": True}
NEGATIVES: dict[str, Any] = {"invert_source": True}
TRANSLATIONS: dict[str, Any] = {"translated_weight": 1.0}
WIDER: dict[str, Any] = {"width": 32}
ROWS: dict[str, dict[str, Any]] = {
    "source-only": ALONE,
    "unit": {},
    "source-only-longer": ALONE,
    "unit-longer": {},
    "source-only-wider": ALONE | WIDER,
    "unit-wider": WIDER,
    "source-only-augmented": ALONE | AUGMENTED,
    "unit-augmented": AUGMENTED,
    "unit-translations": AUGMENTED | TRANSLATIONS,
    "source-only-negatives": ALONE | NEGATIVES,
    "unit-negatives": NEGATIVES,
    "unit-negatives-translations": NEGATIVES | TRANSLATIONS,
}
"""What differs by row. From the seventh on they go beyond the paper's losses: images are turned,
scaled and shifted, or half of MNIST's turned into their negatives, as the authors do where
MNIST meets colours; and the classifier also learns from translations, by the labels of what
was translated."""
LABELS = {
    "source-only": "source only",
    "unit": "UNIT",
    "source-only-longer": "source only, 5,000 steps",
    "unit-longer": "UNIT, 5,000 steps",
    "source-only-wider": "source only, width 32",
    "unit-wider": "UNIT, width 32",
    "source-only-augmented": "source only, augmented",
    "unit-augmented": "UNIT, augmented",
    "unit-translations": "UNIT, augmented, translations classified too",
    "source-only-negatives": "source only, MNIST's negatives too",
    "unit-negatives": "UNIT, MNIST's negatives too",
    "unit-negatives-translations": "UNIT, MNIST's negatives too, translations classified too",
}
_PAIR = ("digits-usps", "usps-digits")
JOBS: tuple[tuple[str, str], ...] = (
    *((sample, row) for row in ("source-only", "unit") for sample in (*_PAIR, "digits-color")),
    ("color-digits", "source-only"),
    *((sample, row) for row in ROWS if row in LONGER or "width" in ROWS[row] for sample in _PAIR),
    *((sample, row) for row in ROWS if ROWS[row].get("augment") for sample in _PAIR),
    *(("digits-color", row) for row in ROWS if ROWS[row].get("invert_source")),
)
SAMPLES = tuple(dict.fromkeys(sample for sample, _ in JOBS))


@dataclass(frozen=True)
class Task:
    """One adaptation of the table."""

    name: str
    sample: str
    """Whose second domain is the target."""
    target: str
    reverse: str
    """The sample whose first domain is the target: its classifier is the oracle."""


TASKS = (
    Task("MNIST→USPS", "digits-usps", "usps", "usps-digits"),
    Task("USPS→MNIST", "usps-digits", "mnist", "digits-usps"),
    Task("MNIST→MNIST-M", "digits-color", "mnist-m", "color-digits"),
)
CITED = (
    ("SA, by the paper", ("—", "—", "—"), "0.5932"),
    ("DANN, by the paper", ("—", "—", "—"), "0.7385"),
    ("DTN, by the paper", ("—", "—", "—"), "0.8488"),
    ("CoGAN, by the paper", ("0.9565", "0.9315", "—"), "—"),
    ("UNIT, by the paper", ("0.9597", "0.9358", "—"), "0.9053"),
)
"""Table 3 of Liu et al. 2017, with SVHN→MNIST last: not measured here."""

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Place:
    """Where results and runs go."""

    results: Path
    runs: Path

    def scores(self, sample: str, row: str, seed: int) -> Path:
        return self.results / f"{sample}-{row}-{seed}.json"

    def folder(self, sample: str, row: str, seed: int) -> Path:
        return self.runs / f"{sample}-{row}-{seed}"


def run_job(
    place: Place, sample: str, row: str, seed: int, *, steps: int, precision: Precision
) -> None:
    """Train, or go on, and score; nothing if that is done.

    Raises:
        InputError: the sample's files are missing, or the folder holds another training.
        KeyboardInterrupt: it was interrupted, and can go on.
        DivergedError: a loss was not finite.
    """
    path, folder = place.scores(sample, row, seed), place.folder(sample, row, seed)
    if path.exists():
        return
    known = circumstances()  # of the code that is loaded, whatever is committed meanwhile
    say(f"{path.stem}: {steps:,} steps")
    config = make_config(METHOD, CONFIG | {"grey": GREY[sample]} | ROWS[row])
    settings = Settings(
        data=f"sample:{sample}",
        seed=seed,
        steps=steps,
        precision=precision,
        threads=torch.get_num_threads(),
        out=str(folder),
    )
    seconds = train_to_end(METHOD, config, settings)
    data = open_data(f"sample:{sample}", size=config.size)
    assert data.test is not None
    classify = load_classifier(folder, device="cpu").classify_batch
    label_free = {"label_free": judged(folder, data)} if config.adapts else {}
    write_json(
        path,
        {
            "sample": sample,
            "row": row,
            "seed": seed,
            "steps": steps,
            "config": vars(config),
            "precision": read_plan(folder).resolved.precision,
            "seconds": seconds,
            "data_fingerprint": data.fingerprint,
            "scores": accuracies(classify, data, data.test, size=config.size),
        }
        | label_free
        | known,
    )
    say(f"{path.stem}: scored, {path}")


def judged(folder: Path, data: Data) -> dict[str, float]:
    """What settings may be chosen by, on at most 1,000 training images of each domain.

    `kept` is the share of source images whose translation is classified as they are
    labelled, `agreement` the share of target images that have the class of their translation.
    """
    translate = load(folder, device="cpu").translate_batch
    classify = load_classifier(folder, device="cpu").classify_batch
    source, target = data.domains
    labels, images = data.train.labels[0], data.train.domains
    assert labels is not None
    indices = [spread(len(one), 1000) for one in images]
    x, y = (
        evaluation_images(one, chosen, size=SIZE, is_tiled=data.is_tiled)
        for one, chosen in zip(images, indices, strict=True)
    )
    kept = classify(translate(x, target), target).argmax(1) == torch.from_numpy(labels[indices[0]])
    same = classify(translate(y, source), source).argmax(1) == classify(y, target).argmax(1)
    return {"kept": float(kept.float().mean()), "agreement": float(same.float().mean())}


def write_table(place: Place, readme: Path) -> None:
    """Put the table between its markers in `readme`.

    Raises:
        InputError: no results yet, or no markers.
    """
    found = list(_results(place))
    if not found:
        raise InputError(f"no results in {place.results}: run python -m benchmarks.adaptation")
    replace_block(readme, "adaptation", "\n".join(_lines(place, found)))


def _lines(place: Place, found: list[dict[str, Any]]) -> Iterator[str]:
    names = [task.name for task in TASKS]
    yield f"| accuracy on the target's test images | {' | '.join(names)} | SVHN→MNIST |"
    yield "|---" * (len(TASKS) + 2) + "|"
    rows = [(LABELS[row], row, False) for row in ROWS]
    rows.insert(2, ("target (oracle)", "source-only", True))
    for label, row, is_oracle in rows:
        cells = [
            _cell(place, task.reverse if is_oracle else task.sample, row, task.target)
            for task in TASKS
        ]
        yield f"| {label} | {' | '.join(cells)} | — |"
    for label, cited, svhn in CITED:
        yield f"| {label} | {' | '.join(cited)} | {svhn} |"
    yield ""
    commits = sorted({result["commit"][:10] for result in found})
    machines = sorted({result["machine"] for result in found})
    longest = max(result["seconds"] for result in found) / 60
    yield (
        "Mean over n seeds ± half of the 95% t-interval; a single seed has none."
        f" The longest run took {longest:.0f} minutes, on {found[0]['threads']} thread(s) of"
        f" {', '.join(machines)}. Commits of the runs: {', '.join(commits)}."
    )


def _cell(place: Place, sample: str, row: str, target: str) -> str:
    files = [path for seed in SEEDS if (path := place.scores(sample, row, seed)).exists()]
    if (sample, row) not in JOBS:
        return "—"
    if not files:
        return "not run yet"
    scores = [json.loads(path.read_text("utf-8"))["scores"] for path in files]
    mean, half = interval([score[target]["accuracy"] for score in scores])
    shown = f"{mean:.4f}" if half is None else f"{mean:.4f} ± {half:.4f}"
    return f"{shown} (n={len(files)})"


def _results(place: Place) -> Iterator[dict[str, Any]]:
    for seed in SEEDS:
        for sample, row in JOBS:
            if (path := place.scores(sample, row, seed)).exists():
                yield json.loads(path.read_text("utf-8"))


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.adaptation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", choices=("run", "table"), help="do one half of it")
    parser.add_argument("--samples", nargs="+", choices=SAMPLES, default=SAMPLES)
    parser.add_argument("--rows", nargs="+", choices=tuple(ROWS), default=tuple(ROWS))
    parser.add_argument("--seeds", nargs="+", type=int, choices=SEEDS, default=SEEDS)
    parser.add_argument("--steps", type=int, help="a trial of so many steps")
    parser.add_argument("--threads", type=int, default=2, help="of PyTorch")
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto")
    parser.add_argument("--results", type=Path, default=_HERE / "results" / "adaptation")
    parser.add_argument(
        "--runs", type=Path, default=_HERE.parent / "runs" / "benchmark" / "adaptation"
    )
    parser.add_argument("--readme", type=Path, default=_HERE / "README.md")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    return carry_out("adaptation", partial(_do, options))


def _do(options: argparse.Namespace) -> int:
    place, failures = Place(options.results, options.runs), 0
    wanted = [
        (sample, row, seed)
        for seed in options.seeds  # one seed of everything first: a part is a result already
        for sample, row in JOBS
        if sample in options.samples and row in options.rows and options.only != "table"
    ]
    for sample, row, seed in wanted:
        steps = options.steps or LONGER.get(row, STEPS)
        try:
            run_job(place, sample, row, seed, steps=steps, precision=options.precision)
        except (InputError, DivergedError) as error:
            say(f"{sample}-{row}-{seed} failed: {error}")
            failures += 1
    if options.only != "run":
        write_table(place, options.readme)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
