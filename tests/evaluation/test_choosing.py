"""A checkpoint is chosen on validation images; the test images are not there to be seen."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from torch import Tensor

from diptych.data import Data, Split
from diptych.data.collections import ArrayImages
from diptych.errors import InputError
from diptych.evaluation import Scores, evaluate
from diptych.evaluation.choosing import choose
from tests.evaluation.test_generated import _features


class Unseen(ArrayImages):
    """Images that nobody may look at."""

    def read(self, index: int):  # type: ignore[no-untyped-def]
        raise AssertionError("a test image was looked at")


def _shades(low: int, kind: type[ArrayImages] = ArrayImages) -> ArrayImages:
    draws = np.random.default_rng(low).integers(low, low + 50, (12, 1, 1, 3), dtype=np.uint8)
    return kind(np.broadcast_to(draws, (12, 8, 8, 3)).copy())


def _data(validation: bool = True) -> Data:
    seen = Split((_shades(0), _shades(150)))
    test = Split((_shades(0, Unseen), _shades(150, Unseen)))
    return Data("test", ("a", "b"), seen, seen if validation else None, test, is_tiled=True)


def _scorer(shift: float) -> Callable[[Data, str], Scores]:
    """Return a translator that makes images so much brighter towards b, and darker towards a."""

    def translate(image: Tensor, to: str) -> Tensor:
        return image + (shift if to == "b" else -shift)

    return partial(evaluate, translate, size=8, features=_features())


def test_the_best_on_validation_images_is_chosen_and_no_test_image_is_looked_at() -> None:
    right = 150 / 127.5
    candidates = {"last": _scorer(0.2), "middle": _scorer(right), "first": _scorer(2 * right)}
    choice = choose(candidates, _data())
    assert choice.name == "middle"
    assert choice.figures["middle"] < min(choice.figures["last"], choice.figures["first"])
    assert choice.note.startswith(
        "of 3 checkpoints, middle was chosen, by the lowest mean KID over"
    )
    with pytest.raises(AssertionError, match="was looked at"):  # so the guard is one
        candidates["last"](_data(), "test")


def test_a_candidate_whose_outputs_are_not_finite_is_never_chosen() -> None:
    choice = choose({"broken": _scorer(float("nan")), "poor": _scorer(0.1)}, _data())
    assert choice.name == "poor"
    assert choice.figures["broken"] == float("inf")


def test_a_candidate_that_asks_for_the_test_split_finds_none() -> None:
    def peeking(data: Data, split: str) -> Scores:
        return _scorer(0.0)(data, "test")

    with pytest.raises(InputError, match="no test images"):
        choose({"peeking": peeking}, _data())


def test_of_equals_the_first_is_chosen_and_the_figure_is_the_mean_over_directions() -> None:
    choice = choose({"last": _scorer(0.3), "earlier": _scorer(0.3)}, _data())
    assert choice.name == "last"
    parts = _scorer(0.3)(_data(), "validation").directions
    mean = sum(part["kid"]["mean"] for part in parts.values()) / 2
    assert choice.figures == {"last": pytest.approx(mean), "earlier": pytest.approx(mean)}


def test_without_validation_images_or_features_nothing_is_chosen() -> None:
    with pytest.raises(InputError, match="chosen on validation images, but test has none"):
        choose({"last": _scorer(0.0)}, _data(validation=False))
    blind = partial(evaluate, lambda image, to: image, size=8, features=None)
    with pytest.raises(InputError, match=r"chosen by KID, but there is none.*diptych\[features\]"):
        choose({"last": blind}, _data())
