"""Images as callers have them, to the form that networks take and back: the one place for it.

| given | values | given back |
|---|---|---|
| a PIL image | its mode's | a PIL image, with transparency if it had some |
| the path of an image file | the file's | the same |
| a NumPy array (H, W, C) or (B, H, W, C), or (H, W) | those of the domain, such as uint8 from 0 to 255 | an array of the target domain's channels and type |
| the same of floats, for 8-bit domains | 0 to 1 | an array of its type, 0 to 1 |
| a tensor (C, H, W) or (B, C, H, W) of floats | -1 to 1 | a tensor of its type, on its device |
| a list or a tuple of any of these | | a list |

Grey images become colour where the domain has colour. For 8-bit domains an array may have one more
channel, its transparency, which is kept. A PIL image can hold 8-bit grey and colour, and one
channel of uint16, int32 or float32. Results of other kinds come as pictures of the channels shown.
"""  # noqa: E501 -- a table

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from diptych.data import formats
from diptych.data.formats import Frame
from diptych.data.formats.pillow import decoded
from diptych.data.pixels import RGB, RGB8, PixelFormat
from diptych.data.raster import Raster, to_picture
from diptych.data.reading import in_own_range, raster_of
from diptych.errors import InputError

Picture = Image.Image | str | os.PathLike[str]
"""What comes back as a PIL image."""
Pixels = Tensor | Raster
"""An image inside. A tensor is (C, H, W) in [-1, 1]."""
Made = Tensor | NDArray[Any]
"""A result: a tensor (C, H, W) in [-1, 1], or (H, W, C) in the target domain's own values."""

_LEVEL = 1 / 255
_PICTURES = ("uint16", "int32", "float32")  # of one channel, as PIL images hold them
_EXPECTED = (
    "expected a PIL image, a path, a NumPy array (H, W, C), a tensor (C, H, W), or a list of these"
)


@dataclass(frozen=True)
class Given:
    """The images that a caller gave, and the way back to the same kind."""

    images: tuple[Pixels, ...]
    """At least one."""
    is_one: bool
    """Whether it was one image, not a batch or a list."""
    restore: Callable[[Sequence[Made], PixelFormat], Any]
    """Converts as many results as there are images to the kind that was given. They are of the
    pixel format that is given with them."""


def take(given: object, pixels: PixelFormat = RGB8, *, over_white: bool = False) -> Given:
    """Convert whatever a caller gave as images of a domain: see the table above.

    With `over_white`, what is transparent is shown in white. Otherwise its colours stay as
    they are, and results get the same transparency.

    Raises:
        InputError: another type, shape or dtype, other channels than the domain's, values out
            of range, an empty list or batch, a file that cannot be read.
    """
    if isinstance(given, Image.Image):
        return _from_frame(decoded(given, "the image"), pixels, over_white, "the image", given)
    if isinstance(given, (str, os.PathLike)):
        return _from_frame(formats.read(given), pixels, over_white, os.fspath(given))
    if isinstance(given, np.ndarray):
        return _from_array(given, pixels, over_white)
    if isinstance(given, Tensor):
        return _from_tensor(given, pixels)
    if isinstance(given, (list, tuple)):
        return _from_list(given, pixels, over_white)
    hint = ": put the images into a list" if _is_stream(given) else ""
    what = "None" if given is None else f"an object of type {type(given).__name__}"
    raise InputError(f"{what} is no image{hint}; {_EXPECTED}")


def take_picture(given: object, pixels: PixelFormat = RGB8) -> Given:
    """Convert one image that comes back as a PIL image.

    Raises:
        InputError: as `take`, or another kind.
    """
    if isinstance(given, Raster):
        return Given((given,), True, lambda made, target: as_picture(made[0], target))
    if not isinstance(given, (Image.Image, str, os.PathLike)):
        take(given, pixels)
        raise InputError(
            f"translate takes a PIL image or a path, not {type(given).__name__}: call the"
            " translator itself for other kinds"
        )
    return take(given, pixels)


def take_tensor(
    given: object, pixels: PixelFormat = RGB8, *, over_white: bool = False
) -> tuple[Tensor, bool]:
    """Return images of one size as (B, C, H, W) in [-1, 1], and whether it was one image.

    Raises:
        InputError: as `take`, or images of several sizes.
    """
    taken = take(given, pixels, over_white=over_white)
    sizes = {size_of(image) for image in taken.images}
    if len(sizes) > 1:
        shown = " and ".join(f"{width}x{height}" for height, width in sorted(sizes)[:2])
        raise InputError(f"images of {shown} pixels together: give images of one size, or one")
    return torch.stack([as_tensor(image) for image in taken.images]), taken.is_one


def size_of(image: Pixels) -> tuple[int, int]:
    """Return (height, width)."""
    if isinstance(image, Tensor):
        return image.shape[1], image.shape[2]
    return image.height, image.width


def as_tensor(image: Pixels) -> Tensor:
    """Return (C, H, W) in [-1, 1]."""
    return image if isinstance(image, Tensor) else image.tensor()


