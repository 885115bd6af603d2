"""How fast images are read, beside how fast a training step eats them.

    python -m benchmarks.feeding --size 256 --seconds 20      photographs of 1 megapixel
    python -m benchmarks.feeding --files 1000000              a folder of a million files

The first reads, resizes and crops JPEGs in two workers; the step is CycleGAN's on
the same images, timed by itself. The second makes links to one JPEG, and says when
the first batch comes and how memory grows after it. Unix only.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import torch
from PIL import Image
from sklearn.datasets import load_sample_image  # type: ignore[import-untyped]

from benchmarks.harness import Result, carry_out, every, parser_of, peak_gib, seconds_of, table
from benchmarks.step import FAR, Step, make_trainer
from diptych.data import open_data, stream
from diptych.networks.device import find_precision
from diptych.types import Unpaired


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code."""
    parser = parser_of("feeding", __doc__)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--seconds", type=float, default=20.0, help="of reading")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--files", type=int, help="in a folder of links, in place of photographs")
    parser.add_argument("--batches", type=int, default=3000, help="read from that folder")
    options = parser.parse_args(arguments)
    key = f"{options.files:,} files" if options.files else f"{options.size} pixels"
    measure = _many_files if options.files else _speeds

    with tempfile.TemporaryDirectory() as folder:
        job = partial(measure, options, Path(folder))
        return carry_out("feeding", options, {key: job}, lines)


def lines(found: Mapping[str, Result]) -> Iterator[str]:
    """A table of speeds and one of large folders."""
    speeds = [one for one in found.values() if "times" in one]
    heads = ["1 megapixel JPEG", "images read a second", "eaten a second", "times"]
    rows = [
        [
            f"to {one['size']} pixels",
            f"{one['images_per_second']:.0f}",
            f"{one['eaten_per_second']:.2f}",
            f"{one['times']:.0f}",
        ]
        for one in sorted(speeds, key=lambda one: int(one["size"]))
    ]
    yield from table(heads, rows, numbers=True)
    yield ""
    heads = [
        "files in a folder",
        "first batch after, s",
        "batches",
        "GiB at the first",
        "at the last",
    ]
    rows = [
        [
            f"{one['files']:,}",
            f"{one['seconds_to_first_batch']:.1f}",
            f"{one['batches']:,}",
            f"{one['peak_gib_at_first_batch']:.2f}",
            f"{one['peak_gib_at_last_batch']:.2f}",
        ]
        for one in found.values()
        if "files" in one
    ]
    yield from table(heads, rows, numbers=True)
    yield ""
    yield f"{every(found.values(), 'machine')}; commits {every(found.values(), 'commit')}."


def _speeds(options: argparse.Namespace, folder: Path) -> Result:
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
    kind = Step(size=options.size, threads=torch.get_num_threads())
    trainer = make_trainer(kind, data, find_precision("auto", torch.device("cpu")))
    times = [seconds_of(lambda: trainer.step(FAR)) for _ in range(7)]
    trainer.close()
    eaten = 2 / statistics.median(times[1:])
    figures = {"images_per_second": fed, "eaten_per_second": eaten, "times": fed / eaten}
    return figures | {"size": options.size, "workers": options.workers}


def _many_files(options: argparse.Namespace, folder: Path) -> Result:
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
        "size": options.size,
        "workers": options.workers,
    }


if __name__ == "__main__":
    sys.exit(main())
