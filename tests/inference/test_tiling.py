"""Tiles against the whole image, on networks as deep as those that are trained."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_image
from torch import Tensor, nn

from diptych.data.images import to_tensor
from diptych.inference import tiling
from diptych.inference.footprint import (
    replaced_norms,
    whole_image_norms,
)
from diptych.inference.tiling import Grid, Moments, find_statistics, plan_grid, translate_tiles
from diptych.networks import init_normal
from diptych.networks.norm import InstanceNorm2d
from diptych.networks.resnet import ResNetGenerator

CPU = torch.device("cpu")


@pytest.fixture(scope="module", autouse=True)
def _no_grad():
    with torch.no_grad():
        yield


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    return Image.fromarray(load_sample_image("china.jpg")).resize((320, 216))


def generator(blocks: int = 9, width: int = 8) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = ResNetGenerator(width=width, blocks=blocks)
        network.apply(init_normal)
    return network.eval()


def give_weights(network: nn.Module) -> None:
    """To its norms: a factor and a shift a channel."""
    rng = torch.Generator().manual_seed(1)
    for name, module in list(network.named_modules()):
        if isinstance(module, nn.InstanceNorm2d):
            norm = InstanceNorm2d(module.num_features, affine=True).eval()
            norm.weight.copy_(1 + 0.2 * torch.randn(module.num_features, generator=rng))
            norm.bias.copy_(0.2 * torch.randn(module.num_features, generator=rng))
            parent, _, child = name.rpartition(".")
            setattr(network.get_submodule(parent), child, norm)


def shrunk(photo: Image.Image, share: float) -> Tensor:
    sides = [int(side * share**0.5) // 4 * 4 for side in photo.size]
    return to_tensor(photo.resize((sides[0], sides[1]), Image.Resampling.LANCZOS))[None]


def tiled(network: nn.Module, image: Tensor, statistics: list[Moments], grid: Grid) -> Tensor:
    strips = translate_tiles(
        network, whole_image_norms(network), image, statistics=statistics, grid=grid, device=CPU
    )
    parts = list(strips)
    tops = [top for top, _ in parts]
    assert tops == [0, *itertools.accumulate(p.shape[1] for _, p in parts)][:-1]
    return torch.cat([part for _, part in parts], dim=1)


def levels(difference: Tensor) -> float:
    return 127.5 * difference.abs().mean().item()


def test_moments_of_parts_merge_to_those_of_the_whole():
    x = 100 + torch.randn(1, 3, 40, 30, generator=torch.Generator().manual_seed(0))
    parts = [tiling._moments(part) for part in (x[:, :, :7], x[:, :, 7:8], x[:, :, 8:])]
    merged = tiling._merge(tiling._merge(parts[0], parts[1]), parts[2])
    variance, mean = torch.var_mean(x, dim=(0, 2, 3), correction=0)
    torch.testing.assert_close(merged.mean, mean)
    torch.testing.assert_close(merged.variance, variance, rtol=1e-4, atol=0)
    assert merged.count == 1200


@pytest.mark.parametrize(("height", "width"), [(400, 640), (3000, 4000), (64, 5000), (4000, 20)])
@pytest.mark.parametrize("radius", [4, 84, None])
def test_cores_partition_the_image_and_tiles_stay_below_the_bound(height, width, radius):
    grid = plan_grid(height, width, tile_pixels=60_000, radius=radius, multiple=4)
    assert grid is not None
    for spans, length in ((grid.rows, height), (grid.columns, width)):
        assert [s.core[0] for s in spans] == [0] + [s.core[1] for s in spans[:-1]]
        assert spans[-1].core[1] == length
        for span in spans:
            assert span.core[0] % 4 == 0
            assert 0 <= span.box[0] <= span.core[0] < span.core[1] <= span.box[1] <= length
            assert span.core[1] - span.core[0] >= 2 * grid.ramp
    for row, column in itertools.product(grid.rows, grid.columns):
        assert (row.box[1] - row.box[0]) * (column.box[1] - column.box[0]) <= 60_000


def test_margins_are_the_receptive_radius_where_affordable_and_then_nothing_is_blended():
    exact = plan_grid(3000, 4000, tile_pixels=2_000_000, radius=84, multiple=4)
    assert exact is not None
    assert exact.ramp == 0
    assert exact.rows[0].box[1] - exact.rows[0].core[1] == 84
    assert exact.work < 1.3 * 3000 * 4000
    tight = plan_grid(3000, 4000, tile_pixels=20_000, radius=84, multiple=4)
    assert tight is not None
    assert tight.ramp > 0
    assert tight.work <= 4 * 3000 * 4000


def test_no_grid_where_not_even_margins_fit():
    assert plan_grid(3000, 4000, tile_pixels=200, radius=84, multiple=4) is None


def test_weights_of_overlapping_tiles_add_up_to_one():
    grid = plan_grid(400, 400, tile_pixels=10_000, radius=None, multiple=4)
    assert grid is not None
    assert grid.ramp > 0
    total = torch.zeros(400)
    for span in grid.rows:
        start, end, weight = tiling._zone(span, 400, grid.ramp)
        total[start:end] += weight
    torch.testing.assert_close(total, torch.ones(400))


def test_norms_are_as_before_after_an_error():
    network = generator(blocks=1)
    norms = whole_image_norms(network)
    x = torch.rand(1, 3, 32, 32)
    before = network(x)
    with replaced_norms(norms, lambda norm, x: x):
        assert not torch.equal(network(x), before)
    assert torch.equal(network(x), before)
    with pytest.raises(ZeroDivisionError), replaced_norms(norms, lambda norm, x: x / (1 // 0)):
        network(x)
    assert torch.equal(network(x), before)


@pytest.mark.parametrize("is_affine", [False, True])
def test_tiles_given_the_whole_images_statistics_are_the_whole_image(photo, is_affine):
    network, image = generator(), to_tensor(photo)
    if is_affine:
        give_weights(network)
    norms = whole_image_norms(network)
    statistics, whole = tiling._solve(network, norms, image[None])
    torch.testing.assert_close(whole, network(image[None]), rtol=0, atol=1e-4)
    grid = plan_grid(216, 320, tile_pixels=53_000, radius=84, multiple=4)
    assert grid is not None
    assert (grid.tiles, grid.ramp) == (2, 0)
    torch.testing.assert_close(tiled(network, image, statistics, grid), whole[0], rtol=0, atol=1e-4)
    # and the tiles' cores measure what the whole image does
    seen = tiling._sweep(network, norms, image, grid, statistics, CPU, 1, None)
    for a, b in zip(seen, statistics, strict=True):
        assert a.count == b.count
        torch.testing.assert_close(a.mean, b.mean, rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(a.variance, b.variance, rtol=1e-3, atol=1e-6)


@pytest.mark.slow
def test_each_sweep_divides_the_error_of_the_small_images_statistics(photo, monkeypatch):
    network, image = generator(), to_tensor(photo)
    norms, small = whole_image_norms(network), shrunk(photo, 0.2)
    whole = network(image[None])[0]
    grid = plan_grid(216, 320, tile_pixels=53_000, radius=84, multiple=4)
    assert grid is not None
    first, _ = tiling._solve(network, norms, small)
    errors = [levels(tiled(network, image, first, grid) - whole)]
    monkeypatch.setattr(tiling, "SETTLED", 0.0)
    for sweeps in (1, 2, 3):
        monkeypatch.setattr(tiling, "MAX_SWEEPS", sweeps)
        found, done = find_statistics(network, norms, image, small=small, grid=grid)
        assert done == sweeps
        errors.append(levels(tiled(network, image, found, grid) - whole))
    assert errors[0] > 3  # what a shrunken image's statistics alone are worth, of 255
    assert errors[1] < errors[0] / 2
    assert errors[2] < errors[0] / 10
    assert errors[3] < errors[0] / 40


def test_sweeps_stop_when_the_small_image_settles(photo):
    network, image = generator(blocks=2), to_tensor(photo)
    grid = plan_grid(216, 320, tile_pixels=20_000, radius=28, multiple=4)
    assert grid is not None
    norms = whole_image_norms(network)
    _, sweeps = find_statistics(network, norms, image, small=image[None], grid=grid)
    assert sweeps == 1  # the small image is the image: there is nothing to correct
    assert find_statistics(network, [], image, small=image[None], grid=grid) == ([], 0)


def seams(result: Tensor, whole: Tensor, grid: Grid) -> float:
    """What tile borders add to the steps between columns, in the picture's mean step."""
    steps = (result - whole).diff(dim=2).abs().mean(dim=(0, 1))
    borders = torch.tensor([span.core[0] - 1 for span in grid.columns[1:]])
    inside = torch.ones(len(steps), dtype=torch.bool)
    inside[borders] = False
    added = steps[borders].mean() - steps[inside].mean()
    return (added / whole.diff(dim=2).abs().mean()).item()


