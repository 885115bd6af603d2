"""Discriminators: their sizes, and what a score of theirs really sees."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from diptych.networks.patchgan import ImageGAN, PatchGAN


def _without_norms(network: nn.Sequential) -> nn.Sequential:
    """Instance norm mixes the whole image into every score; the patch is that of the rest."""
    return nn.Sequential(*(m for m in network if not isinstance(m, nn.InstanceNorm2d)))


def _receptive_field(layers: int, size: int) -> tuple[int, int]:
    """Height and width of the pixels that one score in the middle depends on."""
    torch.manual_seed(0)
    network = _without_norms(PatchGAN(1, layers))
    for m in network.modules():
        if isinstance(m, nn.Conv2d):
            nn.init.constant_(m.weight, 1 / m.weight[0].numel())  # nothing cancels or dies
    image = torch.ones(1, 3, size, size, dtype=torch.float64, requires_grad=True)
    scores = network.double()(image)
    middle = scores.shape[-1] // 2
    (gradient,) = torch.autograd.grad(scores[0, 0, middle, middle], image)
    rows, columns = gradient[0].abs().sum(0).nonzero(as_tuple=True)
    assert rows.min() > 0 or layers == 0, "the patch is cut off by the border"
    return (rows.max() - rows.min() + 1).item(), (columns.max() - columns.min() + 1).item()


@pytest.mark.parametrize(
    ("layers", "pixels", "size"),
    [(0, 1, 8), (1, 16, 64), (2, 34, 96), (3, 70, 192), (4, 142, 384), (5, 286, 768)],
)
def test_one_score_sees_a_patch_of_its_name(layers: int, pixels: int, size: int):
    assert _receptive_field(layers, size) == (pixels, pixels)


def test_seventy_pixel_patchgan_has_the_parameters_of_the_authors_code():
    def conv(channels_in: int, channels_out: int) -> int:
        return channels_in * channels_out * 4**2 + channels_out

    by_hand = conv(3, 64) + conv(64, 128) + conv(128, 256) + conv(256, 512) + conv(512, 1)
    assert sum(p.numel() for p in PatchGAN().parameters()) == by_hand == 2_764_737


def test_layers_are_c64_c128_c256_c512_and_one_channel():
    convolutions = [m for m in PatchGAN() if isinstance(m, nn.Conv2d)]
    assert [m.out_channels for m in convolutions] == [64, 128, 256, 512, 1]
    assert [m.stride[0] for m in convolutions] == [2, 2, 2, 1, 1]
    kinds = [type(m).__name__ for m in PatchGAN()]
    block = ["Conv2d", "InstanceNorm2d", "LeakyReLU"]
    assert kinds == ["Conv2d", "LeakyReLU", *block, *block, *block, "Conv2d"]
    assert {m.negative_slope for m in PatchGAN() if isinstance(m, nn.LeakyReLU)} == {0.2}


def test_pixel_discriminator_has_one_by_one_kernels_only():
    convolutions = [m for m in PatchGAN(64, 0) if isinstance(m, nn.Conv2d)]
    assert [(m.kernel_size[0], m.out_channels) for m in convolutions] == [(1, 64), (1, 128), (1, 1)]


def test_channels_stop_at_eight_times_the_width():
    convolutions = [m for m in PatchGAN(2, 5) if isinstance(m, nn.Conv2d)]
    assert [m.out_channels for m in convolutions] == [2, 4, 8, 16, 16, 16, 1]


def test_seventy_pixel_patchgan_gives_thirty_by_thirty_scores_of_256_pixels():
    with torch.no_grad():
        assert PatchGAN(2)(torch.zeros(2, 3, 256, 256)).shape == (2, 1, 30, 30)


def test_scores_are_raw():
    torch.manual_seed(0)
    network = PatchGAN(4, 1)
    with torch.no_grad():
        network[-1].weight.mul_(100)
        scores = network(torch.randn(4, 3, 32, 32))
    assert scores.min().item() < -1
    assert scores.max().item() > 1


@pytest.mark.parametrize("size", [16, 32, 64])
def test_whole_image_discriminator_gives_one_verdict_from_every_pixel(size: int):
    torch.manual_seed(0)
    image = torch.randn(2, 3, size, size, requires_grad=True)
    verdict = _without_norms(ImageGAN(4, size))(image)
    assert verdict.shape == (2, 1, 1, 1)
    assert ImageGAN(4, size)(image).shape == (2, 1, 1, 1)
    (gradient,) = torch.autograd.grad(verdict[0].sum(), image)
    assert (gradient[0].abs().sum(0) > 0).all()
    assert gradient[1].abs().max().item() == 0  # and none of another image


def test_whole_image_discriminator_halves_down_to_four_by_four():
    shapes = []
    network = ImageGAN(2, 64)
    for m in network:
        if isinstance(m, nn.Conv2d):
            m.register_forward_hook(lambda _m, _i, out: shapes.append(tuple(out.shape[1:])))
    with torch.no_grad():
        network(torch.zeros(1, 3, 64, 64))
    assert shapes == [(2, 32, 32), (4, 16, 16), (8, 8, 8), (16, 4, 4), (1, 1, 1)]


@pytest.mark.parametrize("size", [8, 48, 0])
def test_whole_image_discriminator_refuses_other_sizes(size: int):
    with pytest.raises(ValueError, match=f"not {size}"):
        ImageGAN(4, size)
