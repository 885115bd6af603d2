"""NIfTI volumes as slices, by nibabel (an extra).

An image is a slice of the third axis. Its columns are the first axis. Its rows are the second
axis, turned round where that points to the front or the head, so that pictures are upright.
Further axes count on: slice z of volume t of a series is image t * Z + z. Files of vectors, of
five axes, have a channel for each component.
"""

from __future__ import annotations

import gzip
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
    needs,
    one_line,
    quiet,
    quiet_logger,
)
from diptych.data.formats.kept import Volumes
from diptych.data.formats.scaling import Scaling
from diptych.data.pixels import DTYPES, GREY, RGB, PixelFormat, channel_names, own_range
from diptych.errors import InputError
from diptych.files import atomic_write

_LOGGER = "nibabel.global"
_RGB_DTYPE = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
_VECTOR = 1007  # NIfTI's intent code for a vector at each voxel


@dataclass(frozen=True)
class _Volume:
    name: str
    image: Any
    """nibabel's image, whose voxels are not yet read."""
    stored: NDArray[Any] | None
    """The voxels as they are in the file; None if they were not asked for."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(X, Y, Z, ...), with at least three axes."""
        return (*self.image.shape, 1, 1)[: max(3, len(self.image.shape))]

    @property
    def components(self) -> int:
        """The channels of a vector at each voxel; 0 if there is none."""
        shape = self.image.shape
        return int(shape[4]) if len(shape) == 5 and shape[3] == 1 else 0

    @property
    def count(self) -> int:
        """The number of slices."""
        return int(np.prod(self.shape[2:3] if self.components else self.shape[2:]))

    @property
    def is_colour(self) -> bool:
        return self.image.get_data_dtype().names is not None

    @property
    def scaling(self) -> Scaling:
        proxy = self.image.dataobj
        return Scaling(float(proxy.slope), float(proxy.inter))

    @property
    def is_turned(self) -> bool:
        return bool(_toolbox(self.name).aff2axcodes(self.image.affine)[1] in ("A", "S"))


def header(path: str) -> Header:
    """Return what the file says of its slices, without reading them."""
    volume = _volume(path, with_voxels=False)
    with _parsing(path):
        width, height = volume.shape[:2]
        check_size(path, (width, height), MAX_PIXELS)
        low, high = (float(volume.image.header[name]) for name in ("cal_min", "cal_max"))
        return Header(
            (width, height),
            _channels(volume),
            _dtype(volume),
            volume.count,
            window=(low, high) if low < high else None,
        )


def read(
    path: str, index: int = 0, at_least: int | None = None, max_pixels: int = MAX_PIXELS
) -> Frame:
    """Read slice `index` of the file, with slope and intercept applied."""
    check_is_file(path)
    volume = _volumes.get(path)
    check_size(path, (volume.shape[0], volume.shape[1]), max_pixels)
    check_index(path, index, volume.count)
    with _parsing(path):
        return Frame(_slice(volume, index), _channels(volume))


def _slice(volume: _Volume, index: int) -> NDArray[Any]:
    stored = volume.stored
    assert stored is not None
    if volume.components:
        plane = stored[:, :, index, 0]
    else:
        plane = stored.reshape(*volume.shape[:2], -1, order="F")[:, :, index]
    if volume.is_colour:
        plane = np.stack([plane[name] for name in ("R", "G", "B")], axis=-1)
    values = plane.swapaxes(0, 1)
    values = values[::-1] if volume.is_turned else values
    values = volume.scaling.apply(np.atleast_3d(values), _dtype(volume))
    return np.ascontiguousarray(values, values.dtype.newbyteorder("="))


def _channels(volume: _Volume) -> tuple[str, ...]:
    if volume.is_colour:
        return RGB
    count = volume.components
    return channel_names(count) if count > 1 else GREY


def _dtype(volume: _Volume) -> str:
    kind = volume.image.get_data_dtype()
    if volume.is_colour:
        return "uint8"
    name = kind.newbyteorder("=").name
    if name not in DTYPES:
        raise InputError(f"{volume.name} has values of type {name}: expected {', '.join(DTYPES)}")
    return volume.scaling.dtype(name, *own_range(name))


def _toolbox(name: str, doing: str = "reading") -> Any:
    try:
        with quiet():
            import nibabel
    except ImportError as error:
        raise needs(name, "nibabel", "medical", doing) from error
    return nibabel