def as_values(made: Made, pixels: PixelFormat) -> NDArray[Any]:
    """Return a result as (H, W, C) in the values of `pixels`."""
    return pixels.from_tensor(made) if isinstance(made, Tensor) else made


def as_unit(made: Made, pixels: PixelFormat) -> Tensor:
    """Return a result as (C, H, W) in [-1, 1]."""
    if isinstance(made, Tensor):
        return made
    return Raster.from_array(made if pixels.is_eight_bit else pixels.to_unit(made)).tensor()


def as_picture(made: Made, pixels: PixelFormat) -> Image.Image:
    """Return a result as a PIL image, or as a picture of it that PIL can hold."""
    values = as_values(made, pixels)
    if pixels.dtype == "uint8" and values.shape[2] in (1, 3):
        return Image.fromarray(
            np.ascontiguousarray(values if values.shape[2] == 3 else values[..., 0])
        )
    if values.shape[2] == 1 and pixels.dtype in _PICTURES:
        return Image.fromarray(np.ascontiguousarray(values[..., 0]))
    return to_picture(as_unit(made, pixels), pixels)


def masked(values: NDArray[Any], source: Raster, pixels: PixelFormat) -> NDArray[Any]:
    """Return (H, W, C) with the target's value for no data where the source had no data."""
    if source.valid is None:
        return values
    fill = pixels.low if pixels.nodata is None else pixels.nodata
    if pixels.nodata is None and values.dtype.kind == "f":
        fill = math.nan
    has_data = np.asarray(source.valid) > 0
    return np.where(has_data[..., None], values, np.asarray(fill, values.dtype))


def as_raster(image: Pixels, pixels: PixelFormat) -> Raster:
    """Return an image that may be cut into tiles, in bytes where `pixels` has 8 bits."""
    if isinstance(image, Raster):
        return image
    if pixels.is_eight_bit:
        return Raster.from_array(pixels.from_tensor(image))
    return Raster.from_array(image.float().cpu().clamp(-1, 1).permute(1, 2, 0).numpy())


# --- one kind each ---------------------------------------------------------------


def _from_frame(
    frame: Frame,
    pixels: PixelFormat,
    over_white: bool,
    name: str,
    image: Image.Image | None = None,
) -> Given:
    frame = in_own_range(frame, pixels, name)
    alpha = None if over_white else frame.alpha
    raster = raster_of(frame if over_white else replace(frame, alpha=None), pixels, name)
    profile = None if image is None else image.info.get("icc_profile")

    def restore(made: Sequence[Made], target: PixelFormat) -> Image.Image:
        picture = as_picture(made[0], target)
        if alpha is not None and alpha.dtype == np.uint8 and picture.mode in ("L", "RGB"):
            picture.putalpha(Image.fromarray(alpha))
        if profile and profile[16:20] == b"RGB " and picture.mode in ("RGB", "RGBA"):
            picture.info["icc_profile"] = profile
        return picture

    return Given((raster,), True, restore)


def _from_array(array: NDArray[Any], pixels: PixelFormat, over_white: bool) -> Given:
    batch = array[..., None] if array.ndim == 2 else array
    batch = batch[None] if batch.ndim == 3 else batch
    is_share = array.dtype.kind == "f" and pixels.is_eight_bit
    if not is_share and not _holds(pixels, array.dtype):
        own = f"{pixels.dtype} from {pixels.low:g} to {pixels.high:g}"
        shares = ", or floats from 0 to 1" if pixels.is_eight_bit else ""
        raise InputError(f"an array of {array.dtype} is no image: expected {own}{shares}")
    _check_channels(array, batch, pixels)
    if is_share:
        _check_range(float(array.min()), float(array.max()), 0, "an array of floats")
    make = _of_shares if is_share else _of_values
    items = [make(item, pixels, over_white) for item in batch]
    images = tuple(image for item in items for image in item.images)

    def restore(made: Sequence[Made], target: PixelFormat) -> NDArray[Any]:
        pairs = zip(items, made, strict=True)
        arrays = [item.restore([result], target) for item, result in pairs]
        if array.ndim == 2 and arrays[0].shape[2] == 1:
            return arrays[0][..., 0]  # type: ignore[no-any-return]
        return np.stack(arrays) if array.ndim == 4 else arrays[0]

    return Given(images, array.ndim != 4, restore)


def _holds(pixels: PixelFormat, dtype: np.dtype[Any]) -> bool:
    """Whether values of `dtype` can be a domain's values, without a loss but of precision."""
    own = np.dtype(pixels.dtype)
    if pixels.is_eight_bit or dtype.kind not in "uif":
        return dtype == own
    return (dtype.kind == own.kind == "f") or np.can_cast(dtype, own)


def _check_channels(array: NDArray[Any], batch: NDArray[Any], pixels: PixelFormat) -> None:
    count = len(pixels.channels)
    known = {count, 1} if pixels.channels == RGB else {count}
    known |= {count + 1} if pixels.is_eight_bit else set()
    if batch.ndim == 4 and batch.shape[-1] in known and 0 not in batch.shape:
        return
    also = sorted(known - {count})
    others = f", with {' or '.join(map(str, also))} channels in the last place too" if also else ""
    flat = ", or (H, W)" if 1 in known else ""
    raise InputError(
        f"an array of shape {array.shape} is no image: expected (H, W, {count}),"
        f" (B, H, W, {count}){others}{flat}"
    )


