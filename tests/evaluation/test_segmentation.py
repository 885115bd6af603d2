"""The FCN score: counts by hand, and a network that has learnt made photos."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from diptych.data import Data, Split, open_data
from diptych.data.collections import ArrayImages
from diptych.data.images import from_uint8
from diptych.errors import InputError
from diptych.evaluation import evaluate, segmentation_training
from diptych.evaluation.labels import IGNORED, Confusion, true_class
from diptych.evaluation.segmentation import FCNScore, Segmenter, segmenter_for
from tests.evaluation.made_labels import PALETTE, SIZE, scenes, train_little, write_labelled


def _colours(*classes: int) -> Tensor:
    """(1, 3, 1, N) of the palette's colours, the ignored one last."""
    table = torch.tensor([*PALETTE.colours, *PALETTE.ignored]) / 127.5 - 1
    return table[list(classes)].T[None, :, None]


def test_pixels_of_ignored_colours_have_no_class_and_are_not_counted():
    true = true_class(_colours(0, 1, 2, 3), PALETTE)
    assert true.tolist() == [[[0, 1, 2, IGNORED]]]
    counts = Confusion.zeros(3)
    counts.add(torch.tensor([[[0, 0, 2, 1]]]), true)
    assert counts.counts.tolist() == [[1, 0, 0], [1, 0, 0], [0, 0, 1]]
    assert counts.scores(PALETTE) == {
        "pixel_accuracy": pytest.approx(2 / 3),
        "class_accuracy": pytest.approx(2 / 3),
        "mean_iou": pytest.approx((1 / 2 + 0 + 1) / 3),
        "matched_accuracy": pytest.approx(2 / 3),
        "accuracy_per_class": {"grass": 1.0, "disc": 0.0, "square": 1.0},
        "iou_per_class": {"grass": 0.5, "disc": 0.0, "square": 1.0},
        "confusion": {
            "classes": ["grass", "disc", "square"],
            "counts": [[1, 0, 0], [1, 0, 0], [0, 0, 1]],
        },
    }
    nothing = Confusion.zeros(3)
    nothing.add(true[..., :1], true[..., 3:])
    assert nothing.pixel_accuracy is nothing.class_accuracy is nothing.mean_iou is None


def test_generated_and_real_photos_are_counted_against_the_same_labels():
    def by_red(images: Tensor) -> Tensor:
        """Disc where there is red, else grass."""
        red = images[:, :1]
        return torch.cat([-red, red, torch.full_like(red, -9)], 1)

    score = FCNScore(by_red, PALETTE)
    labels = _colours(0, 1, 1, 3)
    fake = torch.tensor([-1.0, 1, -1, 1]).reshape(1, 1, 1, 4).expand(1, 3, 1, 4)
    real = torch.tensor([-1.0, 1, 1, -1]).reshape(1, 1, 1, 4).expand(1, 3, 1, 4)
    inputs = torch.tensor([1.0, -1, -1, 1]).reshape(1, 1, 1, 4).expand(1, 3, 1, 4)
    score.add(fake, real, inputs, labels)
    found = score.scores()
    assert found["fcn"]["pixel_accuracy"] == pytest.approx(2 / 3)
    assert found["fcn"]["accuracy_per_class"] == {"grass": 1.0, "disc": 0.5, "square": None}
    assert found["fcn"]["class_accuracy"] == 0.75
    assert found["fcn_of_real"]["pixel_accuracy"] == 1.0
    # The inputs are taken for disc, grass, grass: none is right, and all are, once renamed.
    nothing = {"pixel_accuracy": 0, "class_accuracy": 0, "mean_iou": 0}
    assert found["fcn_untranslated"] == nothing | {"matched_accuracy": 1}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Data, Segmenter, Path]]:
    """A folder of made pairs, a network trained on it for a few steps, and where it is kept."""
    root = tmp_path_factory.mktemp("made")
    data = open_data(write_labelled(root / "data"), size=SIZE)
    with pytest.MonkeyPatch.context() as patch:
        train_little(patch, 40, 8)
        yield data, segmenter_for(data, size=SIZE, folder=root / "kept"), root / "kept"


def _test_set() -> tuple[Tensor, Tensor]:
    """Label images and photos, each (8, 3, 32, 32) in [-1, 1]."""
    labels, photos = (from_uint8(torch.from_numpy(part).movedim(-1, 1)) for part in scenes(8, 1))
    return labels, photos


def _photos(order: list[int]) -> Tensor:
    return _test_set()[1][order]


def _translator(order: list[int]):  # type: ignore[no-untyped-def]
    """Answers with the test set's real photos, in `order`, whatever labels are given."""
    return lambda images, to: _photos(order)[: len(images)] if to == "photo" else images


def _of_photos(made: tuple[Data, Segmenter, Path], order: list[int]) -> dict[str, dict]:
    data, segmenter, _ = made
    scores = evaluate(_translator(order), data, size=SIZE, features=None, segmenter=segmenter)
    assert "fcn" not in scores.directions["photo→label"]
    assert segmenter.note in scores.notes
    return dict(scores.directions["label→photo"])


