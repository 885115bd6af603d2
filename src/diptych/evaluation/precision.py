"""How many translations are like real images, and how many real images are like translations.

Improved precision and recall: Kynkäänniemi et al. 2019 (arXiv:1904.06991), Eqs. (1) and (2).
A set's manifold is the union of balls, one around each of its features, that reach to
its k-th nearest neighbour within the set. Precision is the share of translations within
the real images' manifold, recall that of real images within the translations'.

Deviation: the features are those of whichever network the scores use; the paper has VGG-16's.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

NEIGHBOURS = 3
"""k; 3 throughout the paper's Sec. 3."""
_ROWS = 1024  # distances are worked out for so many features at a time


def precision_and_recall(real: Tensor, fake: Tensor, *, k: int = NEIGHBOURS) -> dict[str, Any]:
    """`precision` and `recall` of two sets of (N, D) features, each from 0 to 1.

    Of the larger set as many are taken as the smaller has, evenly spread: balls are
    larger in smaller sets, and the paper compares equal numbers. Each is a mapping of
    `value`, `images` (of each set) and `neighbours`, or of `why_not` where that is at most k.
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
    """(N,): the distance of each of (N, D) features to its k-th nearest of (M, D) others."""
    rows = [
        torch.cdist(part, others).kthvalue(k, dim=1).values for part in torch.split(features, _ROWS)
    ]
    return torch.cat(rows)


def _covered(points: Tensor, manifold: Tensor, k: int) -> float:
    """The share of `points` in a ball of `manifold`: f of Eq. (1), averaged as in Eq. (2)."""
    radii = kth_nearest(manifold, manifold, k + 1)  # the nearest is the feature itself
    parts = [(torch.cdist(part, manifold) <= radii).any(1) for part in torch.split(points, _ROWS)]
    return float(torch.cat(parts).double().mean())


def _every_nth(features: Tensor, count: int) -> Tensor:
    if len(features) == count:
        return features
    return features[torch.arange(count) * len(features) // count]
