"""Strips that share a layout: what they are cut from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import layout
from benchmarks.layout import Rasters, main, strips, write_data
from diptych.data import open_data
from diptych.data.samples.earth import CLIMATE

ROWS = layout.SIZE * layout.CELL[0]


@pytest.fixture(scope="module")
def rasters() -> Rasters:
    """Land of class 2 down to half of the strips, then sea; photos grey by column, land lighter."""
    labels = np.zeros((2700, 5400), np.uint8)
    labels[: 225 + ROWS // 2] = 2
    labels[:, 900 : 900 + 450] = 0  # band 2, a test band, is sea but for its west
    labels[: 225 + ROWS // 2, 900 : 900 + 160] = 2
    photos = np.repeat((np.arange(5400) % 200).astype(np.uint8)[None, :, None], 2700, axis=0)
    return Rasters(labels, np.repeat(photos, 3, axis=2))


def test_a_strip_holds_the_zone_at_a_cells_middle_and_the_mean_of_its_photo(rasters: Rasters):
    name, labels, photo = next(strips(rasters, "train"))
    assert name == "c0000.png"
    assert labels.size == photo.size == (32, 32)
    pixels = np.asarray(labels)
    assert (pixels[:16] == CLIMATE.colours[2]).all()
    assert (pixels[16:] == CLIMATE.colours[0]).all()
    grey = np.asarray(photo)[0, :, 0]  # means of 0..3, 4..7, ...: 1.5, 5.5, ..., rounded
    assert np.abs(grey - (4 * np.arange(32) + 1.5)).max() <= 0.5


def test_strips_stay_in_their_bands_and_hold_enough_land(rasters: Rasters):
    lefts = [int(name[1:5]) for name, *_ in strips(rasters, "test")]
    bands = {left // 450 for left in lefts}
    assert bands == {2, 6, 9}
    assert all(left // 450 == (left + 127) // 450 for left in lefts)
    of_coast = [left - 900 for left in lefts if left // 450 == 2]
    # Land is half of a strip's height over 160 columns: a quarter of it where 64 of 128 are land.
    assert of_coast == list(range(0, 97, 16))


def test_the_data_are_true_pairs_with_a_palette(
    rasters: Rasters, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(layout.SPLITS, "train", (3,))
    counts = write_data(tmp_path, rasters)
    data = open_data(x=str(tmp_path / "climate"), y=str(tmp_path / "aerial"), size=32)
    assert data.domains == ("climate", "aerial")
    assert data.palettes["climate"].names == CLIMATE.names
    assert data.test is not None
    for split, name in ((data.train, "train"), (data.test, "test")):
        assert len(split.domains[0]) == counts[name]
        assert split.pairs is not None
        assert len(split.pairs[0]) == counts[name]


def test_the_command_writes_the_data(
    rasters: Rasters, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(layout, "open_rasters", lambda: rasters)
    monkeypatch.setitem(layout.SPLITS, "train", (0,))
    assert main(["--data", str(tmp_path)]) == 0
    with Image.open(tmp_path / "aerial" / "test" / "c0900.png") as image:
        assert image.size == (32, 32)


def test_a_folder_that_cannot_be_written_is_refused_in_one_line(
    rasters: Rasters,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.setattr(layout, "open_rasters", lambda: rasters)
    in_the_way = tmp_path / "file"
    in_the_way.touch()
    assert main(["--data", str(in_the_way)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"benchmarks.layout: cannot write {in_the_way}")
    assert line.endswith("give --data another folder")
