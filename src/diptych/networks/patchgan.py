"""Discriminators that judge patches (Isola et al. 2017, appendix 6.1.2)."""

from __future__ import annotations

from typing import Literal

from torch import nn

from diptych.errors import InputError
from diptych.networks.norm import InstanceNorm2d

Patch = Literal["1x1", "16x16", "34x34", "70x70", "142x142", "286x286", "image"]
"""The pixels that one score of a discriminator sees."""
_LAYERS = {"1x1": 0, "16x16": 1, "34x34": 2, "70x70": 3, "142x142": 4, "286x286": 5}


def make_discriminator(patch: Patch, width: int, size: int, in_channels: int = 3) -> nn.Module:
    """A `PatchGAN` of that patch, or for "image" an `ImageGAN` for `size` pixels."""
    if patch == "image":
        return ImageGAN(width, size, in_channels)
    return PatchGAN(width, _LAYERS[patch], in_channels)


def check_discriminator_size(patch: Patch, size: int) -> None:
    """Raise InputError where images of `size` pixels are too small for that discriminator."""
    # Below it, the last norm would see a single pixel, or the convolution none.
    least = 2 ** (_LAYERS.get(patch, 0) + 1) * 2
    if size < least:
        raise InputError(f"size is {size}: a {patch} discriminator needs at least {least}")


class PatchGAN(nn.Sequential):
    """C64-C128-C256-C512 and a one-channel map of raw scores, for layers=3.

    (B, in_channels, H, W) to (B, 1, h, w), one score an overlapping patch;
    no sigmoid. `layers` sets the receptive field: 0 is 1x1 pixel, 1 is 16x16,
    2 is 34, 3 is 70x70, 4 is 142, 5 is 286. Leaky ReLUs of slope 0.2, no norm
    in the first block, biases everywhere as in the authors' code: 2,764,737
    parameters for 70x70 at width 64.
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
    """One verdict on the whole image: (B, in_channels, size, size) to (B, 1, 1, 1).

    Stride-2 4x4 convolutions down to a 4x4 map and a 4x4 convolution over it.
    The authors' code ends in a padded convolution of stride 2 and uses batch
    norm; ours sees every pixel exactly once at the end, and uses instance norm.
    `size` is a power of two, at least 16.
    """

    def __init__(self, width: int = 64, size: int = 256, in_channels: int = 3) -> None:
        if size < 16 or size & (size - 1):
            raise ValueError(f"a whole-image discriminator sees 16, 32, 64... pixels, not {size}")
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
