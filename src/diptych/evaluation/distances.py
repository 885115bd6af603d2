"""Distances between two sets of images by a network's features: KID and FID.

Kernel inception distance: Binkowski et al. 2018 (arXiv:1801.01401), the
unbiased squared MMD with the kernel (x·y/d + 1)³. Fréchet inception distance:
Heusel et al. 2017 (arXiv:1706.08500). torchmetrics computes both from features, so the network
sees each image once.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor, nn

SUBSETS = 100
MOST_IN_SUBSET = 1000
FID_IMAGES_PER_DIMENSION = 2
"""FID is not computed with fewer images. The covariance would then be estimated so poorly that
FID depends mainly on the number of images."""


def kid(real: Tensor, fake: Tensor, *, seed: int = 0) -> dict[str, Any]:
    """Return the KID of two sets of (N, D) features: mean and spread over random subsets.

    A subset is half of the smaller set, at most 1,000 images. `seed` draws the subsets. The
    result has `mean`, `std`, `images`, `real_images`, `subsets` and `subset_size`, or only
    `why_not` if a set has fewer than 4 images.
    """
    smaller = min(len(real), len(fake))
    if smaller < 4:
        return {"why_not": f"KID needs 4 images a set; there are {len(real)} and {len(fake)}"}
    from torchmetrics.image.kid import KernelInceptionDistance

    size = min(MOST_IN_SUBSET, smaller // 2)
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        # It warns that it keeps all features in memory. Here they are in memory anyway.
        warnings.filterwarnings("ignore", message="Metric `Kernel Inception Distance`")
        metric = KernelInceptionDistance(
            feature=_Given(real.shape[1]), subsets=SUBSETS, subset_size=size
        )
        torch.default_generator.manual_seed(seed)  # it draws the subsets from the global state
        metric.update(real.double(), real=True)
        metric.update(fake.double(), real=False)
        mean, std = metric.compute()
    return {
        "mean": float(mean),
        "std": float(std),
        "images": len(fake),
        "real_images": len(real),
        "subsets": SUBSETS,
        "subset_size": size,
    }


def fid(real: Tensor, fake: Tensor) -> dict[str, Any]:
    """Return the FID of two sets of (N, D) features, if they are large enough.

    Each set needs at least twice as many images as the features have dimensions. The result has
    `value`, `images` and `real_images`, or only `why_not`.
    """
    needed = FID_IMAGES_PER_DIMENSION * real.shape[1]
    if min(len(real), len(fake)) < needed:
        return {
            "why_not": f"{real.shape[1]} feature dimensions need {needed:,} images a set;"
            f" there are {len(real):,} and {len(fake):,}"
        }
    from torchmetrics.image.fid import FrechetInceptionDistance

    metric = FrechetInceptionDistance(feature=_Given(real.shape[1])).set_dtype(torch.float64)
    metric.update(real.double(), real=True)
    metric.update(fake.double(), real=False)
    return {"value": float(metric.compute()), "images": len(fake), "real_images": len(real)}


class _Given(nn.Module):
    """Takes the place of the network in torchmetrics, since the features are already computed."""

    def __init__(self, dimensions: int) -> None:
        super().__init__()
        self.num_features = dimensions

    def forward(self, features: Tensor) -> Tensor:
        return features
