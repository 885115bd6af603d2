"""Files to rasters in their domain's pixel format. Pixels are converted only here.

An image must have its domain's channels and type. Two differences lose nothing and are allowed:
grey images among colour ones are repeated, and colour images whose channels are equal are grey.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diptych.data import formats
from diptych.data.formats import Frame
from diptych.data.pixels import GREY, RGB, PixelFormat
from diptych.data.raster import Raster
from diptych.errors import InputError, option


def read_raster(
    path: str | os.PathLike[str],
    pixels: PixelFormat,
    index: int = 0,
    *,
    at_least: int | None = None,
    max_pixels: int = formats.MAX_PIXELS,
) -> Raster:
    """Read image `index` of a file of a domain whose pixels are `pixels`.

    Where an image is transparent, it is shown on white, or on the greatest value. With
    `at_least`, a JPEG may be decoded at a fraction of its size; its shorter side keeps at least
    twice as many pixels.

    Raises:
        InputError: the file is missing, broken or too large, or its channels or type are others.
    """
    frame = formats.read(path, index, at_least=at_least, max_pixels=max_pixels)
    return raster_of(frame, pixels, os.fspath(path))


def raster_of(frame: Frame, pixels: PixelFormat, name: str) -> Raster:
    """Convert an image as it is in its file. Messages call it `name`.

    Raises:
        InputError: its channels or its type are not those of `pixels`.
    """
    values = _fitted(frame, pixels, name)
    if pixels.is_eight_bit:
        return _eight_bit(values, frame.alpha, pixels, frame.nodata)
    valid = valid_pixels(values, pixels.nodata if pixels.nodata is not None else frame.nodata)
    if frame.alpha is not None:
        values = _over_high(values, frame.alpha, pixels)
    unit = pixels.to_unit(values if valid is None else np.where(valid[..., None], values, 0))
    if valid is None:
        return Raster.from_array(unit)
    unit[~valid] = -1
    planes = Raster.from_array(unit).planes
    return Raster(planes, Image.fromarray(valid.astype(np.float32)))


def in_own_range(frame: Frame, pixels: PixelFormat, name: str) -> Frame:
    """Convert an image of another type to an 8-bit domain's by the whole ranges of both.

    Grey images of 16 bits and floats from 0 to 1 are such images. All others stay as they are.
    Training does not do so: a domain's images have one type.

    Raises:
        InputError: floats are outside [0, 1].
    """
    values = frame.values
    if not pixels.is_eight_bit or values.dtype == np.uint8:
        return frame
    alpha = frame.alpha
    if values.dtype == np.uint16:
        scaled = ((values.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
        alpha = None if alpha is None else (alpha // 257).astype(np.uint8)
    elif values.dtype.kind == "f":
        if not (values.min() >= 0 and values.max() <= 1):  # also false for NaN
            raise InputError(
                f"{name} has float values from {values.min():g} to {values.max():g}: expected"
                " [0, 1]; rescale it, or save it with 8 or 16 bits"
            )
        scaled = np.round(values * 255).astype(np.uint8)
        alpha = None if alpha is None else np.round(alpha * 255).astype(np.uint8)
    else:
        return frame
    return Frame(scaled, frame.channels, alpha)


def valid_pixels(values: NDArray[Any], nodata: float | None) -> NDArray[np.bool_] | None:
    """Return (H, W), where every channel of (H, W, C) has data; None if it is so everywhere.

    Pixels that are `nodata`, NaN or infinite have none.
    """
    valid = np.ones(values.shape[:2], bool)
    if values.dtype.kind == "f":
        valid &= np.isfinite(values).all(axis=2)
    if nodata is not None:
        valid &= (values != nodata).all(axis=2)
    return None if valid.all() else valid


def _fitted(frame: Frame, pixels: PixelFormat, name: str) -> NDArray[Any]:
    """Return the frame's values with the channels of `pixels`, or raise InputError."""
    values = frame.values
    if str(values.dtype) != pixels.dtype:
        raise InputError(
            f"{name} is {values.dtype}, unlike the other images of its domain, which are"
            f" {pixels.dtype}: convert it or remove it"
        )
    own, wanted = values.shape[2], len(pixels.channels)
    if own == wanted:
        return values
    if own == 1 and pixels.channels == RGB:
        return np.repeat(values, 3, axis=2)
    if own == 3 and pixels.channels == GREY and (values == values[..., :1]).all():
        return values[..., :1]
    raise InputError(
        f"{name} has {_counted(own)}, but its domain has {wanted}: convert it, remove it, or give"
        f" {option('channels', own)}"
    )


def _counted(channels: int) -> str:
    return "1 channel" if channels == 1 else f"{channels} channels"


def _eight_bit(
    values: NDArray[Any], alpha: NDArray[Any] | None, pixels: PixelFormat, nodata: float | None
) -> Raster:
    nodata = pixels.nodata if pixels.nodata is not None else nodata
    valid = None if nodata is None else valid_pixels(values, nodata)
    planes = Raster.from_array(values).planes
    if alpha is not None:
        mask = Image.fromarray(alpha)
        planes = tuple(
            Image.composite(plane, Image.new(plane.mode, plane.size, "white"), mask)
            for plane in planes
        )
    return Raster(planes, None if valid is None else Image.fromarray(valid.astype(np.float32)))


def _over_high(values: NDArray[Any], alpha: NDArray[Any], pixels: PixelFormat) -> NDArray[Any]:
    full = np.iinfo(alpha.dtype).max if alpha.dtype.kind in "ui" else 1.0
    share = alpha.astype(np.float64)[..., None] / full
    return (values * share + pixels.high * (1 - share)).astype(values.dtype)
