"""The generator of the paper's appendix, layer by layer."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from diptych.networks.resnet import ResidualBlock, ResNetGenerator


def _count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def _conv(channels_in: int, channels_out: int, kernel: int) -> int:
    return channels_in * channels_out * kernel**2 + channels_out  # weights and biases


@pytest.mark.parametrize(("blocks", "expected"), [(9, 11_378_179), (6, 7_837_699)])
def test_parameters_are_as_many_as_in_the_authors_code(blocks: int, expected: int):
    by_hand = (
        _conv(3, 64, 7) + _conv(64, 128, 3) + _conv(128, 256, 3)
        + blocks * 2 * _conv(256, 256, 3)
        + _conv(256, 128, 3) + _conv(128, 64, 3) + _conv(64, 3, 7)
    )  # fmt: skip
    assert _count(ResNetGenerator(64, blocks)) == by_hand == expected


@pytest.mark.parametrize("blocks", [6, 9])
def test_layers_are_those_of_the_papers_list(blocks: int):
    network = ResNetGenerator(64, blocks)
    shapes: list[tuple[str, int, int, int]] = []

    def note(module: nn.Module, _: object, output: Tensor) -> None:
        shapes.append((type(module).__name__, *output.shape[1:]))

    for module in network:
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, ResidualBlock)):
            module.register_forward_hook(note)
    with torch.no_grad():
        network(torch.zeros(1, 3, 32, 48))
    assert shapes == [
        ("Conv2d", 64, 32, 48),  # c7s1-64
        ("Conv2d", 128, 16, 24),  # d128
        ("Conv2d", 256, 8, 12),  # d256
        *[("ResidualBlock", 256, 8, 12)] * blocks,  # R256
        ("ConvTranspose2d", 128, 16, 24),  # u128
        ("ConvTranspose2d", 64, 32, 48),  # u64
        ("Conv2d", 3, 32, 48),  # c7s1-3
    ]


def test_kernels_are_seven_at_the_ends_and_three_between():
    convolutions = [
        m for m in ResNetGenerator(4, 2).modules() if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d))
    ]
    assert [m.kernel_size[0] for m in convolutions] == [7, 3, 3, 3, 3, 3, 3, 3, 3, 7]
    assert [m.stride[0] for m in convolutions] == [1, 2, 2, 1, 1, 1, 1, 2, 2, 1]


def test_every_convolution_but_the_last_has_instance_norm_and_relu_follows():
    kinds = [type(m).__name__ for m in ResNetGenerator(4, 1)]
    block = ["InstanceNorm2d", "ReLU"]
    assert kinds == [
        "ReflectionPad2d", "Conv2d", *block, "Conv2d", *block, "Conv2d", *block,
        "ResidualBlock",
        "ConvTranspose2d", *block, "ConvTranspose2d", *block,
        "ReflectionPad2d", "Conv2d", "Tanh",
    ]  # fmt: skip
    norms = [m for m in ResNetGenerator(4, 1).modules() if isinstance(m, nn.InstanceNorm2d)]
    assert len(norms) == 7
    assert not any(norm.affine or norm.track_running_stats for norm in norms)


def test_stride_one_convolutions_pad_by_reflection_alone():
    network = ResNetGenerator(4, 2)
    stride_one = [m for m in network.modules() if isinstance(m, nn.Conv2d) and m.stride == (1, 1)]
    assert len(stride_one) == 6
    assert all(m.padding == (0, 0) for m in stride_one)
    # A constant image stays constant through reflection; zero padding would show at the border.
    first = nn.Sequential(network[0], network[1])
    with torch.no_grad():
        out = first(torch.full((1, 3, 16, 16), 0.7))
    assert (out - out[:, :, :1, :1]).abs().max().item() < 1e-6


def test_residual_block_adds_its_body_to_its_input():
    block = ResidualBlock(4)
    for convolution in (block.body[1], block.body[5]):
        nn.init.zeros_(convolution.weight)
        nn.init.zeros_(convolution.bias)
    h = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    kept = h.clone()
    assert torch.equal(block(h), kept)
    assert torch.equal(h, kept)  # the in-place ReLUs stay inside


def test_output_is_in_the_range_of_images():
    network = ResNetGenerator(4, 1)
    with torch.no_grad():
        network[-2].weight.mul_(100)
        out = network(torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)))
    assert out.shape == (2, 3, 16, 16)
    assert out.abs().max().item() <= 1.0
    assert out.min().item() < -0.99
    assert out.max().item() > 0.99


@pytest.mark.parametrize("size", [(8, 8), (12, 20), (36, 8)])
def test_any_multiple_of_four_keeps_its_size(size: tuple[int, int]):
    with torch.no_grad():
        assert ResNetGenerator(4, 1)(torch.zeros(1, 3, *size)).shape == (1, 3, *size)
