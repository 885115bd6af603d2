"""How many steps each system takes in ten minutes: timed by turns, in one process."""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from benchmarks.earth_systems import (
    BLOCKS,
    IDENTITY_WEIGHT,
    METHOD,
    SAMPLES,
    SIZE,
    SYSTEMS,
    WIDTH,
    circumstances,
    product_options,
    say,
    write_json,
)
from benchmarks.reference import cyclegan as reference
from diptych.data import Data, open_data
from diptych.errors import InputError
from diptych.training.device import find_precision
from diptych.training.settings import Plan, Precision, Resolved
from diptych.training.trainer import Trainer

MINUTES = 10.0
BLOCK_STEPS, WARM_UP_STEPS = 20, 10
OVERHEAD = {"reference": 1.0, "product": 1.03}
"""The product is charged 3% for pictures, checkpoints and its log, as a budget in minutes is."""

_BUSY = 0.7  # processes that run, on average over a minute
_FAR = 10**9  # steps: the learning rate stays constant


def measure(path: Path, *, rounds: int = 9) -> None:
    """Time both systems on this machine, which should do nothing else; write `path`.

    Where it has been written before, the reference's time stays, and the product's
    follows from how many times as fast it is now: what the reference has trained holds.
    """
    before = json.loads(path.read_text("utf-8")) if path.exists() else None
    load = os.getloadavg()[0]
    if load > _BUSY:
        say(f"{load:.1f} processes were running in the last minute: these times will be too long")
    data = open_data(f"sample:{SAMPLES[0]}", size=SIZE)
    precision = find_precision("auto", torch.device("cpu"))
    threads = torch.get_num_threads()
    # The product may leave cores idle: for small images one thread can be the fastest.
    timed = [("reference", threads), *(("product", n) for n in sorted({1, threads}))]
    times: dict[tuple[str, int], list[float]] = {one: [] for one in timed}
    with _steps(data, precision) as steps:
        for system, count in timed:
            _seconds_per_step(steps[system], WARM_UP_STEPS, count)
        for number in range(rounds):
            # The order alternates too: neither always follows the other's heat.
            for one in timed if number % 2 else timed[::-1]:
                times[one].append(_seconds_per_step(steps[one[0]], BLOCK_STEPS, one[1]))
            last = ", ".join(f"{s}@{n} {1e3 * t[-1]:.0f} ms" for (s, n), t in times.items())
            say(f"round {number + 1} of {rounds}, a step: {last}")
    torch.set_num_threads(threads)
    best = min(timed[1:], key=lambda one: statistics.median(times[one]))
    chosen = {"reference": times[timed[0]], "product": times[best]}
    pairs = zip(chosen["reference"], chosen["product"], strict=True)
    speedup = statistics.median(slow / fast for slow, fast in pairs)
    systems = {system: _summary(system, chosen[system]) for system in SYSTEMS}
    if before is not None:
        kept = before["systems"]["reference"]
        milliseconds = kept["ms_per_step"] / speedup
        number = int(MINUTES * 60_000 / (milliseconds * OVERHEAD["product"]))
        product = systems["product"] | {"steps": number, "ms_by_ratio": milliseconds}
        systems = {"reference": kept, "product": product}
    write_json(
        path,
        {
            "minutes": MINUTES,
            "size": SIZE,
            "width": WIDTH,
            "blocks": BLOCKS,
            "product_precision": precision,
            "product_threads": best[1],
            "product_ms_by_threads": {
                str(n): 1e3 * statistics.median(times["product", n]) for _, n in timed[1:]
            },
            "load_average_before": load,
            "product_speedup": speedup,
            "systems": systems,
        }
        | circumstances(),
    )


def read_speed(path: Path) -> dict[str, Any]:
    """What `measure` wrote.

    Raises:
        InputError: it has not been run.
    """
    if not path.exists():
        raise InputError(f"no {path}: run python -m benchmarks.earth measure first")
    speed: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return speed


@contextmanager
def _steps(data: Data, precision: Precision) -> Iterator[dict[str, Callable[[], object]]]:
    """One training step of each system, ready to be called."""
    model = reference.CycleGAN(
        width=WIDTH, blocks=BLOCKS, identity_weight=IDENTITY_WEIGHT, steps=_FAR, seed=0
    )
    x, y = (reference.read_tiles(images) for images in data.train.domains)
    config, settings = product_options(SAMPLES[0], seed=0, steps=_FAR, precision=precision)
    resolved = Resolved(
        threads=torch.get_num_threads(),
        domains=data.domains,
        fingerprint=data.fingerprint,
        precision=precision,
        device="cpu",
    )
    plan = Plan(method=METHOD, config=config, run=settings, resolved=resolved)
    trainer = Trainer(plan, data)

    def reference_step() -> None:
        losses = model.step(reference.draw(x, model.rng), reference.draw(y, model.rng))
        torch.stack(list(losses.values())).tolist()  # the product looks at them every step too

    def product_step() -> None:
        trainer.step(2 * trainer.clock.step + 2)  # as half-way through: no warm-up

    try:
        yield {"reference": reference_step, "product": product_step}
    finally:
        trainer.close()


def _seconds_per_step(step: Callable[[], object], count: int, threads: int) -> float:
    torch.set_num_threads(threads)
    began = time.perf_counter()
    for _ in range(count):
        step()
    return (time.perf_counter() - began) / count


def _summary(system: str, seconds: list[float]) -> dict[str, Any]:
    median = statistics.median(seconds)
    return {
        "ms_per_step": 1e3 * median,
        "ms_per_step_least": 1e3 * min(seconds),
        "ms_per_step_most": 1e3 * max(seconds),
        "blocks_timed": len(seconds),
        "steps_per_block": BLOCK_STEPS,
        "overhead": OVERHEAD[system],
        "steps": int(MINUTES * 60 / (median * OVERHEAD[system])),
    }