def _of_values(item: NDArray[Any], pixels: PixelFormat, over_white: bool) -> Given:
    """(H, W, C) in the domain's own values; for 8 bits with alpha too."""
    values = item if pixels.is_eight_bit else item.astype(pixels.dtype)
    colours = 1 if values.shape[2] < len(pixels.channels) else len(pixels.channels)
    alpha = values[..., colours] if values.shape[2] > colours else None
    frame = Frame(values[..., :colours], pixels.channels, alpha if over_white else None)
    raster = raster_of(frame, pixels, "the array")

    def restore(made: Sequence[Made], target: PixelFormat) -> NDArray[Any]:
        result = as_values(made[0], target)
        if alpha is None or over_white or target.dtype != "uint8":
            return result
        return np.concatenate([result, alpha[..., None]], axis=-1)

    return Given((raster,), True, restore)


def _of_shares(item: NDArray[Any], pixels: PixelFormat, over_white: bool) -> Given:
    """(H, W, C) floats in [0, 1], with alpha too."""
    count = len(pixels.channels)
    own = count if item.shape[2] >= count else 1
    colours, alpha = item[..., :own], item[..., own:]
    if over_white and alpha.size:
        colours = 1 - alpha + alpha * colours
    shape = (*item.shape[:2], count)
    full = np.ascontiguousarray(np.broadcast_to(colours, shape), np.float32)
    tensor = torch.from_numpy(full).permute(2, 0, 1).contiguous() * 2 - 1

    def restore(made: Sequence[Made], target: PixelFormat) -> NDArray[Any]:
        if not target.is_eight_bit:
            return as_values(made[0], target)
        unit = as_unit(made[0], target).cpu()
        result = ((unit + 1) / 2).clamp(0, 1).permute(1, 2, 0).numpy()
        return np.concatenate([result, alpha], axis=-1).astype(item.dtype)

    return Given((tensor,), True, restore)


def _from_tensor(tensor: Tensor, pixels: PixelFormat) -> Given:
    if not tensor.is_floating_point():
        hint = ": images of 0 to 255 become that by x / 127.5 - 1"
        raise InputError(
            f"a tensor of {tensor.dtype} is no image: expected floats from -1 to 1"
            f"{hint if tensor.dtype == torch.uint8 else ''}"
        )
    count = len(pixels.channels)
    if tensor.ndim not in (3, 4) or tensor.shape[-3] != count or 0 in tensor.shape:
        is_last = tensor.ndim in (3, 4) and tensor.shape[-1] == count
        raise InputError(
            f"a tensor of shape {tuple(tensor.shape)} is no image: expected ({count}, H, W) or"
            f" (B, {count}, H, W){'; x.movedim(-1, -3) puts channels there' if is_last else ''}"
        )
    tensor = tensor.detach()
    low, high = (float(bound) for bound in tensor.aminmax())
    _check_range(low, high, -1, "a tensor")

    def restore(made: Sequence[Made], target: PixelFormat) -> Tensor:
        results = torch.stack([as_unit(result, target).to(tensor) for result in made])
        return results if tensor.ndim == 4 else results[0]

    return Given(tuple(tensor.reshape(-1, *tensor.shape[-3:])), tensor.ndim == 3, restore)


def _from_list(given: list[Any] | tuple[Any, ...], pixels: PixelFormat, over_white: bool) -> Given:
    if not given:
        raise InputError(f"an empty list holds no image; {_EXPECTED}")
    items: list[Given] = []
    for place, item in enumerate(given):
        if isinstance(item, (list, tuple)):
            raise InputError(f"images[{place}] is a list inside a list: give one list of images")
        try:
            items.append(take(item, pixels, over_white=over_white))
        except InputError as error:
            raise InputError(f"images[{place}]: {error}") from error

    def restore(made: Sequence[Made], target: PixelFormat) -> list[Any]:
        rest = iter(made)
        return [item.restore([next(rest) for _ in item.images], target) for item in items]

    return Given(tuple(image for item in items for image in item.images), False, restore)


def _check_range(low: float, high: float, least: int, what: str) -> None:
    """Rounding may leave [least, 1] by less than a level of 8 bits. NaN is never inside."""
    if low >= least - _LEVEL and high <= 1 + _LEVEL:
        return
    way_out = "rescale or clip it"
    if high > 2 and low >= 0:
        way_out = f"{'x / 255' if least == 0 else 'x / 127.5 - 1'} brings 0 to 255 there"
    found = f"values from {low:g} to {high:g}"
    raise InputError(f"{what} has {found}: expected {least} to 1; {way_out}")


def _is_stream(given: object) -> bool:
    return isinstance(given, Iterable) and not isinstance(given, (bytes, bytearray, dict))
