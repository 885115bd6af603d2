"""How long a training step takes, beside the plain reference and beside its convolutions.

    python -m benchmarks.step --method cyclegan --size 64 --seconds 35

Both train on the same images, by turns in one process; figures are medians.
The limit is the time of the step's convolutions alone: each one that the step
executes, forward and for the gradients of data and weights, in the same shape,
type, layout and batch, timed by itself in the same rounds. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.reference import cyclegan as reference
from benchmarks.running import circumstances
from diptych.data import Data, open_data
from diptych.methods import make_config
from diptych.networks.device import find_device, find_precision
from diptych.training.settings import Plan, Resolved, Settings
from diptych.training.trainer import Trainer

IDENTITY_WEIGHT = 0.5
_FAR = 10**9  # steps: the learning rate stays constant
_IMAGES = 8
_CONVOLUTIONS = (
    torch.ops.aten.convolution.default,
    torch.ops.aten.convolution_backward.default,
)
_Call = tuple[str, tuple[Any, ...]]


class Convolutions(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes every convolution that runs in it, forward and backward."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: Counter[_Call] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func in (
            torch.ops.aten.convolution.default,
            torch.ops.aten.convolution_backward.default,
        ):
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
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.step",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--method", choices=("cyclegan",), default="cyclegan")
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
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(options, Path(folder))))
    return 0


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Times everything by turns for `options.seconds`."""
    write_images(folder, options.size)
    data = open_data(str(folder), size=options.size)
    precision = find_precision(options.precision, torch.device("cpu"))
    trainer = make_trainer(options, data, precision)
    # Its convolutions are the same, and compiled code cannot be watched.
    eager = make_trainer(options, data, precision, compiled=False)
    plain = make_reference(options, data)
    steps: dict[str, Callable[[], object]] = {
        "reference": plain,
        "product": lambda: trainer.step(_FAR),
    }
    try:
        began = time.perf_counter()
        for step in steps.values():
            step()
        set_up = time.perf_counter() - began
        with FlopCounterMode(display=False) as counter:
            plain()
        with Convolutions() as seen:
            eager.step(_FAR)
        alone = {call: replay(call) for call in seen.calls}
        times: dict[str, list[float]] = {"reference": [], "product": [], "limit": []}
        for step in (*steps.values(), *alone.values()):
            step()
        began = time.perf_counter()
        while time.perf_counter() - began < options.seconds or len(times["limit"]) < 3:
            for name, step in steps.items():
                times[name].append(_seconds(step))
            times["limit"].append(sum(_seconds(alone[c]) * n for c, n in seen.calls.items()))
    finally:
        trainer.close()
        eager.close()
    pairs = list(zip(times["reference"], times["product"], times["limit"], strict=True))
    return {
        "speedup": statistics.median(slow / fast for slow, fast, _ in pairs),
        "fraction_of_limit": statistics.median(limit / fast for _, fast, limit in pairs),
        "reference_seconds": statistics.median(times["reference"]),
        "seconds": statistics.median(times["product"]),
        "limit_seconds": statistics.median(times["limit"]),
        "rounds": len(pairs),
        "reference_gflop": counter.get_total_flops() / 1e9,
        "convolutions": sum(seen.calls.values()),
        "set_up_seconds": set_up,
        "method": options.method,
        "size": options.size,
        "width": options.width,
        "batch_size": options.batch_size,
        "precision": precision,
        "compile": options.compile,
        "recompute": options.recompute,
    } | circumstances()


def write_images(folder: Path, size: int) -> None:
    """Images of noise: trainA and trainB."""
    rng = np.random.default_rng(0)
    for name in ("trainA", "trainB"):
        (folder / name).mkdir()
        for i in range(_IMAGES):
            noise = rng.integers(0, 256, (size, size, 3), dtype=np.uint8)
            Image.fromarray(noise).save(folder / name / f"{i}.png")


def make_trainer(
    options: argparse.Namespace, data: Data, precision: Any, *, compiled: bool | None = None
) -> Trainer:
    """The product as a run would make it."""
    config = make_config(
        options.method,
        {
            "width": options.width,
            "size": options.size,
            "batch_size": options.batch_size,
            "identity_weight": IDENTITY_WEIGHT,
        },
    )
    settings = Settings(
        data=data.source, steps=_FAR, load_size=options.size, recompute=options.recompute
    )
    resolved = Resolved(
        threads=options.threads,
        domains=data.domains,
        fingerprint=data.fingerprint,
        precision=precision,
        device=str(find_device("cpu")),
        compiled=options.compile == "on" if compiled is None else compiled,
    )
    return Trainer(
        Plan(method=options.method, config=config, run=settings, resolved=resolved), data
    )


def make_reference(options: argparse.Namespace, data: Data) -> Callable[[], object]:
    """The plain step; `batch_size` of them where the product does as many images at once."""
    model = reference.CycleGAN(
        width=options.width,
        blocks=6 if options.size < 256 else 9,
        identity_weight=IDENTITY_WEIGHT,
        steps=_FAR,
        seed=0,
    )
    x, y = (reference.read_tiles(images) for images in data.train.domains)

    def step() -> None:
        for _ in range(options.batch_size):
            losses = model.step(reference.draw(x, model.rng), reference.draw(y, model.rng))
            torch.stack(list(losses.values())).tolist()  # the product looks at them every step too

    return step


def _seconds(step: Callable[[], object]) -> float:
    began = time.perf_counter()
    step()
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())
