"""FCN-8s: its upsampling, its sums and what it leaves alone, by hand."""

from __future__ import annotations

import pytest
import torch

from diptych.errors import InputError
from diptych.networks.fcn import FCN8s, bilinear_kernel, input_side
from diptych.networks.features import FeatureNetwork, load_features


def _trunk() -> FeatureNetwork:
    try:
        return load_features()
    except InputError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def network() -> FCN8s:
    return FCN8s(_trunk(), 3).requires_grad_(False)


def test_the_kernel_by_two_is_a_quarter_and_three_quarters_each_way():
    line = torch.tensor([0.25, 0.75, 0.75, 0.25])
    assert torch.equal(bilinear_kernel(2), line[:, None] * line)
    # Of stride f each place gets weights that sum to 1 in each direction: f in all, f² in two.
    assert bilinear_kernel(8).sum() == 64


def test_upsampling_begins_as_bilinear_interpolation_of_each_class_alone(network):
    ramp = torch.arange(6.0).expand(1, 1, 6, 6)
    scores = torch.cat([ramp, torch.zeros(1, 2, 6, 6)], 1)
    up = network.up32(scores)
    assert up.shape == (1, 3, 12, 12)
    # Halves of the steps between pixel middles: 0.25, 0.75, 1.25, ... away from the edges.
    assert up[0, 0, 6, 1:11].tolist() == pytest.approx([0.25 + 0.5 * k for k in range(10)])
    assert not up[0, 1:].any()
    eight = network.up8(scores)
    assert eight.shape == (1, 3, 48, 48)
    assert eight[0, 0, 24, 4:44].tolist() == pytest.approx([(k + 0.5) / 8 for k in range(40)])


@pytest.mark.parametrize(("size", "side"), [(32, 128), (64, 128), (128, 128), (130, 160)])
def test_small_images_are_enlarged_and_others_get_a_side_of_which_32_is_a_part(size, side):
    assert input_side(size) == side


def test_scores_are_of_the_images_size_and_all_alike_at_first(network):
    for size in (32, 50, 128):
        scores = network(torch.rand(1, 3, size, size) * 2 - 1)
        assert scores.shape == (1, 3, size, size)
        assert not scores.any()


def test_the_three_strides_scores_are_added_where_they_belong(network):
    """Biases alone: a constant of each stride, which bilinear enlarging keeps inside."""
    biases = {"score8": 1.0, "score16": 10.0, "score32": 100.0}
    own = FCN8s(network.trunk, 3).requires_grad_(False)
    for name, value in biases.items():
        own.get_submodule(name).bias[1] = value
    scores = own(torch.zeros(1, 3, 128, 128))
    assert scores[0, 1, 64, 64].item() == pytest.approx(111)
    assert not scores[0, [0, 2]].any()


def test_one_place_of_a_deep_map_reaches_the_pixels_that_it_is_of(network, monkeypatch):
    """Place (1, 2) of a 4x4 map of stride 32 sees pixels around row 48, column 80."""
    own = FCN8s(network.trunk, 3).requires_grad_(False)
    own.score32.weight[0, 0] = 1.0
    maps = {"stage3": torch.zeros(1, 40, 16, 16), "stage5": torch.zeros(1, 112, 8, 8)}
    head = torch.zeros(1, 1280, 4, 4)
    head[0, 0, 1, 2] = 1.0
    monkeypatch.setattr(own.trunk, "maps", lambda *_, **__: maps | {"head": head})
    scores = own(torch.zeros(1, 3, 128, 128))[0, 0]
    middle = (scores.sum(1) @ torch.arange(128.0), scores.sum(0) @ torch.arange(128.0))
    mass = scores.sum()
    assert (float(middle[0] / mass), float(middle[1] / mass)) == pytest.approx((47.5, 79.5))
    assert float(mass) == pytest.approx(32**2)


def test_what_is_learned_is_the_scoring_and_all_but_the_last_upsampling():
    own = FCN8s(_trunk(), 3)
    learned = {name.split(".")[0] for name, w in own.named_parameters() if w.requires_grad}
    assert learned == {"score8", "score16", "score32", "up32", "up16"}
