"""Label images: scaling them without mixing colours, and finding them in a data set's folder."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from diptych.data.collections import Data, FileImages, Images, Split
from diptych.data.listing import LABELS_FOLDER, PALETTE_FILE
from diptych.data.palettes import read_palette
from diptych.data.pixels import PixelFormat
from diptych.data.raster import Raster
from diptych.data.splits import probe_indices
from diptych.data.transforms import evaluation_image
from diptych.errors import InputError

_PROBED = 256


class LabelSquares:
    """Label images as `size` x `size` squares, scaled without mixing colours.

    This is an `Images`. Each square shows the same part that `evaluation_image` cuts from the
    photograph.
    """

    def __init__(self, images: Images, *, size: int, is_tiled: bool) -> None:
        self.images, self.size, self.is_tiled = images, size, is_tiled

    @property
    def pixels(self) -> PixelFormat:
        return self.images.pixels

    def __len__(self) -> int:
        return len(self.images)

    def name(self, index: int) -> str:
        return self.images.name(index)

    def read(self, index: int) -> Raster:
        return evaluation_image(
            self.images.read(index),
            self.name(index),
            size=self.size,
            is_tiled=self.is_tiled,
            has_labels=True,
        )


def with_label_maps(data: Data, root: Path) -> Data:
    """Add the label images in the `pixel_labels` folder of `root`, if any, to `data`.

    Raises:
        InputError: the palette is missing or cannot be read, no domain has labels of
            training images, or some of a domain's label images are missing.
    """
    folder = root / LABELS_FOLDER
    if not folder.is_dir():
        return data
    palette = read_palette(folder / PALETTE_FILE)

    def labelled(split: Split | None) -> Split | None:
        if split is None:
            return None
        maps = tuple(_beside(images, root) for images in split.domains)
        return dataclasses.replace(split, label_maps=maps)

    train = labelled(data.train)
    assert train is not None
    if all(maps is None for maps in train.label_maps):
        wanted = _place(data.train.domains[0], root)
        raise InputError(f"{folder} has no labels for training images: expected them in {wanted}")
    return dataclasses.replace(
        data,
        train=train,
        validation=labelled(data.validation),
        test=labelled(data.test),
        label_palette=palette,
    )


def _place(images: Images, root: Path) -> Path | None:
    """Return the folder for a collection's labels; None if it is not a folder below `root`."""
    if not isinstance(images, FileImages) or not Path(images.folder).is_relative_to(root):
        return None
    return root / LABELS_FOLDER / Path(images.folder).relative_to(root)


def _beside(images: Images, root: Path) -> FileImages | None:
    place = _place(images, root)
    if place is None or not place.is_dir():
        return None
    assert isinstance(images, FileImages)
    found = FileImages(place, (f"{name.rpartition('.')[0]}.png" for name in images.names))
    for index in probe_indices(len(found), _PROBED):
        if not Path(found.path(index)).is_file():
            raise InputError(
                f"no labels for {images.path(index)}: expected them in {found.path(index)}"
            )
    return found
