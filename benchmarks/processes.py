"""How many images a second two processes train on, beside one; each has one thread.

    python -m benchmarks.processes --size 64 --batch-size 4

Runs `diptych train` by itself, under torchrun, and as often at once as torchrun has
processes: what the machine gives to processes that exchange nothing, the limit. By
turns; times are those of the steps in each log, so that starting, and what comes
after the last step, do not count.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.harness import Result, by_turns, carry_out, every, median_ratio, parser_of, table
from benchmarks.step import IDENTITY_WEIGHT, write_images
from diptych.training.log import METRICS_FILE, read_metrics

_WARM_UP_STEPS = 5


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code."""
    parser = parser_of("processes", __doc__)
    parser.add_argument("--method", default="cyclegan")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=1, help="of each process")
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)
    key = f"{options.size} pixels, {options.precision}"

    return carry_out("processes", options, {key: partial(measure, options)}, lines)


def lines(found: Mapping[str, Result]) -> Iterator[str]:
    """The table: images a second."""
    heads = ["images a second", "one", "under torchrun", "apart", "times", "of the limit"]
    rows = []
    for name, one in found.items():
        rates = (f"{one['images_per_second'][k]:.2f}" for k in ("one", "together", "apart"))
        what = f"{name}, width {one['width']}, {one['processes']} batches of {one['batch_size']}"
        rows.append([what, *rates, f"{one['times']:.2f}", f"{one['fraction_of_limit']:.0%}"])
    yield from table(heads, rows, numbers=True)
    yield ""
    yield f"{every(found.values(), 'machine')}; commit {every(found.values(), 'commit')}."


def measure(options: argparse.Namespace) -> Result:
    """Images a second of one process, of several together and of several apart, by turns."""
    with tempfile.TemporaryDirectory() as name:
        rate, count = partial(_images_per_second, options, Path(name)), options.processes
        write_images(Path(name), options.size)
        rates = by_turns(
            {
                "one": partial(rate, runs=1, processes=1),
                "together": partial(rate, runs=1, processes=count),
                "apart": partial(rate, runs=count, processes=1),
            },
            rounds=options.rounds,
        )
    shape = {
        name: value
        for name, value in vars(options).items()
        if name not in ("results", "readme", "only")
    }
    return {
        "times": median_ratio(rates["together"], rates["one"]),
        "times_of_limit": median_ratio(rates["apart"], rates["one"]),
        "fraction_of_limit": median_ratio(rates["together"], rates["apart"]),
        "images_per_second": {what: statistics.median(rate) for what, rate in rates.items()},
        "threads_each": 1,
    } | shape


def _images_per_second(
    options: argparse.Namespace, folder: Path, *, runs: int, processes: int
) -> float:
    """Return the speed of `runs` trainings at once, in so many processes each, without their
    first steps."""
    outs = [folder / f"run{number}" for number in range(runs)]
    started = [_start(options, folder, out, processes) for out in outs]
    for process in started:
        if process.wait() != 0:
            raise RuntimeError(f"diptych train ended with {process.returncode}")
    return sum(_rate(out, 2 * options.batch_size * processes) for out in outs)


def _start(
    options: argparse.Namespace, folder: Path, out: Path, processes: int
) -> subprocess.Popen[bytes]:
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    given: dict[str, Any] = {
        "data": folder,
        "out": out,
        "size": options.size,
        "load-size": options.size,
        "width": options.width,
        "batch-size": options.batch_size,
        "precision": options.precision,
        "identity-weight": IDENTITY_WEIGHT,
        "steps": options.steps,
        "preview-every": options.steps,
        "threads": 1,
        "device": "cpu",
        "workers": 0,
    }
    flags = [part for name, value in given.items() for part in (f"--{name}", str(value))]
    command = ["-m", "diptych", "train", options.method, *flags, "--overwrite"]
    return subprocess.Popen(
        [sys.executable, *(launcher if processes > 1 else []), *command],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _rate(out: Path, images_per_step: int) -> float:
    """Images a second from the log, without the first steps, and the last, which draws pictures."""
    seconds = [float(line["seconds"]) for line in read_metrics(out / METRICS_FILE)]
    steps = len(seconds) - 1 - _WARM_UP_STEPS
    return images_per_step * steps / (seconds[-2] - seconds[_WARM_UP_STEPS - 1])


if __name__ == "__main__":
    sys.exit(main())
