"""Which image is drawn when, and what takes the place of one that cannot be used."""

from __future__ import annotations

import itertools
import logging

import numpy as np
import pytest
import torch

from diptych.data.collections import ArrayImages
from diptych.types import Paired
from tests.data.test_stream import SIZE, Faulty, _data, _drawn, _numbered, _numbers, _open


def test_each_epoch_is_a_permutation_of_its_domain_and_a_new_one() -> None:
    drawn = _drawn(_data(_numbered(10), _numbered(4)), 10)
    x = [number for numbers, _ in drawn for number in numbers]
    y = [number for _, numbers in drawn for number in numbers]
    assert sorted(x[:10]) == sorted(x[10:]) == list(range(10))
    assert x[:10] != x[10:]
    epochs = [y[i : i + 4] for i in range(0, 20, 4)]
    assert all(sorted(epoch) == [0, 1, 2, 3] for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1


def test_domains_of_one_size_are_walked_in_different_orders() -> None:
    drawn = _drawn(_data(_numbered(20), _numbered(20)), 10)
    assert [x for x, _ in drawn] != [y for _, y in drawn]


def test_the_order_is_this_one_on_every_platform() -> None:
    drawn = _drawn(_data(_numbered(6), _numbered(6)), 3)
    assert [x for x, _ in drawn] == [[0, 3], [5, 1], [2, 4]]  # once drawn, for ever so


def test_half_of_the_images_are_mirrored_anew_in_each_epoch() -> None:
    ramp = np.zeros((40, SIZE, SIZE, 3), dtype=np.uint8)
    ramp[..., 0] = np.arange(SIZE)
    ramp[..., 1] = np.arange(40)[:, None, None]
    batches = _open(_data(ArrayImages(ramp), _numbered(4)), batch_size=40)
    epochs = []
    for batch in itertools.islice(batches, 2):
        which = ((batch.x[:, 1, 0, 0] + 1) * 127.5).round().int()  # type: ignore[union-attr]
        epochs.append((batch.x[:, 0, 0, 0] > -0.99)[which.argsort()])  # type: ignore[union-attr]
    assert 10 < int(epochs[0].sum()) < 30
    assert not torch.equal(epochs[0], epochs[1])


def test_unusable_images_are_replaced_by_the_next_and_named_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sound, broken = _numbered(10), frozenset({2, 7})
    order = [n for x, _ in _drawn(_data(sound, _numbered(4)), 10) for n in x]
    batches = _open(_data(Faulty(sound, broken), _numbered(4)))
    with caplog.at_level(logging.WARNING, logger="diptych"):
        got = [n for b in itertools.islice(batches, 10) for n in _numbers(b.x)]  # type: ignore[union-attr]
    for epoch in (0, 10):
        for place in range(10):
            after = itertools.cycle(order[epoch : epoch + 10])
            rest = itertools.islice(after, place, place + 10)
            assert got[epoch + place] == next(n for n in rest if n not in broken)
    assert batches.skipped == {
        "x/000002.png": "number 2 is broken",
        "x/000007.png": "number 7 is broken",
    }
    assert sorted(r.getMessage() for r in caplog.records) == [
        "skipped: number 2 is broken",
        "skipped: number 7 is broken",
    ]


def test_a_pair_with_one_broken_member_is_replaced_whole() -> None:
    pairs = (_numbered(6), Faulty(_numbered(6), frozenset({3})))
    batches = _open(_data(*pairs, pairs=pairs), Paired, batch_size=6)
    batch = next(batches)
    assert isinstance(batch, Paired)
    assert _numbers(batch.x) == _numbers(batch.y)
    assert 3 not in _numbers(batch.x)
    assert list(batches.skipped.values()) == ["number 3 is broken"]
