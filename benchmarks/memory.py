"""The peak memory of a training step, beside the plain reference.

    python -m benchmarks.memory --size 256

Each takes a few steps in a process of its own, on the same images; the figure is
the kernel's: the most memory that the process ever held, PyTorch itself included.
The last line is JSON. Unix only.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.running import circumstances, peak_gib
from benchmarks.step import make_reference, make_trainer, write_images
from diptych.data import Data, open_data
from diptych.networks.device import find_precision

SYSTEMS = ("reference", "product", "recompute", "nothing")
_FAR = 10**9


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.memory",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--only", choices=SYSTEMS, help="one of them, in this process")
    options = parser.parse_args(arguments)
    if options.only:
        print(json.dumps(_one(options)))
        return 0
    figures = {}
    for system in SYSTEMS:
        given = sys.argv[1:] if arguments is None else arguments
        command = [sys.executable, "-m", "benchmarks.memory", *given, "--only", system]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            print(done.stderr, file=sys.stderr)
            return done.returncode
        figures[system] = json.loads(done.stdout.splitlines()[-1])
        print(f"{system}: {figures[system]['peak_gib']:.2f} GiB", file=sys.stderr, flush=True)
    whole = figures["reference"]["peak_gib"]
    shares = {f"{s}_share": figures[s]["peak_gib"] / whole for s in ("product", "recompute")}
    print(json.dumps(shares | figures | {"size": options.size} | circumstances()))
    return 0


def _one(options: argparse.Namespace) -> dict[str, Any]:
    torch.set_num_threads(options.threads)
    system = options.only
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_images(folder, options.size)
        data = open_data(str(folder), size=options.size)
        given = argparse.Namespace(
            **vars(options),
            method="cyclegan",
            batch_size=1,
            compile="off",
            recompute=system == "recompute",
        )
        times = []
        for step in [_step(system, given, data)] * options.steps:
            began = time.perf_counter()
            step()
            times.append(time.perf_counter() - began)
    return {"peak_gib": peak_gib(), "seconds": times}


def _step(system: str, options: argparse.Namespace, data: Data) -> Callable[[], object]:
    if system == "nothing":  # but importing PyTorch
        return lambda: None
    if system == "reference":
        return make_reference(options, data)
    trainer = make_trainer(options, data, find_precision(options.precision, torch.device("cpu")))
    return lambda: trainer.step(_FAR)


if __name__ == "__main__":
    sys.exit(main())
