"""Instance norm by hand, and its gradient in every layout."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diptych.networks.norm import AveragesKept, InstanceNorm2d, instance_norm

LAYOUTS = [torch.contiguous_format, torch.channels_last]


def test_each_channel_of_each_image_is_normalised_by_hand():
    image = torch.tensor([[[[1.0, 3.0]], [[0.0, 0.0]]], [[[2.0, 2.0]], [[-4.0, 4.0]]]])
    expected = torch.tensor([[[[-1.0, 1.0]], [[0.0, 0.0]]], [[[0.0, 0.0]], [[-1.0, 1.0]]]])
    torch.testing.assert_close(InstanceNorm2d(2)(image), expected, rtol=0, atol=1e-5)
    scaled = InstanceNorm2d(2, eps=3.0)(image)
    assert scaled[0, 0, 0, 1].item() == pytest.approx(1 / 2)  # variance 1
    assert scaled[1, 1, 0, 1].item() == pytest.approx(4 / 19**0.5)  # variance 16


def _gradient(x: Tensor, above: Tensor) -> Tensor:
    x = x.detach().requires_grad_()
    instance_norm(x).backward(above)
    assert x.grad is not None
    return x.grad


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("of_gradient", LAYOUTS)
@pytest.mark.parametrize("of_image", LAYOUTS)
@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_gradient_is_right_in_every_layout_and_batch(count, of_image, of_gradient, dtype):
    rng = torch.Generator().manual_seed(count)
    x = torch.randn(count, 16, 8, 8, generator=rng).to(dtype)
    above = torch.randn(count, 16, 8, 8, generator=rng).to(dtype)
    # In float64, by the formula: centred and scaled.
    exact = x.double().requires_grad_()
    centred = exact - exact.mean((2, 3), keepdim=True)
    normed = centred / (centred.square().mean((2, 3), keepdim=True) + 1e-5).sqrt()
    normed.backward(above.double())
    image = x.contiguous(memory_format=of_image)
    ours = _gradient(image, above.contiguous(memory_format=of_gradient)).double()
    assert exact.grad is not None
    tolerance = 1e-6 if dtype == torch.float32 else 2e-2
    assert float((ours - exact.grad).abs().max()) < tolerance * float(exact.grad.abs().max())
    torch.testing.assert_close(instance_norm(image), F.instance_norm(x), rtol=2e-2, atol=1e-5)


@pytest.mark.parametrize("count", [1, 3])
def test_the_layout_is_kept(count):
    image = torch.rand(count, 4, 6, 5).contiguous(memory_format=torch.channels_last)
    assert instance_norm(image).is_contiguous(memory_format=torch.channels_last)
    assert instance_norm(image.contiguous()).is_contiguous()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("count", [1, 2])
def test_affine_norms_have_a_factor_and_a_shift_a_channel(count, layout):
    norm = InstanceNorm2d(2, affine=True)
    assert [p.shape for p in norm.parameters()] == [(2,), (2,)]
    x = torch.randn(count, 2, 5, 4, generator=torch.Generator().manual_seed(0))
    x = x.contiguous(memory_format=layout)
    torch.testing.assert_close(norm(x), instance_norm(x))
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([2.0, -1.0]))
        norm.bias.copy_(torch.tensor([0.5, 3.0]))
    expected = instance_norm(x) * torch.tensor([2.0, -1.0]).reshape(2, 1, 1)
    torch.testing.assert_close(norm(x), expected + torch.tensor([0.5, 3.0]).reshape(2, 1, 1))
    above = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    norm(x).backward(above.contiguous(memory_format=layout))
    torch.testing.assert_close(norm.weight.grad, (above * instance_norm(x)).sum((0, 2, 3)))
    torch.testing.assert_close(norm.bias.grad, above.sum((0, 2, 3)))
    half = norm(x.to(torch.bfloat16))
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), norm(x), rtol=2e-2, atol=2e-2)


def test_running_averages_are_kept_whatever_comes_and_by_the_very_same_tensors():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    network(torch.randn(2, 3, 8, 8))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    averages = network[1].running_mean
    with AveragesKept(network):
        network(torch.full((2, 3, 8, 8), float("inf")))
        network(torch.randn(2, 3, 8, 8)).square().sum().backward()
    assert network[1].running_mean is averages
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert network[0].weight.grad is not None
    network(torch.randn(2, 3, 8, 8))
    assert network[1].num_batches_tracked == 2
