"""File formats: one module each, which reads a file as it is and writes another one like it.

A module is chosen by the file's suffix and imported when it is first needed. Each has

- `header(path)`, which decodes no pixels;
- `read(path, index, at_least)`, which returns one of the file's images in the file's own type;
- `write(path, images, pixels, source)`, which writes a translation of the file `source`, with
  what the format holds beside the pixels: EXIF data, colour profile, georeference, header.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from numpy.typing import NDArray

from diptych.data.pixels import PixelFormat
from diptych.errors import InputError, counted

MAX_PIXELS = 178_956_970
"""Larger images are refused as decompression bombs. This is Pillow's own limit, 512 MiB of RGB."""


@dataclass(frozen=True)
class Header:
    """What a file says of its images before any pixel is decoded."""

    size: tuple[int, int]
    """(width, height) of an image, upright where the format has an orientation."""
    channels: tuple[str, ...]
    """Names of the channels, without alpha."""
    dtype: str
    """One of `pixels.DTYPES`."""
    images: int = 1
    """How many images the file holds: pages, frames or slices."""
    has_alpha: bool = False
    nodata: float | None = None
    """The value that the file itself gives to pixels without data."""
    window: tuple[float, float] | None = None
    """The values that the file suggests to show as black and as white."""
    units: str = ""
    """What the values are, where the file says it: "HU"."""


@dataclass(frozen=True)
class Frame:
    """One image of a file, upright, in the file's own type and values."""

    values: NDArray[Any]
    """(H, W, C), without alpha. DICOM's and NIfTI's slope and intercept are applied."""
    channels: tuple[str, ...]
    alpha: NDArray[Any] | None = None
    """(H, W), of the values' type (0 is transparent); None if nothing is transparent."""
    nodata: float | None = None
    """As in `Header`."""


class FileFormat(Protocol):
    """The functions of a module of this package."""

    def header(self, path: str) -> Header:
        """Raises InputError if the file is missing, broken or of a kind that is not read."""
        ...

    def read(
        self, path: str, index: int, at_least: int | None = None, max_pixels: int = MAX_PIXELS
    ) -> Frame:
        """Read image `index` of the file.

        With `at_least`, a JPEG may be decoded at a fraction of its size, whose shorter side
        keeps twice as many pixels.

        Raises:
            InputError: the file is missing, broken or has more than `max_pixels` pixels.
        """
        ...

    def write(
        self, path: Path, images: Sequence[NDArray[Any]], pixels: PixelFormat, source: str | None
    ) -> None:
        """Write `images`, each (H, W, C) of `pixels.dtype`, to one file, whole or not at all.

        `source` is the file that they are translations of; None if there is none.

        Raises:
            InputError: the format cannot hold them, or the file cannot be written.
        """
        ...

    def can_hold(self, suffix: str, channels: int, dtype: str, images: int) -> bool:
        """Return whether a file of `suffix`, in lower case, can hold such images."""
        ...


_MODULES = {
    "pillow": (
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".bmp", ".gif", ".avif"),
        *(".ppm", ".pgm", ".pbm", ".pnm", ".heic", ".heif", ".jxl"),
    ),
    "tiff": (".tif", ".tiff"),
    "dicom": (".dcm", ".dicom"),
    "nifti": (".nii", ".nii.gz"),
    "numpy": (".npy", ".npz"),
}
_MODULE_BY_SUFFIX = {suffix: module for module, own in _MODULES.items() for suffix in own}
SUFFIXES = tuple(_MODULE_BY_SUFFIX)
"""The suffixes of files that are read, in lower case. A file's own may be in any case."""
PILLOW_SUFFIXES = _MODULES["pillow"]
"""Those of pictures, which Pillow reads."""
ANIMATED = (".png", ".apng", ".webp", ".gif", ".avif")
"""Suffixes of pictures that may hold several frames."""


def suffix_of(path: str | os.PathLike[str]) -> str:
    """Return a file's suffix in lower case: one of SUFFIXES, such as .nii.gz, or its last one."""
    name = os.fspath(path).lower()
    known = [suffix for suffix in SUFFIXES if name.endswith(suffix)]
    return max(known, key=len) if known else Path(name).suffix


def format_of(path: str | os.PathLike[str]) -> FileFormat:
    """Return the module for a file.

    Raises:
        InputError: its suffix is none of SUFFIXES.
    """
    return cast(FileFormat, importlib.import_module(f"{__name__}.{family_of(path)}"))


def family_of(path: str | os.PathLike[str]) -> str:
    """Return the name of the module for a file. Raises InputError as `format_of` does."""
    suffix = suffix_of(path)
    if suffix in SUFFIXES:
        return _MODULE_BY_SUFFIX[suffix]
    raise InputError(f"{os.fspath(path)} is not an image that can be read: {', '.join(SUFFIXES)}")


def header(path: str | os.PathLike[str]) -> Header:
    """Return what a file says of its images. Raises InputError as `FileFormat.header` does."""
    return format_of(path).header(os.fspath(path))


def read(
    path: str | os.PathLike[str],
    index: int = 0,
    *,
    at_least: int | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Frame:
    """Return one image of a file. Raises InputError as `FileFormat.read` does."""
    return format_of(path).read(os.fspath(path), index, at_least, max_pixels)


def write(
    path: str | os.PathLike[str],
    images: Sequence[NDArray[Any]],
    pixels: PixelFormat,
    source: str | os.PathLike[str] | None = None,
) -> None:
    """Write images to one file. Raises InputError as `FileFormat.write` does."""
    format_of(path).write(Path(path), images, pixels, None if source is None else os.fspath(source))


def can_hold(suffix: str, channels: int, dtype: str, images: int = 1) -> bool:
    """Return whether a file of `suffix` can hold `images` images of such channels and values.

    The suffix is in any case, such as ".png" or ".nii.gz". Unknown suffixes hold nothing.
    """
    suffix = suffix.lower()
    if suffix not in SUFFIXES:
        return False
    return format_of(suffix).can_hold(suffix, channels, dtype, images)


def cannot_hold(path: Path, pixels: PixelFormat, images: int) -> InputError:
    """Return the error to raise where a format cannot hold images."""
    several = f"{images} images of " if images > 1 else ""
    return InputError(
        f"cannot write {path}: {suffix_of(path)} cannot hold"
        f" {several}{counted(len(pixels.channels), 'channel')} of {pixels.dtype}; .tif can"
    )
