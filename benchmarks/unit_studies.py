"""UNIT's two studies in small: how many layers are shared, and what the cycle terms add.

    python -m benchmarks.unit_studies                 what is not done yet, table and plot
    python -m benchmarks.unit_studies --part 1/2      every second training: two may share a machine
    python -m benchmarks.unit_studies --only rescore  scores of the weights that are there
    python -m benchmarks.unit_studies --only report   the table and the plot anew

As the paper's Fig. 3 and Table 2 do on maps: trains every configuration from three seeds
for the same number of steps, and scores the last weights. Beside the paper's accuracy:
whether two images decoded from one code show the same scene. The table goes into
benchmarks/README.md, the plot into docs/images/unit-studies.png.
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
from torch import Tensor

from benchmarks.earth_results import score
from benchmarks.running import (
    carry_out,
    circumstances,
    part_of,
    replace_block,
    say,
    spread,
    train_to_end,
    write_json,
)
from diptych.data import Data, evaluation_pairs, open_data
from diptych.data.images import to_image, to_tensor
from diptych.errors import InputError
from diptych.evaluation import evaluate
from diptych.evaluation.correspondence import correspondence
from diptych.evaluation.seeds import interval
from diptych.inference.load import load
from diptych.inference.translator import Translator
from diptych.methods import make_config
from diptych.training.loop import DivergedError
from diptych.training.presets import chosen
from diptych.training.settings import Settings

METHOD = "unit"
SAMPLE = "earth-map"
SIZE, STEPS = 32, 1500
SEEDS = (0, 1, 2)
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

_HERE = Path(__file__).parent
PLOT = _HERE.parent / "docs" / "images" / "unit-studies.png"


def configurations() -> dict[str, dict[str, Any]]:
    """Options by a name that is a file's too; what both studies need is trained once."""
    return {f"shared-{n}": options for n, options in SHARED.items()} | {
        "sharing-alone": ABLATIONS["sharing alone"]
    }


def run_job(results: Path, runs: Path, name: str, seed: int, steps: int) -> None:
    """Train, or go on, and score; nothing if that is done.

    Raises:
        InputError: the folder holds another training.
        KeyboardInterrupt: it was interrupted, and can go on.
        DivergedError: a loss was not finite.
    """
    path, folder = results / f"{name}-{seed}.json", runs / f"{name}-{seed}"
    if path.exists():
        return
    known = circumstances()
    say(f"{path.stem}: {steps:,} steps")
    preset, run = chosen(METHOD, preset="fast")
    config = make_config(METHOD, preset | {"size": SIZE} | configurations()[name])
    given: dict[str, Any] = {"data": f"sample:{SAMPLE}", "seed": seed, "steps": steps}
    given |= {"threads": torch.get_num_threads(), "out": str(folder)}
    seconds = train_to_end(METHOD, config, Settings(**run | given))
    data = open_data(f"sample:{SAMPLE}", size=SIZE)
    write_json(
        path,
        {
            "configuration": name,
            "seed": seed,
            "steps": steps,
            "config": vars(config),
            "seconds": seconds,
            "data_fingerprint": data.fingerprint,
            "scores": _scores(folder, data),
            "correspondence_of_real": _of_real(data),
        }
        | known,
    )
    say(f"{path.stem}: scored")


def rescore(results: Path, runs: Path) -> None:
    """Score what is trained anew, from weights that are there still."""
    data = open_data(f"sample:{SAMPLE}", size=SIZE)
    for path in sorted(results.glob("*.json")):
        if (runs / path.stem).exists():
            result = json.loads(path.read_text("utf-8"))
            write_json(path, result | {"scores": _scores(runs / path.stem, data)})
            say(f"{path.stem}: scored")


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
    indices = spread(len(data.test.pairs[0]), PAIRS)
    return evaluation_pairs(data.test.pairs, indices, size=SIZE, is_tiled=data.is_tiled)


def _of_real(data: Data) -> float:
    return correspondence(*_real(data))


