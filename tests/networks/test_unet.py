"""The U-Net of Isola et al., scale by scale."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from diptych.networks.unet import UNetGenerator


def _conv(channels_in: int, channels_out: int) -> int:
    return channels_in * channels_out * 4**2 + channels_out  # 4x4 weights and biases


def test_parameters_of_eight_scales_follow_from_the_layer_list():
    # Encoder C64-C128-C256-C512-C512-C512-C512-C512.
    encoder = (
        _conv(3, 64) + _conv(64, 128) + _conv(128, 256) + _conv(256, 512) + 4 * _conv(512, 512)
    )
    # Decoder: the innermost takes 512, the others twice their scale's channels.
    decoder = _conv(512, 512) + 3 * _conv(1024, 512) + _conv(1024, 256) + _conv(512, 128)
    decoder += _conv(256, 64) + _conv(128, 3)
    network = UNetGenerator(64, depth=8)
    assert sum(p.numel() for p in network.parameters()) == encoder + decoder == 54_409_603


def test_scales_halve_to_one_pixel_and_skips_double_the_channels():
    network = UNetGenerator(4, depth=5)
    inputs: list[tuple[int, ...]] = []
    outputs: list[tuple[int, ...]] = []

    def note(_: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
        inputs.append(tuple(given[0].shape[1:]))
        outputs.append(tuple(output.shape[1:]))

    for block in (*network.down, *network.up, network.out):
        block.register_forward_hook(note)
    with torch.no_grad():
        network(torch.zeros(1, 3, 32, 32))
    assert outputs == [
        (4, 16, 16), (8, 8, 8), (16, 4, 4), (32, 2, 2), (32, 1, 1),
        (32, 2, 2), (16, 4, 4), (8, 8, 8), (4, 16, 16), (3, 32, 32),
    ]  # fmt: skip
    # What comes up is joined by the skip of its scale: 32+32, 16+16, 8+8, 4+4.
    assert inputs[5:] == [(32, 1, 1), (64, 2, 2), (32, 4, 4), (16, 8, 8), (8, 16, 16)]


def test_skips_carry_the_encoders_features_of_the_same_scale():
    network = UNetGenerator(4, depth=4)
    seen: dict[str, Tensor] = {}
    network.down[0].register_forward_hook(lambda _m, _i, out: seen.update(skip=out.clone()))
    network.out.register_forward_hook(lambda _m, given, _o: seen.update(joined=given[0].clone()))
    with torch.no_grad():
        network(torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(0)))
    assert torch.equal(seen["joined"][:, 4:], seen["skip"])


def test_norm_is_everywhere_but_at_both_ends_and_in_the_bottleneck():
    network = UNetGenerator(4, depth=6)

    def has_norm(block: nn.Module) -> bool:
        return any(isinstance(m, nn.InstanceNorm2d) for m in block.modules())

    assert [has_norm(block) for block in network.down] == [False, True, True, True, True, False]
    assert [has_norm(block) for block in network.up] == [True] * 5
    assert not has_norm(network.out)


@pytest.mark.parametrize(
    ("depth", "shapes"),
    [
        (8, [(8, 2), (8, 4), (8, 8)]),  # CD512-CD512-CD512: 512 is eight times the width
        (5, [(8, 2), (4, 4), (2, 8)]),
        (3, [(2, 2), (1, 4)]),
    ],
)
def test_noise_is_dropout_after_the_three_innermost_decoder_blocks(depth, shapes):
    network, side = UNetGenerator(1, depth=depth), 2**depth
    z = network.noise(2, side, side, 0.5, torch.Generator().manual_seed(0))
    assert [tuple(mask.shape) for mask in z] == [(2, c, s, s) for c, s in shapes]
    assert {value for mask in z for value in mask.unique().tolist()} == {0.0, 2.0}
    joined: list[Tensor] = []
    later = [*network.up[1:], network.out]
    for block in later[: len(z)]:
        block.register_forward_hook(lambda _m, given, _o: joined.append(given[0].clone()))
    with torch.no_grad():
        network(torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(1)), z)
    for h, mask in zip(joined, z, strict=True):
        assert (h[:, : mask.shape[1]][mask == 0] == 0).all()


def test_noise_drops_at_its_rate_and_keeps_the_mean():
    masks = UNetGenerator(16, depth=8).noise(8, 256, 256, 0.2, torch.Generator().manual_seed(0))
    assert (masks[2] == 0).float().mean().item() == pytest.approx(0.2, abs=0.01)
    assert masks[2].mean().item() == pytest.approx(1.0, abs=0.01)


def test_no_noise_is_no_dropout():
    network, image = UNetGenerator(4, depth=4), torch.randn(1, 3, 16, 16)
    assert torch.equal(network(image), network(image, network.noise(
        1, 16, 16, 0.0, torch.Generator())))  # fmt: skip


def test_larger_images_in_multiples_of_the_size_keep_their_size_and_range():
    with torch.no_grad():
        out = UNetGenerator(4, depth=4)(torch.randn(2, 3, 32, 48))
    assert out.shape == (2, 3, 32, 48)
    assert out.abs().max().item() <= 1


def test_too_few_scales_are_refused():
    with pytest.raises(ValueError, match="not 2"):
        UNetGenerator(4, depth=2)
