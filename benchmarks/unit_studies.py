"""UNIT's two studies in small: how many layers are shared, and what the cycle terms add.

    python -m benchmarks.unit_studies                 what is not done yet, table and plot
    python -m benchmarks.unit_studies --only table    the table and the plot anew

As the paper's Fig. 3 and Table 2 do on maps: trains every configuration from three seeds
for the same number of steps, and scores the last weights. Beside the paper's accuracy, and
beyond what `diptych bench` scores: whether two images decoded from one code show the same
scene. The table goes into benchmarks/README.md, the plot into docs/images/unit-studies.png.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.harness import (
    HERE,
    SEEDS,
    Result,
    add_training_options,
    carry_out,
    cell,
    every,
    new_figure,
    parser_of,
    say,
    score,
    table,
    train_to_end,
)
from diptych.data import Data, evaluation_pairs, open_data
from diptych.data.collections import evenly_spaced
from diptych.data.images import to_image, to_tensor
from diptych.evaluation import evaluate
from diptych.evaluation.correspondence import correspondence
from diptych.inference.load import load
from diptych.inference.translator import Translator
from diptych.methods import make_config
from diptych.training.presets import chosen
from diptych.training.settings import Settings

METHOD = "unit"
SAMPLE = "earth-map"
SIZE, STEPS = 32, 1500
PAIRS = 100
"""Decoded from codes, and real ones beside them."""
SHARED = {str(n): {"shared_layers": n} for n in range(5)}
ABLATIONS: dict[str, dict[str, Any]] = {
    "sharing alone": {"cycle_weight": 0.0, "cycle_kl_weight": 0.0},
    "cycle alone": SHARED["0"],
    "both": SHARED["1"],
}


@dataclass(frozen=True)
class Measure:
    """A score as tables and plots name it."""

    direction: str
    key: str
    label: str


MEASURES = (
    Measure("aerial→map", "within_16", "aerial→map: pixels within 16 ↑"),
    Measure("aerial→map", "l1", "aerial→map: L1 ↓"),
    Measure("aerial→map", "kid", "aerial→map: KID ↓"),
    Measure("map→aerial", "kid", "map→aerial: KID ↓"),
    Measure("one code", "of_images", "an image's code decoded twice: correspondence ↑"),
    Measure("one code", "of_noise", "noise decoded twice: correspondence ↑"),
)

PLOT = HERE.parent / "docs" / "images" / "unit-studies.png"


def configurations() -> dict[str, dict[str, Any]]:
    """Options by a name that is a file's too; what both studies need is trained once."""
    return {f"shared-{n}": options for n, options in SHARED.items()} | {
        "sharing-alone": ABLATIONS["sharing alone"]
    }


def trained(options: argparse.Namespace, name: str, seed: int) -> Result:
    """Train, or go on, and score.

    Raises:
        InputError: the folder holds another training.
        KeyboardInterrupt: it was interrupted, and can go on.
        DivergedError: a loss was not finite.
    """
    folder, steps = options.runs / f"{name}-{seed}", options.steps or STEPS
    say(f"{folder.name}: {steps:,} steps")
    preset, run = chosen(METHOD, preset="fast")
    config = make_config(METHOD, preset | {"size": SIZE} | configurations()[name])
    given: dict[str, Any] = {"data": f"sample:{SAMPLE}", "seed": seed, "steps": steps}
    given |= {"threads": torch.get_num_threads(), "precision": options.precision}
    seconds = train_to_end(METHOD, config, Settings(**run | given | {"out": str(folder)}))
    data = open_data(f"sample:{SAMPLE}", size=SIZE)
    return {
        "configuration": name,
        "seed": seed,
        "steps": steps,
        "config": vars(config),
        "seconds": seconds,
        "data_fingerprint": data.fingerprint,
        "scores": _scores(folder, data),
        "correspondence_of_real": correspondence(*_real(data)),
    }


def _scores(folder: Path, data: Data) -> dict[str, Any]:
    translator = load(folder, device="cpu")
    scores = evaluate(translator.translate_batch, data, "test", size=SIZE).to_dict()
    return scores | {"one code": _of_one_code(translator, data)}


