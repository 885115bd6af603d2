"""What data is: named domains, each a lazy, ordered collection of images.

A collection costs no more than its names: a million files are one bytes object
and one array of offsets, which a worker process is sent at once.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diptych.data.images import read_image
from diptych.errors import InputError


class Images(Protocol):
    """A lazy, ordered collection of images."""

    def __len__(self) -> int: ...

    def name(self, index: int) -> str:
        """Relative, with "/" on every system; for messages and for output files."""
        ...

    def read(self, index: int) -> Image.Image:
        """The image, RGB. Raises InputError where it cannot be used."""
        ...


@runtime_checkable
class ReadsReduced(Protocol):
    """A collection that can decode a large image at a fraction of its size, faster."""

    def read_reduced(self, index: int, shorter_side: int) -> Image.Image:
        """The image, RGB, with a shorter side of at least `shorter_side` where it has that."""
        ...


@dataclass(frozen=True)
class Palette:
    """What the colours of a label domain mean."""

    names: tuple[str, ...]
    colours: tuple[tuple[int, int, int], ...]
    """RGB in [0, 255], one a name."""
    ignored: tuple[tuple[int, int, int], ...] = ()
    """Colours of no class: pixels that truly have them are not scored, and nothing learns them."""


Labels = NDArray[np.int64]
"""(N,): the place of each image's class among `Data.classes`."""


@dataclass(frozen=True)
class Attributes:
    """Images of which each belongs to several domains, or to none."""

    images: Images
    values: NDArray[np.uint8]
    """(N, K) in {0, 1}: whether image i has attribute k, which is domain k."""


@dataclass(frozen=True)
class Split:
    """The part of the data for one purpose."""

    domains: tuple[Images, ...]
    """One collection a domain; sizes differ, nothing corresponds."""
    pairs: tuple[Images, ...] | None = None
    """Equally long collections, one a domain; item i of each shows the same scene."""
    labels: tuple[Labels | None, ...] = ()
    """One a domain, the class of each of its images; None where they are not known."""
    attributes: Attributes | None = None
    """Where a table says what images have: all of them. A domain has those with its attribute."""
    label_maps: tuple[Images | None, ...] = ()
    """One a domain: item i has the class of each pixel of image i, in colours of
    `Data.label_palette`; None where they are not known. No method sees them."""


@dataclass(frozen=True)
class Data:
    """Everything that a run needs to know of its data."""

    source: str
    """What the user typed."""
    domains: tuple[str, ...]
    train: Split
    validation: Split | None = None
    test: Split | None = None
    palettes: Mapping[str, Palette] = field(default_factory=dict)
    """By domain name, for domains of labels."""
    classes: tuple[str, ...] = ()
    """Names of what the images are labelled with, if they are."""
    label_palette: Palette | None = None
    """What the colours of `Split.label_maps` mean."""
    is_tiled: bool = False
    """The images already have the size: no resizing, no cropping."""
    may_mirror: bool = True
    """Training may mirror images; no digit or letter survives that."""
    fingerprint: str = ""
    """Hexadecimal; changes when the data do."""
    notes: tuple[str, ...] = ()
    """What was decided without being asked, one line each, to be printed once."""


class Names:
    """Relative file names in one bytes object: some 40 bytes a name, and quick to send."""

    def __init__(self, names: Iterable[str]) -> None:
        """No name holds a NUL, which no system allows in a file's."""
        joined = "".join(f"{name}\0" for name in names)
        self._text = os.fsencode(joined)  # one call for all is many times as fast
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

    def __init__(self, folder: str | os.PathLike[str], names: Iterable[str]) -> None:
        """`names` are relative to `folder`, with "/" on every system."""
        self.folder = os.fspath(folder)
        self.names = names if isinstance(names, Names) else Names(names)

    def __len__(self) -> int:
        return len(self.names)

    def name(self, index: int) -> str:
        return self.names[index]

    def path(self, index: int) -> str:
        return os.path.join(self.folder, *self.names[index].split("/"))  # noqa: PTH118  # hot

    def read(self, index: int) -> Image.Image:
        return read_image(self.path(index))

    def read_reduced(self, index: int, shorter_side: int) -> Image.Image:
        return read_image(self.path(index), at_least=shorter_side)


class HalfImages:
    """The left or right halves of side-by-side images (pix2pix's layout)."""

    def __init__(self, whole: FileImages, *, is_right: bool) -> None:
        self.whole = whole
        self.is_right = is_right

    def __len__(self) -> int:
        return len(self.whole)

    def name(self, index: int) -> str:
        return self.whole.name(index)

    def read(self, index: int) -> Image.Image:
        image = self.whole.read(index)
        width, height = image.size
        if width != 2 * height:
            raise InputError(
                f"{self.whole.path(index)} is {width}x{height}: a side-by-side pair is twice as "
                "wide as high; remove it or make it so"
            )
        left = height if self.is_right else 0
        return image.crop((left, 0, left + height, height))


class ArrayImages:
    """Images held in memory."""

    def __init__(self, image_uint8: NDArray[np.uint8], names: Iterable[str] | None = None) -> None:
        """`image_uint8` is (N, H, W, 3) RGB; `names` default to running numbers.

        Raises:
            ValueError: another shape or type, or not one name an image.
        """
        if image_uint8.ndim != 4 or image_uint8.shape[3] != 3 or image_uint8.dtype != np.uint8:
            raise ValueError(
                f"images are {image_uint8.dtype} {image_uint8.shape}: expected uint8 (N, H, W, 3)"
            )
        self.image_uint8 = image_uint8
        count = len(image_uint8)
        self.names = Names(names if names is not None else (f"{i:06d}.png" for i in range(count)))
        if len(self.names) != count:
            raise ValueError(f"{len(self.names)} names for {count} images")

    def __len__(self) -> int:
        return len(self.image_uint8)

    def name(self, index: int) -> str:
        return self.names[index]

    def read(self, index: int) -> Image.Image:
        return Image.fromarray(self.image_uint8[index])


def evenly_spaced(length: int, most: int) -> list[int]:
    """Indices of at most `most` of `length` items: the middles of equal parts.

    Neighbours in a collection are often alike, so the first images would not do.
    """
    count = min(most, length)
    return [(2 * i + 1) * length // (2 * count) for i in range(count)]
