"""What is compared on the Earth samples: the systems, trained to a number of steps."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from benchmarks.reference import cyclegan as reference
from benchmarks.running import check_length, say, train_to_end
from diptych.data import Data, open_data
from diptych.errors import InputError
from diptych.files import atomic_write, atomic_write_text
from diptych.inference.load import load
from diptych.methods import make_config
from diptych.networks.device import Precision
from diptych.training.presets import chosen
from diptych.training.settings import Settings

System = Literal["reference", "product", "unit"]
SYSTEMS: tuple[System, ...] = ("reference", "product", "unit")
"""The plain CycleGAN, and Diptych's CycleGAN and UNIT."""
METHODS: dict[System, str] = {"product": "cyclegan", "unit": "unit"}
"""Of the systems that are Diptych's."""
TASKS: dict[str, dict[System, float]] = {
    "earth": {"reference": 10.0, "product": 10.0, "unit": 10.0},
    "earth_quality": {"reference": 20.0, "product": 7.0},
}
"""Minutes of each system: what equal times give, and what time an equal quality takes."""
SNAPSHOTS = 10
"""Translators kept on the way of the first seed, for the curves of the second task."""
SAMPLES = ("earth-climate", "earth-map")
SEEDS = (0, 1, 2)
SIZE, WIDTH, BLOCKS = 64, 32, 6
THREADS = 2
IDENTITY_WEIGHT = 0.0
"""On both sides, as the paper trains labels and photographs."""

_WEIGHTS_FILE, _STATE_FILE, _CLOCK_FILE = "translator.safetensors", "state.pt", "clock.json"
_CHECKPOINT_EVERY = 500


@dataclass(frozen=True)
class Job:
    """One training to be done and scored."""

    sample: str
    system: System
    seed: int

    @property
    def name(self) -> str:
        return f"{self.sample}-{self.system}-{self.seed}"

    def data(self) -> Data:
        return open_data(f"sample:{self.sample}", size=SIZE)


@dataclass(frozen=True)
class Place:
    """Where results and weights go."""

    results: Path
    runs: Path
    task: str = "earth"

    @property
    def speed(self) -> Path:
        return self.results / "earth_speed.json"

    def scores(self, job: Job) -> Path:
        return self.results / self.task / f"{job.name}.json"

    def grid(self, sample: str) -> Path:
        end = "" if self.task == "earth" else "-quality"
        return self.results / f"{sample}{end}.png"

    def folder(self, job: Job) -> Path:
        return self.runs / self.task / job.name

    def snapshots(self, job: Job) -> Path:
        """Of a job's translators on the way; the steps are the files' names."""
        return self.folder(job) / "snapshots"


def product_options(
    system: System,
    sample: str,
    *,
    seed: int,
    steps: int,
    precision: Precision,
    threads: int | None = None,
    keep_every: int | None = None,
    out: Path | None = None,
) -> tuple[Any, Settings]:
    """What `diptych train METHOD --preset fast` takes, and the budget."""
    config, run = chosen(METHODS[system], preset="fast")
    if system == "product":
        config = config | {"identity_weight": IDENTITY_WEIGHT}
    made = make_config(METHODS[system], config)
    is_like = (made.size, made.width) == (SIZE, WIDTH)
    if system == "product":
        is_like = is_like and made.residual_blocks == BLOCKS
    if not is_like:
        raise InputError("the preset fast is not what the reference is built like any more")
    given = {"data": f"sample:{sample}", "seed": seed, "steps": steps}
    given |= {"keep_every": keep_every}
    given |= {"precision": precision, "threads": threads}
    return made, Settings(**run | given | {"out": None if out is None else str(out)})


def train_job(
    job: Job,
    folder: Path,
    steps: int,
    *,
    precision: Precision,
    threads: int,
    keep_every: int | None = None,
) -> float:
    """Train to `steps`, from where it stands in `folder`; returns the seconds it took in all.

    `precision` and `threads` are of Diptych's systems. Translators are kept `keep_every` steps.

    Raises:
        InputError: `folder` holds a training of another length.
        KeyboardInterrupt: it was interrupted, and can go on.
        DivergedError: a loss of the product was not finite.
    """
    if job.system in METHODS:
        config, settings = product_options(
            job.system,
            job.sample,
            seed=job.seed,
            steps=steps,
            precision=precision,
            threads=threads,
            keep_every=keep_every,
            out=folder,
        )
        return train_to_end(METHODS[job.system], config, settings)
    return _train_reference(job, folder, steps, keep_every)


def _train_reference(job: Job, folder: Path, steps: int, keep_every: int | None) -> float:
    folder.mkdir(parents=True, exist_ok=True)
    clock = folder / _CLOCK_FILE
    known: dict[str, Any] = {"steps": steps, "seconds": 0.0}
    if clock.exists():
        known = json.loads(clock.read_text())
    check_length(folder, known["steps"], steps)
    if (folder / _WEIGHTS_FILE).exists():
        return float(known["seconds"])
    began = time.monotonic() - known["seconds"]

    def on_step(step: int, losses: dict[str, Tensor]) -> None:
        if step % _CHECKPOINT_EVERY and step != steps:
            return
        seconds = time.monotonic() - began
        atomic_write_text(clock, json.dumps({"steps": steps, "seconds": seconds}))
        terms = ", ".join(f"{name} {loss.item():.3f}" for name, loss in losses.items())
        say(f"{job.name}: step {step:,} of {steps:,} after {seconds:.0f} s: {terms}")

    def keep(step: int, G: torch.nn.Module, F: torch.nn.Module) -> None:
        if keep_every and step % keep_every == 0:
            (folder / "snapshots").mkdir(exist_ok=True)
            _save_networks(folder / "snapshots" / f"{step:08d}.safetensors", G, F)

    G, F = reference.train(
        job.data(),
        seed=job.seed,
        steps=steps,
        width=WIDTH,
        blocks=BLOCKS,
        identity_weight=IDENTITY_WEIGHT,
        on_step=on_step,
        checkpoint=folder / _STATE_FILE,
        checkpoint_every=_CHECKPOINT_EVERY,
        on_networks=keep if keep_every else None,
    )
    _save_networks(folder / _WEIGHTS_FILE, G, F)
    (folder / _STATE_FILE).unlink(missing_ok=True)
    return float(json.loads(clock.read_text())["seconds"])


def _save_networks(path: Path, G: torch.nn.Module, F: torch.nn.Module) -> None:
    networks = {"G": G, "F": F}
    with atomic_write(path) as file:
        file.write(save({f"{n}.{k}": v for n, m in networks.items() for k, v in _weights(m)}))


def load_job(
    job: Job, folder: Path, domains: tuple[str, ...], snapshot: Path | None = None
) -> Callable[[Tensor, str], Tensor]:
    """What was trained in `folder`, at its end or at a `snapshot`, as (images, to) -> images."""
    if job.system in METHODS:
        return load(snapshot or folder, device="cpu").translate_batch
    weights = load_file(snapshot or folder / _WEIGHTS_FILE)
    networks = {}
    for name in ("G", "F"):
        network = reference.Generator(WIDTH, BLOCKS)
        prefix = f"{name}."
        network.load_state_dict(
            {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
        )
        networks[name] = network.eval()
    return reference.translate(networks["G"], networks["F"], domains)


def _weights(network: torch.nn.Module) -> list[tuple[str, Tensor]]:
    return [(name, w.detach().contiguous()) for name, w in network.state_dict().items()]
