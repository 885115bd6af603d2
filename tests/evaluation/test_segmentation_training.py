"""Training the networks that read classes in photographs."""

from __future__ import annotations

import math

import pytest
import torch

from diptych.data import open_data
from diptych.data.collections import ArrayImages
from diptych.evaluation import segmentation
from diptych.evaluation.labels import IGNORED
from diptych.evaluation.segmentation import segmenter_for
from diptych.evaluation.segmentation_training import (
    LabelledPixels,
    pixel_loss,
    steps_for,
    train_fcn,
)
from tests.evaluation.made_labels import PALETTE, SIZE, scenes, train_little, write_labelled


def test_the_loss_is_the_mean_of_minus_log_softmax_over_scored_pixels():
    scores = torch.tensor([[1.0, 0.0, 5.0], [0.0, 0.0, -5.0]]).reshape(1, 2, 1, 3)
    labels = torch.tensor([[[0, 1, IGNORED]]])
    by_hand = (math.log(1 + math.exp(-1)) + math.log(2)) / 2
    assert pixel_loss(scores, labels).item() == pytest.approx(by_hand)
    assert pixel_loss(scores, torch.full_like(labels, IGNORED)).item() == 0


def test_the_network_is_shown_every_pair_at_least_once(tmp_path, monkeypatch):
    train_little(monkeypatch, 100, 16)  # as they are
    assert [steps_for(count) for count in (24, 1304, 1600, 1601, 2975)] == [100, 100, 100, 101, 186]
    train_little(monkeypatch, 2, 4)
    taken: list[int | None] = []
    monkeypatch.setattr(
        segmentation, "trained_fcn", lambda *_, steps=None, **__: taken.append(steps)
    )
    for count in (6, 30):
        data = open_data(write_labelled(tmp_path / f"{count}", count), size=SIZE)
        segmenter_for(data, size=SIZE)
    assert taken == [2, 8]  # batches of 4


@pytest.mark.slow
def test_the_same_seed_trains_the_same_network_and_draws_nothing_else(monkeypatch):
    train_little(monkeypatch, 2, 4)
    labels, photos = (ArrayImages(images) for images in scenes(10, 0))
    labelled = LabelledPixels(photos, labels, PALETTE, is_tiled=True, may_mirror=True)
    state = torch.get_rng_state()
    first, again = (train_fcn(labelled, size=SIZE, seed=3) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first.score8.weight, again.score8.weight)
    other = train_fcn(labelled, size=SIZE, seed=4)
    assert not torch.equal(first.score8.weight, other.score8.weight)
