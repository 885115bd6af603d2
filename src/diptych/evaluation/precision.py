"""Improved precision and recall (Kynkäänniemi et al. 2019, arXiv:1904.06991, Eqs. 1 and 2).

Each feature of a set is the centre of a ball that reaches its k-th nearest neighbour in the
set. The union of the balls is the set's manifold. Precision is the share of translations within
the manifold of the real images. Recall is the share of real images within the manifold of the
translations.

Deviation: features come from the network that the scores use; the paper uses VGG-16.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

NEIGHBOURS = 3
"""k; 3 throughout the paper's Sec. 3."""
_ROWS = 1024  # distances are computed for this many features at a time


def precision_and_recall(real: Tensor, fake: Tensor, *, k: int = NEIGHBOURS) -> dict[str, Any]:
    """Return `precision` and `recall` of two sets of (N, D) features.

    The larger set is reduced to the smaller one's number, evenly spread. Balls are larger in
    smaller sets, and the paper compares equal numbers. Each result has `value` in [0, 1],
    `images` (in each set) and `neighbours`, or only `why_not` if a set has at most k images.
    """
    count = min(len(real), len(fake))
    if count <= k:
        there = f"there are {len(real)} and {len(fake)}"
        reason = {"why_not": f"{k} nearest neighbours need {k + 1} images a set; {there}"}
        return {"precision": reason, "recall": reason}
    real, fake = _every_nth(real.double(), count), _every_nth(fake.double(), count)
    facts = {"images": count, "neighbours": k}
    return {
        "precision": {"value": _covered(fake, real, k), **facts},
        "recall": {"value": _covered(real, fake, k), **facts},
    }


def kth_nearest(features: Tensor, others: Tensor, k: int) -> Tensor:
    """Return (N,) distances of (N, D) features to their k-th nearest of (M, D) others."""
    rows = [
        torch.cdist(part, others).kthvalue(k, dim=1).values for part in torch.split(features, _ROWS)
    ]
    return torch.cat(rows)


def _covered(points: Tensor, manifold: Tensor, k: int) -> float:
    """Return the share of `points` in `manifold`: f of Eq. (1), averaged as in Eq. (2)."""
    radii = kth_nearest(manifold, manifold, k + 1)  # k + 1: the nearest is the feature itself
    parts = [(torch.cdist(part, manifold) <= radii).any(1) for part in torch.split(points, _ROWS)]
    return float(torch.cat(parts).double().mean())


def _every_nth(features: Tensor, count: int) -> Tensor:
    if len(features) == count:
        return features
    return features[torch.arange(count) * len(features) // count]
