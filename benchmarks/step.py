"""How long a training step takes, beside the plain reference and beside its convolutions.

    python -m benchmarks.step --size 64 --seconds 35

Both train on the same images, by turns in one process; figures are medians.
The limit is the time of the step's convolutions alone: each one that the step
executes, forward and for the gradients of data and weights, in the same shape,
type, layout and batch, timed by itself in the same rounds.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.harness import (
    Result,
    by_turns,
    carry_out,
    every,
    median_ratio,
    parser_of,
    seconds_of,
    table,
)
from benchmarks.reference import cyclegan as reference
from diptych.data import Data, open_data
from diptych.methods import make_config
from diptych.networks.device import find_precision
from diptych.training.settings import Plan, Resolved, Settings
from diptych.training.trainer import Trainer

IDENTITY_WEIGHT = 0.5
FAR = 10**9
"""Steps: the learning rate stays constant."""
_IMAGES = 8
_CONVOLUTIONS = (
    torch.ops.aten.convolution.default,
    torch.ops.aten.convolution_backward.default,
)
_Call = tuple[str, tuple[Any, ...]]


@dataclass(frozen=True, kw_only=True)
class Step:
    """A step of CycleGAN as it is measured."""

    size: int
    width: int = 64
    batch_size: int = 1
    threads: int
    compile: str = "off"
    recompute: bool = False

    @classmethod
    def of(cls, options: argparse.Namespace) -> Step:
        known = vars(options)
        return cls(**{name: known[name] for name in cls.__dataclass_fields__ if name in known})


class Convolutions(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes every convolution that runs in it, forward and backward."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: Counter[_Call] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func in _CONVOLUTIONS:
            self.calls[str(func), tuple(_describe(a) for a in args)] += 1
        return func(*args, **(kwargs or {}))


def _describe(value: Any) -> Any:
    if isinstance(value, Tensor):
        return ("tensor", tuple(value.shape), tuple(value.stride()), value.dtype)
    return tuple(value) if isinstance(value, list | tuple) else value


def replay(call: _Call) -> Callable[[], object]:
    """The convolution again, on tensors of its own."""
    name, described = call
    func = torch.ops.aten.convolution if "backward" not in name else None

    def made(value: Any) -> Any:
        if isinstance(value, tuple) and value[:1] == ("tensor",):
            _, shape, stride, dtype = value
            return torch.empty_strided(shape, stride, dtype=dtype).uniform_(-0.1, 0.1)
        return list(value) if isinstance(value, tuple) else value

    arguments = [made(value) for value in described]
    operation = func or torch.ops.aten.convolution_backward
    return lambda: operation(*arguments)


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code."""
    parser = parser_of("step", __doc__)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=35.0, help="of timing, at least 3 rounds")
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto")
    parser.add_argument("--compile", choices=("on", "off"), default="off")
    parser.add_argument("--recompute", action="store_true")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    key = f"{options.size} pixels, {options.precision}"
    job = partial(measure, Step.of(options), options.precision, options.seconds)

    return carry_out("step", options, {key: job}, lines)