def _of_one_code(translator: Translator, data: Data) -> dict[str, float]:
    """How far the two pictures of a code correspond, codes being noise or those of images."""
    noise = [translator.generate_batch(PAIRS, to, seed=0) for to in translator.domains]
    of_images = []
    for source, images in zip(translator.domains, _real(data), strict=True):
        codes = [translator.encode(to_image(image), source=source) for image in images]
        pictures = [
            torch.stack([to_tensor(translator.decode(z, to=to)) for z in codes])
            for to in translator.domains
        ]
        of_images.append(correspondence(*pictures))
    return {"of_images": sum(of_images) / len(of_images), "of_noise": correspondence(*noise)}


def _real(data: Data) -> tuple[Tensor, ...]:
    assert data.test is not None
    assert data.test.pairs is not None
    indices = evenly_spaced(len(data.test.pairs[0]), PAIRS)
    return evaluation_pairs(data.test.pairs, indices, size=SIZE, is_tiled=data.is_tiled)


def by_configuration(found: Mapping[str, Result]) -> dict[str, list[Result]]:
    """The results of each configuration, in the seeds' order."""
    return {
        name: [found[key] for seed in SEEDS if (key := f"{name}-{seed}") in found]
        for name in configurations()
    }


def lines(found: Mapping[str, Result]) -> Iterator[str]:
    """The table: a row a configuration."""
    titles = {f"shared-{n}": f"{n} shared" for n in SHARED} | {"sharing-alone": "1, no cycle terms"}
    rows = [
        [
            f"{titles[name]} (n={len(results)})",
            *(cell(values(results, measure), 3, counts=False) for measure in MEASURES),
        ]
        for name, results in by_configuration(found).items()
        if results
    ]
    yield from table(["", *(measure.label for measure in MEASURES)], rows)
    yield ""
    results = list(found.values())
    yield (
        f"`sample:{SAMPLE}` at {SIZE} pixels, width 32, {results[0]['steps']:,} steps of the preset"
        f" fast. Means ± half of the 95% t-interval over n seeds. Real pairs of the test images"
        f" have a correspondence of {results[0]['correspondence_of_real']:.3f}, strangers 0.5."
        f" {every(results, 'machine')}; commits {every(results, 'commit')}."
    )


def values(results: Sequence[Result], measure: Measure) -> list[float]:
    """One number a seed."""
    return [score(result["scores"], measure.direction, measure.key) for result in results]


def plot(found: Mapping[str, Result], path: Path) -> None:
    """Both studies, a column a measure: every seed a dot, means joined.

    Raises:
        InputError: matplotlib is missing.
    """
    results = by_configuration(found)
    names = {
        "residual blocks shared": {n: f"shared-{n}" for n in SHARED},
        "": {"sharing\nalone": "sharing-alone", "cycle\nalone": "shared-0", "both": "shared-1"},
    }
    figure = new_figure(16, 5.6)
    axes = figure.subplots(len(names), len(MEASURES))
    for row, (title, configurations_) in zip(axes, names.items(), strict=True):
        for axis, measure in zip(row, MEASURES, strict=True):
            points = [values(results[name], measure) for name in configurations_.values()]
            for at, many in enumerate(points):
                axis.plot([at] * len(many), many, "o", color="#1f6feb", alpha=0.45, markersize=4)
            known = [(at, sum(many) / len(many)) for at, many in enumerate(points) if many]
            style = "-" if title else "_"
            axis.plot(*zip(*known, strict=True), style, color="#1f6feb", markersize=18)
            axis.set_xticks(range(len(points)), list(configurations_), fontsize=8)
            axis.set_xlim(-0.4, len(points) - 0.6)
            axis.set_xlabel(title, fontsize=9)
            axis.grid(alpha=0.25, axis="y")
            axis.tick_params(labelsize=8)
            if title:
                axis.set_title(measure.label.replace(": ", "\n"), fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    say(f"wrote {path}")


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code."""
    parser = parser_of("unit_studies", __doc__)
    add_training_options(parser, "unit_studies")
    parser.add_argument("--configurations", nargs="+", choices=tuple(configurations()))
    parser.add_argument("--plot", type=Path, default=PLOT)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    jobs = {
        f"{name}-{seed}": partial(trained, options, name, seed)
        for seed in options.seeds
        for name in options.configurations or configurations()
    }

    return carry_out("unit_studies", options, jobs, lines, plot=plot, keeps=True)


if __name__ == "__main__":
    sys.exit(main())
