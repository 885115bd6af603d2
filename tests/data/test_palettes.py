"""Palettes: read from tables and folders, named on the command line, built in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diptych.data import Data, open_data
from diptych.data.palettes import CITYSCAPES, read_palette
from diptych.errors import InputError

SHAPES = "name,r,g,b\nground,10,200,30\ndisc,250,0,0\n\nignored,0,0,0\nIgnored,1,1,1\n"


def _folders(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).mkdir(parents=True)
        for k in range(4):
            pixels = np.full((8, 8, 3), 60 * k, np.uint8)
            Image.fromarray(pixels).save(root / name / f"{k}.png")
    return root


def _table(path: Path, text: str = SHAPES) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_a_table_gives_names_colours_and_what_is_ignored(tmp_path):
    palette = read_palette(_table(tmp_path / "p.csv"))
    assert palette.names == ("ground", "disc")
    assert palette.colours == ((10, 200, 30), (250, 0, 0))
    assert palette.ignored == ((0, 0, 0), (1, 1, 1))
    no_heading = SHAPES.partition("\n")[2]
    assert read_palette(_table(tmp_path / "q.csv", no_heading)) == palette


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,1,2,3\nb,4,5\n", "line 2: 'b,4,5' is not a class: expected lines with a class's name"),
        ("a,1,2,3\nb,4,5,256\n", "line 2: 'b,4,5,256' is not a class"),
        ("a,1,2,3\n,4,5,6\n", "line 2: ',4,5,6' is not a class"),
        ("a,1,2,3\nb,1,2,3\n", "line 2: an earlier line has its name or colour"),
        ("a,1,2,3\na,4,5,6\n", "line 2: an earlier line has its name or colour"),
        ("a,1,2,3\nignored,4,5,6\n", "has 1 classes: two or more are needed"),
        ("", "has 0 classes"),
    ],
)
def test_a_bad_table_is_one_line_that_names_the_place(tmp_path, text, message):
    path = _table(tmp_path / "p.csv", text)
    with pytest.raises(InputError) as caught:
        read_palette(path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="cannot read the palette"):
        read_palette(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("folders", "where", "domain"),
    [
        (("label", "photo"), "label", "label"),
        (("trainA", "trainB", "testA", "testB"), "trainB", "y"),
        (("label/train", "photo/train"), "label", "label"),
        (("train/label", "train/photo"), "train/label", "label"),
    ],
)
def test_a_palette_in_a_domains_folder_is_its_own_in_every_layout(tmp_path, folders, where, domain):
    root = _folders(tmp_path / "data", *folders)
    before = open_data(root, size=8)
    _table(root / where / "palette.csv")
    data = open_data(root, size=8)
    assert set(data.palettes) == {domain}
    assert data.palettes[domain].names == ("ground", "disc")
    assert data.fingerprint == before.fingerprint  # nothing is trained by it


def test_a_palette_given_by_name_takes_the_place_of_the_folders(tmp_path):
    root = _folders(tmp_path / "data", "label", "photo")
    _table(root / "label" / "palette.csv")
    table = _table(tmp_path / "other.csv", "a,1,1,1\nb,2,2,2\n")

    def given(*palettes: str) -> Data:
        return open_data(root, palettes=palettes, size=8)

    assert given(f"label={table}").palettes["label"].names == ("a", "b")
    assert given("label=cityscapes").palettes["label"] is CITYSCAPES
    assert set(given("photo=cityscapes").palettes) == {"label", "photo"}
    for wrong in ("water=cityscapes", "label", "label="):
        with pytest.raises(InputError, match=r"expected DOMAIN=FILE.csv or DOMAIN=cityscapes"):
            given(wrong)


def test_cityscapes_has_the_19_classes_that_its_benchmark_scores():
    assert len(CITYSCAPES.names) == len(CITYSCAPES.colours) == 19
    colours = dict(zip(CITYSCAPES.names, CITYSCAPES.colours, strict=True))
    assert colours["road"] == (128, 64, 128)
    assert colours["traffic light"] == (250, 170, 30)
    assert colours["bicycle"] == (119, 11, 32)
    # Unlabeled, parking and caravan are not scored; no colour is in both lists.
    assert {(0, 0, 0), (250, 170, 160), (0, 0, 90)} <= set(CITYSCAPES.ignored)
    assert len({*CITYSCAPES.colours, *CITYSCAPES.ignored}) == 29
