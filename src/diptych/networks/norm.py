"""Instance norm (Ulyanov et al. 2016, arXiv:1607.08022) that is correct in every memory layout.

Also a context in which batch norm keeps its running averages.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class InstanceNorm2d(nn.InstanceNorm2d):
    """PyTorch's instance norm without running statistics, computed by `instance_norm`."""

    def __init__(self, channels: int, eps: float = 1e-5, affine: bool = False) -> None:
        """`affine` gives each channel a learnt factor and shift."""
        super().__init__(channels, eps=eps, affine=affine)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each channel of each image of (B, C, H, W) to mean 0 and variance 1."""
        return instance_norm(x, self.eps, self.weight, self.bias)


def instance_norm(
    x: Tensor, eps: float = 1e-5, weight: Tensor | None = None, bias: Tensor | None = None
) -> Tensor:
    """Compute `F.instance_norm` of (B, C, H, W), with the right gradient and the layout kept.

    For a single image, PyTorch's own function (2.13, CPU) gives a wrong gradient if the incoming
    gradient is channels-last: the error is larger than the gradient. For several channels-last
    images, it copies them to another layout. Batch norm of one image is the same function and
    has neither problem.
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
    """A context in which the batch norms in `modules` keep their running averages.

    Their outputs are as usual. The context can be entered repeatedly but not nested.
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
        # Averages go into copies, so that not even an overflow reaches the real buffers.
        self._kept = [dict(norm.named_buffers()) for norm in self._norms]
        for norm, kept in zip(self._norms, self._kept, strict=True):
            for name, buffer in kept.items():
                setattr(norm, name, buffer.clone())

    def __exit__(self, *_: object) -> None:
        for norm, kept in zip(self._norms, self._kept, strict=True):
            for name, buffer in kept.items():
                setattr(norm, name, buffer)
