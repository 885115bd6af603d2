"""Pillow's formats: JPEG, PNG, WebP, GIF, AVIF and others; HEIC and JPEG XL by its plugins.

Reading applies the EXIF orientation to the pixels. Palettes, CMYK and the like become RGB;
bilevel images become grey. 16-bit grey and floats stay as they are.
"""

from __future__ import annotations

import importlib
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from PIL.PngImagePlugin import PngImageFile

from diptych.data.formats import MAX_PIXELS, Frame, Header, deep_png
from diptych.data.formats.checks import (
    broken,
    check_index,
    check_is_file,
    check_size,
    needs,
    one_line,
    quiet,
)
from diptych.data.formats.kept import Kept
from diptych.data.pixels import GREY, RGB, PixelFormat
from diptych.errors import InputError

READ = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "PPM")
"""Pillow's names of the formats that are read. Some of its other readers start programs."""
_PLUGINS = {
    ".heic": ("HEIF", "pillow_heif", "pillow-heif"),
    ".heif": ("HEIF", "pillow_heif", "pillow-heif"),
    ".jxl": ("JXL", "pillow_jxl", "pillow-jxl-plugin"),
}
"""By suffix: Pillow's name, the module that adds it to Pillow, and the package to install."""
_SIXTEEN_BIT = ("I;16", "I;16L", "I;16B", "I;16N")
DECODING_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    RuntimeError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


def header(path: str) -> Header:
    """Return what the file says of its images, without decoding them."""
    with opened(path) as image:
        check_size(path, image.size, MAX_PIXELS)
        return header_of(image, path)


def read(
    path: str, index: int = 0, at_least: int | None = None, max_pixels: int = MAX_PIXELS
) -> Frame:
    """Read image `index` of the file, upright."""
    with _standing(path) if index else opened(path) as image:
        check_size(path, image.size, max_pixels)
        check_index(path, index, _count(image, path))
        if is_deep(image) and index == 0:
            return deep_png.read(path, turn_of(image))
        return decoded(image, path, index, at_least)


def header_of(image: Image.Image, name: str) -> Header:
    """Return what an opened file says of the image at which it stands."""
    width, height = image.size
    if turn_of(image) >= 5 and image.format != "TIFF":  # whose size Pillow has turned
        width, height = height, width
    channels, dtype = _kind(image)
    has_alpha = image.has_transparency_data
    return Header((width, height), channels, dtype, _count(image, name), has_alpha)


def is_deep(image: Image.Image) -> bool:
    """Whether Pillow would decode only 8 of 16 bits of a PNG with colours or alpha."""
    tiles = image.tile if isinstance(image, PngImageFile) else ()
    return image.mode not in _SIXTEEN_BIT and any(";16" in str(tile[3]) for tile in tiles)


def _count(image: Image.Image, name: str) -> int:
    try:
        with quiet():
            # The further images of an MPO are made for other screens; it is a JPEG.
            return 1 if image.format == "MPO" else int(getattr(image, "n_frames", 1))
    except DECODING_ERRORS as error:
        raise broken(name, error) from error


def decoded(image: Image.Image, name: str, index: int = 0, at_least: int | None = None) -> Frame:
    """Decode image `index` of an opened file. Messages call it `name`.

    Raises:
        InputError: it is broken, or Pillow cannot convert it.
    """
    if at_least is not None:
        image.draft(None, (2 * at_least, 2 * at_least))
    # Pillow parses a TIFF's tags again here, and may warn about them.
    with quiet_pillow() if image.format == "TIFF" else nullcontext():
        try:
            if index:
                image.seek(index)
            image.load()
        except DECODING_ERRORS as error:
            raise broken(name, error) from error
    try:
        with quiet_pillow():
            upright = _upright(image)
        return _frame(upright, *_kind(image))
    except DECODING_ERRORS as error:
        raise InputError(
            f"{name} cannot be converted from mode {image.mode} ({one_line(error)}): "
            "save it as 8-bit RGB"
        ) from error


