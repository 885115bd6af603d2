"""Files to PIL images to tensors and back: the one place where pixels are converted.

Reading applies the EXIF orientation, so that an image is upright and says so no
longer; 16-bit grey is scaled by its full range. Pillow does both in its own way
only when asked, and clips 16-bit grey otherwise.
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

from diptych.errors import InputError
from diptych.files import atomic_write

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP")
"""Pillow's names. Others stay off: some of its readers start other programs."""
FORMAT_BY_SUFFIX = {
    ".bmp": "BMP",
    ".jpeg": "JPEG",
    ".jpg": "JPEG",
    ".png": "PNG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
}
IMAGE_SUFFIXES = tuple(FORMAT_BY_SUFFIX)
"""In lower case; files are compared without regard to case."""
MAX_PIXELS = 178_956_970
"""Above this a file is taken for a decompression bomb: 512 MiB of RGB, Pillow's own bound."""

_SIXTEEN_BIT = ("I;16", "I;16L", "I;16B", "I;16N")
_WITH_EXIF = ("JPEG", "PNG", "WEBP")  # a TIFF's tags describe its own layout, not the photo
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
    """An image, upright, and what it takes to write its like."""

    image: Image.Image
    """RGB; where alpha is 0 the colours are whatever the file held."""
    alpha: Image.Image | None
    """L, 255 is opaque; None without transparency."""
    format: str | None
    """One of FORMATS; None for an image that came from no file."""
    icc_profile: bytes | None
    """The ICC profile for RGB values; None where the file's was for another colour space."""
    exif: bytes | None
    """Without the orientation and the thumbnail."""

    def over_white(self) -> Image.Image:
        """RGB, with what is transparent in white."""
        if self.alpha is None:
            return self.image
        white = Image.new("RGB", self.image.size, (255, 255, 255))
        return Image.composite(self.image, white, self.alpha)


def read_image(
    path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS, at_least: int | None = None
) -> Image.Image:
    """The file as RGB, upright, over white where it is transparent.

    With `at_least`, a JPEG may be decoded at a half, a quarter or an eighth of
    its size, which is faster, as long as its shorter side keeps twice that
    many pixels.

    Raises:
        InputError: no such file, no image, broken, of a kind that cannot be
            read, or larger than `max_pixels`.
    """
    return decode_image(path, max_pixels=max_pixels, at_least=at_least).over_white()


def decode_image(
    path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS, at_least: int | None = None
) -> Decoded:
    """The file's colours and transparency apart, with what it takes to write its like.

    Of a file with several images, the first. `at_least` and the errors are
    those of `read_image`.
    """
    name = os.fspath(path)
    with _opened(name, max_pixels) as image:
        if at_least is not None:
            image.draft(None, (2 * at_least, 2 * at_least))
        # Pillow parses a TIFF's tags once more in here, and may warn of what it finds.
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
    """(width, height) as stored, from the file's header alone. Errors as `read_image`."""
    with _opened(os.fspath(path), max_pixels) as image:
        return image.size


def from_pil(image: Image.Image, *, name: str = "the image") -> Decoded:
    """Any Pillow image in the form that a decoded file has; `image` is not changed.

    Raises:
        InputError: values of unknown range (32-bit integers beyond 16 bits,
            floats outside [0, 1]) or a colour space that Pillow cannot convert.
            It calls the image `name`.
    """
    icc_profile: bytes | None = image.info.get("icc_profile")
    image_format = "JPEG" if image.format == "MPO" else image.format  # several JPEGs in one file
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

    From `like` it takes transparency (if the sizes agree; over white in JPEG
    and BMP, which have none), colour profile and EXIF data.

    Raises:
        InputError: a suffix of no known format, or the file cannot be written.
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
    """RGB `image` as (3, H, W) float32 in [-1, 1].

    Raises:
        ValueError: another mode than RGB.
    """
    return from_uint8(to_uint8(image))


def to_uint8(image: Image.Image) -> Tensor:
    """RGB `image` as (3, H, W) uint8: a quarter of the memory, for sending elsewhere.

    Raises:
        ValueError: another mode than RGB.
    """
    if image.mode != "RGB":
        raise ValueError(f"expected an RGB image, got mode {image.mode}")
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


def from_uint8(image_uint8: Tensor) -> Tensor:
    """(..., 3, H, W) uint8 as float32 in [-1, 1]."""
    return image_uint8.float().div_(127.5).sub_(1)


def to_image(tensor: Tensor) -> Image.Image:
    """(3, H, W) in [-1, 1], clamped and rounded to the nearest of 256 levels, as RGB.

    `to_image(to_tensor(image))` is `image`.

    Raises:
        ValueError: another shape.
    """
    if tensor.ndim != 3 or tensor.shape[0] != 3:
        raise ValueError(f"expected a (3, H, W) tensor, got {tuple(tensor.shape)}")
    levels = tensor.detach().float().cpu().add(1).mul(127.5).round().clamp(0, 255)
    return Image.fromarray(levels.to(torch.uint8).permute(1, 2, 0).contiguous().numpy())


@contextmanager
def _opened(name: str, max_pixels: int) -> Iterator[Image.Image]:
    """The file with its header read and its size checked, not yet decoded."""
    try:
        with _quiet_pillow():
            image = Image.open(name, formats=FORMATS)
    except UnidentifiedImageError as error:
        is_empty = Path(name).stat().st_size == 0
        what = "is empty" if is_empty else "is no image that can be read"
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
                f"the limit of {max_pixels / 1e6:.1f}: shrink it or raise max_pixels"
            )
        yield image


@contextmanager
def _quiet_pillow() -> Iterator[None]:
    """No warnings and no bomb check (`_opened` has its own) while headers are parsed.

    Both are settings of the whole process, hence the lock; decoding happens
    outside it, so that threads decode at the same time.
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
        exif.load(image.getexif().tobytes())  # which leaves the thumbnail, the old image, out
        exif.pop(ExifTags.Base.Orientation, None)
        return exif.tobytes() if len(exif) else None
    except _DECODING_ERRORS:
        return None


def _to_eight_bit(image: Image.Image, name: str) -> Image.Image:
    """Single channels of more than 8 bits as L; the rest as it is."""
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
