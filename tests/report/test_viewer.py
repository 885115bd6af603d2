"""The viewer's pictures keep their tiles and their budget."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from diptych.data.images import to_image
from diptych.report.grids import read_grid
from diptych.report.viewer import compress, panels, thinned
from tests.report.test_page import noise, save_preview


def test_panels_keep_the_tiles_and_make_the_gaps_transparent(tmp_path: Path) -> None:
    _, path = save_preview(tmp_path, 1)
    grid, layout = read_grid(path)
    assert layout is not None
    parts = panels(grid, layout)
    assert [names for _, names, _ in parts] == [("x", "→ y"), ("y", "→ x")]
    second = np.asarray(parts[1][0])  # (264, 264, 4)
    tile = np.asarray(grid.crop(layout.box(1, 3)))
    np.testing.assert_array_equal(second[136:, 136:, :3], tile)
    assert (second[128:136, :, 3] == 0).all()
    assert (second[:, 128:136, 3] == 0).all()
    assert parts[1][2] == 8 / 264


def test_pictures_are_lossless_if_they_fit_and_within_the_budget_if_not() -> None:
    picture = to_image(noise(128, 0))  # 49 kB of noise
    kind, data = compress(picture, 60_000)
    assert kind == "image/png"
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data))), np.asarray(picture))
    assert len(compress(picture, 10_000)[1]) <= 10_000


def test_spread_keeps_the_ends() -> None:
    assert thinned(list(range(13)), 5) == [0, 3, 6, 9, 12]
    assert thinned([1, 2], 5) == [1, 2]
