"""The data classes: named domains, each a lazy, ordered collection of images.

A collection of files holds only their names: one bytes object and one array of offsets, even
for a million files. Sending that to a worker process is quick.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from diptych.data import formats
from diptych.data.formats import Frame, Header
from diptych.data.pixels import RGB8, PixelFormat, channel_names
from diptych.data.raster import Raster
from diptych.data.reading import read_raster
from diptych.errors import InputError


class Images(Protocol):
    """A lazy, ordered collection of images."""

    @property
    def pixels(self) -> PixelFormat:
        """The channels, depth and range that all images have."""
        ...

    def __len__(self) -> int: ...

    def name(self, index: int) -> str:
        """Return the image's relative name, with "/" on every system.

        It is used in messages and for output files.
        """
        ...

    def read(self, index: int) -> Raster:
        """Return the image. Raises InputError if it cannot be used."""
        ...


@runtime_checkable
class ReadsReduced(Protocol):
    """A collection that can decode a large image at a fraction of its size, which is faster."""

    def read_reduced(self, index: int, shorter_side: int) -> Raster:
        """Return the image, perhaps reduced.

        The shorter side is never reduced below `shorter_side` pixels.
        """
        ...


@runtime_checkable
class Reinterpretable(Protocol):
    """A collection of files, whose pixels can be read in another format."""

    @property
    def pixels(self) -> PixelFormat:
        """The channels, depth and range that all images have."""
        ...

    def __len__(self) -> int: ...

    def name(self, index: int) -> str:
        """Return the image's relative name."""
        ...

    def header(self, index: int) -> Header:
        """Return what the image's file says. Raises InputError if it cannot be read."""
        ...

    def frame(self, index: int, at_least: int | None = None) -> Frame:
        """Return the image as it is in its file.

        With `at_least`, a JPEG may be reduced; its shorter side keeps twice as many pixels.

        Raises:
            InputError: it cannot be read.
        """
        ...

    def with_pixels(self, pixels: PixelFormat) -> Images:
        """Return the same images, read in another pixel format."""
        ...


@dataclass(frozen=True)
class Palette:
    """The classes that the colours of a label domain stand for."""

    names: tuple[str, ...]
    colours: tuple[tuple[int, int, int], ...]
    """RGB in [0, 255], one for each name."""
    ignored: tuple[tuple[int, int, int], ...] = ()
    """Colours of no class. Pixels whose true colour is one of them are neither scored nor
    trained on."""


Labels = NDArray[np.int64]
"""(N,): the index of each image's class in `Data.classes`."""


@dataclass(frozen=True)
class Attributes:
    """Images that may each belong to several domains, or to none."""

    images: Images
    values: NDArray[np.uint8]
    """(N, K) in {0, 1}: whether image i has attribute k, which is domain k."""


@dataclass(frozen=True)
class Split:
    """The images for training, validation or testing."""

    domains: tuple[Images, ...]
    """One collection per domain. Their lengths may differ, and their items do not correspond."""
    pairs: tuple[Images, ...] | None = None
    """Collections of equal length, one per domain. Item i of each shows the same scene."""
    labels: tuple[Labels | None, ...] = ()
    """The classes of each domain's images, or None where they are not known."""
    attributes: Attributes | None = None
    """All images of the split, if a table gives their attributes. Each domain then holds the
    images that have its attribute."""
    label_maps: tuple[Images | None, ...] = ()
    """One collection per domain, or None where the labels are not known. Item i gives the class
    of each pixel of image i, in the colours of `Data.label_palette`. Methods do not see them."""


@dataclass(frozen=True)
class Data:
    """A data set: its domains, its splits and what is known about them."""

    source: str
    """The data as the user named them."""
    domains: tuple[str, ...]
    train: Split
    validation: Split | None = None
    test: Split | None = None
    palettes: Mapping[str, Palette] = field(default_factory=dict)
    """The palettes of label domains, by the domain's name."""
    classes: tuple[str, ...] = ()
    """Names of the images' classes; empty if the images are not labelled."""
    label_palette: Palette | None = None
    """The palette of `Split.label_maps`."""
    is_tiled: bool = False
    """Whether the images already have the training size, so that none is resized or cropped."""
    may_mirror: bool = True
    """Whether training may mirror images. Mirroring would spoil digits and letters."""
    fingerprint: str = ""
    """A hexadecimal digest that changes when the data change."""
    notes: tuple[str, ...] = ()
    """Decisions made for the user, one line each, to be printed once."""

    @property
    def pixels(self) -> tuple[PixelFormat, ...]:
        """The pixel format of each domain."""
        return tuple(images.pixels for images in self.train.domains)


class Names:
    """Relative file names in one bytes object: about 40 bytes a name, and quick to send."""

    def __init__(self, names: Iterable[str]) -> None:
        """Store `names`. NUL separates them, since no system allows it in a file name."""
        joined = "".join(f"{name}\0" for name in names)
        self._text = os.fsencode(joined)  # one call for all names is much faster
        self._ends: NDArray[np.int64] = np.flatnonzero(np.frombuffer(self._text, np.uint8) == 0)

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, index: int) -> str:
        if not 0 <= index < len(self):
            raise IndexError(f"no name {index}: there are {len(self)}")
        start = self._ends[index - 1] + 1 if index else 0
        return os.fsdecode(self._text[start : self._ends[index]])

    def __iter__(self) -> Iterator[str]:
        return (self[index] for index in range(len(self)))


