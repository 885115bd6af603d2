"""Collections of images: by file, as halves, as arrays; names that take few bytes."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from diptych.data.collections import (
    ArrayImages,
    FileImages,
    HalfImages,
    Names,
    evenly_spaced,
)
from diptych.errors import InputError
from tests.data.test_folders import _fill
from tests.data.test_splits import _names


def test_a_half_of_what_is_not_twice_as_wide_as_high_is_refused(tmp_path: Path) -> None:
    _fill(tmp_path, ["a.png"], (15, 8))
    half = HalfImages(FileImages(tmp_path, ["a.png"]), is_right=True)
    with pytest.raises(InputError, match=r"a\.png is 15x8: a side-by-side pair must be twice"):
        half.read(0)


def test_a_hundred_thousand_names_take_few_bytes_and_come_back_whole() -> None:
    made = Names(f"folder/{i}é.png" for i in range(100_000))
    assert len(made) == 100_000
    assert made[0] == "folder/0é.png"
    assert made[99_999] == "folder/99999é.png"
    assert sum(map(sys.getsizeof, vars(made).values())) < 30 * 100_000
    with pytest.raises(IndexError, match="no name 100000"):
        made[100_000]


def test_array_images_read_what_they_were_given() -> None:
    pixels = np.arange(2 * 2 * 2 * 3, dtype=np.uint8).reshape(2, 2, 2, 3)
    images = ArrayImages(pixels)
    assert _names(images) == ["000000.png", "000001.png"]
    assert np.array_equal(np.asarray(images.read(1).picture()), pixels[1])
    with pytest.raises(ValueError, match="expected uint8"):
        ArrayImages(pixels.astype(np.float32))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="1 names for 2 images"):
        ArrayImages(pixels, ["a"])


def test_evenly_spaced_are_the_middles_of_equal_parts() -> None:
    assert evenly_spaced(12, 4) == [1, 4, 7, 10]
    assert evenly_spaced(10, 4) == [1, 3, 6, 8]
    assert evenly_spaced(3, 16) == [0, 1, 2]
    assert evenly_spaced(0, 4) == []
