"""The peak memory of a training step, beside the plain reference.

    python -m benchmarks.memory --size 256

Each takes a few steps in a process of its own, on the same images; the figure is
the kernel's: the most memory that the process ever held, PyTorch itself included.
Unix only.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.harness import Result, carry_out, every, parser_of, peak_gib, say, seconds_of, table
from benchmarks.step import FAR, Step, make_reference, make_trainer, write_images
from diptych.data import Data, open_data
from diptych.networks.device import find_precision

SYSTEMS = ("reference", "product", "recompute", "nothing")


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code."""
    parser = parser_of("memory", __doc__)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--system", choices=SYSTEMS, help="one of them, in this process")
    given = sys.argv[1:] if arguments is None else arguments
    options = parser.parse_args(given)
    if options.system:
        print(json.dumps(one(options)))
        return 0

    key = f"{options.size} pixels"
    return carry_out("memory", options, {key: partial(measure, given)}, lines)


def lines(found: Mapping[str, Result]) -> Iterator[str]:
    """The table: what each process held at most, and its share of the reference's."""
    heads = ["peak memory, GiB", "reference", "product", "with `--recompute`", "PyTorch alone"]
    rows = []
    for name, one in found.items():
        peaks = [one[system]["peak_gib"] for system in SYSTEMS]
        shares = [f" ({one[key]:.2f})" for key in ("product_share", "recompute_share")]
        shown = zip(peaks, ["", *shares, ""], strict=True)
        rows.append([name, *(f"{peak:.2f}{share}" for peak, share in shown)])
    yield from table(heads, rows, numbers=True)
    yield ""
    yield (
        "In brackets the share of the reference's."
        f" {every(found.values(), 'machine')}; commit {every(found.values(), 'commit')}."
    )


def measure(given: Sequence[str]) -> Result:
    """Each system in a process of its own, with the options that are `given`."""
    figures: Result = {}
    for system in SYSTEMS:
        command = [sys.executable, "-m", "benchmarks.memory", *given, "--system", system]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        figures[system] = json.loads(done.stdout.splitlines()[-1])
        say(f"{system}: {figures[system]['peak_gib']:.2f} GiB")
    whole = figures["reference"]["peak_gib"]
    shares = {f"{s}_share": figures[s]["peak_gib"] / whole for s in ("product", "recompute")}
    return shares | figures


def one(options: argparse.Namespace) -> Result:
    """What one system's process has held after its steps."""
    torch.set_num_threads(options.threads)
    kind = replace(Step.of(options), recompute=options.system == "recompute")
    with tempfile.TemporaryDirectory() as folder:
        write_images(Path(folder), kind.size)
        data = open_data(folder, size=kind.size)
        step = _step(options.system, kind, data, options.precision)
        times = [seconds_of(step) for _ in range(options.steps)]
    return {"peak_gib": peak_gib(), "seconds": times}


def _step(system: str, kind: Step, data: Data, precision: Any) -> Callable[[], object]:
    if system == "nothing":  # but importing PyTorch
        return lambda: None
    if system == "reference":
        return make_reference(kind, data)
    trainer = make_trainer(kind, data, find_precision(precision, torch.device("cpu")))
    return lambda: trainer.step(FAR)


if __name__ == "__main__":
    sys.exit(main())
