"""Images brought to the sizes that networks take."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


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
    if images.shape[2:] == (height, width):
        return images
    return F.interpolate(
        images, size=(height, width), mode="bicubic", antialias=True, align_corners=False
    )
