"""Parts of DCGAN's generator (Radford et al. 2015, arXiv:1511.06434)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import nn


def doubling(channels: int, out_channels: int, *, bias: bool = True) -> nn.ConvTranspose2d:
    """Return a 5x5 transposed convolution that doubles the sides of its map."""
    return nn.ConvTranspose2d(
        channels, out_channels, 5, stride=2, padding=2, output_padding=1, bias=bias
    )


def maps_to_image(widths: Sequence[int], channels: int) -> list[nn.Module]:
    """Return the layers from (B, widths[0], h, w) maps to images (B, channels, H, W), in [-1, 1].

    Each further width is a map of twice the sides, with batch norm and ReLU. The last layer
    doubles the sides once more: H is h * 2 ** len(widths). No bias precedes a norm.
    """
    layers: list[nn.Module] = []
    for k, less in pairwise(widths):
        layers += [doubling(k, less, bias=False), nn.BatchNorm2d(less), nn.ReLU(inplace=True)]
    return [*layers, doubling(widths[-1], channels), nn.Tanh()]
