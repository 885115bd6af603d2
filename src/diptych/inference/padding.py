"""Images brought to the sizes that networks take, and results back to the images' own."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from diptych.types import Sized

_LEAST_SIDE = 16  # reflection needs more than one pixel in the narrowest map


@dataclass(frozen=True)
class InputSize:
    """Which sizes a method's networks take, and what is done with images of other sizes."""

    multiple: int
    """Height and width are multiples of this many pixels."""
    fixed: int | None
    """Height and width are exactly this many pixels, if not None."""
    least: int
    """Height and width are at least this many pixels."""

    def padded(self, height: int, width: int) -> tuple[int, int]:
        """The size that an image of `height` and `width` is brought to."""
        if self.fixed is not None:
            return self.fixed, self.fixed
        m = self.multiple
        rounded = [-(-max(side, self.least) // m) * m for side in (height, width)]
        return rounded[0], rounded[1]

    def prepare(self, images: Tensor) -> Tensor:
        """(B, C, H, W) to a size that the networks take.

        Images are resized to `fixed`, or continued at the right and the bottom by their
        mirror image.
        """
        height, width = self.padded(*images.shape[2:])
        if self.fixed is not None:
            return resize(images, height, width)
        return reflect_to(images, height, width)

    def finish(self, output: Tensor, height: int, width: int) -> Tensor:
        """The networks' result for prepared images, back at the images' own size."""
        if self.fixed is not None:
            return resize(output, height, width).clamp(-1, 1)
        return output[..., :height, :width]


def input_size(method: Sized, trained_size: int) -> InputSize:
    """The sizes that `method`, trained on images of `trained_size` pixels a side, takes."""
    multiple = method.size_multiple
    least = max(_LEAST_SIDE, min(2 * multiple, trained_size))
    return InputSize(multiple, method.fixed_size, least)


def reflect_to(images: Tensor, height: int, width: int) -> Tensor:
    """(..., H, W) mirrored at the bottom and right as often as it takes; one pixel is repeated."""
    for axis, length in ((-2, height), (-1, width)):
        if images.shape[axis] != length:
            images = images.index_select(axis, _mirror(images.shape[axis], length, images.device))
    return images


def _mirror(size: int, length: int, device: torch.device) -> Tensor:
    """0, 1, ..., size - 1, size - 2, ..., 0, 1, ...: `length` of them."""
    position = torch.arange(length, device=device) % max(2 * size - 2, 1)
    return torch.minimum(position, (2 * size - 2 - position).abs())


def resize(images: Tensor, height: int, width: int) -> Tensor:
    """(B, C, H, W) to `height` and `width`, bicubic and antialiased; values may overshoot."""
    if images.shape[2:] == (height, width):
        return images
    return F.interpolate(
        images, size=(height, width), mode="bicubic", antialias=True, align_corners=False
    )
