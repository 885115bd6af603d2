from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import diptych
from diptych.errors import InputError
from diptych.training.changes import in_its_folder
from diptych.training.settings import Settings, read_plan

TINY = {
    "size": 32, "width": 4, "workers": 0, "device": "cpu", "precision": "fp32", "logger": "none",
    "threads": 1,
}  # fmt: skip


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> diptych.Run:
    """A finished run of four steps that was begun with a relative place."""
    draws = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / "home" / "d" / name).mkdir(parents=True)
        for number in range(4):
            pixels = draws.integers(0, 256, (32, 32, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "home" / "d" / name / f"{name}{number}.png")
    monkeypatch.chdir(tmp_path / "home")
    return diptych.train("cyclegan", data="d", steps=4, out=tmp_path / "run", **TINY)


def _rates(run: diptych.Run) -> list[float]:
    lines = (run.folder / "metrics.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line)["learning_rates"]["generators"] for line in lines]


def test_a_finished_run_goes_on_with_a_larger_budget_whose_schedule_it_follows(
    run: diptych.Run, caplog: pytest.LogCaptureFixture
) -> None:
    whole = diptych.train("cyclegan", data="d", steps=8, out=run.folder.parent / "w", **TINY)
    assert _rates(run) != _rates(whole)[:4]
    with caplog.at_level(logging.INFO, logger="diptych"):
        diptych.resume(run, steps=8)
    assert "the budget is 8 steps now: learning rates follow it" in caplog.text
    plan = read_plan(run.folder)
    assert (plan.run.steps, plan.resolved.steps) == (8, 8)
    assert _rates(run)[4:] == _rates(whole)[4:]
    assert len(_rates(run)) == 8


def test_a_budget_that_is_done_already_is_refused(run: diptych.Run) -> None:
    with pytest.raises(InputError, match=r"steps is 3, and .* has done 4 steps: give the new tot"):
        diptych.resume(run, steps=3)


def test_a_relative_place_is_found_from_another_folder(
    run: diptych.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert diptych.resume(run, steps=5).folder == run.folder
    assert read_plan(run.folder).resolved.steps == 5
    assert "home" not in (run.folder / "report.html").read_text("utf-8")


def test_a_run_follows_its_data_and_refuses_others(run: diptych.Run, tmp_path: Path) -> None:
    shutil.move(tmp_path / "home" / "d", tmp_path / "elsewhere")
    with pytest.raises(InputError, match="no such folder: d"):
        diptych.resume(run, steps=5)
    diptych.resume(run, steps=5, data=tmp_path / "elsewhere")
    assert read_plan(run.folder).run.data == str(tmp_path / "elsewhere")
    diptych.evaluate(run, data=tmp_path / "elsewhere")
    assert (run.folder / "scores.json").is_file()
    (tmp_path / "elsewhere" / "a" / "a0.png").unlink()
    with pytest.raises(InputError, match=r"is not what .* was trained on: its files have other"):
        diptych.resume(run, steps=6)


def test_places_that_are_there_are_taken_from_the_folder_of_then(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    settings = Settings(data="d", palette=("a=cityscapes",))
    assert in_its_folder(settings, str(tmp_path)).data == str(tmp_path / "d")
    assert in_its_folder(settings, str(tmp_path / "gone")) == settings
    assert in_its_folder(Settings(data="sample:x"), str(tmp_path)).data == "sample:x"
