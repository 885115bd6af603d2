"""Failures made on purpose: translations that change nothing, classes that swap."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from diptych.data import Data, Palette, Split
from diptych.data.collections import ArrayImages
from diptych.evaluation import evaluate
from diptych.evaluation.failures import (
    Brightness,
    findings,
    gain,
    swaps,
    unchanged,
    unchanged_features,
)
from diptych.evaluation.labels import Confusion
from diptych.networks.features import FeatureNetwork

SEA, LAND, ICE = (0, 0, 255), (0, 255, 0), (255, 255, 255)
NAMES = ("sea", "land", "ice")
Translate = Callable[[Tensor, str], Tensor]


class _Shape(nn.Module):
    """Stands for a feature network: how much the image's columns differ, and its rows."""

    name = "columns and rows"
    num_features = 2
    resizing = "none"

    def forward(self, images: Tensor) -> Tensor:
        grey = images.mean(1)
        return torch.stack([grey.mean(1).std(1), grey.mean(2).std(1)], 1)


def _features() -> FeatureNetwork:
    return _Shape()  # type: ignore[return-value]


def _bars(count: int, *, is_upright: bool) -> ArrayImages:
    """White bars on black, 8 pixels a side: what has to change is their shape."""
    pixels = np.zeros((count, 8, 8, 3), np.uint8)
    for i in range(count):
        if is_upright:
            pixels[i, :, i % 8] = 255
        else:
            pixels[i, i % 8] = 255
    return ArrayImages(pixels)


def _shapes() -> Data:
    part = Split((_bars(16, is_upright=True), _bars(16, is_upright=False)))
    return Data("test", ("upright", "lying"), part, test=part, is_tiled=True)


def _score(translate: Translate, data: Data) -> dict[str, object]:
    return evaluate(translate, data, size=8, features=_features()).to_dict()


def test_unchanged_is_one_for_the_identity_and_nought_for_another_domains_images() -> None:
    # G(x) is 1 from x where images of the other domain are 4 from it.
    assert unchanged(1.0, 4.0) == 0.75
    assert unchanged(0.0, 4.0) == 1.0
    assert unchanged(6.0, 4.0) == 0.0
    assert (unchanged(0.0, 0.0), unchanged(1.0, 0.0)) == (1.0, 0.0)


def test_unchanged_features_compare_with_every_pair_of_an_input_and_another() -> None:
    inputs, others = torch.tensor([[0.0, 0.0], [0.0, 2.0]]), torch.tensor([[3.0, 0.0]])
    fakes = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    # (1 + 1) / 2 over (3 + √13) / 2.
    assert unchanged_features(fakes, inputs, others) == pytest.approx(1 - 2 / (3 + 13**0.5))


def test_gain_is_the_share_of_the_inputs_distance_that_is_made_up_for() -> None:
    assert gain({"mean": 0.05}, {"mean": 0.2}, {"mean": 0.0}) == {"value": 0.75}
    assert gain({"mean": 0.3}, {"mean": 0.2}, {"mean": 0.0})["value"] == pytest.approx(-0.5)
    assert "as near" in gain({"mean": 0.05}, {"mean": 0.01}, {"mean": 0.02})["why_not"]
    assert gain({"why_not": "3 images"}, {"mean": 0.2}, {}) == {"why_not": "there is no KID"}


def test_a_translator_that_leaves_shapes_as_they_are_is_called_out() -> None:
    scores = _score(lambda image, to: 0.9 * image, _shapes())
    part = scores["upright→lying"]
    assert isinstance(part, dict)
    assert part["unchanged"] > 0.7
    assert part["unchanged_features"] > 0.8
    assert part["kid_gain"]["value"] < 0.25
    warnings = scores["warnings"]
    assert isinstance(warnings, tuple)
    assert [line.split(" hardly")[0] for line in warnings] == ["upright→lying", "lying→upright"]
    assert "KID is" in warnings[0]


