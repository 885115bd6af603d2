"""Fused, recomputed and compiled networks compute what the plain ones do."""

from __future__ import annotations

import copy
import logging

import pytest
import torch
from torch import Tensor, nn

from diptych.networks.fusing import _run, fuse
from diptych.networks.patchgan import PatchGAN
from diptych.networks.resnet import ResNetGenerator
from diptych.networks.unet import UNetGenerator

NETWORKS = {
    "resnet": lambda: ResNetGenerator(4, blocks=2),
    "patchgan": lambda: PatchGAN(4),
    "unet": lambda: UNetGenerator(4, depth=5),
}

COMPILERS_OWN = "ignore:.torch.jit.script_method. is deprecated:DeprecationWarning"


def _network(name: str, layout: torch.memory_format) -> nn.Module:
    torch.manual_seed(0)
    return NETWORKS[name]().to(memory_format=layout)


def _images(count: int = 2, seed: int = 1) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    images = torch.rand(count, 3, 32, 32, generator=rng) * 2 - 1
    return images.contiguous(memory_format=torch.channels_last)


def _outcome(network: nn.Module, images: Tensor, dtype: torch.dtype | None) -> list[Tensor]:
    """The output, and the gradients of the images and of every weight."""
    images = images.clone().requires_grad_()
    with torch.autocast("cpu", dtype=dtype, enabled=dtype is not None):
        output = network(images)
    (output.float().square().mean() + output.float().mean()).backward()
    gradients = [p.grad for p in network.parameters()]
    return [output.detach(), images.grad, *gradients]  # type: ignore[list-item]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("segments", [1, 3])
@pytest.mark.parametrize("name", NETWORKS)
def test_fused_networks_have_the_values_and_gradients_of_plain_ones(name, segments, layout):
    plain = _network(name, layout)
    fused = copy.deepcopy(plain)
    fuse(fused, segments=segments)
    assert list(fused.state_dict()) == list(plain.state_dict())
    for ours, expected in zip(
        _outcome(fused, _images(), None), _outcome(plain, _images(), None), strict=True
    ):
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-6)


def test_in_bfloat16_padding_stays_in_bfloat16_and_values_agree_to_its_precision():
    plain = _network("resnet", torch.channels_last)
    fused = copy.deepcopy(plain)
    fuse(fused)
    seen: list[Tensor] = []
    fused[1].register_forward_hook(lambda _module, given, _output: seen.append(given[0]))
    fused[10].body[1].register_forward_hook(lambda _m, given, _output: seen.append(given[0]))
    ours = _outcome(fused, _images(), torch.bfloat16)
    theirs = _outcome(plain, _images(), torch.bfloat16)
    assert [t.dtype for t in seen] == [torch.float32, torch.bfloat16]
    assert seen[1].is_contiguous(memory_format=torch.channels_last)
    exact = _outcome(plain.zero_grad() or plain, _images(), None)
    for a, b, c in zip(ours, theirs, exact, strict=True):
        size = float(c.float().abs().max())
        ours_off, theirs_off = ((t.float() - c).abs().max().item() for t in (a, b))
        assert ours_off <= max(2 * theirs_off, 0.02 * size)


def test_recomputing_keeps_less_for_the_backward_pass():
    def kept(segments: int) -> int:
        network = _network("resnet", torch.contiguous_format)
        fuse(network, segments=segments)
        images, total = _images().requires_grad_(), 0

        def note(tensor: Tensor) -> Tensor:
            nonlocal total
            total += tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            network(images)
        return total

    assert kept(4) < 0.3 * kept(1)


def test_recomputing_leaves_the_running_averages_of_batch_norm_as_one_pass_does():
    def layers() -> nn.Sequential:
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4)
        )

    x = torch.randn(2, 3, 8, 8)
    plain, recomputed = layers(), layers()
    fuse(recomputed, segments=2)
    for network in (plain, recomputed):
        network(x).square().sum().backward()
    assert plain[1].num_batches_tracked == 1
    for name, value in plain.state_dict().items():
        assert torch.equal(recomputed.state_dict()[name], value), name
    torch.testing.assert_close(recomputed[0].weight.grad, plain[0].weight.grad)
    assert [recomputed[i].momentum for i in (1, 4)] == [0.1, 0.1]


def test_the_same_layers_are_one_function_in_every_network():
    before = _run.cache_info().currsize
    for width in (2, 4):
        fuse(ResNetGenerator(width, blocks=3))
    after = _run.cache_info()
    assert after.currsize - before <= 5  # pad 3; norm, relu; pad 1; norm, relu, pad 1; ... pad 3
    assert _run((("relu",),), False) is _run((("relu",),), False)


def test_a_padding_that_is_not_square_and_a_slope_are_kept():
    layers = nn.Sequential(nn.ReflectionPad2d((1, 2, 3, 0)), nn.LeakyReLU(0.3))
    fused = copy.deepcopy(layers)
    fuse(fused)
    assert torch.equal(fused(_images()), layers(_images()))


def test_layers_with_weights_or_memory_are_left_alone():
    norm = nn.InstanceNorm2d(3, affine=True)
    nn.init.constant_(norm.weight, 3.0)
    layers = nn.Sequential(norm, nn.ReLU())
    fused = copy.deepcopy(layers)
    fuse(fused)
    torch.testing.assert_close(fused(_images()), layers(_images()))


@pytest.mark.slow
@pytest.mark.filterwarnings(COMPILERS_OWN)
def test_without_a_compiler_the_plain_layers_go_on_with_one_line(monkeypatch, caplog):
    monkeypatch.setattr(torch._inductor.config.cpp, "cxx", ("no-such-compiler",))
    keys = (("norm", 1e-5), ("leaky", 0.125))
    image = _images().requires_grad_()
    compiled = _run(keys, True)
    with caplog.at_level(logging.WARNING, logger="diptych"):
        torch.testing.assert_close(compiled(image), _run(keys, False)(image))
        compiled(image)
    assert [r.getMessage().partition("(")[0] for r in caplog.records] == ["cannot compile here "]


@pytest.mark.slow
@pytest.mark.filterwarnings(COMPILERS_OWN)
def test_a_compiled_run_of_layers_has_the_values_and_gradients_of_the_plain_one():
    keys = (("norm", 1e-5), ("relu",), ("pad", 1, 2, 3, 1))
    plain, compiled = _run(keys, False), _run(keys, True)
    for shape in ((2, 8, 16, 16), (3, 4, 8, 12)):  # one kernel for both
        rng = torch.Generator().manual_seed(0)
        image = torch.randn(shape, generator=rng).contiguous(memory_format=torch.channels_last)
        found = []
        for run in (plain, compiled):
            x = image.clone().requires_grad_()
            output = run(x)
            (output * torch.linspace(-1, 1, output.shape[3])).sum().backward()
            found.append((output.detach(), x.grad))
        torch.testing.assert_close(found[1], found[0], rtol=1e-4, atol=1e-4)
