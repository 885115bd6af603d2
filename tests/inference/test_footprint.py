"""What a network needs: its receptive field, and its memory."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from diptych.inference.footprint import (
    WORKSPACE,
    bytes_per_pixel,
    receptive_radius,
)
from tests.inference.test_tiling import CPU, generator


@pytest.fixture(scope="module", autouse=True)
def _no_grad():
    with torch.no_grad():
        yield


def test_receptive_radius_is_that_worked_out_by_hand():
    def radius(network: nn.Module, multiple: int = 1) -> int | None:
        return receptive_radius(network, network, multiple=multiple, device=CPU)

    assert radius(nn.Conv2d(3, 3, 7, padding=3)) == 3
    two = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 3, 5, padding=2))
    assert radius(two) == 3
    assert radius(nn.Sequential(two, nn.InstanceNorm2d(3))) == 3  # its statistics are given
    # 18 convolutions of radius 1 at a quarter of the size: 72, and 3 + 1 + 2 + 2 + 1 + 3 around
    assert radius(generator(blocks=9), 4) == 84
    whole = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Upsample(scale_factor=64))
    assert radius(whole) is None


def test_bytes_per_pixel_count_the_maps_alive_at_once():
    conv = nn.Conv2d(3, 16, 3, padding=1)
    measured = bytes_per_pixel(conv, conv, size=64, device=CPU)
    assert measured == pytest.approx(WORKSPACE * (3 + 16) * 4)
    deep = nn.Sequential(nn.Conv2d(3, 16, 1), nn.Conv2d(16, 8, 1), nn.Conv2d(8, 3, 1))
    measured = bytes_per_pixel(deep, deep, size=64, device=CPU)
    assert measured == pytest.approx(WORKSPACE * (3 + 16 + 8) * 4)
