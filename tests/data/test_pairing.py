from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from diptych.data import Data, open_data
from diptych.errors import InputError


def _fill(folder: Path, names: str | list[str], size: tuple[int, int] = (8, 8)) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        image = Image.new("RGB", size, (200, 10, 20))
        image.putpixel((0, 0), (0, 255, 255))
        image.save(folder / f"{name}.png")
    return folder


def _open(x: Path, y: Path, paired: bool | None = None) -> Data:
    return open_data(x=x, y=y, paired=paired, size=8)


def _said(data: Data, text: str) -> list[str]:
    return [note for note in data.notes if text in note]


def test_equal_names_are_pairs_and_their_number_and_the_way_out_are_said(tmp_path: Path) -> None:
    data = _open(_fill(tmp_path / "x", "abcdefgh"), _fill(tmp_path / "y", "abcdefgh"))
    assert data.train.pairs is not None
    (note,) = _said(data, "were found by equal file names")
    assert note.startswith("8 pairs were found by equal file names (7 train, 1 test), such as")
    assert "give paired=False if they do not show the same scenes" in note


def test_names_of_numbers_and_other_shapes_speak_against_pairs(tmp_path: Path) -> None:
    numbers = [f"{i:03d}" for i in range(8)]
    x, y = _fill(tmp_path / "x", numbers), _fill(tmp_path / "y", numbers, (16, 8))
    (note,) = _said(_open(x, y), "were found by equal file names")
    assert "their names are only numbers, which unrelated images share too" in note
    assert "differ in shape (" in note
    assert "is 8x8 and 16x8" in note


def test_unpaired_makes_no_pairs_of_equal_names(tmp_path: Path) -> None:
    data = _open(_fill(tmp_path / "x", "abcd"), _fill(tmp_path / "y", "abcd"), paired=False)
    assert data.train.pairs is None
    assert not _said(data, "pairs")


def test_a_partner_that_is_missing_is_named(tmp_path: Path) -> None:
    x, y = _fill(tmp_path / "x", "abcdefgh"), _fill(tmp_path / "y", "abcdefg")
    data = _open(x, y)
    assert data.train.pairs is None
    (note,) = _said(data, "have no partner (x/h.png)")
    assert "give paired=True if the others are pairs" in note
    asked = _open(x, y, paired=True)
    assert asked.train.pairs is not None
    assert len(asked.train.pairs[0]) + len(asked.test.pairs[0]) == 7  # type: ignore[union-attr,index]
    assert _said(asked, "x/h.png")


def test_pairs_that_are_asked_for_and_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"paired=True"):
        _open(_fill(tmp_path / "x", "abcd"), _fill(tmp_path / "y", "efgh"), paired=True)
