"""How fast images are read, beside how fast a training step eats them.

    python -m benchmarks.feeding --size 256 --seconds 20      photographs of 1 megapixel
    python -m benchmarks.feeding --files 1000000              a folder of a million files

The first reads, resizes and crops JPEGs in two workers; the step is CycleGAN's on
the same images, timed by itself. The second makes links to one JPEG, and says when
the first batch comes and how memory grows after it. The last line is JSON. Unix only.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from sklearn.datasets import load_sample_image  # type: ignore[import-untyped]

from benchmarks.running import circumstances, peak_gib
from benchmarks.step import make_trainer
from diptych.data import open_data, stream
from diptych.networks.device import find_precision
from diptych.types import Unpaired

_FAR = 10**9


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.feeding",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--seconds", type=float, default=20.0, help="of reading")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--files", type=int, help="in a folder of links, in place of photographs")
    parser.add_argument("--batches", type=int, default=3000, help="read from that folder")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        figures = _many_files(options, folder) if options.files else _speeds(options, folder)
    print(
        json.dumps(figures | {"size": options.size, "workers": options.workers} | circumstances())
    )
    return 0


def _speeds(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    for domain in ("trainA", "trainB"):
        (folder / domain).mkdir()
        for i in range(24):
            photo = Image.fromarray(load_sample_image(("china.jpg", "flower.jpg")[i % 2]))
            photo.rotate(i).resize((1224, 817)).save(folder / domain / f"{i}.jpg", quality=90)
    data = open_data(str(folder), size=options.size)
    given = {"batch_size": 1, "size": options.size, "seed": 0, "workers": options.workers}
    with stream(data, Unpaired, **given) as batches:
        for _ in range(20 * options.workers):
            next(batches)
        began, count = time.perf_counter(), 0
        while time.perf_counter() - began < options.seconds:
            next(batches)
            count += 2
        fed = count / (time.perf_counter() - began)
    step = argparse.Namespace(
        method="cyclegan",
        width=64,
        size=options.size,
        batch_size=1,
        compile="off",
        recompute=False,
        threads=torch.get_num_threads(),
    )
    trainer = make_trainer(step, data, find_precision("auto", torch.device("cpu")))
    times = []
    for _ in range(7):
        began = time.perf_counter()
        trainer.step(_FAR)
        times.append(time.perf_counter() - began)
    trainer.close()
    eaten = 2 / statistics.median(times[1:])
    return {"images_per_second": fed, "eaten_per_second": eaten, "times": fed / eaten}


def _many_files(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    photo = folder / "photo.jpg"
    Image.fromarray(load_sample_image("china.jpg")).save(photo)
    for domain in ("trainA", "trainB"):
        (folder / "many" / domain).mkdir(parents=True)
        for i in range(options.files // 2):
            # Subfolders, as large collections have them; a file takes only so many hard links.
            target = folder / "many" / domain / f"{i // 10_000:03d}"
            if i % 10_000 == 0:
                target.mkdir()
                copy = target / "0.jpg"
                copy.write_bytes(photo.read_bytes())
            else:
                os.link(copy, target / f"{i % 10_000}.jpg")
    began = time.perf_counter()
    data = open_data(str(folder / "many"), size=options.size)
    given = {"batch_size": 1, "size": options.size, "seed": 0, "workers": options.workers}
    with stream(data, Unpaired, **given) as batches:
        next(batches)
        first = time.perf_counter() - began
        memory = [peak_gib()]  # its workers' is mostly shared with it
        for _ in range(options.batches):
            next(batches)
        memory.append(peak_gib())
    return {
        "files": options.files,
        "seconds_to_first_batch": first,
        "peak_gib_at_first_batch": memory[0],
        "peak_gib_at_last_batch": memory[1],
        "batches": options.batches,
    }


if __name__ == "__main__":
    sys.exit(main())
