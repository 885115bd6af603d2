"""The U-Net generator of Isola et al. 2017, appendix 6.1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from diptych.networks.norm import InstanceNorm2d


class UNetGenerator(nn.Module):
    """C64-C128-C256-C512... down to 1x1 and back, with a skip at every scale.

    It turns (B, in_channels, H, W) into (B, out_channels, H, W) in [-1, 1]. H and W are
    multiples of 2**depth. In the paper, the side equals 2**depth: 8 scales for 256 pixels. That
    network has 54,409,603 parameters at width 64, with biases, from 3 channels to 3. The
    innermost map is then 1x1 and has no norm, because a norm would erase it.

    Instance norm without learnt gain and shift replaces the paper's batch norm, as in
    CycleGAN's PyTorch code.

    Raises:
        ValueError: `depth` is less than 3.
    """

    DROPPED = 3
    """Number of decoder blocks with dropout, from the innermost: CD512, three times."""

    def __init__(
        self, width: int = 64, depth: int = 8, in_channels: int = 3, out_channels: int = 3
    ) -> None:
        super().__init__()
        if depth < 3:
            raise ValueError(f"a U-Net has 3 or more scales, not {depth}")
        self._channels = channels = [min(width * 2**i, width * 8) for i in range(depth)]
        self.down = nn.ModuleList()
        self.up = nn.ModuleList()
        for i, k in enumerate(channels):
            has_norm = 0 < i < depth - 1  # C64 and the bottleneck have none
            self.down.append(_down(in_channels if i == 0 else channels[i - 1], k, i > 0, has_norm))
        for i in range(depth - 1, 0, -1):
            k = channels[i] if i == depth - 1 else 2 * channels[i]
            self.up.append(_up(k, channels[i - 1]))
        self.out = nn.Sequential(
            nn.ReLU(),
            nn.ConvTranspose2d(2 * width, out_channels, 4, stride=2, padding=1),
            nn.Tanh(),
        )

    def noise(
        self, count: int, height: int, width: int, rate: float, rng: torch.Generator
    ) -> list[Tensor]:
        """Draw dropout masks for `count` images of `height` x `width`, on the CPU.

        `forward` takes the result as z. There is a (count, C, h, w) mask for each of the
        innermost blocks. Its values are 0 with probability `rate`, and else 1 / (1 - rate). A
        mask for one image can also be used for a batch.
        """
        masks = []
        for i in range(len(self.up))[: self.DROPPED]:
            scale = 2 ** (len(self.up) - i)
            shape = (count, self._channels[-2 - i], height // scale, width // scale)
            masks.append((torch.rand(shape, generator=rng) >= rate) / (1 - rate))
        return masks

    def forward(self, image: Tensor, z: Sequence[Tensor] = ()) -> Tensor:
        skips = [image]
        for down in self.down:
            skips.append(down(skips[-1]))
        h = skips.pop()  # (B, 8*width, H/2**depth, W/2**depth)
        for i, up in enumerate(self.up):
            h = up(h)
            if i < len(z):
                h = h * z[i].to(h)
            h = torch.cat([h, skips.pop()], dim=1)
        return cast(Tensor, self.out(h))


def _down(channels_in: int, k: int, has_activation: bool, has_norm: bool) -> nn.Sequential:
    """Ck: 4x4, stride 2. The activation comes first, so that skips carry raw features."""
    layers: list[nn.Module] = [nn.LeakyReLU(0.2)] if has_activation else []
    layers.append(nn.Conv2d(channels_in, k, 4, stride=2, padding=1))
    if has_norm:
        layers.append(InstanceNorm2d(k))
    return nn.Sequential(*layers)


def _up(channels_in: int, k: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ReLU(),
        nn.ConvTranspose2d(channels_in, k, 4, stride=2, padding=1),
        InstanceNorm2d(k),
    )
