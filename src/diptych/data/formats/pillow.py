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
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from diptych.data import formats
from diptych.data.formats import MAX_PIXELS, Frame, Header
from diptych.data.formats.checks import (
    broken,
    check_index,
    check_is_file,
    check_size,
    needs,
    one_line,
    quiet,
)
from diptych.data.pixels import GREY, RGB, PixelFormat
from diptych.errors import InputError
from diptych.files import atomic_write

READ = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "JPEG2000", "PPM")
"""Pillow's names of the formats that are read. Some of its other readers start programs."""
_PLUGINS = {
    ".heic": ("HEIF", "pillow_heif", "pillow-heif"),
    ".heif": ("HEIF", "pillow_heif", "pillow-heif"),
    ".jxl": ("JXL", "pillow_jxl", "pillow-jxl-plugin"),
}
"""By suffix: Pillow's name, the module that adds it to Pillow, and the package to install."""
_WRITTEN = {
    ".jpg": "JPEG", ".jpeg": "JPEG", ".jpe": "JPEG", ".jfif": "JPEG", ".png": "PNG",
    ".apng": "PNG", ".webp": "WEBP", ".bmp": "BMP", ".gif": "GIF", ".avif": "AVIF",
    ".jp2": "JPEG2000", ".ppm": "PPM", ".pgm": "PPM", ".pnm": "PPM", ".heic": "HEIF",
    ".heif": "HEIF", ".jxl": "JXL",
}  # fmt: skip
_ANIMATED = ("PNG", "WEBP", "GIF", "AVIF")
_WITH_ALPHA = ("PNG", "WEBP", "AVIF", "HEIF", "JXL", "JPEG2000", "GIF")
_WITH_EXIF = ("JPEG", "PNG", "WEBP", "AVIF", "HEIF", "JXL")
_WITH_ICC = (*_WITH_EXIF, "TIFF")
_QUALITY = {"JPEG": 95, "WEBP": 95, "AVIF": 95, "HEIF": 95, "JXL": 95}
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
        return header_of(image)


def read(
    path: str, index: int = 0, at_least: int | None = None, max_pixels: int = MAX_PIXELS
) -> Frame:
    """Read image `index` of the file, upright."""
    with opened(path) as image:
        check_size(path, image.size, max_pixels)
        return decoded(image, path, index, at_least)


def header_of(image: Image.Image) -> Header:
    """Return what an opened file says of the image at which it stands."""
    width, height = image.size
    if _orientation(image) >= 5:
        width, height = height, width
    channels, dtype = _kind(image)
    count = 1 if image.format == "MPO" else int(getattr(image, "n_frames", 1))
    return Header((width, height), channels, dtype, count, image.has_transparency_data)


def decoded(image: Image.Image, name: str, index: int = 0, at_least: int | None = None) -> Frame:
    """Decode image `index` of an opened file. Messages call it `name`.

    Raises:
        InputError: it is broken, or Pillow cannot convert it.
    """
    count = 1 if image.format == "MPO" else int(getattr(image, "n_frames", 1))
    check_index(name, index, count)
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
    allowed = (*READ, *_plugin(name))
    try:
        with quiet_pillow():
            image = Image.open(name, formats=allowed)
    except UnidentifiedImageError as error:
        raise InputError(
            f"{name} is not an image that can be read: expected"
            " JPEG, PNG, WebP, GIF, AVIF, TIFF or BMP"
        ) from error
    except DECODING_ERRORS as error:
        raise InputError(f"{name} cannot be opened ({one_line(error)})") from error
    with image:
        yield image


def _plugin(name: str, doing: str = "reading") -> tuple[str, ...]:
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


def _orientation(image: Image.Image) -> int:
    if image.format == "PNG" and not {"exif", "Raw profile type exif"} & set(image.info):
        return 1  # Pillow would decode the pixels to look behind them
    try:
        with quiet():
            return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except DECODING_ERRORS:
        return 1


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except DECODING_ERRORS:
        return image.copy()  # corrupt metadata is no reason to refuse the pixels


# --- writing ---------------------------------------------------------------------------


