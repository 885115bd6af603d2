"""Blocks that two or more methods use."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_WEIGHTED = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


def init_normal(network: nn.Module, std: float = 0.02) -> None:
    """Convolutions' and linear maps' weights from N(0, `std`²), biases 0.

    Zhu et al. 2017, appendix; Radford et al. 2015 (arXiv:1511.06434).
    """
    for module in network.modules():
        if isinstance(module, _WEIGHTED):
            nn.init.normal_(module.weight, 0.0, std)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def together(network: nn.Module, *images: Tensor | None) -> tuple[Tensor, ...]:
    """`network` of each of the (B, C, H, W) `images`, as one batch: the same values, faster.

    Only for networks that treat the images of a batch apart, as those with
    instance norm do. Leaves out what is None.
    """
    given = [image for image in images if image is not None]
    if len(given) == 1:
        return (network(given[0]),)
    return tuple(network(torch.cat(given)).split([len(image) for image in given]))
