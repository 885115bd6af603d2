"""The Earth in strips from north to south: images that share a layout, as street scenes do.

    python -m benchmarks.layout                                          the data, and one figure
    diptych bench benchmarks/plans/layout.toml --out benchmarks/results/layout --parallel 2

CycleGAN's Tables 4 and 5 have a GAN alone next to the whole, and its Table 3 BiGAN/ALI at
0.41, where tiles of the Earth have both far below. Every picture of Cityscapes has the road
below and the sky above, so that an output may ignore its input and still be right; tiles have
no such order. This makes the same two kinds of the Earth in images that have one: each is as
wide as a tile of `sample:earth-climate`, 8.53 degrees, and reaches from 75 degrees north to
59.4 south, 4.2 degrees a row. Photos are box means and labels the zone at a cell's middle, as
there. Bands are those of the sample, but both domains have all of a training band, as
CycleGAN's of Cityscapes have.

Also measured, for tiles and for strips: the per-pixel accuracy of the most frequent class of
the training labels, and of the most frequent class at each place in the image, which is the
best that an output can do that looks at no input.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.running import carry_out, circumstances, say, write_json
from diptych.data import Images, Palette, open_data
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
from diptych.files import atomic_write, atomic_write_text

SIZE = 32
CELL = (63, 4)
"""Rows and columns of the raster, 15 pixels a degree, in a pixel of a strip."""
SPLITS = {"train": TRAINING_BANDS, "val": VALIDATION_BANDS, "test": TEST_BANDS}
STEP = {"train": 2, "val": 64, "test": 16}
"""Columns of the raster from a strip to the next; a strip is 128 wide."""

_HERE = Path(__file__).parent


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


def classes_of(images: Images, palette: Palette) -> NDArray[np.intp]:
    """(N, H, W) classes of label images in a palette's very colours."""
    colours = np.asarray(palette.colours, np.int32)
    pixels = np.stack([np.asarray(images.read(i), np.int32) for i in range(len(images))])
    distances = np.abs(pixels[..., None, :] - colours).sum(-1)
    assert (distances.min(-1) == 0).all()
    classes: NDArray[np.intp] = distances.argmin(-1)
    return classes


def blind_accuracy(train: NDArray[np.intp], test: NDArray[np.intp]) -> dict[str, float]:
    """Of (N, H, W) and (M, H, W) classes: `everywhere` one class, and `at_each_place` one."""
    counts = np.stack([(train == k).sum(axis=0) for k in range(int(train.max()) + 1)])
    one, each = counts.sum(axis=(1, 2)).argmax(), counts.argmax(axis=0)
    return {
        "everywhere": float((test == one).mean()),
        "at_each_place": float((test == each).mean()),
    }


def measured(source: str) -> dict[str, Any]:
    """`blind_accuracy` of the climate labels of some data, and how many of them there are."""
    data = open_data(source, size=SIZE)
    assert data.test is not None
    k, palette = data.domains.index("climate"), data.palettes["climate"]
    train, test = (classes_of(part.domains[k], palette) for part in (data.train, data.test))
    return {"train": len(train), "test": len(test)} | blind_accuracy(train, test)


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.layout",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, default=Path("runs/benchmark/layout"))
    parser.add_argument("--results", type=Path, default=_HERE / "results" / "layout.json")
    return carry_out("layout", partial(_do, parser.parse_args(arguments)))


def _do(options: argparse.Namespace) -> int:
    made_by = circumstances()
    counts = write_data(options.data, open_rasters())
    say(f"{options.data}: {', '.join(f'{count} {split}' for split, count in counts.items())}")
    found = {"tiles": measured("sample:earth-climate"), "strips": measured(str(options.data))}
    for name, figures in found.items():
        say(
            f"{name}: one class everywhere is right in {figures['everywhere']:.3f} of the pixels,"
            f" one at each place in {figures['at_each_place']:.3f}"
        )
    write_json(options.results, {"size": SIZE, "blind": found} | made_by)
    return 0


if __name__ == "__main__":
    sys.exit(main())