@pytest.mark.slow
def test_no_seams_at_tile_borders_even_with_narrow_margins(photo):
    network, image = generator(), to_tensor(photo)
    norms = whole_image_norms(network)
    whole = network(image[None])[0]
    grid = plan_grid(216, 320, tile_pixels=10_000, radius=84, multiple=4)
    assert grid is not None
    assert grid.ramp > 0
    assert len(grid.columns) >= 3
    small = shrunk(photo, 10_000 / (216 * 320))
    statistics, _ = find_statistics(network, norms, image, small=small, grid=grid)
    result = tiled(network, image, statistics, grid)
    assert levels(result - whole) <= 2
    assert seams(result, whole, grid) < 0.15
    # the measure sees seams: tiles with statistics of their own
    alone = [network(image[None, ..., a:b])[0] for a, b in (s.core for s in grid.columns)]
    assert seams(torch.cat(alone, dim=2), whole, grid) > 0.3


def test_blending_weighs_a_constant_to_itself():
    grid = plan_grid(80, 96, tile_pixels=2_500, radius=None, multiple=4)
    assert grid is not None
    assert grid.tiles > 4
    image = torch.from_numpy(np.random.default_rng(0).random((3, 80, 96), np.float32))
    torch.testing.assert_close(tiled(nn.Identity(), image, [], grid), image)
