"""An image inside: planes that scale, crop and mirror together, on their way to a tensor.

Eight-bit images are kept as bytes, in Pillow's modes RGB and L. Everything else is kept as one
plane of float32 for each channel, in [-1, 1] (see `PixelFormat`). Pillow resizes both with the
same filters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from diptych.data.pixels import PixelFormat

Box = tuple[float, float, float, float]
"""left, top, right, bottom, in pixels."""


@dataclass(frozen=True)
class Raster:
    """An image of any number of channels."""

    planes: tuple[Image.Image, ...]
    """One image of mode RGB, or one or more of mode L (bytes) or F ([-1, 1]), of one size."""
    valid: Image.Image | None = None
    """Mode F: 1 where every channel has data, 0 elsewhere. None if there are data everywhere."""

    @classmethod
    def from_image(cls, image: Image.Image) -> Raster:
        """Build from an image of mode RGB or L."""
        return cls((image,))

    @classmethod
    def from_array(cls, values: NDArray[np.uint8] | NDArray[np.float32]) -> Raster:
        """Build from (H, W, C): uint8, or float32 in [-1, 1]."""
        if values.dtype == np.uint8 and values.shape[2] == 3:
            return cls((Image.fromarray(np.ascontiguousarray(values)),))
        channels = np.moveaxis(values, 2, 0)
        return cls(tuple(Image.fromarray(np.ascontiguousarray(channel)) for channel in channels))

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        return self.planes[0].size

    @property
    def width(self) -> int:
        return self.planes[0].width

    @property
    def height(self) -> int:
        return self.planes[0].height

    @property
    def channels(self) -> int:
        """The number of channels."""
        return 3 if self.planes[0].mode == "RGB" else len(self.planes)

    def crop(self, box: tuple[int, int, int, int]) -> Raster:
        """Return the part in `box`."""
        return self._each(lambda plane: plane.crop(box))

    def mirrored(self) -> Raster:
        """Return the image with left and right exchanged."""
        return self._each(lambda plane: plane.transpose(Image.Transpose.FLIP_LEFT_RIGHT))

    def resize(
        self, size: tuple[int, int], filter_: Image.Resampling, box: Box | None = None
    ) -> Raster:
        """Return the image, or its part in `box`, resampled to `size`."""
        return self._each(lambda plane: plane.resize(size, filter_, box=box))

    def _each(self, change: Callable[[Image.Image], Image.Image]) -> Raster:
        valid = None if self.valid is None else change(self.valid)
        return Raster(tuple(change(plane) for plane in self.planes), valid)

    def array(self) -> NDArray[np.uint8] | NDArray[np.float32]:
        """Return (C, H, W): uint8, or float32 in [-1, 1]."""
        if self.planes[0].mode == "RGB":
            return np.array(np.moveaxis(np.asarray(self.planes[0]), 2, 0), order="C")
        stacked = np.stack([np.asarray(plane) for plane in self.planes])
        return stacked if stacked.dtype == np.uint8 else np.clip(stacked, -1, 1)

    def tensor(self) -> Tensor:
        """Return (C, H, W) float32 in [-1, 1]."""
        return from_sent(self.array())

    def picture(self, pixels: PixelFormat | None = None) -> Image.Image:
        """Return an RGB image of 8 bits to look at, of the channels that `pixels` shows."""
        if self.planes[0].mode == "RGB":
            return self.planes[0]
        return to_picture(self.tensor(), pixels)


def from_sent(values: NDArray[Any]) -> Tensor:
    """Convert what `Raster.array` returned, of any shape, to float32 in [-1, 1]."""
    tensor = torch.from_numpy(values)
    return tensor.float().div_(127.5).sub_(1) if tensor.dtype == torch.uint8 else tensor


def view(images: Tensor, pixels: PixelFormat | None = None) -> Tensor:
    """Return (..., 3, H, W) to look at or for a feature network, from (..., C, H, W).

    Values stay in [-1, 1]. A single channel is repeated. Without `pixels`, three of several
    channels are the first three. Three channels without a choice are returned as they are.
    """
    channels = images.shape[-3]
    shown = (pixels or _unnamed(channels)).shown
    if channels == 3 and shown == (0, 1, 2):
        return images
    chosen = shown if len(shown) == 3 else shown * 3
    return images[..., list(chosen), :, :]


def alike(
    images: Tensor, pixels: PixelFormat, others: Tensor, of_others: PixelFormat
) -> tuple[Tensor, Tensor]:
    """Return two tensors of images so that their pixels can be compared.

    Images with as many channels stay as they are. Others are compared as they are shown.
    """
    if images.shape[-3] == others.shape[-3]:
        return images, others
    return view(images, pixels), view(others, of_others)


def _unnamed(channels: int) -> PixelFormat:
    return PixelFormat(tuple(str(i) for i in range(channels)))


def to_picture(tensor: Tensor, pixels: PixelFormat | None = None) -> Image.Image:
    """Convert (C, H, W) in [-1, 1] to an RGB image of 8 bits to look at, as `view` chooses."""
    levels = view(tensor.detach().float().cpu(), pixels).add(1).mul(127.5).round().clamp(0, 255)
    return Image.fromarray(levels.to(torch.uint8).permute(1, 2, 0).contiguous().numpy())
