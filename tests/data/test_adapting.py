"""Labelled folders and the batches of an adaptation; no label of the target leaves the data."""

from __future__ import annotations

import pickle
from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from diptych.data import Data, stream
from diptych.data.collections import ArrayImages, Split
from diptych.data.draws import BatchSettings
from diptych.data.stream import _columns
from diptych.errors import InputError
from diptych.types import Adapting, Unpaired


def _numbered(count: int, domain: int) -> ArrayImages:
    """Image i holds i in red and the domain in green, on the left half alone."""
    image = np.zeros((count, 8, 8, 3), np.uint8)
    image[:, :, :4, 0] = np.arange(count, dtype=np.uint8)[:, None, None]
    image[..., 1] = domain
    return ArrayImages(image)


def _data(**options: bool) -> Data:
    split = Split((_numbered(12, 0), _numbered(9, 1)), labels=(np.arange(12) % 3, np.full(9, 2)))
    return Data("test", ("a", "b"), split, classes=("x", "y", "z"), is_tiled=True, **options)


def _numbers(images: torch.Tensor) -> list[int]:
    return ((images[:, 0].amax((1, 2)) + 1) * 127.5).round().int().tolist()


def test_each_source_image_comes_with_its_own_class_and_the_target_with_none() -> None:
    assert {field.name for field in fields(Adapting)} == {"x", "x_label", "y"}
    with stream(_data(), Adapting, batch_size=5, size=8, seed=0) as batches:
        for _ in range(6):
            batch = next(batches)
            assert batch.x_label.dtype == torch.int64
            assert batch.x_label.tolist() == [number % 3 for number in _numbers(batch.x)]
            assert set(((batch.y[:, 1] + 1) * 127.5).round().unique().tolist()) == {1.0}


def test_what_goes_to_the_workers_holds_no_label_of_the_target() -> None:
    data = _data()
    settings = BatchSettings(2, 8, 0, is_tiled=True, mirrors=False, seed=0, rank=0, world=1)
    source, target = _columns(data, Adapting, settings)
    assert source.labels is not None
    assert target.labels is None
    unlabelled = replace(data.train, labels=(data.train.labels[0], None))
    without = _columns(replace(data, train=unlabelled), Adapting, settings)
    assert pickle.dumps((source, target)) == pickle.dumps(without)


@pytest.mark.parametrize("batch_type", [Adapting, Unpaired])
def test_digits_and_labelled_images_are_never_mirrored(batch_type: type) -> None:
    data = _data(may_mirror=batch_type is Adapting)
    with stream(data, batch_type, batch_size=12, size=8, seed=0) as batches:
        for _ in range(4):
            assert (next(batches).x[:, 0, :, 4:] == -1).all()


def test_an_unlabelled_source_is_named_with_the_way_out() -> None:
    split = Split((_numbered(4, 0), _numbered(4, 1)), labels=(None, np.zeros(4, np.int64)))
    data = Data("test", ("a", "b"), split, classes=("x",), is_tiled=True)
    with pytest.raises(InputError, match=r"the classes of a, but test does not.*one folder per cl"):
        stream(data, Adapting, batch_size=2, size=8, seed=0)


# --- folders ---------------------------------------------------------------------
