"""What the papers printed: cited beside our figures, never mixed with them.

Zhu et al. 2017 (arXiv:1703.10593), Tables 2 to 5, on Cityscapes at 128 pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """One table of a paper."""

    name: str
    figures: Mapping[str, tuple[float, float, float]]
    """Per-pixel accuracy, per-class accuracy and class IoU, by row."""


SOURCE = "Zhu et al. 2017, Cityscapes at 128 pixels: cited, not measured here"
LABELS_TO_PHOTO, PHOTO_TO_LABELS = "labels → photo", "photo → labels"

PUBLISHED: Mapping[tuple[str, str], Published] = {
    ("systems", LABELS_TO_PHOTO): Published(
        "CycleGAN's Table 2",
        {
            "CoGAN": (0.40, 0.10, 0.06),
            "BiGAN/ALI": (0.19, 0.06, 0.02),
            "SimGAN": (0.20, 0.10, 0.04),
            "Feature loss + GAN": (0.06, 0.04, 0.01),
            "CycleGAN": (0.52, 0.17, 0.11),
            "pix2pix": (0.71, 0.25, 0.18),
        },
    ),
    ("systems", PHOTO_TO_LABELS): Published(
        "CycleGAN's Table 3",
        {
            "CoGAN": (0.45, 0.11, 0.08),
            "BiGAN/ALI": (0.41, 0.13, 0.07),
            "SimGAN": (0.47, 0.11, 0.07),
            "Feature loss + GAN": (0.50, 0.10, 0.06),
            "CycleGAN": (0.58, 0.22, 0.16),
            "pix2pix": (0.85, 0.40, 0.32),
        },
    ),
    ("ablations", LABELS_TO_PHOTO): Published(
        "CycleGAN's Table 4",
        {
            "Cycle alone": (0.22, 0.07, 0.02),
            "GAN alone": (0.51, 0.11, 0.08),
            "GAN + forward cycle": (0.55, 0.18, 0.12),
            "GAN + backward cycle": (0.39, 0.14, 0.06),
            "CycleGAN": (0.52, 0.17, 0.11),
        },
    ),
    ("ablations", PHOTO_TO_LABELS): Published(
        "CycleGAN's Table 5",
        {
            "Cycle alone": (0.10, 0.05, 0.02),
            "GAN alone": (0.53, 0.11, 0.07),
            "GAN + forward cycle": (0.49, 0.11, 0.07),
            "GAN + backward cycle": (0.01, 0.06, 0.01),
            "CycleGAN": (0.58, 0.22, 0.16),
        },
    ),
}
"""By the group of rows and the kind of direction."""
