"""Images as callers have them, to the form that networks take and back: the one place for it.

| given | values | given back |
|---|---|---|
| a PIL image of any mode | its mode's | a PIL image, RGB, or RGBA if it has transparency |
| the path of an image file | | the same |
| a NumPy array (H, W, 3), (B, H, W, 3), with 1 or 4 channels too, or (H, W) | uint8, 0 to 255 | a uint8 array; grey becomes RGB, the fourth channel (alpha) is kept |
| the same of floats | 0 to 1 | an array of its dtype, 0 to 1 |
| a tensor (3, H, W) or (B, 3, H, W) of floats | -1 to 1 | a tensor of its shape and dtype, on its device |
| a list or a tuple of any of these | | a list |
"""  # noqa: E501 -- a table

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from diptych.data.images import Decoded, decode_image, from_pil, to_image, to_tensor
from diptych.errors import InputError

Picture = Image.Image | str | os.PathLike[str]
"""What comes back as a PIL image."""
Pixels = Tensor | Image.Image
"""An image inside: (3, H, W) in [-1, 1], or RGB of 8 bits."""

_LEVEL = 1 / 255
_EXPECTED = (
    "expected a PIL image, a path, a NumPy array (H, W, 3), a tensor (3, H, W), or a list of these"
)


@dataclass(frozen=True)
class Given:
    """The images that a caller gave, and the way back to the same kind."""

    images: tuple[Pixels, ...]
    """At least one."""
    is_one: bool
    """Whether it was one image, not a batch or a list."""
    restore: Callable[[Sequence[Pixels]], Any]
    """As many results as there are images, of their sizes, to the kind that was given."""


def take(given: object, *, over_white: bool = False) -> Given:
    """Whatever a caller gave as an image or as images: see the table above.

    With `over_white`, what is transparent is shown in white; without, its colours stay as
    they are and results get the same transparency.

    Raises:
        InputError: another type, shape or dtype, values out of range, an empty list or batch,
            a file that cannot be read.
    """
    if isinstance(given, Image.Image):
        return _from_decoded(from_pil(given), over_white)
    if isinstance(given, (str, os.PathLike)):
        return _from_decoded(decode_image(given), over_white)
    if isinstance(given, np.ndarray):
        return _from_array(given, over_white)
    if isinstance(given, Tensor):
        return _from_tensor(given)
    if isinstance(given, (list, tuple)):
        return _from_list(given, over_white)
    hint = ": put the images into a list" if _is_stream(given) else ""
    what = "None" if given is None else f"an object of type {type(given).__name__}"
    raise InputError(f"{what} is no image{hint}; {_EXPECTED}")


def take_picture(given: object) -> Given:
    """One image that comes back as a PIL image; a decoded file comes back without its alpha.

    Raises:
        InputError: as `take`, or another kind.
    """
    if isinstance(given, Decoded):
        return Given((given.image,), True, lambda results: as_image(results[0]))
    taken = take(given)
    if not isinstance(given, (Image.Image, str, os.PathLike)):
        raise InputError(
            f"translate takes a PIL image or a path, not {type(given).__name__}: call the"
            " translator itself for other kinds"
        )
    return taken


def take_tensor(given: object, *, over_white: bool = False) -> tuple[Tensor, bool]:
    """Images of one size as (B, 3, H, W) in [-1, 1], and whether it was one image.

    Raises:
        InputError: as `take`, or images of several sizes.
    """
    taken = take(given, over_white=over_white)
    sizes = {size_of(image) for image in taken.images}
    if len(sizes) > 1:
        shown = " and ".join(f"{width}x{height}" for height, width in sorted(sizes)[:2])
        raise InputError(f"images of {shown} pixels together: give images of one size, or one")
    return torch.stack([as_tensor(image) for image in taken.images]), taken.is_one


def size_of(image: Pixels) -> tuple[int, int]:
    """(height, width)."""
    if isinstance(image, Tensor):
        return image.shape[1], image.shape[2]
    return image.height, image.width


def as_tensor(image: Pixels) -> Tensor:
    """(3, H, W) in [-1, 1]."""
    return image if isinstance(image, Tensor) else to_tensor(image)


def as_image(image: Pixels) -> Image.Image:
    """RGB of 8 bits."""
    return to_image(image) if isinstance(image, Tensor) else image


# --- one kind each ---------------------------------------------------------------


def _from_decoded(decoded: Decoded, over_white: bool) -> Given:
    if over_white:
        return Given((decoded.over_white(),), True, lambda results: as_image(results[0]))
    return Given((decoded.image,), True, lambda results: _like(decoded, results[0]))


