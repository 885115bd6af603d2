"""The Earth in strips from north to south: images that share a layout, as street scenes do.

    python -m benchmarks.layout                                          the data
    diptych bench benchmarks/plans/layout.toml --out benchmarks/results/layout --parallel 2

CycleGAN's Tables 4 and 5 have a GAN alone next to the whole, and its Table 3 BiGAN/ALI at
0.41, where tiles of the Earth have both far below. Every picture of Cityscapes has the road
below and the sky above, so that an output may ignore its input and still be right; tiles have
no such order. This makes the same two kinds of the Earth in images that have one: each is as
wide as a tile of `sample:earth-climate`, 8.53 degrees, and reaches from 75 degrees north to
59.4 south, 4.2 degrees a row. Photos are box means and labels the zone at a cell's middle, as
there. Bands are those of the sample, but both domains have all of a training band, as
CycleGAN's of Cityscapes have.

`python -m benchmarks.blind` measures how much of their labels an output gets that looks at no
input.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.harness import exit_code, say
from diptych.data import open_data
from diptych.data.samples.earth import (
    BAND_DEGREES,
    CLIMATE,
    MIN_LAND,
    NORTH,
    TEST_BANDS,
    TRAINING_BANDS,
    VALIDATION_BANDS,
    Tiles,
)
from diptych.errors import InputError
from diptych.files import atomic_write, atomic_write_text

SIZE = 32
CELL = (63, 4)
"""Rows and columns of the raster, 15 pixels a degree, in a pixel of a strip."""
SPLITS = {"train": TRAINING_BANDS, "val": VALIDATION_BANDS, "test": TEST_BANDS}
STEP = {"train": 2, "val": 64, "test": 16}
"""Columns of the raster from a strip to the next; a strip is 128 wide."""

FOLDER = Path("runs/benchmark/layout")


@dataclass(frozen=True)
class Rasters:
    """The whole globe, aligned."""

    labels: NDArray[np.uint8]
    """(H, W) classes of `CLIMATE`."""
    photos: NDArray[np.uint8]
    """(H, W, 3)."""


def open_rasters() -> Rasters:
    """The sample's at 128 pixels. Raises InputError: the samples extra is missing."""
    data = open_data("sample:earth-climate", size=128)
    labels, photos = (images for images in data.train.domains)
    assert isinstance(labels, Tiles)
    assert isinstance(photos, Tiles)
    return Rasters(np.load(labels.raster, mmap_mode="r"), np.load(photos.raster, mmap_mode="r"))


def strips(rasters: Rasters, split: str) -> Iterator[tuple[str, Image.Image, Image.Image]]:
    """Name, labels in colours and photo of every strip with enough land, from the west on."""
    degree = rasters.labels.shape[1] // 360
    top, (rows, columns) = (90 - NORTH) * degree, CELL
    for band in SPLITS[split]:
        west, east = band * BAND_DEGREES * degree, (band + 1) * BAND_DEGREES * degree
        for left in range(west, east - SIZE * columns + 1, STEP[split]):
            part = np.s_[top : top + SIZE * rows, left : left + SIZE * columns]
            classes = rasters.labels[part][rows // 2 :: rows, columns // 2 :: columns]
            if (classes != 0).mean() < MIN_LAND:  # class 0 is the sea
                continue
            photo = Image.fromarray(np.ascontiguousarray(rasters.photos[part]))
            colours = np.asarray(CLIMATE.colours, np.uint8)[classes]
            yield f"c{left:04d}.png", Image.fromarray(colours), photo.reduce((columns, rows))


def write_data(folder: Path, rasters: Rasters) -> dict[str, int]:
    """`climate/` and `aerial/` with their splits and palette; returns the images of each split."""
    counts = dict.fromkeys(SPLITS, 0)
    for split in SPLITS:
        for domain in ("climate", "aerial"):
            (folder / domain / split).mkdir(parents=True, exist_ok=True)
        for name, labels, photo in strips(rasters, split):
            for domain, image in (("climate", labels), ("aerial", photo)):
                with atomic_write(folder / domain / split / name) as file:
                    image.save(file, "PNG")
            counts[split] += 1
    lines = [
        f"{name},{red},{green},{blue}"
        for name, (red, green, blue) in zip(CLIMATE.names, CLIMATE.colours, strict=True)
    ]
    atomic_write_text(folder / "climate" / "palette.csv", "\n".join(["name,r,g,b", *lines, ""]))
    return counts


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.layout",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, default=FOLDER)
    return exit_code("layout", partial(_do, parser.parse_args(arguments).data))


def _do(folder: Path) -> int:
    rasters = open_rasters()
    try:
        counts = write_data(folder, rasters)
    except OSError as error:
        raise InputError(
            f"cannot write {error.filename or folder}: {error.strerror}; give --data another folder"
        ) from error
    say(f"{folder}: {', '.join(f'{count} {split}' for split, count in counts.items())}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
