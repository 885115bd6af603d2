"""DCGAN's layers from maps to an image."""

from __future__ import annotations

import torch
from torch import nn

from diptych.networks.dcgan import doubling, maps_to_image


def test_a_doubling_writes_its_kernel_at_every_other_pixel():
    layer = doubling(1, 1, bias=False)
    kernel = torch.arange(25.0).reshape(5, 5)
    with torch.no_grad():
        layer.weight.copy_(kernel[None, None])
    image = torch.zeros(1, 1, 3, 3)
    image[0, 0, 1, 1] = 2.0
    expected = torch.zeros(6, 6)
    expected[0:5, 0:5] = 2 * kernel  # its middle is at (2, 2), twice the pixel's place
    torch.testing.assert_close(layer(image)[0, 0], expected)


def test_each_width_is_a_map_of_twice_the_sides_and_the_end_an_image_in_range():
    torch.manual_seed(0)
    layers = nn.Sequential(*maps_to_image([8, 6, 4], 3))
    h = 100 * torch.randn(2, 8, 4, 4)
    shapes = []
    for layer in layers:
        h = layer(h)
        if isinstance(layer, nn.ConvTranspose2d):
            shapes.append(tuple(h.shape[1:]))
    assert shapes == [(6, 8, 8), (4, 16, 16), (3, 32, 32)]
    assert h.abs().max().item() <= 1


def test_only_the_last_layer_has_a_bias_since_norms_follow_the_others():
    layers = maps_to_image([8, 6, 4], 3)
    biases = [m.bias is not None for m in layers if isinstance(m, nn.ConvTranspose2d)]
    assert biases == [False, False, True]
    assert sum(isinstance(m, nn.BatchNorm2d) for m in layers) == 2
