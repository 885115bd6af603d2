"""Discriminators that judge patches (Isola et al. 2017, appendix 6.1.2)."""

from __future__ import annotations

from typing import Literal

from torch import nn

from diptych.errors import InputError
from diptych.networks.norm import InstanceNorm2d

Patch = Literal["1x1", "16x16", "34x34", "70x70", "142x142", "286x286", "image"]
"""The receptive field of one score of a discriminator, in pixels."""
_LAYERS = {"1x1": 0, "16x16": 1, "34x34": 2, "70x70": 3, "142x142": 4, "286x286": 5}


def make_discriminator(patch: Patch, width: int, size: int, in_channels: int = 3) -> nn.Module:
    """Return a `PatchGAN` with that patch, or for "image" an `ImageGAN` for `size` pixels."""
    if patch == "image":
        return ImageGAN(width, size, in_channels)
    return PatchGAN(width, _LAYERS[patch], in_channels)


def check_discriminator_size(patch: Patch, size: int) -> None:
    """Check that images of `size` pixels are large enough for that discriminator.

    Raises:
        InputError: they are too small.
    """
    # With fewer pixels, the last norm would see one pixel, or the last convolution none.
    least = 2 ** (_LAYERS.get(patch, 0) + 1) * 2
    if size < least:
        raise InputError(f"size is {size}: a {patch} discriminator needs at least {least}")


class PatchGAN(nn.Sequential):
    """C64-C128-C256-C512 and a one-channel map of raw scores, for layers=3.

    It turns (B, in_channels, H, W) into (B, 1, h, w): one score, without a sigmoid, for each
    overlapping patch. `layers` sets the receptive field: 0 is 1x1 pixel, 1 is 16x16, 2 is
    34x34, 3 is 70x70, 4 is 142x142 and 5 is 286x286. Leaky ReLUs have slope 0.2. The first
    block has no norm. All convolutions have biases, as in the authors' code, which gives
    2,764,737 parameters for 70x70 at width 64.
    """

    def __init__(self, width: int = 64, layers: int = 3, in_channels: int = 3) -> None:
        kernel, padding = (1, 0) if layers == 0 else (4, 1)
        modules: list[nn.Module] = []
        channels = in_channels
        for i in range(max(layers, 1) + 1):
            k = width * min(2**i, 8)
            stride = 2 if i < layers else 1
            modules.append(nn.Conv2d(channels, k, kernel, stride=stride, padding=padding))
            if i > 0:
                modules.append(InstanceNorm2d(k))
            modules.append(nn.LeakyReLU(0.2))
            channels = k
        modules.append(nn.Conv2d(channels, 1, kernel, padding=padding))
        super().__init__(*modules)


class ImageGAN(nn.Sequential):
    """One score for the whole image: (B, in_channels, size, size) to (B, 1, 1, 1).

    4x4 convolutions of stride 2 lead to a 4x4 map, and a 4x4 convolution covers that map. The
    authors' code ends in a padded convolution of stride 2 and uses batch norm. Ours covers
    each place of the last map exactly once, and uses instance norm.

    Raises:
        ValueError: `size` is not a power of two, or less than 16.
    """

    def __init__(self, width: int = 64, size: int = 256, in_channels: int = 3) -> None:
        if size < 16 or size & (size - 1):
            raise ValueError(f"a whole-image discriminator needs 16, 32, 64... pixels, not {size}")
        modules: list[nn.Module] = []
        channels = in_channels
        for i in range(size.bit_length() - 3):
            k = width * min(2**i, 8)
            modules.append(nn.Conv2d(channels, k, 4, stride=2, padding=1))
            if i > 0:
                modules.append(InstanceNorm2d(k))
            modules.append(nn.LeakyReLU(0.2))
            channels = k
        modules.append(nn.Conv2d(channels, 1, 4))
        super().__init__(*modules)
