"""How many steps each system takes in ten minutes: timed by turns, in one process."""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.earth_systems import (
    BLOCKS,
    IDENTITY_WEIGHT,
    METHODS,
    SAMPLES,
    SIZE,
    SYSTEMS,
    WIDTH,
    System,
    product_options,
)
from benchmarks.reference import cyclegan as reference
from benchmarks.running import circumstances, say, write_json
from diptych.data import Data, open_data
from diptych.errors import InputError
from diptych.networks.device import Precision, find_precision
from diptych.training.settings import Plan, Resolved
from diptych.training.trainer import Trainer

MINUTES = 10.0
BLOCK_STEPS, WARM_UP_STEPS = 20, 10
OVERHEAD: dict[System, float] = {"reference": 1.0, "product": 1.03, "unit": 1.03}
"""Diptych is charged 3% for pictures, checkpoints and its log, as a budget in minutes is."""

_BUSY = 0.7  # processes that run, on average over a minute
_FAR = 10**9  # steps: the learning rate stays constant


def measure(path: Path, systems: Collection[System] = SYSTEMS, *, rounds: int = 9) -> None:
    """Time `systems` and the reference on this machine, which should do nothing else.

    What `path` holds of others stays. So does the reference's own time where it was timed
    before: what it has trained holds, and the others' times follow from how many times as
    fast they are now.
    """
    known = json.loads(path.read_text("utf-8")) if path.exists() else {"systems": {}}
    load = os.getloadavg()[0]
    if load > _BUSY:
        say(f"{load:.1f} processes were running in the last minute: these times will be too long")
    data = open_data(f"sample:{SAMPLES[0]}", size=SIZE)
    precision = find_precision("auto", torch.device("cpu"))
    threads = torch.get_num_threads()
    ours = [system for system in systems if system in METHODS]
    # Diptych may leave cores idle: for small images one thread can be the fastest.
    timed = [("reference", threads), *((name, n) for name in ours for n in sorted({1, threads}))]
    times = _times(data, precision, timed, rounds)
    torch.set_num_threads(threads)
    facts = {"load_average_before": load} | circumstances()
    slow = times["reference", threads]
    kept = known["systems"].setdefault("reference", _summary("reference", slow) | facts)
    for name in ours:
        by_threads = {n: statistics.median(times[name, n]) for one, n in timed if one == name}
        best = min(by_threads, key=by_threads.__getitem__)
        fast = times[name, best]
        speedup = statistics.median(a / b for a, b in zip(slow, fast, strict=True))
        milliseconds = kept["ms_per_step"] / speedup
        known["systems"][name] = (
            _summary(name, fast)
            | {
                "ms_by_ratio": milliseconds,
                "steps": int(MINUTES * 60_000 / (milliseconds * OVERHEAD[name])),
                "speedup": speedup,
                "precision": precision,
                "training_threads": best,
                "ms_by_threads": {str(n): 1e3 * seconds for n, seconds in by_threads.items()},
            }
            | facts
        )
    shape = {"minutes": MINUTES, "size": SIZE, "width": WIDTH, "blocks": BLOCKS}
    write_json(path, shape | {"systems": known["systems"]})


def _times(
    data: Data, precision: Precision, timed: list[tuple[System, int]], rounds: int
) -> dict[tuple[System, int], list[float]]:
    """Seconds a step of each system on so many threads, a figure a round."""
    times: dict[tuple[System, int], list[float]] = {one: [] for one in timed}
    with _steps(data, precision, {system for system, _ in timed}) as steps:
        for system, count in timed:
            _seconds_per_step(steps[system], WARM_UP_STEPS, count)
        for number in range(rounds):
            # The order alternates too: neither always follows the other's heat.
            for one in timed if number % 2 else timed[::-1]:
                times[one].append(_seconds_per_step(steps[one[0]], BLOCK_STEPS, one[1]))
            last = ", ".join(f"{s}@{n} {1e3 * t[-1]:.0f} ms" for (s, n), t in times.items())
            say(f"round {number + 1} of {rounds}, a step: {last}")
    return times


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
def _steps(
    data: Data, precision: Precision, systems: set[System]
) -> Iterator[dict[System, Callable[[], object]]]:
    """One training step of each system, ready to be called."""
    model = reference.CycleGAN(
        width=WIDTH, blocks=BLOCKS, identity_weight=IDENTITY_WEIGHT, steps=_FAR, seed=0
    )
    x, y = (reference.read_tiles(images) for images in data.train.domains)

    def reference_step() -> None:
        losses = model.step(reference.draw(x, model.rng), reference.draw(y, model.rng))
        torch.stack(list(losses.values())).tolist()  # Diptych looks at them every step too

    with ExitStack() as stack:
        steps: dict[System, Callable[[], object]] = {"reference": reference_step}
        for system in systems - {"reference"}:
            trainer = _trainer(system, data, precision)
            stack.callback(trainer.close)
            steps[system] = partial(_step, trainer)
        yield steps


def _trainer(system: System, data: Data, precision: Precision) -> Trainer:
    config, settings = product_options(system, SAMPLES[0], seed=0, steps=_FAR, precision=precision)
    resolved = Resolved(
        threads=torch.get_num_threads(),
        domains=data.domains,
        fingerprint=data.fingerprint,
        precision=precision,
        device="cpu",
    )
    plan = Plan(method=METHODS[system], config=config, run=settings, resolved=resolved)
    return Trainer(plan, data)


def _step(trainer: Trainer) -> None:
    trainer.step(2 * trainer.clock.step + 2)  # as half-way through: no warm-up


def _seconds_per_step(step: Callable[[], object], count: int, threads: int) -> float:
    torch.set_num_threads(threads)
    began = time.perf_counter()
    for _ in range(count):
        step()
    return (time.perf_counter() - began) / count


def _summary(system: System, seconds: list[float]) -> dict[str, Any]:
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
