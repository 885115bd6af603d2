"""`diptych doctor`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diptych.cli.main import main


@pytest.fixture
def data(tmp_path: Path) -> Path:
    draws = np.random.default_rng(0)
    for name in ("[cat]", "<img src=x>"):
        (tmp_path / "d" / name).mkdir(parents=True)
        for number in range(6):
            pixels = draws.integers(0, 256, (6, 6, 3), np.uint8)
            image = Image.fromarray(pixels).resize((64, 64))
            image.save(tmp_path / "d" / name / f"{name[1:4]}{number}.png")
    Image.new("RGB", (64, 64)).save(tmp_path / "d" / "[cat]" / "black.png")
    return tmp_path / "d"


def test_a_screen_a_page_and_a_file_say_what_was_found(data: Path, tmp_path: Path, capsys) -> None:
    page, found = tmp_path / "doctor.html", tmp_path / "found.json"
    arguments = ["doctor", str(data), "--no-times", "--page", str(page), "--json", str(found)]
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert "[cat]" in shown
    assert "<img src=x>" in shown
    assert "(train/black.png) is of one colour" in " ".join(shown.split())
    assert shown.endswith(f"see {page}\n")
    text = page.read_text("utf-8")
    assert "<img src=x>" not in text
    assert "&lt;img src=x&gt;" in text
    assert "is of one colour" in text
    kinds = {one["kind"] for one in json.loads(found.read_text())["examination"]["findings"]}
    assert kinds == {"few", "one colour"}


def test_bad_input_is_one_line(fails, tmp_path: Path) -> None:
    assert fails("doctor", tmp_path / "none", "--page", tmp_path / "p.html").startswith("no such")
    assert not (tmp_path / "p.html").exists()
