"""The reference trained in a folder, where it goes on after a stop, and read back."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from benchmarks.harness import check_length, say
from benchmarks.reference import cyclegan
from diptych.data import Data
from diptych.files import atomic_write, atomic_write_text

WEIGHTS_FILE = "translator.safetensors"
SNAPSHOTS_FOLDER = "snapshots"
_STATE_FILE, _CLOCK_FILE = "state.pt", "clock.json"
_CHECKPOINT_EVERY = 500


def train_reference(
    folder: Path,
    data: Data,
    *,
    seed: int,
    steps: int,
    width: int,
    blocks: int,
    keep_every: int | None = None,
) -> float:
    """Train to `steps`, or go on; weights are kept `keep_every` steps. Returns the seconds in all.

    Raises:
        InputError: `folder` holds a training of another length.
        KeyboardInterrupt: it was interrupted, and can go on.
    """
    folder.mkdir(parents=True, exist_ok=True)
    clock = folder / _CLOCK_FILE
    known: dict[str, Any] = {"steps": steps, "seconds": 0.0}
    if clock.exists():
        known = json.loads(clock.read_text())
    check_length(folder, known["steps"], steps)
    if (folder / WEIGHTS_FILE).exists():
        return float(known["seconds"])
    began = time.monotonic() - known["seconds"]

    def on_step(step: int, losses: dict[str, Tensor]) -> None:
        if step % _CHECKPOINT_EVERY and step != steps:
            return
        seconds = time.monotonic() - began
        atomic_write_text(clock, json.dumps({"steps": steps, "seconds": seconds}))
        terms = ", ".join(f"{name} {loss.item():.3f}" for name, loss in losses.items())
        say(f"{folder.name}: step {step:,} of {steps:,} after {seconds:.0f} s: {terms}")

    def on_networks(step: int, G: nn.Module, F: nn.Module) -> None:
        if keep_every and step % keep_every == 0:
            (folder / SNAPSHOTS_FOLDER).mkdir(exist_ok=True)
            _save(folder / SNAPSHOTS_FOLDER / f"{step:08d}.safetensors", G, F)

    G, F = cyclegan.train(
        data,
        seed=seed,
        steps=steps,
        width=width,
        blocks=blocks,
        identity_weight=0.0,
        on_step=on_step,
        checkpoint=folder / _STATE_FILE,
        checkpoint_every=_CHECKPOINT_EVERY,
        on_networks=on_networks if keep_every else None,
    )
    _save(folder / WEIGHTS_FILE, G, F)
    (folder / _STATE_FILE).unlink(missing_ok=True)
    return float(json.loads(clock.read_text())["seconds"])


def load_reference(
    path: Path, domains: tuple[str, ...], *, width: int, blocks: int
) -> Callable[[Tensor, str], Tensor]:
    """The weights in a file as (images, to) -> images."""
    weights, networks = load_file(path), {}
    for prefix in ("G.", "F."):
        network = cyclegan.Generator(width, blocks)
        network.load_state_dict(
            {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
        )
        networks[prefix] = network.eval()
    return cyclegan.translate(networks["G."], networks["F."], domains)


def _save(path: Path, G: nn.Module, F: nn.Module) -> None:
    weights: dict[str, torch.Tensor] = {}
    for name, network in (("G", G), ("F", F)):
        state = network.state_dict()
        weights |= {f"{name}.{key}": one.detach().contiguous() for key, one in state.items()}
    with atomic_write(path) as file:
        file.write(save(weights))
