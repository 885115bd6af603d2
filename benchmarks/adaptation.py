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
    parser_of,
    say,
    table,
    train_to_end,
)
from diptych.data import Data, evaluation_images, open_data
from diptych.data.collections import evenly_spaced
from diptych.evaluation.adaptation import accuracies
from diptych.inference.classifier import load_classifier
from diptych.inference.load import load
from diptych.methods import make_config
from diptych.methods.unit_adaptation import SIZE
from diptych.training.settings import Settings, read_plan

METHOD = "unit_adaptation"
CONFIG: dict[str, Any] = {
    "width": 16,
    "batch_size": 32,
    "lr": 1.5e-3,
    "decay_from": 0.5,
    "classification_weight": 1.0,
    "feature_weight": 1.0,
    "reconstruction_weight": 10.0,
}
"""The options of both rows: a network that two cores train in minutes, a rate and weights for few
steps.

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


def name_of(sample: str, row: str, seed: int) -> str:
    return f"{sample}-{row}-{seed}"


def trained(options: argparse.Namespace, sample: str, row: str, seed: int) -> Result:
    """Train, or go on, and score.

    Raises:
        InputError: the sample's files are missing, or the folder holds another training.
        KeyboardInterrupt: it was interrupted, and can go on.
        DivergedError: a loss was not finite.
    """
    steps = options.steps or LONGER.get(row, STEPS)
    folder = options.runs / name_of(sample, row, seed)
    say(f"{folder.name}: {steps:,} steps")
    config = make_config(METHOD, CONFIG | {"grey": GREY[sample]} | ROWS[row])
    settings = Settings(
        data=f"sample:{sample}",
        seed=seed,
        steps=steps,
        precision=options.precision,
        threads=torch.get_num_threads(),
        out=str(folder),
    )
    seconds = train_to_end(METHOD, config, settings)
    data = open_data(f"sample:{sample}", size=config.size)
    assert data.test is not None
    classify = load_classifier(folder, device="cpu").classify_batch
    label_free = {"label_free": judged(folder, data)} if config.adapts else {}
    return {
        "sample": sample,
        "row": row,
        "seed": seed,
        "steps": steps,
        "config": vars(config),
        "precision": read_plan(folder).resolved.precision,
        "seconds": seconds,
        "data_fingerprint": data.fingerprint,
        "scores": accuracies(classify, data, data.test, size=config.size),
    } | label_free


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
    indices = [evenly_spaced(len(one), 1000) for one in images]
    x, y = (
        evaluation_images(one, chosen, size=SIZE, is_tiled=data.is_tiled)
        for one, chosen in zip(images, indices, strict=True)
    )
    kept = classify(translate(x, target), target).argmax(1) == torch.from_numpy(labels[indices[0]])
    same = classify(translate(y, source), source).argmax(1) == classify(y, target).argmax(1)
    return {"kept": float(kept.float().mean()), "agreement": float(same.float().mean())}


def lines(found: Mapping[str, Result]) -> Iterator[str]:
    """The table: adaptations across, the rows and the paper's figures down."""
    rows = [(LABELS[row], row, False) for row in ROWS]
    rows.insert(2, ("target (oracle)", "source-only", True))
    shown = []
    for label, row, is_oracle in rows:
        cells = [
            _cell(found, task.reverse if is_oracle else task.sample, row, task.target)
            for task in TASKS
        ]
        shown.append([label, *cells, "—"])
    shown += [[label, *cited, svhn] for label, cited, svhn in CITED]
    heads = ["accuracy on the target's test images", *(task.name for task in TASKS), "SVHN→MNIST"]
    yield from table(heads, shown)
    yield ""
    longest = max(result["seconds"] for result in found.values()) / 60
    yield (
        f"{MEANS} The longest run took {longest:.0f} minutes, on"
        f" {next(iter(found.values()))['threads']} thread(s) of {every(found.values(), 'machine')}."
        f" Commits of the runs: {every(found.values(), 'commit')}."
    )


def _cell(found: Mapping[str, Result], sample: str, row: str, target: str) -> str:
    if (sample, row) not in JOBS:
        return "—"
    names = [name for seed in SEEDS if (name := name_of(sample, row, seed)) in found]
    values = [found[name]["scores"][target]["accuracy"] for name in names]
    return cell(values, 4) if values else "not run yet"


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code."""
    parser = parser_of("adaptation", __doc__)
    add_training_options(parser, "adaptation")
    parser.add_argument("--samples", nargs="+", choices=SAMPLES, default=SAMPLES)
    parser.add_argument("--rows", nargs="+", choices=tuple(ROWS), default=tuple(ROWS))
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    jobs = {
        name_of(sample, row, seed): partial(trained, options, sample, row, seed)
        for seed in options.seeds  # one seed of everything first: a part is a result already
        for sample, row in JOBS
        if sample in options.samples and row in options.rows
    }

    return carry_out("adaptation", options, jobs, lines, keeps=True)


if __name__ == "__main__":
    sys.exit(main())
