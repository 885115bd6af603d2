"""Adaptation for segmentation: whose labels are read, and what translating is worth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from diptych.data import Data, Images, Split
from diptych.data.collections import ArrayImages
from diptych.errors import InputError
from diptych.evaluation import segmentation_training
from diptych.evaluation.segmentation_adaptation import (
    ROWS,
    Row,
    adaptation_scores,
    segmentation_scores,
)
from diptych.evaluation.segmentation_training import LabelledPixels
from tests.evaluation.made_labels import PALETTE, SIZE, scenes, train_little


class Forbidden:
    """Labels that nobody may look at."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def name(self, index: int) -> str:
        return f"{index}.png"

    def read(self, index: int) -> Image.Image:
        raise AssertionError("a label of the target's training images was read")


def _negative(images: ArrayImages) -> ArrayImages:
    return ArrayImages(255 - images.image_uint8)


def _data(target_labels: Images | None = None) -> Data:
    """Photos as the target; the source shows other scenes as negatives."""

    def split(count: int, seed: int, own: Images | None) -> Split:
        (labels, images), (target_truth, target) = (
            [ArrayImages(part) for part in scenes(count, s)] for s in (seed, seed + 1)
        )
        maps = (labels, own or target_truth)
        return Split((_negative(images), target), label_maps=maps)

    train, test = split(24, 0, target_labels), split(8, 10, None)
    return Data(
        "made",
        ("negative", "photo"),
        train,
        test=test,
        label_palette=PALETTE,
        is_tiled=True,
        fingerprint="made",
    )


def _develop(images: Tensor, to: str) -> Tensor:
    """The perfect translation."""
    assert to == "photo"
    return -images


@pytest.fixture
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    train_little(monkeypatch, 40, 8)


@pytest.mark.slow
def test_a_perfect_translation_teaches_what_the_targets_own_labels_do(few_steps, tmp_path):
    data = _data()
    assert data.test is not None
    scores = adaptation_scores(_develop, data, data.test, size=SIZE, folder=tmp_path)
    assert tuple(scores) == ROWS
    source, translated, oracle = (scores[row]["mean_iou"] for row in ROWS)
    assert oracle > 0.7
    assert translated == pytest.approx(oracle, abs=0.1)
    assert source < oracle - 0.2
    assert {row["images"] for row in scores.values()} == {8}
    assert len(list(tmp_path.iterdir())) == 2  # of the translated, nothing is kept


@pytest.mark.slow
def test_labels_of_the_target_train_the_oracle_alone(few_steps, monkeypatch, tmp_path):
    """The others do without them, and come to the same bits as with them."""
    monkeypatch.setattr(segmentation_training, "STEPS", 2)
    with_labels, without = _data(), _data(Forbidden(24))
    assert with_labels.test is not None

    def scores(data: Data, rows: tuple, where: str) -> dict:
        assert data.test is not None
        folder = tmp_path / where
        return adaptation_scores(_develop, data, data.test, size=SIZE, rows=rows, folder=folder)

    others = ("source only", "translated")
    assert scores(without, others, "a") == scores(with_labels, others, "b")
    missing = replace(
        without, train=replace(without.train, label_maps=(without.train.label_maps[0], None))
    )
    assert scores(missing, others, "c") == scores(with_labels, others, "b")
    with pytest.raises(AssertionError, match="a label of the target's training images was read"):
        scores(without, ("target (oracle)",), "d")


@pytest.mark.slow
def test_other_labels_of_the_same_images_train_another_network(few_steps, monkeypatch, tmp_path):
    monkeypatch.setattr(segmentation_training, "STEPS", 2)
    data = _data()
    assert data.test is not None
    (labels, own) = data.train.label_maps
    assert isinstance(labels, ArrayImages)
    other = replace(data, train=replace(data.train, label_maps=(_mirrored(labels), own)))
    for one, networks in ((data, 1), (data, 1), (other, 2)):
        rows: tuple[Row, ...] = ("source only",)
        adaptation_scores(_develop, one, data.test, size=SIZE, rows=rows, folder=tmp_path)
        assert len(list(tmp_path.iterdir())) == networks


@pytest.mark.slow
def test_a_label_image_that_cannot_be_read_is_left_out_of_training(
    few_steps, monkeypatch, tmp_path
):
    monkeypatch.setattr(segmentation_training, "STEPS", 2)
    data = _data()
    assert data.test is not None
    labels, own = data.train.label_maps
    assert isinstance(labels, ArrayImages)
    torn = replace(data, train=replace(data.train, label_maps=(Torn(labels.image_uint8), own)))
    rows: tuple[Row, ...] = ("source only",)
    scores = adaptation_scores(_develop, torn, data.test, size=SIZE, rows=rows, folder=tmp_path)
    assert scores["source only"]["images"] == 8


class Torn(ArrayImages):
    """The first is unusable."""

    def read(self, index: int) -> Image.Image:
        if index == 0:
            raise InputError("0.png is torn")
        return super().read(index)


def _mirrored(images: ArrayImages) -> ArrayImages:
    return ArrayImages(images.image_uint8[:, :, ::-1].copy())


def test_what_is_missing_is_named_before_anything_is_trained(monkeypatch):
    data = _data()
    assert data.test is not None

    def refused(data: Data, test: Split) -> str:
        with pytest.raises(InputError) as caught:
            adaptation_scores(_develop, data, test, size=SIZE)
        return str(caught.value)

    bare = replace(data.test, label_maps=())
    assert "no pixel labels for photo's held-out images" in refused(data, bare)
    no_oracle = replace(data.train, label_maps=(data.train.label_maps[0], None))
    wanted = "no pixel labels for photo's training images"
    assert wanted in refused(replace(data, train=no_oracle), data.test)
    assert "negative's training" in refused(replace(data, label_palette=None), data.test)
    three = replace(data, domains=("a", "b", "c"))
    assert "3 domains: adaptation needs two" in refused(three, data.test)


def test_scores_are_counted_over_batches_and_unusable_images_left_out():
    """A network that sees discs everywhere, on 20 images of which 2 are broken."""
    labels, images = scenes(20, 5)

    class Broken(ArrayImages):
        def read(self, index: int) -> Image.Image:
            if index in (0, 18):
                raise InputError(f"image {index} is broken")
            return super().read(index)

    def discs(batch: Tensor) -> Tensor:
        score = torch.zeros(len(batch), 3, SIZE, SIZE)
        score[:, 1] = 1
        return score

    known = LabelledPixels(
        Broken(images), ArrayImages(labels), PALETTE, is_tiled=True, may_mirror=True
    )
    found = segmentation_scores(discs, known, size=SIZE)
    kept = np.delete(labels, (0, 18), axis=0).reshape(-1, 3)
    shares = [(kept == colour).all(1).sum() for colour in PALETTE.colours]
    assert found["images"] == 18
    assert found["pixel_accuracy"] == pytest.approx(shares[1] / sum(shares))
    assert found["majority_share"] == pytest.approx(shares[0] / sum(shares))
    assert found["accuracy_per_class"] == {"grass": 0.0, "disc": 1.0, "square": 0.0}
