"""Scores of images made from noise."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from diptych.data import Data, Split
from diptych.data.collections import ArrayImages
from diptych.errors import InputError
from diptych.evaluation import evaluate_generated, scores_table
from diptych.networks.features import FeatureNetwork


class _Mean(nn.Module):
    """Stands for a feature network: the mean colour, cheap and exact."""

    name = "mean colour"
    num_features = 3
    resizing = "none"

    def forward(self, images: Tensor) -> Tensor:
        return images.mean(dim=(2, 3))


def _features() -> FeatureNetwork:
    return _Mean()  # type: ignore[return-value]


def _shades(count: int, low: int) -> ArrayImages:
    draws = np.random.default_rng(low).integers(low, low + 50, (count, 1, 1, 3), dtype=np.uint8)
    return ArrayImages(np.broadcast_to(draws, (count, 32, 32, 3)).copy())


def _data() -> Data:
    """Three domains, dark to bright, of 20 test images each but the last, of 8."""
    train = Split(tuple(_shades(30, low) for low in (1, 101, 201)), None)
    test = Split(tuple(_shades(n, low) for n, low in ((20, 0), (20, 100), (8, 200))), None)
    return Data("test", ("dark", "grey", "bright"), train, test=test, is_tiled=True)


class Generator:
    """Makes what the training images of one domain look like, whatever is asked for."""

    def __init__(self, low: int) -> None:
        self.low = low
        self.asked: list[tuple[int, str]] = []

    def __call__(self, count: int, to: str) -> Tensor:
        self.asked.append((count, to))
        images = _shades(count, self.low)
        arrays = np.stack([np.asarray(images.read(i).picture()) for i in range(count)])
        return torch.from_numpy(arrays).movedim(-1, 1).float() / 127.5 - 1


def test_new_images_are_scored_against_the_real_ones_of_their_domain() -> None:
    generate = Generator(low=102)
    scores = evaluate_generated(generate, _data(), size=32, features=_features()).to_dict()
    assert generate.asked == [(20, "dark"), (20, "grey"), (8, "bright")]
    kid = {name: scores[name]["kid"]["mean"] for name in ("dark", "grey", "bright")}
    assert abs(kid["grey"]) < 0.02  # the same distribution: 0 but for the draws
    assert kid["dark"] > 0.1
    assert kid["bright"] > 0.1
    assert abs(scores["dark"]["kid_of_real"]["mean"]) < 0.02
    assert scores["grey"]["fid"]["value"] < 0.1 < scores["dark"]["fid"]["value"]
    assert scores["bright"]["images"] == 8
    assert scores["grey"]["precision"]["value"] > 0.6 > 0 == scores["dark"]["precision"]["value"]
    assert scores["features"] == "mean colour"
    assert (scores["split"], set(scores)) == (
        "test",
        {"split", "features", "resizing", "dark", "grey", "bright", "warnings", "notes"},
    )


def test_the_table_has_a_column_a_domain() -> None:
    scores = evaluate_generated(Generator(100), _data(), size=32, features=_features())
    table = scores_table(scores.to_dict())
    assert [column.header for column in table.columns] == ["score", "dark", "grey", "bright"]
    rows = ["images", "KID ↓", "  of real training images", "FID ↓", "precision ↑", "recall ↑"]
    assert list(table.columns[0].cells) == rows


def test_without_features_only_the_number_is_told_and_why() -> None:
    scores = evaluate_generated(Generator(0), _data(), size=32, features=None).to_dict()
    assert set(scores["dark"]) == {"images", "collapse", "spread"}
    assert scores["dark"]["images"] == 20
    why = "no KID: its features need the features extra, pip install 'diptych[features]'"
    assert why in scores["notes"]


def test_a_split_that_is_not_there_is_named() -> None:
    with pytest.raises(InputError, match="test has no validation images; it has: train, test"):
        evaluate_generated(Generator(0), _data(), "validation", size=32, features=None)
