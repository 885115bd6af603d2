"""Instance normalisation (Ulyanov et al. 2016, arXiv:1607.08022) that is right in every layout.

And batch normalisation whose running averages stay.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class InstanceNorm2d(nn.InstanceNorm2d):
    """PyTorch's without running statistics; the name and the place are the same."""

    def __init__(self, channels: int, eps: float = 1e-5, affine: bool = False) -> None:
        """`affine` gives each channel a factor and a shift that are learnt."""
        super().__init__(channels, eps=eps, affine=affine)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same, each channel of each image with mean 0 and variance 1."""
        return instance_norm(x, self.eps, self.weight, self.bias)


def instance_norm(
    x: Tensor, eps: float = 1e-5, weight: Tensor | None = None, bias: Tensor | None = None
) -> Tensor:
    """`F.instance_norm` of (B, C, H, W), with its gradient right and its layout kept.

    For a single image, PyTorch's own (2.13, CPU) has a wrong gradient wherever
    the gradient from above comes in channels-last: off by more than its size.
    For several in channels-last it copies all to another layout. Batch norm of
    one image is the same function and does neither.
    """
    if len(x) == 1:
        return F.batch_norm(x, None, None, weight, bias, training=True, eps=eps)
    if x.is_contiguous() or x.device.type != "cpu":
        return F.instance_norm(x, weight=weight, bias=bias, eps=eps)
    images = torch.split(x, 1)
    return torch.cat(
        [F.batch_norm(one, None, None, weight, bias, training=True, eps=eps) for one in images]
    )


class AveragesKept:
    """Within it, batch norms in `modules` compute as ever, but their running averages stay.

    To be entered as often as one likes, one time after the other.
    """

    def __init__(self, *modules: nn.Module) -> None:
        self._norms = [
            norm
            for module in modules
            for norm in module.modules()
            if isinstance(norm, _BatchNorm) and norm.track_running_stats
        ]
        self._kept: list[dict[str, Tensor]] = []

    def __enter__(self) -> None:
        # Copies take what is averaged, so that not even what overflows comes into them.
        self._kept = [dict(norm.named_buffers()) for norm in self._norms]
        for norm, kept in zip(self._norms, self._kept, strict=True):
            for name, buffer in kept.items():
                setattr(norm, name, buffer.clone())

    def __exit__(self, *_: object) -> None:
        for norm, kept in zip(self._norms, self._kept, strict=True):
            for name, buffer in kept.items():
                setattr(norm, name, buffer)
