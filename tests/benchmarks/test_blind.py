"""What an output gets that looks at no input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import blind
from diptych.data.samples.earth import CLIMATE


def test_of_classes_the_most_frequent_one_counts_or_that_of_each_place():
    train = np.array([[[0, 0, 1]], [[0, 1, 1]], [[2, 0, 1]], [[0, 0, 1]]])  # places: 0, 0, 1
    test = np.array([[[0, 1, 1]], [[0, 0, 0]]])
    assert blind.of_classes(train, test) == {"everywhere": 4 / 6, "at_each_place": 4 / 6}
    order = np.array([[[0, 0, 1]]])
    found = blind.of_classes(train, order)
    assert found == {"everywhere": pytest.approx(2 / 3), "at_each_place": 1.0}


def test_of_colours_the_channels_medians_count():
    train = np.array([[[[0, 10, 255], [0, 20, 255], [51, 20, 0]]]], np.uint8)
    test = torch.tensor([[0.0, 20, 255], [102, 20, 255]]).T.reshape(1, 3, 1, 2) / 127.5 - 1
    found = blind.of_colour(train, test)
    assert found["colour"] == [0, 20, 255]
    assert found["l1"] == pytest.approx(102 / 255 / 6)
    assert found["within_16"] == 0.5


def test_the_command_measures_tiles_strips_and_maps(tmp_path: Path):
    """The tiles have no order of places: knowing the place adds nothing."""
    colours = np.array([CLIMATE.colours[5]] * 16 + [CLIMATE.colours[0]] * 16, np.uint8)
    strip = Image.fromarray(np.repeat(colours[:, None], 32, axis=1))
    for domain in ("climate", "aerial"):
        for split in ("train", "test"):
            folder = tmp_path / "strips" / domain / split
            folder.mkdir(parents=True)
            strip.save(folder / "a.png")
            strip.save(folder / "b.png")
    lines = ["name,r,g,b", *(f"c{k},{r},{g},{b}" for k, (r, g, b) in enumerate(CLIMATE.colours))]
    (tmp_path / "strips" / "climate" / "palette.csv").write_text("\n".join(lines))
    readme = tmp_path / "README.md"
    readme.write_text("<!-- blind: begin -->\n<!-- blind: end -->\n")
    results = tmp_path / "blind.json"
    paths = ["--results", str(results), "--readme", str(readme)]
    assert blind.main(["--strips", str(tmp_path / "strips"), *paths]) == 0
    table = readme.read_text().splitlines()
    assert "| tiles (`sample:earth-climate`) | 203 | 0.232 | 0.232 |" in table
    assert "| strips from north to south | 2 | 0.500 | 1.000 |" in table
    assert any(line.startswith("| aerial | 303 |") for line in table)


def test_what_is_missing_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert blind.main(["--strips", str(tmp_path / "none")]) == 2
    assert "run python -m benchmarks.layout" in capsys.readouterr().err
    assert blind.main(["--only", "table", "--results", str(tmp_path / "none.json")]) == 2
    assert "run python -m benchmarks.blind" in capsys.readouterr().err
