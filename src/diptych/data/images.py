"""Convert files to PIL images to tensors and back. Pixels are converted only here.

Reading applies the EXIF orientation to the pixels and drops the tag. 16-bit grey is scaled by
its full range. By default Pillow ignores the orientation and clips 16-bit grey.
"""

from __future__ import annotations

import os
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from diptych.errors import InputError, option
from diptych.files import atomic_write

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP")
"""Pillow's names of the formats that are read. Some of its other readers start programs."""
FORMAT_BY_SUFFIX = {
    ".bmp": "BMP",
    ".jfif": "JPEG",
    ".jpeg": "JPEG",
    ".jpg": "JPEG",
    ".png": "PNG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
}
IMAGE_SUFFIXES = tuple(FORMAT_BY_SUFFIX)
"""In lower case. A file's suffix may be in any case."""
MAX_PIXELS = 178_956_970
"""Larger files are refused as decompression bombs. This is Pillow's own limit, 512 MiB of RGB."""

_SIXTEEN_BIT = ("I;16", "I;16L", "I;16B", "I;16N")
_WITH_EXIF = ("JPEG", "PNG", "WEBP")  # a TIFF's tags describe the file's layout, not the photo
_DECODING_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
_pillow_state = threading.Lock()


@dataclass(frozen=True)
class Decoded:
    """An upright image, and what is needed to write another image like it."""

    image: Image.Image
    """RGB. Where alpha is 0, the colours are those in the file."""
    alpha: Image.Image | None
    """Mode L, where 255 is opaque; None if the image has no transparency."""
    format: str | None
    """One of FORMATS; None for an image that was not read from a file."""
    icc_profile: bytes | None
    """The ICC profile; None if there was none, or it was not for RGB."""
    exif: bytes | None
    """The EXIF data without the orientation and the thumbnail; None if nothing is left."""

    def over_white(self) -> Image.Image:
        """Return the image in RGB, on a white background where it is transparent."""
        if self.alpha is None:
            return self.image
        white = Image.new("RGB", self.image.size, (255, 255, 255))
        return Image.composite(self.image, white, self.alpha)


def read_image(
    path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS, at_least: int | None = None
) -> Image.Image:
    """Read a file as an upright RGB image, on white where it is transparent.

    With `at_least`, a JPEG may be decoded at a half, a quarter or an eighth of its size, which
    is faster. Its shorter side keeps at least twice `at_least` pixels.

    Raises:
        InputError: the file does not exist, is not an image in one of FORMATS, is broken, or
            has more than `max_pixels` pixels.
    """
    return decode_image(path, max_pixels=max_pixels, at_least=at_least).over_white()


def decode_image(
    path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS, at_least: int | None = None
) -> Decoded:
    """Read a file's colours and transparency, and what is needed to write an image like it.

    If the file holds several images, the first is read. `at_least` and the errors are those of
    `read_image`.
    """
    name = os.fspath(path)
    with _opened(name, max_pixels) as image:
        if at_least is not None:
            image.draft(None, (2 * at_least, 2 * at_least))
        # Pillow parses a TIFF's tags again here, and may warn about them.
        quiet = _quiet_pillow() if image.format == "TIFF" else nullcontext()
        try:
            with quiet:
                image.load()
        except _DECODING_ERRORS as error:
            raise InputError(
                f"{name} is broken ({_one_line(error)}): replace it or remove it"
            ) from error
        return from_pil(image, name=name)