def read(results: Path) -> dict[str, list[dict[str, Any]]]:
    """Results by configuration. Raises InputError if there are none."""
    found = {
        name: [
            json.loads(path.read_text("utf-8")) for path in sorted(results.glob(f"{name}-?.json"))
        ]
        for name in configurations()
    }
    if not any(found.values()):
        raise InputError(f"no results in {results}: run python -m benchmarks.unit_studies")
    return found


def lines(found: dict[str, list[dict[str, Any]]]) -> Iterator[str]:
    """The table: a row a configuration."""
    yield f"| | {' | '.join(measure.label for measure in MEASURES)} |"
    yield "|---" * (len(MEASURES) + 1) + "|"
    titles = {f"shared-{n}": f"{n} shared" for n in SHARED} | {"sharing-alone": "1, no cycle terms"}
    for name, results in found.items():
        if results:
            cells = [_shown(*interval(values(results, measure))) for measure in MEASURES]
            yield f"| {titles[name]} (n={len(results)}) | {' | '.join(cells)} |"
    yield ""
    every = [result for results in found.values() for result in results]
    commits = sorted({result["commit"][:10] for result in every})
    yield (
        f"`sample:{SAMPLE}` at {SIZE} pixels, width 32, {every[0]['steps']:,} steps of the preset"
        f" fast. Means ± half of the 95% t-interval over n seeds. Real pairs of the test images"
        f" have a correspondence of {every[0]['correspondence_of_real']:.3f}, strangers 0.5."
        f" {every[0]['machine']}; commits {', '.join(commits)}."
    )


def values(results: list[dict[str, Any]], measure: Measure) -> list[float]:
    """One number a seed."""
    return [score(result["scores"], measure.direction, measure.key) for result in results]


def _shown(mean: float, half: float | None) -> str:
    return f"{mean:.3f}" if half is None else f"{mean:.3f} ± {half:.3f}"


def plot(found: dict[str, list[dict[str, Any]]], path: Path) -> None:
    """Both studies, a column a measure: every seed a dot, means joined.

    Raises:
        InputError: matplotlib is missing.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError("the plot needs matplotlib: pip install -e '.[bench]'") from error
    names = {
        "residual blocks shared": {n: f"shared-{n}" for n in SHARED},
        "": {"sharing\nalone": "sharing-alone", "cycle\nalone": "shared-0", "both": "shared-1"},
    }
    figure = Figure(figsize=(16, 5.6), layout="constrained")
    axes = figure.subplots(len(names), len(MEASURES))
    for row, (title, configurations_) in zip(axes, names.items(), strict=True):
        for axis, measure in zip(row, MEASURES, strict=True):
            points = [values(found[name], measure) for name in configurations_.values()]
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
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.unit_studies",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", choices=("run", "rescore", "report"), help="do one part of it")
    parser.add_argument(
        "--part", type=part_of, default="1/1", metavar="I/N", help="every N-th, from I on"
    )
    parser.add_argument("--seeds", nargs="+", type=int, choices=SEEDS, default=SEEDS)
    parser.add_argument("--steps", type=int, default=STEPS, help="fewer, for a trial")
    parser.add_argument("--threads", type=int, default=2, help="of PyTorch")
    parser.add_argument("--results", type=Path, default=_HERE / "results" / "unit_studies")
    parser.add_argument(
        "--runs", type=Path, default=_HERE.parent / "runs" / "benchmark" / "unit_studies"
    )
    parser.add_argument("--readme", type=Path, default=_HERE / "README.md")
    parser.add_argument("--plot", type=Path, default=PLOT)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    return carry_out("unit_studies", partial(_do, options))


def _do(options: argparse.Namespace) -> int:
    failures = 0
    part, parts = options.part
    jobs = [(name, seed) for seed in options.seeds for name in configurations()]
    for name, seed in jobs[part - 1 :: parts] if options.only in (None, "run") else ():
        try:
            run_job(options.results, options.runs, name, seed, options.steps)
        except (InputError, DivergedError) as error:
            say(f"{name}-{seed} failed: {error}")
            failures += 1
    if options.only == "rescore":
        rescore(options.results, options.runs)
    if options.only in (None, "report"):
        found = read(options.results)
        replace_block(options.readme, "unit_studies", "\n".join(lines(found)))
        plot(found, options.plot)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
