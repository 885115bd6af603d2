"""NumPy's files: .npy, mapped into memory, and .npz with one array. Nothing is unpickled.

An array is (H, W), (C, H, W), (H, W, C), or several images: (N, C, H, W), (N, H, W, C). The
axis of the channels is the one of at most 16 where the other candidate has more. If both or
neither have, the file is refused.
"""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diptych.data.formats import MAX_PIXELS, Frame, Header, cannot_hold, family_of
from diptych.data.formats.checks import (
    broken,
    check_index,
    check_is_file,
    check_size,
    one_line,
    quiet,
)
from diptych.data.formats.kept import Volumes
from diptych.data.pixels import DTYPES, PixelFormat, channel_names
from diptych.errors import InputError
from diptych.files import atomic_write

MOST_CHANNELS = 16
_ERRORS = (
    *(OSError, ValueError, EOFError, KeyError, TypeError, MemoryError, SyntaxError),
    *(ArithmeticError, NotImplementedError, RuntimeError, IndexError, RecursionError),
    *(tokenize.TokenError, zipfile.BadZipFile, zlib.error),
)


@dataclass(frozen=True)
class _Layout:
    """The places of the axes in an array's shape."""

    images: int | None
    channels: int | None

    def size(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """Return (width, height)."""
        height, width = (n for i, n in enumerate(shape) if i not in (self.images, self.channels))
        return width, height

    def image(self, values: NDArray[Any], index: int) -> NDArray[Any]:
        """Return one image as (H, W, C)."""
        if self.channels is None:
            return values[..., None]
        one = values if self.images is None else values[index]
        return np.moveaxis(one, self.channels - (self.images is not None), 2)


def header(path: str) -> Header:
    """Return what the file says of its array, without reading it."""
    shape, dtype, _ = _described(path)
    layout = _layout(path, shape)
    size = layout.size(shape)
    check_size(path, size, MAX_PIXELS)
    count = 1 if layout.images is None else shape[layout.images]
    channels = 1 if layout.channels is None else shape[layout.channels]
    return Header(size, channel_names(channels), dtype, count)


def read(
    path: str, index: int = 0, at_least: int | None = None, max_pixels: int = MAX_PIXELS
) -> Frame:
    """Read image `index` of the file's array."""
    shape, dtype, _ = _described(path)
    layout = _layout(path, shape)
    check_size(path, layout.size(shape), max_pixels)
    check_index(path, index, 1 if layout.images is None else shape[layout.images])
    with _parsing(path):
        values = np.array(layout.image(_arrays.get(path), index), dtype, order="C")
    return Frame(values, channel_names(values.shape[2]))


@contextmanager
def _parsing(path: str) -> Iterator[None]:
    """Turn errors of a damaged file into InputError."""
    try:
        with quiet():
            yield
    except InputError:
        raise
    except _ERRORS as error:
        raise broken(path, error) from error


def _described(path: str) -> tuple[tuple[int, ...], str, str]:
    """Return the array's shape, its type and, in a .npz file, its name."""
    check_is_file(path)
    with _parsing(path):
        if not path.lower().endswith(".npz"):
            with Path(path).open("rb") as file:
                shape, dtype = _array_header(file)
            key = ""
        else:
            with zipfile.ZipFile(path) as archive:
                members = [name for name in archive.namelist() if name.endswith(".npy")]
                if len(members) != 1:
                    names = ", ".join(name.removesuffix(".npy") for name in members) or "none"
                    raise InputError(
                        f"{path} has {len(members)} arrays ({names}): expected one; save the"
                        " image by itself"
                    )
                key = members[0].removesuffix(".npy")
                with archive.open(members[0]) as file:
                    shape, dtype = _array_header(file)
    name = dtype.newbyteorder("=").name
    if name not in DTYPES:
        raise InputError(f"{path} has values of type {name}: expected {', '.join(DTYPES)}")
    return shape, name, key


def _array_header(file: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    else:
        shape, _, dtype = np.lib.format.read_array_header_2_0(file)
    return shape, dtype


def _layout(path: str, shape: tuple[int, ...]) -> _Layout:
    if len(shape) == 2:
        return _Layout(None, None)
    if len(shape) not in (3, 4):
        raise InputError(f"{path} is an array {shape}: expected (H, W), (C, H, W) or (H, W, C)")
    images = 0 if len(shape) == 4 else None
    first, last = shape[-3] <= MOST_CHANNELS, shape[-1] <= MOST_CHANNELS
    if first == last:
        raise InputError(
            f"{path} is an array {shape}, of which either the first or the last axis may be its"
            f" channels: expected one of them to be at most {MOST_CHANNELS} and the other to be"
            " more; save it as TIFF"
        )
    return _Layout(images, len(shape) - (3 if first else 1))


def _load(path: str) -> NDArray[Any]:
    if not path.lower().endswith(".npz"):
        mapped: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
        return mapped
    with np.load(path, allow_pickle=False) as arrays:
        held: NDArray[Any] = arrays[_described(path)[2]]
    return held


_arrays = Volumes(_load, lambda array: 0 if isinstance(array, np.memmap) else array.nbytes)


# --- writing -------------------------------------------------------------------------------


def write(
    path: Path, images: Sequence[NDArray[Any]], pixels: PixelFormat, source: str | None
) -> None:
    """Write an array with the channels in the place that they have in `source`, else last.

    One channel has no axis, unless the source has it.
    """
    if not can_hold(path.suffix.lower(), len(pixels.channels), pixels.dtype, len(images)):
        raise cannot_hold(path, pixels, len(images))
    key, is_first, has_axis = "image", False, len(pixels.channels) > 1 or len(images) > 1
    if source is not None and family_of(source) == "numpy":
        shape, _, own_key = _described(source)
        place = _layout(source, shape).channels
        key, is_first = own_key or key, place is not None and place == len(shape) - 3
        has_axis = has_axis or place is not None
    values = np.stack(images)
    values = np.moveaxis(values, 3, 1) if is_first else values
    values = values if len(images) > 1 else values[0]
    if not has_axis:
        values = values[..., 0]
    try:
        with atomic_write(path) as file:
            if path.suffix.lower() == ".npz":
                np.savez_compressed(file, allow_pickle=False, **{key: values})
            else:
                np.save(file, values, allow_pickle=False)
    except OSError as error:
        raise InputError(f"cannot write {path}: {one_line(error)}") from error


def can_hold(suffix: str, channels: int, dtype: str, images: int) -> bool:
    """Return whether a file of this suffix can hold such images."""
    return dtype in DTYPES and 1 <= channels <= MOST_CHANNELS and images >= 1
