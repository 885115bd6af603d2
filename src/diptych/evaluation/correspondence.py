"""Measure whether pairs of images show the same scenes, without knowing the true pairs.

Two images of one scene may differ in colours and texture, but they share the places of their
edges. So we compare edges. Pairs correspond if their two images are more alike than images of
different pairs.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_BLUR = 5
"""Side of the blur in pixels. Edges of one scene still match at about this distance."""


def correspondence(x: Tensor, y: Tensor) -> float:
    """Return the share of wrong partners that are less alike than the right one, in [0, 1].

    1 is best and 0.5 is chance. `x` and `y` are (N, C, H, W) in [-1, 1], and x[i] belongs to
    y[i]. Each image's right partner is compared with every other image of that side, in both
    directions. A tie counts half.

    Raises:
        ValueError: the numbers or sizes of images differ, or there are fewer than two pairs.
    """
    if (len(x), *x.shape[2:]) != (len(y), *y.shape[2:]) or len(x) < 2:
        raise ValueError(
            f"expected two or more pairs of one size, not {tuple(x.shape)}, {tuple(y.shape)}"
        )
    alike = edges(x) @ edges(y).T  # (N, N)
    right = alike.diagonal()
    wins = sum(
        (own > alike).double() + (own == alike).double() / 2 for own in (right[:, None], right)
    )
    assert isinstance(wins, Tensor)
    n = len(x)
    wins.fill_diagonal_(0)
    return float(wins.sum() / (2 * n * (n - 1)))


def edges(image: Tensor) -> Tensor:
    """Return blurred edges of (N, C, H, W) images as (N, H·W), each with mean 0 and length 1.

    An image of one colour gives zeros.
    """
    image = image.double()
    down = F.pad(image.diff(dim=2), (0, 0, 0, 1))
    right = F.pad(image.diff(dim=3), (0, 1))
    change = (down.square() + right.square()).sum(1, keepdim=True).sqrt()  # (N, 1, H, W)
    blurred = F.avg_pool2d(change, _BLUR, 1, _BLUR // 2, count_include_pad=False).flatten(1)
    centred = blurred - blurred.mean(1, keepdim=True)
    return torch.nan_to_num(centred / centred.norm(dim=1, keepdim=True))
