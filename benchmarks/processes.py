"""How many images a second two processes train on, beside one; each has one thread.

    python -m benchmarks.processes --size 64 --batch-size 4

Runs `diptych train` by itself and under torchrun, by turns, and reads the times of
its steps from its log: starting, and what comes after the last step, do not count.
The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.earth_systems import circumstances, say
from benchmarks.step import IDENTITY_WEIGHT, write_images
from diptych.train.log import METRICS_FILE, read_metrics

_WARM_UP_STEPS = 5


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.processes",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--method", default="cyclegan")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=1, help="of each process")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)
    rates: dict[int, list[float]] = {1: [], options.processes: []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_images(folder, options.size)
        for number in range(options.rounds):
            for count in rates:
                rates[count].append(images_per_second(options, folder, count))
            last = ", ".join(f"{n} processes {r[-1]:.2f}" for n, r in rates.items())
            say(f"round {number + 1} of {options.rounds}, images a second: {last}")
    ratios = [many / one for one, many in zip(rates[1], rates[options.processes], strict=True)]
    figures = {
        "times": statistics.median(ratios),
        "images_per_second_of_one": statistics.median(rates[1]),
        "images_per_second": statistics.median(rates[options.processes]),
        "times_by_round": ratios,
    }
    print(json.dumps(figures | vars(options) | {"threads_each": 1} | circumstances()))
    return 0


def images_per_second(options: argparse.Namespace, folder: Path, count: int) -> float:
    """Of one training in `count` processes, its first steps left out."""
    out = folder / "run"
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
    given: dict[str, Any] = {
        "data": folder,
        "out": out,
        "size": options.size,
        "load-size": options.size,
        "width": options.width,
        "batch-size": options.batch_size,
        "identity-weight": IDENTITY_WEIGHT,
        "steps": options.steps,
        "sample-every": options.steps,
        "threads": 1,
        "device": "cpu",
        "workers": 0,
    }
    flags = [part for name, value in given.items() for part in (f"--{name}", str(value))]
    command = ["train", options.method, *flags, "--overwrite"]
    subprocess.run(
        [sys.executable, *(launcher if count > 1 else []), "-m", "diptych", *command],
        check=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    seconds = [float(line["seconds"]) for line in read_metrics(out / METRICS_FILE)]
    steps = options.steps - 1 - _WARM_UP_STEPS  # the last one's time may hold the end's pictures
    taken = seconds[-2] - seconds[_WARM_UP_STEPS - 1]
    images: int = 2 * options.batch_size * count * steps
    return images / taken


if __name__ == "__main__":
    sys.exit(main())