@pytest.mark.slow
def test_a_trained_network_finds_shapes_and_perfect_photos_score_the_ceiling(made):
    scores = _of_photos(made, list(range(8)))
    assert scores["fcn"] == scores["fcn_of_real"]
    assert scores["fcn"]["pixel_accuracy"] > 0.9
    assert min(scores["fcn"]["accuracy_per_class"].values()) > 0.7
    assert scores["fcn"]["mean_iou"] > 0.7
    assert scores["fcn_untranslated"]["pixel_accuracy"] < 0.9


class _Unread:
    """Images that nobody may look at."""

    def __len__(self) -> int:
        return 8

    def name(self, index: int) -> str:
        return str(index)

    def read(self, index: int) -> Image.Image:
        raise AssertionError(f"image {index} was looked at")


def test_networks_are_trained_without_a_look_at_the_test_images(made, tmp_path, monkeypatch):
    data, *_ = made
    hidden = Split((_Unread(), _Unread()), pairs=(_Unread(), _Unread()))
    train_little(monkeypatch, 1, 2)
    segmenter_for(replace(data, test=hidden, validation=hidden), size=SIZE, folder=tmp_path)
    with pytest.raises(AssertionError, match="was looked at"):  # so the guard is one
        segmenter_for(replace(data, train=hidden, fingerprint="o"), size=SIZE, folder=tmp_path)


@pytest.mark.slow
def test_photos_of_other_labels_score_no_more_than_labels_that_are_shuffled(made):
    order = [1, 2, 3, 4, 5, 6, 7, 0]
    scores = _of_photos(made, order)
    true = true_class(_test_set()[0], PALETTE)
    is_scored = true != IGNORED
    by_chance = float((true[order] == true)[is_scored].double().mean())
    assert scores["fcn"]["pixel_accuracy"] == pytest.approx(by_chance, abs=0.05)
    majority = float((true == 0)[is_scored].double().mean())
    assert by_chance < majority < 0.85
    assert scores["fcn_of_real"]["pixel_accuracy"] > 0.9


@pytest.mark.slow
def test_what_was_trained_is_read_again_to_the_same_bits_and_trained_anew_if_damaged(
    made, monkeypatch
):
    data, segmenter, folder = made
    (path,) = folder.iterdir()
    assert path.stat().st_size < 200_000  # the new layers alone

    def no_training(*_: object, **__: object) -> None:
        raise AssertionError("trained again")

    photos = _photos([0, 1])
    before = segmenter.networks["label", "photo"](photos)
    with monkeypatch.context() as patch:
        patch.setattr(segmentation_training, "train_fcn", no_training)
        again = segmenter_for(data, size=SIZE, folder=folder)
        assert torch.equal(again.networks["label", "photo"](photos), before)
        fewer = {"label": replace(PALETTE, ignored=())}
        for other in (replace(data, fingerprint="other"), replace(data, palettes=fewer)):
            with pytest.raises(AssertionError, match="trained again"):
                segmenter_for(other, size=SIZE, folder=folder)
        with pytest.raises(AssertionError, match="trained again"):
            segmenter_for(data, size=SIZE, folder=folder, seed=1)
        path.write_bytes(path.read_bytes()[:1000])
        with pytest.raises(AssertionError, match="trained again"):
            segmenter_for(data, size=SIZE, folder=folder)


def test_data_without_labels_or_pairs_or_photos_are_one_clear_line(tmp_path):
    data = open_data(write_labelled(tmp_path / "data", 4, 2), size=SIZE)
    with pytest.raises(InputError, match=r"no domain of labels.*palette DOMAIN=FILE.csv"):
        segmenter_for(replace(data, palettes={}), size=SIZE)
    with pytest.raises(InputError, match=r"all domains of .* have palettes"):
        segmenter_for(replace(data, palettes={"label": PALETTE, "photo": PALETTE}), size=SIZE)
    unpaired = replace(data, train=replace(data.train, pairs=None))
    with pytest.raises(InputError, match="no true pairs to train on"):
        segmenter_for(unpaired, size=SIZE)


def test_a_segmenter_of_another_size_is_refused():
    with pytest.raises(ValueError, match="images have 32 pixels, but the segmenter needs 64"):
        evaluate(lambda x, to: x, Data("d", (), None), size=32, segmenter=Segmenter({}, {}, 64, 0))  # type: ignore[arg-type]


def test_labels_are_read_unmixed_where_images_are_scaled():
    """Stripes of two classes at twice the size: scaled, their mixture would be a third class."""
    two = np.array([(0, 200, 0), (0, 0, 200)], np.uint8)
    stripes = two[np.arange(64) % 2][None, None].repeat(4, 0).repeat(64, 1)
    images = ArrayImages(stripes)
    data = Data("d", ("label", "photo"), None)  # type: ignore[arg-type]
    mixed = ((0, 200, 0), (0, 0, 200), (0, 100, 100))
    palette = replace(PALETTE, colours=mixed, ignored=())
    split = Split((images, images), (images, images))
    data = replace(data, train=split, test=split, palettes={"label": palette})
    found = evaluate(lambda x, to: x, data, size=32, features=None).directions["photo→label"]
    assert found["iou_per_class"]["square"] is None  # no pixel is truly of the mixture