def test_pixels_that_stay_where_the_truth_moves_them_are_called_out_beside_it() -> None:
    kept = {"unchanged": 0.62, "unchanged_of_truth": 0.32, "kid_gain": {"value": -14.4}}
    assert findings("a→b", kept | {"unchanged_features": 0.16}) == [
        "a→b keeps 62% of its inputs in pixels, where the truth keeps 32%, and KID is no better"
        " than for untranslated inputs"
    ]
    assert "KID is 20% better" in findings("a→b", kept | {"kid_gain": {"value": 0.2}})[0]
    for other in (
        {"unchanged_of_truth": 0.4},  # the truth, too, keeps nearly as much
        {"unchanged": 0.49, "unchanged_of_truth": 0.1},
        {"kid_gain": {"value": 0.25}},
        {"kid_gain": {"why_not": "there is no KID"}},
    ):
        assert findings("a→b", kept | other) == []
    assert findings("a→b", {"unchanged": 0.9, "kid_gain": {"value": 0.0}}) == []  # no truth


def test_a_translator_that_changes_shapes_is_not() -> None:
    scores = _score(lambda image, to: image.transpose(2, 3), _shapes())
    part = scores["upright→lying"]
    assert isinstance(part, dict)
    assert part["unchanged_features"] < 0.1
    assert part["kid_gain"]["value"] > 0.9
    assert scores["warnings"] == ()


def test_brightness_correlates_over_all_pixels_of_all_images() -> None:
    found = Brightness()
    assert found.correlation is None
    red, blue = torch.tensor([1.0, 0, 0]), torch.tensor([0, 0, 1.0])
    grey = torch.ones(3)
    for value, other in ((1.0, 1.0), (2.0, 3.0), (3.0, 2.0)):
        one, two = (v * grey.view(1, 3, 1, 1) for v in (value, other))
        found.add(one, two)
    # Of 1, 2, 3 and 1, 3, 2: covariance 1/3, variances 2/3.
    assert found.correlation == pytest.approx(0.5)
    # 0.299, 0.114 against 1, 2: what is brighter in one is darker in the other.
    found = Brightness()
    pixels = torch.stack([red, blue], 1).view(1, 3, 1, 2)
    found.add(pixels, torch.tensor([1.0, 2.0]).expand(1, 3, 1, 2))
    assert found.correlation == pytest.approx(-1)
    flat = Brightness()
    flat.add(torch.full((2, 3, 4, 4), 0.3), torch.rand(2, 3, 4, 4))
    assert flat.correlation is None


def test_negatives_are_called_out_where_the_truth_is_none() -> None:
    scores = evaluate(lambda image, to: -image, _maps(), size=8, features=None).to_dict()
    there, back = scores["map→photo"], scores["photo→map"]
    assert there["brightness"] == pytest.approx(-1)
    assert there["brightness_of_truth"] == pytest.approx(back["brightness_of_truth"])
    assert there["brightness_of_truth"] > 0.99
    assert [line for line in scores["warnings"] if "negatives" in line] == [
        f"{name} makes negatives of its inputs: brightness correlates at −1.00, where the truth's"
        " does at 1.00; another seed may not"
        for name in ("map→photo", "photo→map")
    ]
    assert "which few domains want" in findings("a→b", {"brightness": -0.6})[0]
    for other in (
        {"brightness": -0.4},
        {"brightness": -0.9, "brightness_of_truth": -0.3},  # as it should be
        {"brightness_of_truth": 0.5},
    ):
        assert findings("a→b", other) == []


def test_domains_that_are_alike_from_the_start_are_no_failure_of_the_identity() -> None:
    part = Split((_bars(16, is_upright=True), _bars(16, is_upright=True)))
    data = Data("test", ("a", "b"), part, test=part, is_tiled=True)
    assert _score(lambda image, to: image, data)["warnings"] == ()


