"""Random changes to batches of training images. The caller's generator makes all draws."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def augmented(
    image: Tensor,
    rng: torch.Generator,
    *,
    turn: float = 0.2,
    scale: float = 0.15,
    shift: float = 0.1,
) -> Tensor:
    """Rotate, scale and shift each image of a (B, 3, H, W) batch at random.

    The rotation is at most `turn` radians, the scale at most exp(±`scale`), and the shift at
    most `shift` of the side. All are drawn uniformly. Pixels from outside repeat the edges.
    """
    angle, size, right, down = 2 * torch.rand(4, len(image), generator=rng) - 1
    cos, sin = (angle * turn).cos(), (angle * turn).sin()
    zoom = (size * scale).exp()
    rows = zoom * cos, -zoom * sin, 2 * shift * right, zoom * sin, zoom * cos, 2 * shift * down
    where = F.affine_grid(
        torch.stack(rows, 1).view(-1, 2, 3).to(image), list(image.shape), align_corners=False
    )
    return F.grid_sample(image, where, padding_mode="border", align_corners=False)


def half_inverted(image: Tensor, rng: torch.Generator) -> Tensor:
    """Turn each image of a (B, 3, H, W) batch in [-1, 1] into its negative with probability 1/2."""
    is_negative = torch.rand(len(image), 1, 1, 1, generator=rng) < 0.5
    return torch.where(is_negative.to(image.device), -image, image)