def image_size(path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """Return (width, height) as stored, from the file's header. Raises as `read_image` does."""
    with _opened(os.fspath(path), max_pixels) as image:
        return image.size


def from_pil(image: Image.Image, *, name: str = "the image") -> Decoded:
    """Convert any Pillow image to the form of a decoded file. `image` is not changed.

    Messages call the image `name`.

    Raises:
        InputError: the range of the values is unknown (32-bit integers beyond 16 bits,
            floats outside [0, 1]), or Pillow cannot convert the colour space.
    """
    icc_profile: bytes | None = image.info.get("icc_profile")
    image_format = "JPEG" if image.format == "MPO" else image.format  # MPO: several JPEGs
    try:
        with _quiet_pillow():
            exif = _exif_to_keep(image) if image_format in _WITH_EXIF else None
            upright = _upright(image)
        eight_bit = _to_eight_bit(upright, name)
        alpha = None
        if eight_bit.has_transparency_data:
            eight_bit = eight_bit.convert("RGBA")
            alpha = eight_bit.getchannel("A")
        rgb = eight_bit if eight_bit.mode == "RGB" else eight_bit.convert("RGB")
    except InputError:
        raise
    except _DECODING_ERRORS as error:
        raise InputError(
            f"{name} cannot be converted from mode {image.mode} ({_one_line(error)}): "
            "save it as 8-bit RGB"
        ) from error
    rgb.info = {}
    is_rgb_profile = icc_profile is not None and icc_profile[16:20] == b"RGB "
    return Decoded(rgb, alpha, image_format, icc_profile if is_rgb_profile else None, exif)


def save_image(
    image: Image.Image, path: str | os.PathLike[str], *, like: Decoded | None = None
) -> None:
    """Write RGB `image` in the format of the path's suffix, whole or not at all.

    The file takes the colour profile and EXIF data of `like`, and its transparency if the
    sizes agree. JPEG and BMP have no transparency, so there the image is put on white.

    Raises:
        InputError: the suffix belongs to no known format, or the file cannot be written.
    """
    path = Path(path)
    image_format = FORMAT_BY_SUFFIX.get(path.suffix.lower())
    if image_format is None:
        raise InputError(f"cannot write {path}: its name must end in {', '.join(IMAGE_SUFFIXES)}")
    options: dict[str, int | bytes] = {"quality": 95} if image_format in ("JPEG", "WEBP") else {}
    if like is not None:
        alpha = like.alpha if like.alpha is not None and like.alpha.size == image.size else None
        if alpha is not None and image_format in ("PNG", "WEBP", "TIFF"):
            image = image.copy()
            image.putalpha(alpha)
        elif alpha is not None:
            image = Decoded(image, alpha, None, None, None).over_white()
        if like.icc_profile is not None and image_format != "BMP":
            options["icc_profile"] = like.icc_profile
        if like.exif is not None and image_format in _WITH_EXIF:
            options["exif"] = like.exif
    try:
        with atomic_write(path) as file:
            image.save(file, format=image_format, **options)
    except OSError as error:
        raise InputError(f"cannot write {path}: {_one_line(error)}") from error


def to_tensor(image: Image.Image) -> Tensor:
    """Convert RGB `image` to (3, H, W) float32 in [-1, 1].

    Raises:
        ValueError: the mode is not RGB.
    """
    return from_uint8(to_uint8(image))


def to_uint8(image: Image.Image) -> Tensor:
    """Convert RGB `image` to (3, H, W) uint8, a quarter of the size of float32.

    Raises:
        ValueError: the mode is not RGB.
    """
    if image.mode != "RGB":
        raise ValueError(f"expected an RGB image, got mode {image.mode}")
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


def from_uint8(image_uint8: Tensor) -> Tensor:
    """Convert (..., 3, H, W) uint8 to float32 in [-1, 1]."""
    return image_uint8.float().div_(127.5).sub_(1)


def to_image(tensor: Tensor) -> Image.Image:
    """Convert (3, H, W) in [-1, 1] to an RGB image.

    Values are clamped and rounded to the nearest of 256 levels. `to_image(to_tensor(image))`
    equals `image`.

    Raises:
        ValueError: the shape is not (3, H, W).
    """
    if tensor.ndim != 3 or tensor.shape[0] != 3:
        raise ValueError(f"expected a (3, H, W) tensor, got {tuple(tensor.shape)}")
    levels = tensor.detach().float().cpu().add(1).mul(127.5).round().clamp(0, 255)
    return Image.fromarray(levels.to(torch.uint8).permute(1, 2, 0).contiguous().numpy())


@contextmanager
def _opened(name: str, max_pixels: int) -> Iterator[Image.Image]:
    """Open a file, with its header read and its size checked but its pixels not yet decoded."""
    try:
        with _quiet_pillow():
            image = Image.open(name, formats=FORMATS)
    except UnidentifiedImageError as error:
        is_empty = Path(name).stat().st_size == 0
        what = "is empty" if is_empty else "is not an image that can be read"
        raise InputError(f"{name} {what}: expected JPEG, PNG, WebP, TIFF or BMP") from error
    except FileNotFoundError as error:
        raise InputError(f"no such file: {name}") from error
    except _DECODING_ERRORS as error:
        if Path(name).is_dir():
            raise InputError(f"{name} is a folder: expected an image file") from error
        raise InputError(f"{name} cannot be opened ({_one_line(error)})") from error
    with image:
        width, height = image.size
        if width * height > max_pixels:
            raise InputError(
                f"{name} has {width * height / 1e6:.1f} megapixels ({width}x{height}), more than "
                f"the limit of {max_pixels / 1e6:.1f}: shrink it or raise {option('max_pixels')}"
            )
        yield image


@contextmanager
def _quiet_pillow() -> Iterator[None]:
    """Turn off warnings and Pillow's bomb check while headers are parsed.

    `_opened` has its own check. Both settings belong to the whole process, so a lock guards
    them. Decoding happens outside the lock, so that threads can decode in parallel.
    """
    with _pillow_state, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except _DECODING_ERRORS:
        return image.copy()  # corrupt metadata is no reason to refuse the pixels


def _exif_to_keep(image: Image.Image) -> bytes | None:
    try:
        exif = Image.Exif()
        exif.load(image.getexif().tobytes())  # tobytes() drops the thumbnail of the old image
        exif.pop(ExifTags.Base.Orientation, None)
        return exif.tobytes() if len(exif) else None
    except _DECODING_ERRORS:
        return None


def _to_eight_bit(image: Image.Image, name: str) -> Image.Image:
    """Convert single channels of more than 8 bits to L. Other images stay as they are."""
    if image.mode in _SIXTEEN_BIT or image.mode == "I":
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise InputError(
                f"{name} has 32-bit values from {values.min()} to {values.max()}, of unknown "
                "range: save it with 8 or 16 bits"
            )
        return Image.fromarray(((values * 255 + 32767) // 65535).astype(np.uint8))
    if image.mode == "F":
        floats = np.asarray(image)
        if not (floats.min() >= 0 and floats.max() <= 1):  # also false for NaN
            raise InputError(
                f"{name} has float values from {floats.min():g} to {floats.max():g}: expected "
                "[0, 1]; rescale it, or save it with 8 or 16 bits"
            )
        return Image.fromarray(np.round(floats * 255).astype(np.uint8))
    return image


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