def _maps() -> Data:
    """Three classes in bands of their own sizes, and photos that are darker."""
    rows = np.array([SEA] * 4 + [LAND] * 3 + [ICE], np.uint8)
    labels = np.broadcast_to(rows[None, :, None], (8, 8, 8, 3)).copy()
    images = ArrayImages(labels), ArrayImages(labels // 2)
    split = Split(images, images)
    palette = Palette(NAMES, (SEA, LAND, ICE))
    names = ("map", "photo")
    return Data("test", names, split, test=split, palettes={"map": palette}, is_tiled=True)


def _permuting(order: tuple[int, int, int]) -> Translate:
    """Right but for which class is which: class k of the photo is called order[k]."""
    colours = torch.tensor([SEA, LAND, ICE]) / 127.5 - 1

    def translate(image: Tensor, to: str) -> Tensor:
        if to == "photo":
            return (image + 1) / 2 - 1
        bright = (image + 1) * 2 - 1  # as the map's, (B, 3, H, W)
        true = (bright.movedim(1, -1).unsqueeze(-2) - colours).square().sum(-1).argmin(-1)
        return colours[torch.tensor(order)][true].movedim(-1, 1)

    return translate


def test_swapped_classes_are_named_with_their_shares_and_counted_in_the_matrix() -> None:
    scores = evaluate(_permuting((1, 0, 2)), _maps(), size=8, features=None).to_dict()
    assert scores["photo→map"]["confusion"] == {
        "classes": ["sea", "land", "ice"],
        "counts": [[0, 256, 0], [192, 0, 0], [0, 0, 64]],  # 8 images of 4, 3 and 1 rows of 8
    }
    assert scores["warnings"] == (
        "photo→map: sea and land are swapped (100% of sea is land, 100% of land is sea)",
    )
    right = evaluate(_permuting((0, 1, 2)), _maps(), size=8, features=None).to_dict()
    assert right["warnings"] == ()


def test_one_class_swallowing_another_or_a_ring_of_three_is_no_swap() -> None:
    for order in ((1, 1, 2), (1, 2, 0)):
        scores = evaluate(_permuting(order), _maps(), size=8, features=None).to_dict()
        assert scores["warnings"] == ()


def test_swaps_say_the_shares_of_a_matrix_worked_out_by_hand() -> None:
    counts = torch.tensor([[25, 71, 4], [64, 30, 6], [0, 0, 0]])
    assert swaps(Confusion(counts), ("sea", "arid", "polar")) == [
        "sea and arid are swapped (71% of sea is arid, 64% of arid is sea)"
    ]
    assert swaps(Confusion(counts.clamp_max(50)), ("sea", "arid", "polar")) != []
    half = torch.tensor([[50, 50], [60, 40]])
    assert swaps(Confusion(half), ("a", "b")) == []


def test_swaps_that_an_fcn_reads_in_photos_are_named_unless_it_makes_them_itself() -> None:
    def counted(*rows: list[int]) -> dict[str, object]:
        return {"confusion": {"classes": NAMES, "counts": rows}}

    fake = counted([20, 80, 0], [60, 40, 0], [0, 0, 50])
    right = counted([90, 10, 0], [45, 55, 0], [0, 0, 50])
    assert findings("map→photo", {"fcn": fake, "fcn_of_real": right}) == [
        "map→photo, its photos read by the FCN: sea and land are swapped (80% of sea is land,"
        " 60% of land is sea)"
    ]
    assert findings("map→photo", {"fcn": fake, "fcn_of_real": fake}) == []
    assert findings("map→photo", {"fcn": right, "fcn_of_real": right}) == []
    ice = counted([0, 0, 9], [0, 9, 0], [9, 0, 0])
    assert len(findings("map→photo", {"fcn": fake, "fcn_of_real": ice})) == 1


def test_a_collapse_is_the_only_finding_of_its_direction() -> None:
    figures = {"images": 8, "across": 0.5, "within": 0.5, "mean": 0.0, "not_finite": 0}
    spread = {"outputs": figures | {"across": 0.0}, "inputs": figures, "targets": figures}
    kept = {"unchanged_features": 0.9, "kid_gain": {"value": 0.0}, "brightness": -0.9}
    assert len(findings("a→b", kept)) == 2
    assert len(findings("a→b", kept | {"spread": spread | {"outputs": figures}})) == 2
    (line,) = findings("a→b", kept | {"spread": spread})
    assert line.startswith("a→b has collapsed: outputs are alike for unlike inputs")
