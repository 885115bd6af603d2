"""A run as Python and Jupyter have it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import diptych
from diptych.errors import InputError
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


NO_PATH = "is no path: give a run's folder"
PHOTO = np.zeros((16, 16, 3), np.uint8)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda run: diptych.load(None), NO_PATH),
        (lambda run: diptych.load(3), NO_PATH),
        (lambda run: diptych.load([run]), NO_PATH),
        (lambda run: diptych.load(""), NO_PATH),
        (lambda run: diptych.resume(None), NO_PATH),
        (lambda run: diptych.evaluate(3), NO_PATH),
        (lambda run: diptych.load(run, method="nope"), "method is 'nope': it must be the class"),
        (lambda run: diptych.resume(run, method=3), "method is 3: it must be the class"),
        (lambda run: diptych.load(run, memory_gib="2"), "memory of 2 GiB: expected a number"),
        (lambda run: diptych.resume(run, workers="a"), "workers is 'a': it must be a whole number"),
        (lambda run: diptych.resume(run, workers=-1), "workers is -1: it must not be negative"),
        (lambda run: diptych.open_data(run, size="a"), "size is 'a': it must be a whole number"),
        (lambda run: diptych.train("cyclegan", data=run, on_log=3), "on_log is 3: it must be a fu"),
        (lambda run: diptych.resume(run, on_preview="x"), "on_preview is 'x': it must be a funct"),
        (lambda run: diptych.evaluate(run, weights="a.pth"), "Give features='inception' too"),
        (lambda run: diptych.translate_files("runs/x", "a", "b"), "'runs/x' is no translator: gi"),
        (lambda run: run.translator()(PHOTO, "y", seed="a"), "seed is 'a': it must be a whole"),
        (lambda run: run.translator()(PHOTO, "y", seed=-1), "seed is -1: it must not be negative"),
        (lambda run: run.translator()(PHOTO, "y", seed=2**64), "it must be at most 4611686018427"),
        (lambda run: run.translator().translate_batch(PHOTO, "y"), "takes a tensor, not ndarray"),
        (
            lambda run: diptych.translate_files(run.translator(), "a", "b", to="y", overwrite="n"),
            "overwrite is 'n': it must be True or False",
        ),
        (
            lambda run: diptych.translate_files(run.translator(), "a", "b", to="y", draws=2),
            "cyclegan translates an image in one way, so all would be equal",
        ),
        (
            lambda run: diptych.translate_files(run.translator(), "a", "b", to="y", draws=0),
            "draws is 0: it must be at least 1",
        ),
    ],
)
def test_what_cannot_be_used_is_one_clear_line(run, wrong, message):
    before = sorted(run.folder.rglob("*"))
    with pytest.raises(InputError) as caught:
        wrong(run)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert sorted(run.folder.rglob("*")) == before


@pytest.mark.parametrize("use", [diptych.load, diptych.resume, diptych.evaluate])
def test_a_run_that_is_not_there_is_named_alike_everywhere(use, tmp_path):
    with pytest.raises(InputError, match=r"^no such run or file: .*none; give a run's folder"):
        use(tmp_path / "none")
