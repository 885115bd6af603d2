"""Scores against the true translation. All images are (B, 3, H, W) in [-1, 1]."""

from __future__ import annotations

import torch
from torch import Tensor

TOLERANCE = 16
"""Of 255: a pixel this close to the truth counts as right."""


def l1(image: Tensor, truth: Tensor) -> Tensor:
    """(B,) mean absolute difference, of images in [0, 1]."""
    return (image - truth).abs().flatten(1).mean(1) / 2


def psnr(image: Tensor, truth: Tensor) -> Tensor:
    """(B,) peak signal-to-noise ratio in dB, of images in [0, 1]; equal images give 100.

    100 dB, the squared error of a float's rounding, stands in for infinity so
    that a mean over images exists.
    """
    error = ((image - truth) / 2).square().flatten(1).mean(1)
    return -10 * torch.log10(error.clamp_min(1e-10))


def ssim(image: Tensor, truth: Tensor) -> Tensor:
    """(B,) structural similarity (Wang et al. 2004: 11x11 Gaussian of σ 1.5), up to 1.

    The window shrinks for images below 12 pixels.
    """
    from torchmetrics.functional.image import structural_similarity_index_measure as measure

    window = min(11, (min(image.shape[-2:]) - 1) // 2 * 2 + 1)
    scores = measure(
        (image + 1) / 2,
        (truth + 1) / 2,
        gaussian_kernel=window == 11,
        kernel_size=window,
        data_range=1.0,
        reduction="none",
    )
    assert isinstance(scores, Tensor)
    return scores.reshape(-1)


def within_16(image: Tensor, truth: Tensor) -> Tensor:
    """(B,) share of pixels whose every channel is within 16 of 255 of the true colour.

    Liu et al. 2017, Sec. 4 (maps): "a pixel translation was counted correct if
    the color difference was within 16 of the ground truth color value". It
    does not say how channels are combined; here all three must be close.
    """
    difference = (image - truth).abs().amax(1) * 127.5  # (B, H, W), of 255
    return (difference <= TOLERANCE + 1e-3).flatten(1).float().mean(1)  # floats are not exact
