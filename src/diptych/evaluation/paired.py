"""Scores against the true translation. All images are (B, 3, H, W) in [-1, 1]."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from diptych.data import Palette
from diptych.evaluation.labels import Confusion, nearest_class, true_class

TOLERANCE = 16
"""A pixel within this many of 255 levels of the truth counts as right."""


def mean_absolute_error(image: Tensor, truth: Tensor) -> Tensor:
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


_MEASURES = {"l1": mean_absolute_error, "psnr": psnr, "ssim": ssim, "within_16": within_16}


@dataclass
class PairedScores:
    """Means over images against their truth, and where that is of label colours its classes."""

    palette: Palette | None
    """What the truth's colours mean, where it shows labels."""
    count: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    confusion: Confusion | None = None

    def add(self, image: Tensor, truth: Tensor, labels: Tensor | None) -> None:
        """`labels` is the truth with unmixed colours, if it is of labels."""
        self.count += len(image)
        for name, measure in _MEASURES.items():
            total = float(measure(image, truth).double().sum())
            self.sums[name] = self.sums.get(name, 0.0) + total
        if self.palette is not None and labels is not None:
            self.confusion = self.confusion or Confusion.zeros(len(self.palette.colours))
            true = true_class(labels, self.palette)
            self.confusion.add(nearest_class(image, self.palette), true)

    def figures(self) -> dict[str, float | None]:
        """The means, and the figures of all classes."""
        means = {name: total / self.count for name, total in self.sums.items()}
        return means | (self.confusion.figures if self.confusion is not None else {})

    def scores(self) -> dict[str, Any]:
        """The same with each class's own, and the whole matrix."""
        result: dict[str, Any] = self.figures()
        if self.confusion is not None and self.palette is not None:
            result |= self.confusion.scores(self.palette)
        return result
