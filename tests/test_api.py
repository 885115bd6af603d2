"""A run as Python and Jupyter have it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import diptych
from diptych.training.previews import latest_preview

OLD = Path(__file__).parent / "old_runs" / "0.1.0" / "cyclegan"


@pytest.fixture
def run(tmp_path: Path) -> diptych.Run:
    shutil.copytree(OLD, tmp_path / "runs" / "x")
    return diptych.Run(tmp_path / "runs" / "x")


def add_picture(run: diptych.Run, step: int, colour: tuple[int, int, int]) -> Path:
    path = run.folder / "previews" / f"{step:08d}.png"
    path.parent.mkdir(exist_ok=True)
    Image.new("RGB", (2000, 500), colour).save(path)
    return path


def test_repr_says_method_domains_size_and_folder(run, tmp_path):
    assert repr(run) == f"Run(cyclegan, x ↔ y, 16 px, {run.folder})"
    assert repr(diptych.Run(tmp_path / "none")) == f"Run({tmp_path / 'none'})"


def test_a_run_has_its_path_wherever_one_is_expected(run):
    assert os.fspath(run) == str(run) == str(run.folder)
    assert diptych.Run(str(run)) == run
    assert diptych.Run(str(run)).report == run.folder / "report.html"
    image = Image.open(OLD.parent / "photos" / "trainA" / "0.png")
    expected = run.translator(device="cpu")(image, to="y")
    assert np.array_equal(diptych.load(run, device="cpu")(image, to="y"), expected)
    assert run.translator(device="cpu", precision="bf16", memory_gib=1.0).memory_gib == 1.0


def test_the_latest_preview_is_the_one_of_the_last_step(run):
    assert latest_preview(run.folder) is None
    last = add_picture(run, 100, (255, 0, 0))
    add_picture(run, 20, (0, 255, 0))
    assert latest_preview(run.folder) == last


def test_a_notebook_shows_the_latest_preview_and_links(run, monkeypatch):
    monkeypatch.chdir(run.folder.parents[1])
    page = run._repr_html_()
    about = f"Run(cyclegan, x ↔ y, 16 px, {run.folder})"
    assert page == f'<p>{about} · <a href="runs/x">x</a></p>'
    run.report.write_text("a page", encoding="utf-8")
    add_picture(run, 20, (255, 0, 0))
    add_picture(run, 3000, (0, 0, 255))
    page = run._repr_html_()
    assert f'{about} · step 3000 · <a href="runs/x/report.html">report</a> · ' in page
    assert '<img style="max-width:100%" src="data:image/webp;base64,' in page
