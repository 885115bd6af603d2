"""Scores of attributes: who is translated to what, and compared with whom."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from diptych.data import Data, Split
from diptych.data.collections import ArrayImages, Attributes
from diptych.evaluation import evaluate, scores_table
from tests.evaluation.test_scores import _features

NAMES = ("Dark", "Bright", "Red")
LABELS = np.array([[1, 0, 0], [0, 1, 0], [1, 0, 1], [0, 1, 1]] * 8, np.uint8)


def _paint(label: Any) -> tuple[int, int, int]:
    level = 60 if label[0] else 180
    return (level + 60 if label[2] else level, level, level)


def _data() -> Data:
    colours = np.array([_paint(label) for label in LABELS], np.uint8)[:, None, None, :]
    images = ArrayImages(np.broadcast_to(colours, (len(LABELS), 16, 16, 3)).copy())
    having = tuple(ArrayImages(images.image_uint8[LABELS[:, k] == 1]) for k in range(3))
    split = Split(having, attributes=Attributes(images, LABELS))
    return Data("faces", NAMES, split, test=split)


def _perfect(images: Tensor, names: tuple[str, ...]) -> Tensor:
    label = [name in names for name in NAMES]
    colour = torch.tensor(_paint(label), dtype=torch.float32).reshape(1, 3, 1, 1) / 127.5 - 1
    return colour.expand_as(images)


def test_each_change_is_scored_against_images_that_have_it():
    asked: list[tuple[int, tuple[str, ...]]] = []

    def translate(images: Tensor, names: tuple[str, ...]) -> Tensor:
        asked.append((len(images), names))
        return _perfect(images, names)

    scores = evaluate(translate, _data(), size=16, features=_features()).to_dict()
    changes = {name: part for name, part in scores.items() if name.startswith("→")}
    # Dark and Bright exclude each other: to lose one is to gain the other.
    assert set(changes) == {"→Dark", "→Bright", "→Red", "→no Red"}
    assert {names for _, names in asked} == {
        ("Dark",), ("Bright",), ("Dark", "Red"), ("Bright", "Red"),
    }  # fmt: skip
    for part in changes.values():
        assert part["images"] == 16
        assert part["cycle"] == pytest.approx(0.0, abs=1e-6)
        assert part["kid"]["mean"] == pytest.approx(part["kid_of_real"]["mean"], abs=1e-6)
        assert part["kid_untranslated"]["mean"] > part["kid"]["mean"]
        assert part["kid"]["real_images"] == 16
    assert "the other attributes stay" in " ".join(scores["notes"])
    assert len(scores_table(scores).columns) == 5


def test_doing_nothing_scores_as_the_inputs_do_and_without_features_the_cycle_stays():
    def nothing(images: Tensor, names: tuple[str, ...]) -> Tensor:
        return images

    part = evaluate(nothing, _data(), size=16, features=_features()).to_dict()["→Red"]
    assert part["kid"]["mean"] == pytest.approx(part["kid_untranslated"]["mean"])
    scores = evaluate(nothing, _data(), size=16, features=None, most=16).to_dict()
    part = scores["→Red"]
    assert (part["images"], part["cycle"], part["collapse"]) == (8, 0.0, None)
    assert set(part) == {"images", "cycle", "collapse", "spread"}
    assert part["spread"]["outputs"] == part["spread"]["inputs"]


def test_the_way_back_is_to_what_the_image_had():
    def off(images: Tensor, names: tuple[str, ...]) -> Tensor:
        return _perfect(images, tuple(name for name in names if name != "Red"))

    scores = evaluate(off, _data(), size=16, features=None).to_dict()
    # Red is 60 of 255 in one channel of three; what is not red comes back right.
    assert scores["→no Red"]["cycle"] == pytest.approx(60 / 255 / 3, abs=1e-6)
    assert scores["→Red"]["cycle"] == pytest.approx(0.0, abs=1e-6)
    assert scores["→Dark"]["cycle"] == pytest.approx(30 / 255 / 3, abs=1e-6)
