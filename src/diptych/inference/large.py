"""One image that is larger than memory, from its pixels to its translation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from diptych.data.pixels import PixelFormat
from diptych.data.raster import Raster
from diptych.inference.footprint import Forward
from diptych.inference.padding import InputSize, reflect_to
from diptych.inference.tiling import Progress, find_statistics, plan_grid, translate_tiles


def translate_large(
    image: Raster,
    forward: Forward,
    norms: Sequence[nn.InstanceNorm2d],
    *,
    sizes: InputSize,
    tile_pixels: int,
    radius: int | None,
    device: torch.device,
    pixels: PixelFormat,
    progress: Progress | None,
) -> tuple[NDArray[Any], int, int] | None:
    """The translation of `image`, the tiles it took and the sweeps that measured statistics.

    It is (H, W, C) in the values of `pixels`, the target domain's.

    None if no tile of at most `tile_pixels` is large enough.
    """
    width, height = image.size
    padded_height, padded_width = sizes.padded(height, width)
    grid = plan_grid(
        padded_height,
        padded_width,
        tile_pixels=tile_pixels,
        radius=radius,
        multiple=sizes.multiple,
    )
    if grid is None or tile_pixels < math.prod(sizes.padded(1, 1)):
        return None
    small = _shrunk(image, tile_pixels, sizes).to(device)
    tensor = reflect_to(image.tensor()[None], padded_height, padded_width)[0]
    statistics, sweeps = find_statistics(
        forward, norms, tensor, small=small, grid=grid, progress=progress
    )
    strips = translate_tiles(
        forward,
        norms,
        tensor,
        statistics=statistics,
        grid=grid,
        device=device,
        progress=progress,
    )
    result = np.empty((height, width, len(pixels.channels)), pixels.dtype)
    for top, strip in strips:
        values = pixels.from_tensor(strip[..., :width])[: max(height - top, 0)]
        result[top : top + len(values)] = values
    return result, grid.tiles, sweeps


def _shrunk(image: Raster, pixels: int, sizes: InputSize) -> Tensor:
    """The largest (1, C, h, w) likeness of at most `pixels`."""
    multiple, least = sizes.multiple, sizes.padded(1, 1)[0]

    def whole(side: float) -> int:
        return max(int(side) // multiple * multiple, least)

    scale = math.sqrt(pixels / (image.width * image.height))
    width = whole(min(image.width * scale, pixels / least))
    height = whole(min(image.height * scale, pixels / width))
    small = image.resize((width, height), Image.Resampling.LANCZOS)
    return small.tensor()[None]
