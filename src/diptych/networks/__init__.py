"""Networks and blocks that two or more methods use."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_WEIGHTED = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


def init_normal(network: nn.Module, std: float = 0.02) -> None:
    """Draw the weights of convolutions and linear layers from N(0, `std`²), and set biases to 0.

    Zhu et al. 2017, appendix; Radford et al. 2015 (arXiv:1511.06434).
    """
    for module in network.modules():
        if isinstance(module, _WEIGHTED):
            nn.init.normal_(module.weight, 0.0, std)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def together(network: nn.Module, *images: Tensor | None) -> tuple[Tensor, ...]:
    """Apply `network` to several (B, C, H, W) tensors as one batch, and return its outputs.

    The values are those of separate calls, but the computation is faster. Use this only for
    networks that treat each image of a batch separately, such as those with instance norm.
    Images that are None are skipped and have no output.
    """
    given = [image for image in images if image is not None]
    if len(given) == 1:
        return (network(given[0]),)
    return tuple(network(torch.cat(given)).split([len(image) for image in given]))
