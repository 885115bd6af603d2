"""What counts as collapse, by spreads worked out by hand."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from diptych.data import Data, Split
from diptych.data.collections import ArrayImages
from diptych.evaluation import evaluate, evaluate_generated
from diptych.evaluation.collapse import (
    ALIKE,
    LEAST,
    Collapse,
    CollapseSums,
    Spread,
    SpreadSums,
    collapse,
    finding,
    finite,
    spread,
)
from tests.evaluation.test_scores import _features

NAN, INF = math.nan, math.inf


def noise(seed: int, count: int = 8, channels: int = 3, scale: float = 1.0) -> Tensor:
    """Uniform in [-scale, scale], as no two images are alike."""
    rng = torch.Generator().manual_seed(seed)
    return (torch.rand((count, channels, 8, 8), generator=rng) * 2 - 1) * scale


def test_spreads_are_the_roots_of_mean_variances() -> None:
    # Two places. At the first, images have 1 and -1 (variance 2), at the second 0 and 0.
    images = torch.tensor([[1.0, 0.0], [-1.0, 0.0]]).view(2, 1, 1, 2)
    found = spread(images)
    assert found.across == pytest.approx(1.0)  # √((2 + 0) / 2)
    assert found.within == pytest.approx(0.5)  # each image: mean ±0.5, variance 0.25
    assert found.mean == 0.0
    assert spread(images[:1]) == Spread(1, None, 0.5, 0.5)
    # Channels count apart: red that is blue at no place has no spread within.
    assert spread(torch.tensor([1.0, -1.0]).view(1, 2, 1, 1).expand(3, 2, 4, 4)).within == 0


def test_batches_give_the_figures_of_the_whole() -> None:
    images, sums = noise(0, count=10, channels=5), SpreadSums()
    for batch in (images[:3], images[3:4], images[4:]):
        sums.add(batch)
    assert sums.spread.across == pytest.approx(float(images.var(0).mean().sqrt()), abs=1e-6)
    assert vars(sums.spread) == pytest.approx(vars(spread(images)))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_each_kind_of_collapse_has_its_name_whatever_the_channels(channels: int) -> None:
    x, y = noise(1), noise(2, channels=channels)
    same = y[:1].expand_as(y)
    of_one_colour = y.mean((2, 3), keepdim=True).expand_as(y) * 4
    holed = y.clone()
    holed[3, 0, 2, 2] = NAN
    outputs = {
        None: y,
        "alike": same + 0.02 * y,
        "constant": of_one_colour,
        "black": torch.full_like(y, -1),
        "white": torch.full_like(y, 1),
        "not finite": holed,
    }
    assert {name: collapse(made, x, y).verdict for name, made in outputs.items()} == {
        name: name for name in outputs
    }
    assert collapse(same, x, y).across_share == 0
    assert collapse(same, x, y).within_share == pytest.approx(1, abs=0.2)


def test_alike_outputs_are_right_for_alike_inputs_and_for_alike_targets() -> None:
    some, same = noise(3), noise(4)[:1].expand(8, -1, -1, -1)
    assert collapse(same, some, some).verdict == "alike"
    assert collapse(same, same, some).verdict is None
    assert collapse(same, some, same).verdict is None
    # 7% of the least of both is the limit.
    half = 0.5 * some
    assert collapse(same + 1.01 * ALIKE * half, some, half).verdict is None
    assert collapse(same + 0.99 * ALIKE * half, some, half).verdict == "alike"


def test_dark_domains_are_no_failure_until_outputs_are_of_one_colour() -> None:
    dark = noise(5, scale=0.05) - 0.95
    assert collapse(dark, noise(6), dark).verdict is None
    assert collapse(dark, dark.flip(0), dark).verdict is None
    assert collapse(torch.full_like(dark, -0.999), noise(6), dark).verdict == "black"
    assert collapse(torch.full_like(dark, -0.95), noise(6), dark).verdict == "constant"
    # Less than a level of 255 is no reference.
    level = noise(7, scale=0.9 * LEAST * math.sqrt(3)) - 0.95
    assert collapse(torch.full_like(dark, -0.95), noise(6), level).verdict is None


def test_two_outputs_are_never_called_alike_and_a_single_one_can_be_black() -> None:
    x, y = noise(8, count=2), noise(9, count=2)
    assert collapse(y[:1].expand_as(y), x, y).verdict is None
    assert collapse(torch.full_like(y[:1], -1), x[:1], y[:1]).verdict == "black"


def test_a_sentence_names_the_failure_its_figures_and_what_helps() -> None:
    found = Collapse(Spread(8, 0.01, 0.4, 0.1), Spread(8, 0.5, 0.5, 0), Spread(8, 0.25, 0.3, 0))
    assert found.sentence("horse→zebra") == (
        "horse→zebra has collapsed: outputs are alike for unlike inputs (spread across images"
        " 0.010, of inputs 0.500, real images 0.250); what helps: another seed, a lower learning"
        " rate, or more weight on the loss that ties outputs to inputs"
    )
    new = Collapse(Spread(8, 0.01, 0.4, 0.1), None, Spread(8, 0.25, 0.3, 0)).sentence("zebra")
    assert new is not None
    assert "outputs are alike (spread across images 0.010, of real images 0.250)" in new
    black = Collapse(Spread(8, 0.0, 0.0, -1.0), None, Spread(8, 0.25, 0.3, 0)).sentence("zebra")
    assert black is not None
    assert "outputs are black (spread within images 0.000" in black
    bad = Collapse(Spread(8, None, None, None, 8), None, Spread(8, 0.2, 0.3, 0)).sentence("zebra")
    assert bad is not None
    assert "8 of 8 outputs hold values that are not finite; what helps: precision fp32" in bad
    assert Collapse(*[Spread(8, 0.5, 0.5, 0.0)] * 3).sentence("a→b") is None


def test_the_sentence_comes_of_the_scores_too_after_a_file() -> None:
    y = noise(2)
    for found in (collapse(y[:1].expand_as(y), noise(1), y), collapse(0 * y, None, y)):
        scores = json.loads(json.dumps(found.scores()))
        assert finding("a→b", scores) == found.sentence("a→b")
        assert scores["collapse"] == found.verdict
    assert finding("a→b", {"images": 3}) is None  # older scores


def test_scores_of_outputs_that_are_not_finite_are_empty_and_those_of_real_images_stay() -> None:
    sums, y = CollapseSums(), noise(2)
    outputs = y.clone()
    outputs[0, 0, 0] = INF
    cleaned = sums.add(outputs, noise(1))
    sums.targets.add(y)
    assert cleaned[0, 0, 0].tolist() == [0.0] * 8
    assert torch.equal(cleaned[1:], y[1:])
    others = {"kid": {"mean": 0.1}, "kid_of_real": {"mean": 0.2}, "cycle": 0.3, "confusion": {}}
    scores = sums.scores(others)
    assert scores.pop("spread")["outputs"]["not_finite"] == 1
    assert scores == {
        "images": 8,
        "collapse": "not finite",
        "kid": {"why_not": "outputs are not finite"},
        "kid_of_real": {"mean": 0.2},
        "cycle": None,
    }


def test_finite_makes_json_of_any_scores() -> None:
    found = finite({"a": NAN, "b": {"c": -INF, "d": 1.0}, "kid": {"mean": NAN, "std": 0.0}, "n": 3})
    assert found == {
        "a": None, "b": {"c": None, "d": 1.0}, "kid": {"why_not": "it is not finite"}, "n": 3,
    }  # fmt: skip
    json.dumps(found, allow_nan=False)


def _data(*, is_paired: bool) -> Data:
    draws = np.random.default_rng(0)
    x, y = (ArrayImages(draws.integers(0, 256, (12, 16, 16, 3), dtype=np.uint8)) for _ in range(2))
    split = Split((x, y), (x, y) if is_paired else None)
    return Data("noise", ("x", "y"), split, test=split, is_tiled=True)


def _scores(translate: Any, *, is_paired: bool = True) -> dict[str, Any]:
    data = _data(is_paired=is_paired)
    found = evaluate(translate, data, size=16, features=_features()).to_dict()
    json.dumps(found, allow_nan=False)
    return found


def test_one_real_image_for_every_input_has_precision_one_and_is_named() -> None:
    real = torch.from_numpy(_data(is_paired=True).train.domains[1].image_uint8[:1])  # type: ignore[attr-defined]
    one = real.movedim(-1, 1) / 127.5 - 1
    scores = _scores(lambda image, to: one.expand_as(image) if to == "y" else image)
    assert scores["x→y"]["precision"]["value"] == 1.0
    assert scores["x→y"]["collapse"] == "alike"
    assert scores["x→y"]["spread"]["outputs"]["across"] == pytest.approx(0, abs=1e-6)
    assert scores["y→x"]["collapse"] is None
    (warning,) = (line for line in scores["warnings"] if line.startswith("x→y"))
    assert warning.startswith("x→y has collapsed: outputs are alike for unlike inputs")


@pytest.mark.parametrize("is_paired", [True, False])
def test_translations_that_are_not_finite_leave_valid_json_with_the_reason(is_paired: bool) -> None:
    def translate(image: Tensor, to: str) -> Tensor:
        return image / 0 if to == "y" else image

    scores = _scores(translate, is_paired=is_paired)
    bad, good = scores["x→y"], scores["y→x"]
    assert bad["collapse"] == "not finite"
    assert bad["cycle"] is None
    assert bad["unchanged"] is None
    assert bad["kid"] == bad["precision"] == {"why_not": "outputs are not finite"}
    sound = _scores(lambda image, to: image, is_paired=is_paired)["x→y"]
    assert bad["kid_untranslated"] == sound["kid_untranslated"]
    assert good["collapse"] is None
    assert good["cycle"] is None  # its way back is not finite
    if is_paired:
        assert bad["l1"] is None
        assert bad["untranslated"]["l1"] > 0
    assert "12 of 12 outputs hold values that are not finite" in " ".join(scores["warnings"])


def test_new_images_that_are_alike_are_named_by_their_domain() -> None:
    scores = evaluate_generated(
        lambda count, to: noise(3, 1)[:, :, :1, :1].expand(count, 3, 16, 16),
        _data(is_paired=False),
        size=16,
        features=None,
    ).to_dict()
    assert (scores["x"]["collapse"], scores["y"]["collapse"]) == ("constant", "constant")
    assert [line.partition(" (")[0] for line in scores["warnings"]] == [
        f"{name} has collapsed: outputs are of one colour each" for name in "xy"
    ]