@contextmanager
def _parsing(path: str) -> Iterator[None]:
    """Turn errors of a damaged file into InputError. Its header may hold anything."""
    toolbox = _toolbox(path)
    errors = (
        *(OSError, EOFError, ValueError, TypeError, KeyError, MemoryError, ArithmeticError),
        *(zlib.error, toolbox.filebasedimages.ImageFileError),
        toolbox.spatialimages.HeaderDataError,
    )
    try:
        with quiet(), quiet_logger(_LOGGER), np.errstate(all="ignore"):
            yield
    except InputError:
        raise
    except errors as error:
        raise broken(path, error) from error


def _volume(path: str, *, with_voxels: bool) -> _Volume:
    check_is_file(path)
    with _parsing(path):
        toolbox = _toolbox(path)
        image = toolbox.load(path)
        if not isinstance(image, toolbox.Nifti1Image):
            raise InputError(f"{path} is {type(image).__name__}: expected NIfTI")
        if len(image.shape) < 2 or min(image.shape) < 1:
            raise broken(path, f"its shape is {image.shape}")
        check_size(path, image.shape[:2], MAX_PIXELS)
        stored = np.asanyarray(image.dataobj.get_unscaled()) if with_voxels else None
        return _Volume(path, image, stored)


def _bytes(volume: _Volume) -> int:
    is_mapped = volume.stored is None or isinstance(volume.stored, np.memmap)
    return 0 if is_mapped else int(volume.stored.nbytes) if volume.stored is not None else 0


_volumes = Volumes(lambda path: _volume(path, with_voxels=True), _bytes)


# --- writing -------------------------------------------------------------------------------


def write(
    path: Path, images: Sequence[NDArray[Any]], pixels: PixelFormat, source: str | None
) -> None:
    """Write slices as one volume with the affine and the header of `source`."""
    if not can_hold(path.suffix.lower(), len(pixels.channels), pixels.dtype, len(images)):
        raise cannot_hold(path, pixels, len(images))
    toolbox = _toolbox(str(path), "writing")
    old = None
    if source is not None and family_of(source) == "nifti":
        old = _volume(source, with_voxels=False)
    try:
        with quiet(), quiet_logger(_LOGGER):
            content = _made(toolbox, images, pixels, old).to_bytes()
        if path.name.lower().endswith(".gz"):
            content = gzip.compress(content, 6, mtime=0)
        with atomic_write(path) as file:
            file.write(content)
    except (OSError, ValueError, toolbox.spatialimages.HeaderDataError) as error:
        raise InputError(f"cannot write {path}: {one_line(error)}") from error


def can_hold(suffix: str, channels: int, dtype: str, images: int) -> bool:
    """Return whether a file of this suffix can hold such images."""
    return dtype in DTYPES and dtype != "float16" and channels >= 1 and images >= 1


def _made(
    toolbox: Any, images: Sequence[NDArray[Any]], pixels: PixelFormat, old: _Volume | None
) -> Any:
    values = np.stack(images)  # (Z, H, W, C)
    if old is None or old.is_turned:
        values = values[:, ::-1]
    values = values.transpose(2, 1, 0, 3)  # (X, Y, Z, C)
    if pixels.channels == RGB and pixels.dtype == "uint8":
        values = np.ascontiguousarray(values).view(_RGB_DTYPE)
    size = values.shape[:2]
    if values.shape[3] == 1:
        values = values[..., 0]
        if old is not None and len(images) == old.count and not old.components:
            values = values.reshape(*size, *old.image.shape[2:], order="F")
    else:
        values = values[:, :, :, None]
    affine = np.eye(4) if old is None else _affine(old, size)
    kind = toolbox.Nifti1Image if old is None else type(old.image)
    made = kind(values, affine, None if old is None else old.image.header, dtype=values.dtype)
    made.header.set_slope_inter(1, 0)
    made.header["cal_min"], made.header["cal_max"] = pixels.low, pixels.high
    if values.ndim == 5:
        made.header.set_intent(_VECTOR)
    return made


def _affine(old: _Volume, size: tuple[int, ...]) -> NDArray[np.float64]:
    """Return the affine of a volume that fills the old one's space with other slices' size."""
    affine: NDArray[np.float64] = np.array(old.image.affine, dtype=np.float64)
    for axis in range(2):
        scale = old.shape[axis] / size[axis]
        affine[:3, 3] += affine[:3, axis] * (scale - 1) / 2
        affine[:3, axis] *= scale
    return affine