def _kind(image: Image.Image) -> tuple[tuple[str, ...], str]:
    """Return the channels and the type of values that an image is read with."""
    if is_deep(image):
        return GREY if image.mode == "LA" else RGB, "uint16"
    if image.mode in _SIXTEEN_BIT:
        return GREY, "uint16"
    if image.mode == "I":
        return GREY, "uint16" if image.format in ("PPM", "PNG") else "int32"
    if image.mode == "F":
        return GREY, "float32"
    if image.mode in ("1", "L", "LA", "La") and image.format != "GIF":
        return GREY, "uint8"
    return RGB, "uint8"


def _frame(image: Image.Image, channels: tuple[str, ...], dtype: str) -> Frame:
    if dtype != "uint8":
        values = np.asarray(image).astype(dtype)
        hidden = image.info.get("transparency")
        alpha = None
        if isinstance(hidden, int):  # one level of grey
            alpha = np.where(values == hidden, 0, np.iinfo(dtype).max).astype(dtype)
        return Frame(values[..., None], channels, alpha)
    opaque, with_alpha = ("L", "LA") if channels == GREY else ("RGB", "RGBA")
    mask = None
    if image.has_transparency_data:
        image = image.convert(with_alpha)
        mask = np.asarray(image.getchannel("A"))
    values = np.asarray(image if image.mode == opaque else image.convert(opaque))
    return Frame(values[..., None] if channels == GREY else values, channels, mask)


@contextmanager
def opened(name: str) -> Iterator[Image.Image]:
    """Open a file, with its header read but its pixels not yet decoded."""
    check_is_file(name)
    with _open(name, name) as image:
        yield image


_animations: Kept[Image.Image] = Kept(Image.Image.close)


@contextmanager
def _standing(name: str) -> Iterator[Image.Image]:
    """Open a file of several images, or find it at the image that was last read.

    Animations are decoded from the front, so that opening them anew for each image would take
    the square of the time.
    """
    image = _animations.find(name)
    if image is None:
        image = _open(name, BytesIO(Path(name).read_bytes()))
        _animations.keep(name, image)
    yield image


def _open(name: str, file: str | BytesIO) -> Image.Image:
    allowed = (*READ, *plugin(name))
    try:
        with quiet_pillow():
            return Image.open(file, formats=allowed)
    except UnidentifiedImageError as error:
        raise InputError(
            f"{name} is not an image that can be read: expected"
            " JPEG, PNG, WebP, GIF, AVIF, TIFF or BMP"
        ) from error
    except DECODING_ERRORS as error:
        raise InputError(f"{name} cannot be opened ({one_line(error)})") from error


def plugin(name: str, doing: str = "reading") -> tuple[str, ...]:
    """Add to Pillow what reads or writes the file, if its suffix asks for a plugin."""
    found = _PLUGINS.get(Path(name).suffix.lower())
    if found is None:
        return ()
    kind, module, package = found
    try:
        with quiet():
            plugin = importlib.import_module(module)
    except ImportError as error:
        raise needs(name, package, "codecs", doing) from error
    if kind == "HEIF":
        plugin.register_heif_opener()
    return (kind,)


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Turn off warnings and Pillow's bomb check while headers are parsed.

    `check_size` takes its place. Both settings belong to the whole process, so one thread at a
    time is inside. Decoding happens outside, so that threads can decode in parallel.
    """
    with quiet():
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def turn_of(image: Image.Image) -> int:
    """Return the EXIF orientation, from 1 to 8."""
    if image.format == "PNG" and not {"exif", "Raw profile type exif"} & set(image.info):
        return 1  # Pillow would decode the pixels to look behind them
    try:
        with quiet():
            return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except DECODING_ERRORS:
        return 1


def _upright(image: Image.Image) -> Image.Image:
    if turn_of(image) == 1:
        return image  # `exif_transpose` would copy it
    try:
        return ImageOps.exif_transpose(image)
    except DECODING_ERRORS:
        return image.copy()  # corrupt metadata is no reason to refuse the pixels


def write(
    path: Path, images: Sequence[NDArray[Any]], pixels: PixelFormat, source: str | None
) -> None:
    """Write images with the metadata, transparency and timing of `source`."""
    from diptych.data.formats import pillow_out

    pillow_out.write(path, images, pixels, source)


def can_hold(suffix: str, channels: int, dtype: str, images: int) -> bool:
    """Return whether a file of this suffix can hold such images."""
    from diptych.data.formats import pillow_out

    return pillow_out.can_hold(suffix, channels, dtype, images)
