"""Scores against the true translation. All images are (B, 3, H, W) in [-1, 1]."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from diptych.data import Palette
from diptych.evaluation.labels import Confusion, nearest_class, true_class

TOLERANCE = 16
"""A pixel counts as right if it is within this many of 255 levels of the truth."""


def mean_absolute_error(image: Tensor, truth: Tensor) -> Tensor:
    """(B,) mean absolute difference, of images in [0, 1]."""
    return (image - truth).abs().flatten(1).mean(1) / 2


def psnr(image: Tensor, truth: Tensor) -> Tensor:
    """Return (B,) peak signal-to-noise ratios in dB, with values rescaled to [0, 1].

    The largest value is 100 dB. Equal images give 100 instead of infinity, so that a mean over
    images exists.
    """
    error = ((image - truth) / 2).square().flatten(1).mean(1)
    return -10 * torch.log10(error.clamp_min(1e-10))


def ssim(image: Tensor, truth: Tensor) -> Tensor:
    """Return (B,) structural similarities, at most 1 (Wang et al. 2004: 11x11 Gaussian, σ 1.5).

    For images smaller than 11 pixels, the window is uniform and smaller.
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
    """Return (B,) shares of pixels whose three channels are all within 16 of 255 of the truth.

    Liu et al. 2017, Sec. 4 (maps): "a pixel translation was counted correct if
    the color difference was within 16 of the ground truth color value". The paper
    does not say how channels are combined.
    """
    difference = (image - truth).abs().amax(1) * 127.5  # (B, H, W), of 255
    return (difference <= TOLERANCE + 1e-3).flatten(1).float().mean(1)  # 1e-3 for rounding errors


_MEASURES = {"l1": mean_absolute_error, "psnr": psnr, "ssim": ssim, "within_16": within_16}


@dataclass
class PairedScores:
    """Mean scores of images against their truth, and class scores if the truth shows labels."""

    palette: Palette | None
    """The palette of the truth if it shows labels, else None."""
    count: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    confusion: Confusion | None = None

    def add(self, image: Tensor, truth: Tensor, labels: Tensor | None) -> None:
        """Add a batch. `labels` is the truth with unmixed colours, if it shows labels."""
        self.count += len(image)
        for name, measure in _MEASURES.items():
            total = float(measure(image, truth).double().sum())
            self.sums[name] = self.sums.get(name, 0.0) + total
        if self.palette is not None and labels is not None:
            self.confusion = self.confusion or Confusion.zeros(len(self.palette.colours))
            true = true_class(labels, self.palette)
            self.confusion.add(nearest_class(image, self.palette), true)

    def figures(self) -> dict[str, float | None]:
        """Return the mean scores, and the class scores over all classes."""
        means = {name: total / self.count for name, total in self.sums.items()}
        return means | (self.confusion.figures if self.confusion is not None else {})

    def scores(self) -> dict[str, Any]:
        """Return `figures`, the scores of each class, and the confusion matrix."""
        result: dict[str, Any] = self.figures()
        if self.confusion is not None and self.palette is not None:
            result |= self.confusion.scores(self.palette)
        return result