def write(
    path: Path, images: Sequence[NDArray[Any]], pixels: PixelFormat, source: str | None
) -> None:
    """Write images with the EXIF data, colour profile, XMP, transparency and timing of `source`.

    JPEG and BMP have no transparency, so there images are put on white.
    """
    kind = _WRITTEN[path.suffix.lower()]
    if not can_hold(path.suffix.lower(), len(pixels.channels), pixels.dtype, len(images)):
        raise formats.cannot_hold(path, pixels, len(images))
    _plugin(str(path), "writing")
    masks = _masks(source, images)
    pictures = [
        _picture(values, mask, keeps_alpha=kind in _WITH_ALPHA)
        for values, mask in zip(images, masks, strict=True)
    ]
    options: dict[str, Any] = {"quality": _QUALITY[kind]} if kind in _QUALITY else {}
    options |= _kept(source, kind, len(images))
    if len(pictures) > 1:
        options |= {"save_all": True, "append_images": pictures[1:]}
    try:
        with quiet_pillow(), atomic_write(path) as file:
            pictures[0].save(file, format=kind, **options)
    except DECODING_ERRORS as error:
        raise InputError(f"cannot write {path}: {one_line(error)}") from error


def can_hold(suffix: str, channels: int, dtype: str, images: int) -> bool:
    """Return whether a file of this suffix can hold such images."""
    kind = _WRITTEN.get(suffix)
    if kind is None or (images > 1 and kind not in _ANIMATED) or channels not in (1, 3):
        return False
    if dtype == "uint16":
        return channels == 1 and kind in ("PNG", "JPEG2000") and images == 1
    return dtype == "uint8" and channels != {".ppm": 1, ".pgm": 3}.get(suffix)


def _masks(source: str | None, images: Sequence[NDArray[Any]]) -> Sequence[NDArray[Any] | None]:
    """Return the transparency of each image of the source, where the sizes agree."""
    if source is None or not formats.header(source).has_alpha:
        return [None] * len(images)
    masks = []
    for index, values in enumerate(images):
        alpha = formats.read(source, index).alpha
        fits = alpha is not None and alpha.shape == values.shape[:2]
        masks.append(alpha if fits else None)
    return masks


def _picture(values: NDArray[Any], mask: NDArray[Any] | None, *, keeps_alpha: bool) -> Image.Image:
    image = Image.fromarray(
        np.ascontiguousarray(values[..., 0] if values.shape[2] == 1 else values)
    )
    if mask is None or values.dtype != np.uint8:
        return image
    full = np.iinfo(mask.dtype).max if mask.dtype.kind in "ui" else 1.0
    alpha = Image.fromarray(np.rint(mask * (255 / full)).astype(np.uint8))
    if keeps_alpha:
        image.putalpha(alpha)
        return image
    return Image.composite(image, Image.new(image.mode, image.size, "white"), alpha)


def _kept(source: str | None, kind: str, images: int) -> dict[str, Any]:
    """Return what `Image.save` takes to keep the source's metadata."""
    if source is None or Path(source).suffix.lower() not in formats.PILLOW_SUFFIXES:
        return {}
    kept: dict[str, Any] = {}
    with opened(source) as image:
        profile = image.info.get("icc_profile")
        if profile and profile[16:20] == b"RGB " and kind in _WITH_ICC:
            kept["icc_profile"] = profile
        if kind in _WITH_EXIF and image.format != "TIFF":
            exif = _exif_to_keep(image)
            if exif is not None:
                kept["exif"] = exif
        xmp = image.info.get("xmp")
        if xmp and kind in ("JPEG", "WEBP", "AVIF"):
            kept["xmp"] = xmp
        if images > 1:
            kept |= _timing(image)
    return kept


def _exif_to_keep(image: Image.Image) -> bytes | None:
    """Return the EXIF data without the orientation and the thumbnail; None if nothing is left."""
    try:
        with quiet():
            exif = Image.Exif()
            exif.load(image.getexif().tobytes())  # tobytes() drops the old image's thumbnail
            exif.pop(ExifTags.Base.Orientation, None)
            return exif.tobytes() if len(exif) else None
    except DECODING_ERRORS:
        return None


def _timing(image: Image.Image) -> dict[str, Any]:
    """Return the durations of an animation's frames in ms, and how often it is shown."""
    durations = []
    for index in range(int(getattr(image, "n_frames", 1))):
        image.seek(index)
        image.load()
        durations.append(image.info.get("duration", 0))
    timing = {"duration": durations}
    if "loop" in image.info:
        timing["loop"] = image.info["loop"]
    return timing
