"""Writing Pillow's formats, with what the source holds beside its pixels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

from diptych.data import formats
from diptych.data.formats import deep_png
from diptych.data.formats.checks import one_line, quiet
from diptych.data.formats.pillow import DECODING_ERRORS, opened, plugin, quiet_pillow
from diptych.data.formats.sources import alpha_of, fits
from diptych.data.pixels import PixelFormat
from diptych.errors import InputError
from diptych.files import atomic_write

_KIND = {
    ".jpg": "JPEG", ".jpeg": "JPEG", ".jpe": "JPEG", ".jfif": "JPEG", ".png": "PNG",
    ".apng": "PNG", ".webp": "WEBP", ".bmp": "BMP", ".gif": "GIF", ".avif": "AVIF",
    ".ppm": "PPM", ".pgm": "PPM", ".pnm": "PPM", ".heic": "HEIF", ".heif": "HEIF", ".jxl": "JXL",
}  # fmt: skip
_OF_SEVERAL = ("PNG", "WEBP", "GIF", "AVIF", "HEIF")
_WITH_ALPHA = ("PNG", "WEBP", "AVIF", "HEIF", "JXL", "GIF")
_WITH_EXIF = ("JPEG", "PNG", "WEBP", "AVIF", "HEIF", "JXL")
_WITH_XMP = ("JPEG", "WEBP", "AVIF", "HEIF")
_LOSSY = ("JPEG", "WEBP", "AVIF", "HEIF", "JXL")
_QUALITY = 95


def write(
    path: Path, images: Sequence[NDArray[Any]], pixels: PixelFormat, source: str | None
) -> None:
    """Write images with the EXIF data, colour profile, XMP, transparency and timing of `source`.

    JPEG and BMP have no transparency, so there images are put on white.

    Raises:
        InputError: the format cannot hold them, or the file cannot be written.
    """
    suffix, count = path.suffix.lower(), len(pixels.channels)
    if not can_hold(suffix, count, pixels.dtype, len(images)):
        raise formats.cannot_hold(path, pixels, len(images))
    kind = _KIND[suffix]
    plugin(str(path), "writing")
    masks = _masks(source, images)
    kept = _kept(source, kind, count, len(images))
    is_deep = pixels.dtype == "uint16" and (count == 3 or masks[0] is not None)
    if is_deep and deep_png.is_available():
        _write_deep(path, images[0], masks[0], kept)
        return
    pictures = [
        _picture(values, mask, keeps_alpha=kind in _WITH_ALPHA)
        for values, mask in zip(images, masks, strict=True)
    ]
    options: dict[str, Any] = {"quality": _QUALITY} if kind in _LOSSY else {}
    if len(pictures) > 1:
        options |= {"save_all": True, "append_images": pictures[1:]}
        if kind == "GIF" and any(mask is not None for mask in masks):
            options["disposal"] = 2  # else the last frame shows through the next one's holes
    try:
        with quiet_pillow(), atomic_write(path) as file:
            pictures[0].save(file, format=kind, **options, **kept)
    except DECODING_ERRORS as error:
        raise InputError(f"cannot write {path}: {one_line(error)}") from error


def can_hold(suffix: str, channels: int, dtype: str, images: int) -> bool:
    """Return whether a file of this suffix can hold such images."""
    kind = _KIND.get(suffix)
    if kind is None or (images > 1 and kind not in _OF_SEVERAL) or channels not in (1, 3):
        return False
    if dtype == "uint16":
        is_possible = channels == 1 or deep_png.is_available()
        return kind == "PNG" and images == 1 and is_possible
    return dtype == "uint8" and channels != {".ppm": 1, ".pgm": 3}.get(suffix)


def _write_deep(
    path: Path, values: NDArray[Any], mask: NDArray[Any] | None, kept: dict[str, Any]
) -> None:
    if mask is not None:
        values = np.concatenate([values, mask[..., None]], axis=2)
    try:
        with atomic_write(path) as file:
            file.write(deep_png.encoded(values, kept.get("icc_profile"), kept.get("exif")))
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(f"cannot write {path}: {one_line(error)}") from error


def _masks(source: str | None, images: Sequence[NDArray[Any]]) -> list[NDArray[Any] | None]:
    """Return the transparency of each image; where one has some, the others are opaque."""
    masks = [alpha_of(source, index, values) for index, values in enumerate(images)]
    if all(mask is None for mask in masks):
        return masks
    return [
        _opaque(values) if mask is None else mask
        for mask, values in zip(masks, images, strict=True)
    ]


def _opaque(values: NDArray[Any]) -> NDArray[Any]:
    return np.full(values.shape[:2], np.iinfo(values.dtype).max, values.dtype)


def _picture(values: NDArray[Any], mask: NDArray[Any] | None, *, keeps_alpha: bool) -> Image.Image:
    plane = values[..., 0] if values.shape[2] == 1 else values
    image = Image.fromarray(np.ascontiguousarray(plane))
    if mask is None or values.dtype != np.uint8:
        return image
    alpha = Image.fromarray(mask)
    if keeps_alpha:
        image.putalpha(alpha)
        return image
    return Image.composite(image, Image.new(image.mode, image.size, "white"), alpha)


def _kept(source: str | None, kind: str, channels: int, images: int) -> dict[str, Any]:
    """Return what `Image.save` takes to keep the source's metadata."""
    if source is None or formats.family_of(source) not in ("pillow", "tiff"):
        return {}
    kept: dict[str, Any] = {}
    try:
        with opened(source) as image:
            profile = image.info.get("icc_profile")
            if kind in _WITH_EXIF and fits(profile, channels):
                kept["icc_profile"] = profile
            if kind in _WITH_EXIF and image.format != "TIFF":  # its tags say how the file lies
                exif = _exif_to_keep(image)
                kept |= {} if exif is None else {"exif": exif}
            kept |= _xmp(image.info.get("xmp"), kind)
            if images > 1:
                kept |= _timing(image)
    except InputError:
        if formats.family_of(source) != "tiff":
            raise
        return {}  # Pillow does not read every TIFF; such have no profile for it
    return kept


def _xmp(xmp: Any, kind: str) -> dict[str, Any]:
    if not isinstance(xmp, bytes):
        return {}
    if kind == "PNG":
        text = PngInfo()
        text.add_itxt("XML:com.adobe.xmp", xmp.decode("utf-8", "replace"))
        return {"pnginfo": text}
    return {"xmp": xmp} if kind in _WITH_XMP else {}


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
    if not any(durations):
        return {}
    loop = image.info.get("loop")
    return {"duration": durations, **({} if loop is None else {"loop": loop})}
