"""What an output gets that looks at no input: the least that a score must exceed.

    python -m benchmarks.layout      makes the strips, for the second line
    python -m benchmarks.blind

Of labels: the per-pixel accuracy of the most frequent class of the training images, and of the
most frequent class at each place in them. Of maps and photographs: L1 and the share of pixels
within 16 of 255 of one colour, the median of the training images' pixels, channel by channel
(which is what makes L1 least, pooled). Nothing is trained. The table goes into
benchmarks/README.md.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks import layout
from benchmarks.harness import carry_out, parser_of, table
from diptych.data import Data, Images, Palette, open_data
from diptych.errors import InputError
from diptych.evaluation.labels import nearest_class
from diptych.evaluation.paired import mean_absolute_error, within_16

MAPS_SIZE = 64


def pixels_of(images: Images) -> NDArray[np.uint8]:
    """(N, H, W, 3), of images of one size."""
    return np.stack([np.asarray(images.read(i).picture()) for i in range(len(images))])


def classes_of(images: Images, palette: Palette) -> NDArray[np.int64]:
    """(N, H, W) classes by the nearest colour."""
    count = len(images)
    found = [nearest_class(images.read(i).tensor()[None], palette)[0] for i in range(count)]
    return torch.stack(found).numpy()


def of_classes(train: NDArray[np.int64], test: NDArray[np.int64]) -> dict[str, float]:
    """Return the accuracy of one class, or of one `at_each_place`: (N, H, W), (M, H, W) classes."""
    counts = np.stack([(train == k).sum(axis=0) for k in range(int(train.max()) + 1)])
    one, each = counts.sum(axis=(1, 2)).argmax(), counts.argmax(axis=0)
    return {
        "everywhere": float((test == one).mean()),
        "at_each_place": float((test == each).mean()),
    }


def of_colour(train: NDArray[np.uint8], test: Tensor) -> dict[str, Any]:
    """Return the median colour's scores: (N, H, W, 3) in 0 to 255, (M, 3, H, W) in [-1, 1]."""
    colour = np.median(train.reshape(-1, 3), axis=0)
    output = torch.tensor(colour / 127.5 - 1, dtype=test.dtype)[:, None, None].expand_as(test)
    return {
        "colour": colour.tolist(),
        "l1": float(mean_absolute_error(output, test).mean()),
        "within_16": float(within_16(output, test).mean()),
    }


def labels(data: Data) -> dict[str, Any]:
    """`of_classes` of the climate labels, and how many images there are."""
    assert data.test is not None
    k, palette = data.domains.index("climate"), data.palettes["climate"]
    train, test = (classes_of(part.domains[k], palette) for part in (data.train, data.test))
    return {"train": len(train), "test": len(test)} | of_classes(train, test)


def colours(data: Data) -> dict[str, Any]:
    """`of_colour` by domain, of its own training and test images."""
    assert data.test is not None
    found: dict[str, Any] = {}
    for name, train, test in zip(data.domains, data.train.domains, data.test.domains, strict=True):
        truth = torch.stack([test.read(i).tensor() for i in range(len(test))])
        found[name] = {"test": len(test)} | of_colour(pixels_of(train), truth)
    return found


def measure(strips: Path) -> dict[str, Any]:
    """`labels` of tiles and strips, and `colours` of maps and photographs.

    Raises:
        InputError: there are no strips, or the samples extra is missing.
    """
    if not strips.exists():
        raise InputError(f"no strips in {strips}: run python -m benchmarks.layout")
    tiles = open_data("sample:earth-climate", size=layout.SIZE)
    return {
        "labels": {
            "tiles (`sample:earth-climate`)": labels(tiles),
            "strips from north to south": labels(open_data(strips, size=layout.SIZE)),
        },
        "colours": colours(open_data("sample:earth-map", size=MAPS_SIZE)),
    }


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """The two tables."""
    found = found["blind"]
    yield from table(
        ["labels of", "test images", "one class everywhere", "one class at each place"],
        [
            [name, str(row["test"]), f"{row['everywhere']:.3f}", f"{row['at_each_place']:.3f}"]
            for name, row in found["labels"].items()
        ],
        numbers=True,
    )
    yield ""
    rows = []
    for name, row in found["colours"].items():
        colour = ", ".join(f"{value:g}" for value in row["colour"])
        rows.append([name, str(row["test"]), colour, f"{row['l1']:.3f}", f"{row['within_16']:.3f}"])
    heads = ["one colour for all pixels", "test images", "red, green, blue", "L1", "within 16"]
    yield from table(heads, rows, numbers=True)
    yield ""
    yield (
        "Labels in six classes at 32 pixels; maps and photographs of `sample:earth-map` at"
        f" {MAPS_SIZE}. Commit {found['commit'][:10]}."
    )


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code."""
    parser = parser_of("blind", __doc__)
    parser.add_argument("--strips", type=Path, default=layout.FOLDER)
    options = parser.parse_args(arguments)

    return carry_out("blind", options, {"blind": partial(measure, options.strips)}, lines)


if __name__ == "__main__":
    sys.exit(main())
