"""What time an equal quality takes: `diptych train cyclegan --preset fast` for 7 minutes of two
cores, and the paper's CycleGAN in plain PyTorch for 20.

    python -m benchmarks.quality                  what is not done yet, table and plot
    python -m benchmarks.quality --only table     the table and the plot anew

Both train on two samples of the Earth without pairs, three seeds each. Speeds are measured
once, by turns, on a machine that does nothing else. What is trained then is the number of
steps that fills the minutes, with the learning rate's schedule set to it: results do not
depend on what the machine does meanwhile. The last weights are scored on the test images, and
the first seed's also on the way. The table goes into benchmarks/README.md, the plot into
docs/images/time-to-quality.png. Diptych's own methods compare by `diptych bench`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.harness import (
    HERE,
    MEANS,
    SEEDS,
    Result,
    add_training_options,
    by_turns,
    carry_out,
    cell,
    every,
    median_ratio,
    new_figure,
    parser_of,
    read_results,
    say,
    score,
    seconds_of,
    table,
    train_to_end,
)
from benchmarks.reference import cyclegan as reference
from benchmarks.reference.training import (
    SNAPSHOTS_FOLDER,
    WEIGHTS_FILE,
    load_reference,
    train_reference,
)
from benchmarks.step import FAR
from diptych.data import open_data
from diptych.errors import InputError
from diptych.evaluation import evaluate
from diptych.inference.load import load
from diptych.methods import make_config
from diptych.networks.device import find_precision
from diptych.training.presets import chosen
from diptych.training.settings import Plan, Resolved, Settings
from diptych.training.trainer import Trainer

METHOD = "cyclegan"
MINUTES = {"reference": 20.0, "product": 7.0}
"""The budget of each system: the plain CycleGAN, and Diptych's."""
NAMES = {"reference": "reference", "product": "CycleGAN"}
SAMPLES = ("earth-climate", "earth-map")
SIZE, WIDTH, BLOCKS = 64, 32, 6
"""The options of the preset `fast`, and so of the reference."""
SNAPSHOTS = 10
"""Translators kept on the way of the first seed."""
OVERHEAD = {"reference": 1.0, "product": 1.03}
"""Diptych is charged 3% for pictures, checkpoints and its log, as a budget in minutes is."""
SPEED = "speed"
"""The name of the job that times a step."""
PLOT = HERE.parent / "docs" / "images" / "time-to-quality.png"
_BLOCK_STEPS, _WARM_UP_STEPS = 20, 10
_BUSY = 0.7  # processes that run, on average over a minute
_COLOURS = {"reference": "#8a8a8a", "product": "#1f6feb"}


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


def name_of(sample: str, system: str, seed: int) -> str:
    return f"{sample}-{system}-{seed}"


def product_of(sample: str, **given: Any) -> tuple[Any, Settings]:
    """What `diptych train cyclegan --preset fast` takes, without the identity loss, as the paper
    trains labels and photographs.

    Raises:
        InputError: the preset is not what the reference is built like any more.
    """
    config, run = chosen(METHOD, preset="fast")
    made = make_config(METHOD, config | {"identity_weight": 0.0})
    if (made.size, made.width, made.residual_blocks) != (SIZE, WIDTH, BLOCKS):
        raise InputError("the preset fast is not what the reference is built like any more")
    return made, Settings(**run | {"data": f"sample:{sample}"} | given)


def measure(rounds: int) -> Result:
    """Steps a minute of both on this machine, which should do nothing else."""
    load_average = os.getloadavg()[0]
    if load_average > _BUSY:
        say(f"{load_average:.1f} processes ran in the last minute: these times will be too long")
    data = open_data(f"sample:{SAMPLES[0]}", size=SIZE)
    precision, threads = find_precision("auto", torch.device("cpu")), torch.get_num_threads()
    model = reference.CycleGAN(width=WIDTH, blocks=BLOCKS, identity_weight=0.0, steps=FAR, seed=0)
    x, y = (reference.read_tiles(images) for images in data.train.domains)

    def plain() -> None:
        losses = model.step(reference.draw(x, model.rng), reference.draw(y, model.rng))
        torch.stack(list(losses.values())).tolist()  # Diptych looks at them every step too

    config, settings = product_of(SAMPLES[0], seed=0, steps=FAR, precision=precision)
    resolved = Resolved(
        threads=threads,
        domains=data.domains,
        fingerprint=data.fingerprint,
        precision=precision,
        device="cpu",
    )
    trainer = Trainer(Plan(method=METHOD, config=config, run=settings, resolved=resolved), data)

    def step() -> None:
        trainer.step(2 * trainer.clock.step + 2)  # as half-way through: no warm-up

    def on(count: int, step: Callable[[], object], steps: int = _BLOCK_STEPS) -> float:
        torch.set_num_threads(count)
        return seconds_of(step, steps)

    # Diptych may leave cores idle: for small images one thread can be the fastest.
    timed = {"reference": partial(on, threads, plain)}
    timed |= {f"product, {n} threads": partial(on, n, step) for n in sorted({1, threads})}
    try:
        on(threads, plain, _WARM_UP_STEPS)
        on(threads, step, _WARM_UP_STEPS)
        times = by_turns(timed, rounds=rounds)
    finally:
        trainer.close()
        torch.set_num_threads(threads)
    best = min(list(timed)[1:], key=lambda name: statistics.median(times[name]))
    speedup = median_ratio(times["reference"], times[best])
    seconds = statistics.median(times["reference"])
    per_minute = {"reference": 60 / seconds, "product": 60 * speedup / seconds}
    return {
        "steps_per_minute": {one: rate / OVERHEAD[one] for one, rate in per_minute.items()},
        "speedup": speedup,
        "precision": precision,
        "training_threads": int(best.split()[1]),
        "ms_per_step": {name: 1e3 * statistics.median(one) for name, one in times.items()},
        "rounds": rounds,
        "load_average_before": load_average,
    }


