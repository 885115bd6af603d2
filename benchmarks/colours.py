"""How often a short training finds which colour becomes which.

    python -m benchmarks.colours --part 1/2 &  python -m benchmarks.colours --part 2/2

Trains the preset `fast`, and others beside it, on sample:earth-climate from eight
seeds each, one thread, and scores photo -> climate on the validation split. What is
done is not done again; each command takes its part of what is not. The table goes
into benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

from benchmarks.earth_systems import SIZE
from benchmarks.running import circumstances, part_of, replace_block, say, write_json
from diptych.data import open_data
from diptych.evaluation import evaluate
from diptych.inference.load import load
from diptych.methods import make_config
from diptych.training.presets import chosen
from diptych.training.run import train
from diptych.training.settings import Settings

METHOD = "cyclegan"
SAMPLE = "sample:earth-climate"
SEEDS = range(8)
RIGHT = 0.3
"""Per-pixel accuracy below which pictures show sea as land, or as a class of it."""
CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "preset fast": {},
    "with an identity loss of 0.1": {"identity_weight": 0.1},
}

_HERE = Path(__file__).parent
_RESULTS = _HERE / "results" / "colours"
_RUNS = _HERE.parent / "runs" / "benchmark" / "colours"


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.colours",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--steps", type=int, default=240)
    parser.add_argument(
        "--part", type=part_of, default="1/1", metavar="I/N", help="take every N-th, from I on"
    )
    parser.add_argument(
        "--only", nargs="+", choices=tuple(CONFIGURATIONS), default=tuple(CONFIGURATIONS)
    )
    options = parser.parse_args(arguments)
    part, parts = options.part
    jobs = [(name, seed) for seed in SEEDS for name in options.only]
    for name, seed in jobs[part - 1 :: parts]:
        if not _result(name, seed).exists():
            _run(name, seed, options.steps)
    _write_table(_HERE / "README.md")
    return 0


def _result(name: str, seed: int) -> Path:
    return _RESULTS / f"{name.replace(' ', '-')}-{seed}.json"


def _run(name: str, seed: int, steps: int) -> None:
    config, run = chosen(METHOD, preset="fast")
    folder = _RUNS / _result(name, seed).stem
    given = {"data": SAMPLE, "seed": seed, "steps": steps, "threads": 1, "out": str(folder)}
    settings = Settings(**run | given)
    made = make_config(METHOD, config | CONFIGURATIONS[name])
    train(METHOD, made, settings, overwrite=True)
    data = open_data(SAMPLE, size=SIZE)
    translate = load(folder, device="cpu").translate_batch
    scores = evaluate(translate, data, "validation", size=SIZE, features=None)
    found = scores.directions["aerial→climate"]
    figures = {key: found[key] for key in ("pixel_accuracy", "class_accuracy", "mean_iou")}
    facts = {"configuration": name, "seed": seed, "steps": steps}
    write_json(_result(name, seed), facts | figures | circumstances())
    say(f"{name}, seed {seed}: per-pixel accuracy {figures['pixel_accuracy']:.3f}")


def _write_table(readme: Path) -> None:
    lines = [
        "| configuration | per-pixel accuracy, seed by seed | mean | right |",
        "|---|---|---|---|",
    ]
    for name in CONFIGURATIONS:
        files = [path for path in (_result(name, seed) for seed in SEEDS) if path.exists()]
        found = [json.loads(path.read_text("utf-8"))["pixel_accuracy"] for path in files]
        if found:
            shown = " ".join(f"{value:.2f}" for value in found)
            right = f"{sum(value >= RIGHT for value in found)} of {len(found)}"
            lines.append(f"| {name} | {shown} | {statistics.mean(found):.3f} | {right} |")
    replace_block(readme, "colours", "\n".join(lines))


if __name__ == "__main__":
    sys.exit(main())