def measure(kind: Step, wanted: Any, seconds: float) -> Result:
    """Times everything by turns for so many `seconds`."""
    with tempfile.TemporaryDirectory() as folder:
        write_images(Path(folder), kind.size)
        data = open_data(folder, size=kind.size)
        precision = find_precision(wanted, torch.device("cpu"))
        trainer = make_trainer(kind, data, precision)
        # Its convolutions are the same, and compiled code cannot be watched.
        eager = make_trainer(replace(kind, compile="off"), data, precision)
        plain = make_reference(kind, data)
        try:
            set_up = seconds_of(lambda: (plain(), trainer.step(FAR)))
            with FlopCounterMode(display=False) as counter:
                plain()
            with Convolutions() as seen:
                eager.step(FAR)
            alone = {call: replay(call) for call in seen.calls}
            for step in (plain, lambda: trainer.step(FAR), *alone.values()):
                step()
            times = by_turns(
                {
                    "reference": lambda: seconds_of(plain),
                    "product": lambda: seconds_of(lambda: trainer.step(FAR)),
                    "limit": lambda: sum(seconds_of(alone[c]) * n for c, n in seen.calls.items()),
                },
                rounds=3,
                seconds=seconds,
            )
        finally:
            trainer.close()
            eager.close()
    return {
        "speedup": median_ratio(times["reference"], times["product"]),
        "fraction_of_limit": median_ratio(times["limit"], times["product"]),
        "reference_seconds": statistics.median(times["reference"]),
        "seconds": statistics.median(times["product"]),
        "limit_seconds": statistics.median(times["limit"]),
        "rounds": len(times["limit"]),
        "reference_gflop": counter.get_total_flops() / 1e9,
        "convolutions": sum(seen.calls.values()),
        "set_up_seconds": set_up,
        "precision": precision,
        **asdict(kind),
    }


def lines(found: Mapping[str, Result]) -> Iterator[str]:
    """The table: a row a measurement."""
    heads = ["", "reference, s", "product, s", "times as fast", "of the limit", "GFLOP", "rounds"]
    rows = [
        [
            f"{one['size']} pixels, {blocks_of(one['size'])} blocks, {one['precision']}",
            f"{one['reference_seconds']:.2f}",
            f"{one['seconds']:.2f}",
            f"{one['speedup']:.2f}",
            f"{one['fraction_of_limit']:.0%}",
            f"{one['reference_gflop']:,.0f}",
            str(one["rounds"]),
        ]
        for one in sorted(found.values(), key=lambda one: (one["precision"], one["size"]))
    ]
    yield from table(heads, rows, numbers=True)
    yield ""
    yield (
        f"Nothing compiled; {every(found.values(), 'threads')} threads;"
        f" {every(found.values(), 'machine')}; commit {every(found.values(), 'commit')}."
    )


def blocks_of(size: int) -> int:
    """Residual blocks, as the paper has them."""
    return 6 if size < 256 else 9


def write_images(folder: Path, size: int) -> None:
    """Images of noise: trainA and trainB."""
    rng = np.random.default_rng(0)
    for name in ("trainA", "trainB"):
        (folder / name).mkdir()
        for i in range(_IMAGES):
            noise = rng.integers(0, 256, (size, size, 3), dtype=np.uint8)
            Image.fromarray(noise).save(folder / name / f"{i}.png")


def make_trainer(kind: Step, data: Data, precision: Any) -> Trainer:
    """The product as a run would make it."""
    options = {"width": kind.width, "size": kind.size, "batch_size": kind.batch_size}
    config = make_config("cyclegan", options | {"identity_weight": IDENTITY_WEIGHT})
    settings = Settings(data=data.source, steps=FAR, load_size=kind.size, recompute=kind.recompute)
    resolved = Resolved(
        threads=kind.threads,
        domains=data.domains,
        fingerprint=data.fingerprint,
        precision=precision,
        device="cpu",
        compiled=kind.compile == "on",
    )
    plan = Plan(method="cyclegan", config=config, run=settings, resolved=resolved)
    return Trainer(plan, data)


def make_reference(kind: Step, data: Data) -> Callable[[], object]:
    """The plain step; `batch_size` of them where the product does as many images at once."""
    model = reference.CycleGAN(
        width=kind.width,
        blocks=blocks_of(kind.size),
        identity_weight=IDENTITY_WEIGHT,
        steps=FAR,
        seed=0,
    )
    x, y = (reference.read_tiles(images) for images in data.train.domains)

    def step() -> None:
        for _ in range(kind.batch_size):
            losses = model.step(reference.draw(x, model.rng), reference.draw(y, model.rng))
            torch.stack(list(losses.values())).tolist()  # the product looks at them every step too

    return step


if __name__ == "__main__":
    sys.exit(main())