class FileImages:
    """Image files below one folder."""

    def __init__(
        self,
        folder: str | os.PathLike[str],
        names: Iterable[str],
        pixels: PixelFormat = RGB8,
    ) -> None:
        """`names` are relative to `folder`, with "/" on every system.

        The images of a file of several are named by the file and their number, as in
        "scan.nii.gz#12", which counts from 0.
        """
        self.folder = os.fspath(folder)
        self.names = names if isinstance(names, Names) else Names(names)
        self.pixels = pixels

    def __len__(self) -> int:
        return len(self.names)

    def name(self, index: int) -> str:
        return self.names[index]

    def path(self, index: int) -> str:
        """Return the path of the file that holds the image."""
        return self._place(index)[0]

    def read(self, index: int) -> Raster:
        path, image = self._place(index)
        return read_raster(path, self.pixels, image)

    def read_reduced(self, index: int, shorter_side: int) -> Raster:
        path, image = self._place(index)
        return read_raster(path, self.pixels, image, at_least=shorter_side)

    def header(self, index: int) -> Header:
        """Return what the file says of its images. Raises InputError if it cannot be read."""
        return formats.header(self.path(index))

    def frame(self, index: int, at_least: int | None = None) -> Frame:
        """Return the image as it is in its file. Raises InputError if it cannot be read."""
        path, image = self._place(index)
        return formats.read(path, image, at_least=at_least)

    def with_pixels(self, pixels: PixelFormat) -> FileImages:
        """Return the same files, read in another pixel format."""
        return FileImages(self.folder, self.names, pixels)

    def _place(self, index: int) -> tuple[str, int]:
        name, image = file_and_image(self.names[index])
        return os.path.join(self.folder, *name.split("/")), image  # noqa: PTH118  # hot


def file_and_image(name: str) -> tuple[str, int]:
    """Return the file's name and the image's number in it: ("scan.nii", 12) for "scan.nii#12"."""
    file, mark, number = name.rpartition("#")
    return (file, int(number)) if mark and number.isdecimal() else (name, 0)


class HalfImages:
    """The left or right halves of side-by-side images (pix2pix's layout)."""

    def __init__(self, whole: FileImages, *, is_right: bool) -> None:
        self.whole = whole
        self.is_right = is_right

    @property
    def pixels(self) -> PixelFormat:
        return self.whole.pixels

    def header(self, index: int) -> Header:
        """Return what the file says of both halves. Raises InputError if it cannot be read."""
        return self.whole.header(index)

    def frame(self, index: int, at_least: int | None = None) -> Frame:
        """Return the half as it is in its file. Raises InputError if it cannot be read."""
        frame = self.whole.frame(index, at_least)
        middle = frame.values.shape[1] // 2
        half = slice(middle, None) if self.is_right else slice(middle)
        alpha = None if frame.alpha is None else frame.alpha[:, half]
        return replace(frame, values=frame.values[:, half], alpha=alpha)

    def with_pixels(self, pixels: PixelFormat) -> HalfImages:
        """Return the same halves, read in another pixel format."""
        return HalfImages(self.whole.with_pixels(pixels), is_right=self.is_right)

    def __len__(self) -> int:
        return len(self.whole)

    def name(self, index: int) -> str:
        return self.whole.name(index)

    def read(self, index: int) -> Raster:
        image = self.whole.read(index)
        width, height = image.size
        if width != 2 * height:
            raise InputError(
                f"{self.whole.path(index)} is {width}x{height}: a side-by-side pair must be twice "
                "as wide as high; resize it or remove it"
            )
        left = height if self.is_right else 0
        return image.crop((left, 0, left + height, height))


class ArrayImages:
    """Images held in memory."""

    def __init__(self, image_uint8: NDArray[np.uint8], names: Iterable[str] | None = None) -> None:
        """`image_uint8` is (N, H, W, C). By default `names` are numbers.

        Raises:
            ValueError: the array has another shape or type, or the number of names differs.
        """
        if image_uint8.ndim != 4 or image_uint8.shape[3] < 1 or image_uint8.dtype != np.uint8:
            raise ValueError(
                f"images are {image_uint8.dtype} {image_uint8.shape}: expected uint8 (N, H, W, C)"
            )
        self.image_uint8 = image_uint8
        self.pixels = PixelFormat(channel_names(image_uint8.shape[3]))
        count = len(image_uint8)
        self.names = Names(names if names is not None else (f"{i:06d}.png" for i in range(count)))
        if len(self.names) != count:
            raise ValueError(f"{len(self.names)} names for {count} images")

    def __len__(self) -> int:
        return len(self.image_uint8)

    def name(self, index: int) -> str:
        return self.names[index]

    def read(self, index: int) -> Raster:
        return Raster.from_array(self.image_uint8[index])


def evenly_spaced(length: int, most: int) -> list[int]:
    """Return indices of at most `most` of `length` items: the middles of equal parts.

    Neighbours in a collection are often alike, so the first items would be a poor sample.
    """
    count = min(most, length)
    return [(2 * i + 1) * length // (2 * count) for i in range(count)]
