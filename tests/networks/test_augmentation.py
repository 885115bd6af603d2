"""Training images changed at random."""

from __future__ import annotations

import math

import torch

from diptych.networks.augmentation import augmented

SIZE = 32


def test_augmenting_shifts_turns_and_scales_each_image_by_its_own_draw():
    rng = torch.Generator().manual_seed(0)
    image = torch.rand(3, 3, SIZE, SIZE, generator=rng)
    still = augmented(image, rng, turn=0, scale=0, shift=0)
    assert torch.allclose(still, image, atol=1e-5)
    state = rng.get_state()
    _, _, right, down = 2 * torch.rand(4, 3, generator=rng) - 1
    rng.set_state(state)
    # A ramp along each axis shows by how much it was shifted: the middle moves by 2 * 0.1 * draw.
    ramp = torch.linspace(-1 + 1 / SIZE, 1 - 1 / SIZE, SIZE)
    ramps = torch.stack(torch.meshgrid(ramp, ramp, indexing="ij")).expand(3, 2, SIZE, SIZE)
    shifted = augmented(ramps, rng, turn=0, scale=0, shift=0.1)[:, :, 15:17, 15:17].mean((2, 3))
    assert torch.allclose(shifted, torch.stack([0.2 * down, 0.2 * right], 1), atol=1e-5)
    # A turn and a scale leave the middle where it is, and lengths change by exp(±scale).
    turned = augmented(ramps, rng, turn=0.2, scale=0.15, shift=0)
    assert torch.allclose(turned[:, :, 15:17, 15:17].mean((2, 3)), torch.zeros(3, 2), atol=1e-5)
    across, down_ = turned[:, :, 16, 17] - turned[:, :, 16, 16], ramp[1] - ramp[0]
    factor = across.norm(dim=1) / down_
    assert ((factor > math.exp(-0.15) - 1e-4) & (factor < math.exp(0.15) + 1e-4)).all()
    assert factor.unique().numel() == 3