def scored(options: argparse.Namespace, sample: str, system: str, seed: int) -> Result:
    """Train, or go on, and score; the first seed on the way too.

    Raises:
        InputError: speeds are not measured, or the folder holds another training.
        KeyboardInterrupt: it was interrupted, and can go on.
        DivergedError: a loss of the product was not finite.
    """
    speed = read_results(options.results).get(SPEED)
    if speed is None:
        raise InputError("a step is not timed yet, as that failed")
    folder = options.runs / name_of(sample, system, seed)
    steps = options.steps or round(speed["steps_per_minute"][system] * MINUTES[system])
    keep_every = max(1, steps // SNAPSHOTS) if seed == SEEDS[0] else None
    say(f"{folder.name}: {steps:,} steps, {MINUTES[system]:g} minutes")
    data = open_data(f"sample:{sample}", size=SIZE)
    threads = min(speed["training_threads"], torch.get_num_threads())
    if system == "reference":
        shape = {"width": WIDTH, "blocks": BLOCKS}
        seconds = train_reference(
            folder, data, seed=seed, steps=steps, keep_every=keep_every, **shape
        )
    else:
        given = {"seed": seed, "steps": steps, "keep_every": keep_every, "threads": threads}
        given |= {"precision": speed["precision"], "out": str(folder)}
        seconds = train_to_end(METHOD, *product_of(sample, **given))

    def scores_of(path: Path) -> Mapping[str, Any]:
        return evaluate(_translate(system, path, data.domains), data, "test", size=SIZE).to_dict()

    snapshots = sorted((folder / SNAPSHOTS_FOLDER).glob("*.safetensors")) if keep_every else []
    rows = [row for row in ROWS if row.sample == sample]
    way = []
    for path in snapshots:
        step, scores = int(path.stem), scores_of(path)
        values = {f"{r.direction} {r.key}": score(scores, r.direction, r.key) for r in rows}
        way.append({"step": step, "minutes": MINUTES[system] * step / steps} | values)
    return {
        "sample": sample,
        "system": system,
        "seed": seed,
        "steps": steps,
        "minutes": MINUTES[system],
        "seconds": seconds,
        "data_fingerprint": data.fingerprint,
        "scores": scores_of(folder / WEIGHTS_FILE),
    } | ({"way": way} if way else {})


def _translate(
    system: str, path: Path, domains: tuple[str, ...]
) -> Callable[[Tensor, str], Tensor]:
    if system == "reference":
        return load_reference(path, domains, width=WIDTH, blocks=BLOCKS)
    return load(path, device="cpu").translate_batch


def lines(found: Mapping[str, Result]) -> Iterator[str]:
    """The table: a row a score."""
    runs = [one for name, one in found.items() if name != SPEED]
    rows = []
    for row in ROWS:
        cells = []
        for system in MINUTES:
            mine = [one for one in runs if (one["sample"], one["system"]) == (row.sample, system)]
            cells.append(cell([score(one["scores"], row.direction, row.key) for one in mine], 4))
        rows.append([row.sample, row.direction, row.label, *cells])
    heads = [f"{NAMES[system]}, {minutes:g} minutes" for system, minutes in MINUTES.items()]
    yield from table(["sample", "direction", "score", *heads], rows)
    yield ""
    yield f"{MEANS} Commits of the runs: {every(runs, 'commit')}."


def plot(found: Mapping[str, Result], path: Path) -> None:
    """The first seed's scores over minutes.

    Raises:
        InputError: matplotlib is missing.
    """
    shown = [row for row in ROWS if row.key in ("kid", "pixel_accuracy", "within_16")]
    figure = new_figure(11, 6)
    axes = figure.subplots(2, 3).flat
    for axis, row in zip(axes, shown, strict=True):
        for system in MINUTES:
            way = found.get(name_of(row.sample, system, SEEDS[0]), {}).get("way", [])
            axis.plot(
                [point["minutes"] for point in way],
                [point[f"{row.direction} {row.key}"] for point in way],
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
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    say(f"wrote {path}")


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code."""
    parser = parser_of("quality", __doc__)
    add_training_options(parser, "quality")
    parser.add_argument("--samples", nargs="+", choices=SAMPLES, default=SAMPLES)
    parser.add_argument("--systems", nargs="+", choices=tuple(MINUTES), default=tuple(MINUTES))
    parser.add_argument("--rounds", type=int, default=9, help="of timing, 20 steps each")
    parser.add_argument("--plot", type=Path, default=PLOT)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    jobs: dict[str, Callable[[], Result]] = {SPEED: partial(measure, options.rounds)}
    for seed in options.seeds:  # one seed of everything first: a part is a result already
        for sample in options.samples:
            for system in options.systems:
                one = partial(scored, options, sample, system, seed)
                jobs[name_of(sample, system, seed)] = one

    return carry_out("quality", options, jobs, lines, plot=plot, keeps=True)


if __name__ == "__main__":
    sys.exit(main())
