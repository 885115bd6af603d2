from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diptych.data import open_data
from diptych.data.shared_files import shared_files_note


@pytest.fixture
def root(tmp_path: Path) -> Path:
    draws = np.random.default_rng(0)
    for place in ("trainA", "trainB", "testA", "testB"):
        (tmp_path / "d" / place).mkdir(parents=True)
        for number in range(5):
            pixels = draws.integers(0, 256, (16, 16, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "d" / place / f"{place}{number}.bmp")
    return tmp_path / "d"


def test_sound_data_of_files_of_one_size_have_no_line(root: Path) -> None:
    assert shared_files_note(open_data(root, size=16)) == ()


def test_a_file_in_training_and_testing_is_named(root: Path) -> None:
    shutil.copy(root / "trainA" / "trainA2.bmp", root / "testA" / "again.bmp")
    (note,) = shared_files_note(open_data(root, size=16))
    assert note.startswith("1 file is in two parts of the data, such as ")
    assert "trainA2.bmp (x/train)" in note
    assert "again.bmp (x/test)" in note
    assert note.endswith("diptych.doctor names all doubles")


def test_a_file_in_two_domains_is_named_and_one_twice_in_a_part_is_not(root: Path) -> None:
    shutil.copy(root / "trainA" / "trainA1.bmp", root / "trainA" / "copy.bmp")
    assert shared_files_note(open_data(root, size=16)) == ()
    for number in (3, 4):
        shutil.copy(root / "trainA" / f"trainA{number}.bmp", root / "trainB" / f"c{number}.bmp")
    (note,) = shared_files_note(open_data(root, size=16))
    assert note.startswith("2 files are in two parts of the data")