def _like(decoded: Decoded, result: Pixels) -> Image.Image:
    """With the transparency and the colour profile of what was given."""
    image = as_image(result)
    if decoded.alpha is not None:
        image.putalpha(decoded.alpha)
    if decoded.icc_profile is not None:
        image.info["icc_profile"] = decoded.icc_profile
    return image


def _from_array(array: NDArray[Any], over_white: bool) -> Given:
    is_float = array.dtype.kind == "f"
    if array.dtype != np.uint8 and not is_float:
        raise InputError(
            f"an array of {array.dtype} is no image: expected uint8 from 0 to 255, or floats"
            " from 0 to 1"
        )
    batch = array[..., None] if array.ndim == 2 else array
    batch = batch[None] if batch.ndim == 3 else batch
    if batch.ndim != 4 or batch.shape[-1] not in (1, 3, 4) or 0 in batch.shape:
        raise InputError(
            f"an array of shape {array.shape} is no image: expected (H, W, 3), (B, H, W, 3),"
            " with 1 or 4 channels in the last place too, or (H, W)"
        )
    if is_float:
        _check_range(float(array.min()), float(array.max()), 0, "an array of floats")
    make = _of_floats if is_float else _of_bytes
    items = [make(item, over_white) for item in batch]
    images = tuple(image for item in items for image in item.images)

    def restore(results: Sequence[Pixels]) -> NDArray[Any]:
        arrays = [item.restore([r]) for item, r in zip(items, results, strict=True)]
        return np.stack(arrays) if array.ndim == 4 else arrays[0]

    return Given(images, array.ndim != 4, restore)


def _of_bytes(item: NDArray[Any], over_white: bool) -> Given:
    """(H, W, 1, 3 or 4) uint8."""
    channels = item[..., 0] if item.shape[-1] == 1 else item
    one = _from_decoded(from_pil(Image.fromarray(channels)), over_white)
    return Given(one.images, True, lambda results: np.array(one.restore(results)))


def _of_floats(item: NDArray[Any], over_white: bool) -> Given:
    """(H, W, 1, 3 or 4) floats in [0, 1]."""
    colours, alpha = item[..., :3], item[..., 3:]
    if over_white and alpha.size:
        colours = 1 - alpha + alpha * colours
    rgb = np.ascontiguousarray(np.broadcast_to(colours, (*item.shape[:2], 3)), np.float32)
    tensor = torch.from_numpy(rgb).permute(2, 0, 1).contiguous() * 2 - 1

    def restore(results: Sequence[Pixels]) -> NDArray[Any]:
        made = ((as_tensor(results[0]).cpu() + 1) / 2).clamp(0, 1).permute(1, 2, 0).numpy()
        return np.concatenate([made, alpha], axis=-1).astype(item.dtype)

    return Given((tensor,), True, restore)


def _from_tensor(tensor: Tensor) -> Given:
    if not tensor.is_floating_point():
        hint = ": images of 0 to 255 become that by x / 127.5 - 1"
        raise InputError(
            f"a tensor of {tensor.dtype} is no image: expected floats from -1 to 1"
            f"{hint if tensor.dtype == torch.uint8 else ''}"
        )
    if tensor.ndim not in (3, 4) or tensor.shape[-3] != 3 or 0 in tensor.shape:
        is_last = tensor.ndim in (3, 4) and tensor.shape[-1] == 3
        raise InputError(
            f"a tensor of shape {tuple(tensor.shape)} is no image: expected (3, H, W) or"
            f" (B, 3, H, W){'; x.movedim(-1, -3) puts channels there' if is_last else ''}"
        )
    tensor = tensor.detach()
    low, high = (float(bound) for bound in tensor.aminmax())
    _check_range(low, high, -1, "a tensor")

    def restore(results: Sequence[Pixels]) -> Tensor:
        made = torch.stack([as_tensor(result).to(tensor) for result in results])
        return made if tensor.ndim == 4 else made[0]

    return Given(tuple(tensor.reshape(-1, *tensor.shape[-3:])), tensor.ndim == 3, restore)


def _from_list(given: list[Any] | tuple[Any, ...], over_white: bool) -> Given:
    if not given:
        raise InputError(f"an empty list holds no image; {_EXPECTED}")
    items: list[Given] = []
    for place, item in enumerate(given):
        if isinstance(item, (list, tuple)):
            raise InputError(f"images[{place}] is a list inside a list: give one list of images")
        try:
            items.append(take(item, over_white=over_white))
        except InputError as error:
            raise InputError(f"images[{place}]: {error}") from error

    def restore(results: Sequence[Pixels]) -> list[Any]:
        rest = iter(results)
        return [item.restore([next(rest) for _ in item.images]) for item in items]

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
