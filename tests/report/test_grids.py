"""Grids and what their files remember."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from diptych.data.images import to_image
from diptych.report.grids import picture_grid, read_grid, write_grid


def noise(side: int, seed: int) -> Tensor:
    return torch.rand(3, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_a_grid_holds_each_picture_where_its_layout_says(tmp_path: Path) -> None:
    pictures = [[noise(32, 3 * i + j) for j in range(3)] for i in range(2)]
    write_grid(tmp_path / "g.png", picture_grid(pictures, ["a", "b", "c"], groups=[2, 1]))
    grid, layout = read_grid(tmp_path / "g.png")
    assert layout is not None
    assert (layout.tile, layout.columns, layout.groups) == ((128, 128), ("a", "b", "c"), (2, 1))
    for i, row in enumerate(pictures):
        for j, picture in enumerate(row):
            shown = np.asarray(grid.crop(layout.box(i, j)))
            expected = np.asarray(to_image(picture)).repeat(4, axis=0).repeat(4, axis=1)
            np.testing.assert_array_equal(shown, expected)
    assert layout.box(0, 2)[0] - layout.box(0, 1)[2] == layout.gap + layout.margin == 24
    assert grid.getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize(
    ("side", "tile"), [(32, 128), (64, 128), (100, 100), (128, 128), (256, 256)]
)
def test_small_pictures_are_enlarged_to_about_128(side: int, tile: int) -> None:
    grid = picture_grid([[noise(side, 0)]], ["x"])
    assert json.loads(grid.info["diptych-grid"])["tile"] == [tile, tile]


def test_headings_are_drawn_inside_their_column() -> None:
    names = ["→ Pöstlingberg at night, seen from the other side", "中文"]
    grid = np.asarray(picture_grid([[noise(16, 0), noise(16, 1)]], names))
    top = grid[:30].min(axis=2)  # (30, W)
    ink = np.flatnonzero((top < 160).any(axis=0))
    assert ink.min() >= 16
    assert not ((ink >= 16 + 128) & (ink < 16 + 128 + 8)).any()  # the gap between the columns
    assert (ink > 16 + 128 + 8).any()  # letters that the font lacks show as something


def test_rows_may_have_names_on_their_left(tmp_path: Path) -> None:
    pictures = [[noise(16, 2 * i + j) for j in range(2)] for i in range(2)]
    names = ["as seen from very far up in space", "b"]
    write_grid(tmp_path / "g.png", picture_grid(pictures, ["", ""], row_names=names))
    grid, layout = read_grid(tmp_path / "g.png")
    assert layout is not None
    assert layout.left == 128  # no wider than a tile
    assert layout.box(1, 1)[0] == layout.margin + 128 + 8 + 128 + 8
    shown = np.asarray(grid.crop(layout.box(1, 1)).resize((16, 16), Image.Resampling.BOX))
    np.testing.assert_array_equal(shown, np.asarray(to_image(pictures[1][1])))
    for row in range(2):
        _, top, _, bottom = layout.box(row, 0)
        left = np.asarray(grid.crop((0, top, layout.box(0, 0)[0], bottom))).min(axis=2)
        ink = np.argwhere(left < 160)
        assert 50 < ink[:, 0].mean() < 78  # about the middle of the row
        assert 16 <= ink[:, 1].min() <= ink[:, 1].max() < 16 + 128
    with pytest.raises(ValueError, match="1 names for 2 rows"):
        picture_grid(pictures, ["", ""], row_names=["a"])


@pytest.mark.parametrize(
    ("rows", "columns", "groups"),
    [([], ["x"], None), ([[0, 0], [0]], ["x", "y"], None), ([[0, 0]], ["x", "y"], [1, 2])],
)
def test_ragged_grids_are_refused(rows: Any, columns: list[str], groups: Any) -> None:
    pictures = [[noise(4, 0) for _ in row] for row in rows]
    with pytest.raises(ValueError, match=r"pictures, one for each column|do not add up"):
        picture_grid(pictures, columns, groups=groups)


@pytest.mark.parametrize("text", ["{", "[]", '{"columns": []}', '{"rows": 9, "tile": [1, 1]}'])
def test_a_picture_with_a_damaged_layout_is_still_a_picture(tmp_path: Path, text: str) -> None:
    grid = picture_grid([[noise(8, 0)]], ["x"])
    grid.info["diptych-grid"] = text
    write_grid(tmp_path / "g.png", grid)
    picture, layout = read_grid(tmp_path / "g.png")
    assert layout is None
    assert picture.size == grid.size
