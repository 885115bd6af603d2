"""What all networks share: their initial weights, and passes of several batches at once."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from diptych.networks import init_normal, together
from diptych.networks.resnet import ResNetGenerator


def test_initial_weights_are_gaussian_of_deviation_two_hundredths_and_biases_zero():
    torch.manual_seed(0)
    network = ResNetGenerator(16, 2)
    init_normal(network)
    layers = [m for m in network.modules() if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d))]
    assert len(layers) == 10
    for layer in layers:
        n = layer.weight.numel()
        assert abs(layer.weight.mean().item()) < 4 * 0.02 / n**0.5
        assert abs(layer.weight.std().item() - 0.02) < 4 * 0.02 / (2 * n) ** 0.5
        assert layer.bias is not None
        assert layer.bias.abs().max().item() == 0
    weights = torch.cat([layer.weight.flatten() for layer in layers])
    within = ((weights.abs() < 0.02).float().mean()).item()
    assert within == pytest.approx(0.6827, abs=0.01)  # a Gaussian's share within one deviation


def test_together_has_the_values_of_each_alone():
    torch.manual_seed(0)
    network = ResNetGenerator(4, blocks=2)
    first, second = torch.rand(1, 3, 32, 32) * 2 - 1, torch.rand(3, 3, 32, 32) * 2 - 1
    with torch.no_grad():
        one, other = together(network, first, None, second)
        torch.testing.assert_close(one, network(first), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(other, network(second), rtol=1e-4, atol=1e-5)
        (single,) = together(network, first)
    assert torch.equal(single, network(first))
