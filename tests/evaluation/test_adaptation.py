"""Accuracy of a classifier, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from diptych.data import Data, Split
from diptych.data.collections import ArrayImages
from diptych.errors import InputError
from diptych.evaluation import evaluate
from diptych.evaluation.adaptation import accuracies, accuracy

CLASSES = ("dark", "bright", "never")


def _images(levels: list[int]) -> ArrayImages:
    image = np.array(levels, np.uint8)[:, None, None, None]
    return ArrayImages(np.broadcast_to(image, (len(levels), 8, 8, 3)).copy())


def _by_level(images: Tensor, domain: str = "") -> Tensor:
    """Scores (-level, level, -9): dark below the middle, bright above."""
    level = images.mean(dim=(1, 2, 3))
    return torch.stack([-level, level, torch.full_like(level, -9)], 1)


def _accuracy(levels: list[int], labels: list[int]) -> dict[str, object]:
    return accuracy(_by_level, _images(levels), np.array(labels), CLASSES, size=8, is_tiled=True)


def test_accuracy_counts_right_classes_of_all_and_class_by_class():
    assert _accuracy([0, 10, 20, 250, 240], [0, 0, 1, 1, 1]) == {
        "images": 5,
        "accuracy": 4 / 5,
        "accuracy_per_class": {"dark": 1.0, "bright": 2 / 3, "never": None},
    }


def test_batches_beyond_the_first_count_too():
    levels = [0, 255] * 130
    assert _accuracy(levels, [0, 1] * 130)["accuracy"] == 1.0
    assert _accuracy(levels, [0, 0] * 130)["accuracy"] == 0.5
    assert _accuracy(levels, [0, 0] * 130)["images"] == 260


def test_unusable_images_are_left_out_and_none_at_all_is_an_error():
    class Broken(ArrayImages):
        def read(self, index: int) -> Image.Image:
            if index < 2:
                raise InputError(f"image {index} is broken")
            return super().read(index)

    pixels = np.zeros((5, 8, 8, 3), np.uint8)
    found = accuracy(
        _by_level, Broken(pixels), np.array([1, 1, 0, 0, 1]), CLASSES, size=8, is_tiled=True
    )
    assert (found["images"], found["accuracy"]) == (3, pytest.approx(2 / 3))
    with pytest.raises(InputError, match="image 0 is broken"):
        accuracy(_by_level, Broken(pixels[:2]), np.array([1, 1]), CLASSES, size=8, is_tiled=True)


def _data() -> Data:
    split = Split((_images([0, 255]), _images([0, 1, 2])), labels=(np.array([0, 0]), None))
    return Data("test", ("a", "b"), split, test=split, classes=CLASSES, is_tiled=True)


def test_labelled_domains_alone_are_scored_and_the_classifier_is_told_which():
    seen = []

    def classify(images: Tensor, domain: str) -> Tensor:
        seen.append(domain)
        return _by_level(images)

    data = _data()
    assert set(accuracies(classify, data, data.train, size=8)) == {"a"}
    assert seen == ["a"]


def test_evaluate_puts_domains_beside_directions_where_there_is_a_classifier():
    with_it = evaluate(
        lambda images, to: images, _data(), size=8, features=None, classify=_by_level
    ).to_dict()
    assert with_it["a"]["accuracy"] == 0.5
    assert {"a→b", "b→a"} <= set(with_it)
    without = evaluate(lambda images, to: images, _data(), size=8, features=None).to_dict()
    assert "a" not in without
