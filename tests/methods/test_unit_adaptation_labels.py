"""UNIT for domain adaptation: no label of the target is used."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from diptych.data import Data, Split
from diptych.data.collections import ArrayImages
from diptych.errors import InputError
from diptych.methods import make_config
from diptych.methods.unit_adaptation import SIZE
from diptych.training.settings import Plan, Resolved, Settings
from diptych.training.trainer import Trainer


def _data(target_labels: np.ndarray[Any, Any] | None) -> Data:
    draws = np.random.default_rng(0)
    images = [
        ArrayImages(draws.integers(0, 256, (12, SIZE, SIZE, 3), dtype=np.uint8)) for _ in range(2)
    ]
    labels = (np.arange(12) % 3, target_labels)
    split = Split(tuple(images), labels=labels)
    return Data("test", ("a", "b"), split, test=split, classes=("x", "y", "z"), is_tiled=True)


def _trained(data: Data) -> Trainer:
    plan = Plan(
        method="unit_adaptation",
        config=make_config("unit_adaptation", {"width": 2, "batch_size": 4, "classes": 3}),
        run=Settings(workers=0, seed=1, ema=0.9),
        resolved=Resolved(
            threads=1, domains=data.domains, fingerprint="", steps=3, precision="fp32", device="cpu"
        ),
    )
    trainer = Trainer(plan, data)
    for _ in range(3):
        trainer.step(3)
    return trainer


def test_shuffled_or_missing_labels_of_the_target_give_the_same_bits():
    true, shuffled = np.arange(12) % 3, np.random.default_rng(1).permutation(12) % 3
    assert not np.array_equal(true, shuffled)
    states = [_trained(_data(labels)).state() for labels in (true, shuffled, None)]
    for other in states[1:]:
        for name, weights in states[0]["method"].items():
            assert torch.equal(weights, other["method"][name]), name
        for name, weights in states[0]["average"].items():
            assert torch.equal(weights, other["average"][name]), name


def test_other_labels_of_the_source_give_other_weights():
    data = _data(None)
    labels = (np.arange(12) // 4, None)
    other = replace(data, train=replace(data.train, labels=labels))
    first, second = (_trained(d).method.C.weight for d in (data, other))
    assert not torch.equal(first, second)


def test_another_number_of_classes_than_the_datas_is_named_before_training():
    data = replace(_data(None), classes=("w", "x", "y", "z"))
    with pytest.raises(InputError, match=r"test has 4 classes \(w, x, y, z\) .* pass classes=4"):
        _trained(data)
