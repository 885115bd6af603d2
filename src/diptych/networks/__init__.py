"""Blocks that two or more methods use."""

from __future__ import annotations

from torch import nn

_CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)


def init_normal(network: nn.Module, std: float = 0.02) -> None:
    """Convolution weights from N(0, `std`²), biases 0: Zhu et al. 2017, appendix."""
    for module in network.modules():
        if isinstance(module, _CONVOLUTIONS):
            nn.init.normal_(module.weight, 0.0, std)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
