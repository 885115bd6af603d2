"""The generator of Johnson et al. 2016, as given in the appendix of Zhu et al. 2017."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from diptych.networks.norm import InstanceNorm2d


class ResidualBlock(nn.Module):
    """Rk: two 3x3 convolutions with reflection padding, k filters each, and a skip."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            InstanceNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            InstanceNorm2d(channels),
        )

    def forward(self, h: Tensor) -> Tensor:
        return h + cast(Tensor, self.body(h))


class ResNetGenerator(nn.Sequential):
    """c7s1-64, d128, d256, R256 x `blocks`, u128, u64, c7s1-3 for width 64.

    It turns (B, in_channels, H, W) into (B, out_channels, H, W) in [-1, 1]. H and W are
    multiples of 4, at least 8. Convolutions have biases, and the last one is followed by a tanh
    instead of a norm. Both are as in the authors' code; the paper's text mentions neither. There
    are 11,378,179 parameters with 9 blocks, from 3 channels to 3.
    """

    def __init__(
        self, width: int = 64, blocks: int = 9, in_channels: int = 3, out_channels: int = 3
    ) -> None:
        w = width
        super().__init__(
            nn.ReflectionPad2d(3),
            nn.Conv2d(in_channels, w, 7),  # c7s1-64
            InstanceNorm2d(w),
            nn.ReLU(inplace=True),
            nn.Conv2d(w, 2 * w, 3, stride=2, padding=1),  # d128
            InstanceNorm2d(2 * w),
            nn.ReLU(inplace=True),
            nn.Conv2d(2 * w, 4 * w, 3, stride=2, padding=1),  # d256
            InstanceNorm2d(4 * w),
            nn.ReLU(inplace=True),
            *(ResidualBlock(4 * w) for _ in range(blocks)),  # R256, ...
            _up(4 * w, 2 * w),  # u128
            InstanceNorm2d(2 * w),
            nn.ReLU(inplace=True),
            _up(2 * w, w),  # u64
            InstanceNorm2d(w),
            nn.ReLU(inplace=True),
            nn.ReflectionPad2d(3),
            nn.Conv2d(w, out_channels, 7),  # c7s1-3
            nn.Tanh(),
        )


def blocks_for(size: int) -> int:
    """Return the number of residual blocks for images of `size` pixels.

    Zhu et al. 2017, Sec. 4: "6 blocks for 128x128 images and 9 blocks for 256x256".
    """
    return 6 if size < 256 else 9


def _up(channels_in: int, channels_out: int) -> nn.ConvTranspose2d:
    """uk: a 3x3 convolution of stride 1/2."""
    return nn.ConvTranspose2d(channels_in, channels_out, 3, stride=2, padding=1, output_padding=1)
