"""Made photos with labels: discs and squares on grass, a frame that is not scored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from diptych.data import Palette
from diptych.errors import InputError
from diptych.evaluation import segmentation_training
from diptych.networks import fcn
from diptych.networks.features import load_features

SIZE = 32
PALETTE = Palette(
    ("grass", "disc", "square"), ((10, 200, 30), (250, 0, 0), (0, 0, 250)), ignored=((0, 0, 0),)
)
TABLE = "grass,10,200,30\ndisc,250,0,0\nsquare,0,0,250\nignored,0,0,0\n"
_PAINT = np.array([(90, 150, 60), (200, 190, 90), (110, 90, 140), (40, 40, 40)])


def scenes(count: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """(N, 32, 32, 3) label images and photos of them: other colours, with noise."""
    draws = np.random.default_rng(seed)
    classes = np.zeros((count, SIZE, SIZE), np.int64)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    for scene in classes:
        for kind in (1, 2):
            row, column = draws.integers(8, SIZE - 8, 2)
            far = np.stack([abs(rows - row), abs(columns - column)])
            scene[(np.hypot(*far) if kind == 1 else far.max(0)) < 7] = kind
    framed = classes.copy()
    framed[:, :2] = 3
    colours = np.array([*PALETTE.colours, *PALETTE.ignored], np.uint8)
    noise = draws.normal(0, 12, (*classes.shape, 3))
    return colours[framed], (_PAINT[classes] + noise).clip(0, 255).astype(np.uint8)


def write(folder: Path, images: NDArray[np.uint8]) -> None:
    folder.mkdir(parents=True)
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{number:03d}.png")


def write_labelled(root: Path, train: int = 24, test: int = 8) -> Path:
    """A folder of pairs: label/ with its palette, and photo/."""
    for part, count, seed in (("train", train, 0), ("test", test, 1)):
        labels, photos = scenes(count, seed)
        write(root / "label" / part, labels)
        write(root / "photo" / part, photos)
    (root / "label" / "palette.csv").write_text(TABLE, encoding="utf-8")
    return root


def train_little(monkeypatch: pytest.MonkeyPatch, steps: int, batch: int, side: int = 64) -> None:
    """Small networks' worth of work: fewer and smaller batches of images enlarged less."""
    try:
        load_features()
    except InputError as error:  # the features extra is not installed
        pytest.skip(str(error))
    monkeypatch.setattr(segmentation_training, "STEPS", steps)
    monkeypatch.setattr(segmentation_training, "BATCH", batch)
    monkeypatch.setattr(fcn, "SMALLEST_SIDE", side)
