"""FCN-8s (Long, Shelhamer and Darrell 2015, arXiv:1411.4038): a class for each pixel.

1x1 convolutions score the maps of strides 32, 16 and 8. Transposed convolutions enlarge the
deeper scores by 2, and the results are added to the shallower scores. They start as bilinear
interpolation and are learned. The last one enlarges by 8 and stays bilinear (Sec. 4.2, 4.3).

Deviations:

- EfficientNet-Lite0 replaces VGG-16, because a pip package has its ImageNet weights. Its maps
  of strides 8 and 16 replace pool3 and pool4. Its head replaces fc7, without dropout. Batch norm
  is folded into the convolutions.
- All three skips are trained at once, as the authors' later code allows, not one after another.
- Small images are enlarged so that a few places remain at stride 32. Scores are then resized to
  the image.
- The paper pads images by 100 pixels and crops. Here sides are multiples of 32, so maps fit
  without padding.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diptych.networks.features import FeatureNetwork, map_channels, resize_square

SKIPS = ("stage3", "stage5", "head")
"""The trunk's maps of strides 8, 16 and 32, each the deepest of its stride."""
STRIDE = 32
SMALLEST_SIDE = 128
"""Smaller images are enlarged to this side, which has 4 places of stride 32."""


class FCN8s(nn.Module):
    """Turns (B, 3, S, S) images in [-1, 1] into (B, `classes`, S, S) scores, for any side S.

    `trunk` is the frozen EfficientNet-Lite0 of `load_features`. Scoring layers start at zero
    (Sec. 4.3), so all classes have the same score at first. No random number is drawn.
    """

    def __init__(self, trunk: FeatureNetwork, classes: int) -> None:
        super().__init__()
        self.trunk = trunk
        channels = [map_channels(trunk.name)[layer] for layer in SKIPS]
        self.score8, self.score16, self.score32 = (_scoring(c, classes) for c in channels)
        self.up32, self.up16 = (_upsampling(classes, 2) for _ in range(2))
        self.up8 = _upsampling(classes, 8).requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        size = images.shape[-1]
        maps = self.trunk.maps(resize_square(images, input_side(size)), SKIPS, is_resized=False)
        shallow, middle, deep = (maps[layer] for layer in SKIPS)
        h: Tensor = self.up32(self.score32(deep)) + self.score16(middle)
        h = self.up16(h) + self.score8(shallow)
        h = self.up8(h)
        if h.shape[-1] == size:
            return h
        return F.interpolate(h, (size, size), mode="bilinear", antialias=True)


def input_side(size: int) -> int:
    """Return the side that images of `size` pixels are resized to: a multiple of 32, from 128."""
    return max(SMALLEST_SIDE, math.ceil(size / STRIDE) * STRIDE)


def bilinear_kernel(factor: int) -> Tensor:
    """Return (2f, 2f) weights that make a transposed convolution of stride f interpolate.

    `factor` is f and even. The interpolation is bilinear. In each direction, the weight at
    distance d from the kernel's middle is 1 - |d| / f.
    """
    places = torch.arange(2 * factor) - (2 * factor - 1) / 2
    line = 1 - places.abs() / factor
    return line[:, None] * line[None, :]


def _upsampling(classes: int, factor: int) -> nn.ConvTranspose2d:
    layer = nn.ConvTranspose2d(
        classes,
        classes,
        2 * factor,
        stride=factor,
        padding=factor // 2,
        bias=False,
        device="meta",
    ).to_empty(device="cpu")
    with torch.no_grad():
        layer.weight.zero_()
        for k in range(classes):
            layer.weight[k, k] = bilinear_kernel(factor)
    return layer


def _scoring(channels: int, classes: int) -> nn.Conv2d:
    layer = nn.Conv2d(channels, classes, 1, device="meta").to_empty(device="cpu")
    assert layer.bias is not None
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
