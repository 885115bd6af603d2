"""A run's folder: what is in it, how it goes on, and what it refuses."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest
import torch
from PIL import Image

from diptych.checkpoint import load_state, load_translator
from diptych.errors import InputError
from diptych.methods import make_config
from diptych.training.changes import Changes
from diptych.training.run import resume, train
from diptych.training.settings import Settings, read_plan
from tests.training.reading import losses, metrics, one_line

# --- what a run leaves -----------------------------------------------------------


def test_a_run_leaves_its_artifacts(start):
    outcome = start(steps=4, preview_every=2)
    folder = outcome.folder
    assert (outcome.step, outcome.steps, outcome.is_finished) == (4, 4, True)
    assert not outcome.was_finished
    assert {p.name for p in folder.iterdir()} == {
        "config.toml", "state.pt", "translator.safetensors", "metrics.jsonl",
        "previews", "tensorboard", "report.html", "run.lock",
    }  # fmt: skip
    pictures = sorted(p.name for p in (folder / "previews").iterdir())
    assert pictures == ["00000000.png", "00000002.png", "00000004.png"]
    with Image.open(folder / "previews" / pictures[-1]) as grid:
        assert grid.width > 6 * 32
        assert grid.height > 4 * 32
    assert [line["step"] for line in metrics(folder)] == [1, 2, 3, 4]
    assert set(metrics(folder)[0]["losses"]) == {"adversarial", "cycle", "D_X", "D_Y"}
    assert load_state(folder)["step"] == 4
    method, info = load_translator(folder)
    assert (info.method, info.domains, info.size, info.step) == (
        "cyclegan", ("dark", "bright"), 32, 4
    )  # fmt: skip
    trained = load_state(folder)["method"]
    assert all(torch.equal(w, trained[f"G.{n}"]) for n, w in method.G.state_dict().items())
    assert "cyclegan" in (folder / "report.html").read_text(encoding="utf-8")


def test_the_same_seed_repeats_a_run_and_another_does_not(start, tmp_path):
    folders = [
        start(seed=seed, steps=2, out=str(tmp_path / name)).folder
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    assert losses(folders[0]) == losses(folders[1])
    assert losses(folders[0]) != losses(folders[2])


def test_the_default_folder_is_named_for_method_and_data(start, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = start(out=None, x=None, y=None, data=str(tmp_path / "data"), steps=1).folder
    assert folder == Path("runs/cyclegan-data")


# --- budgets ---------------------------------------------------------------------


# --- folders that exist ----------------------------------------------------------


def test_what_cannot_be_used_leaves_nothing_behind(start, tmp_path):
    with pytest.raises(InputError):
        start(init=str(tmp_path / "nothing"))
    with pytest.raises(InputError):
        start(x=str(tmp_path / "nothing"))
    assert not (tmp_path / "run").exists()


def test_two_folders_anywhere_give_the_run_both_their_names(picture_folders, tmp_path, monkeypatch):
    x, y = picture_folders()
    monkeypatch.chdir(tmp_path)
    settings = Settings(x=f"{x}/", y=f"{y}/", steps=1, device="cpu", workers=0, precision="fp32")
    config = make_config("cyclegan", {"width": 4, "size": 32, "blocks": 1})
    assert train("cyclegan", config, settings).folder == Path("runs/cyclegan-dark-bright")


# --- interrupts and resuming -------------------------------------------------------


def test_resuming_a_finished_run_says_so_and_changes_nothing(start):
    folder = start(steps=2).folder
    before = {p: p.stat().st_mtime_ns for p in folder.iterdir()}
    outcome = resume(folder)
    assert (outcome.was_finished, outcome.is_finished, outcome.step) == (True, True, 2)
    assert {p: p.stat().st_mtime_ns for p in folder.iterdir()} == before


def test_resuming_a_finished_run_makes_up_for_a_report_that_a_kill_prevented(start):
    folder = start(steps=1).folder
    (folder / "report.html").unlink()
    assert resume(folder).was_finished
    assert (folder / "report.html").exists()


def test_resuming_with_changed_data_is_refused(start, tmp_path, at_step, monkeypatch):
    with monkeypatch.context() as patch:
        at_step(patch, 0, lambda: signal.raise_signal(signal.SIGINT))
        folder = start(steps=3).folder
    Image.new("RGB", (32, 32)).save(tmp_path / "data" / "dark" / "new.png")
    with pytest.raises(InputError, match="its files have other names or") as caught:
        resume(folder)
    assert str(tmp_path / "data" / "dark") in one_line(caught.value)


def test_resuming_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(InputError, match=re.escape("holds no config.toml: give a run's folder")):
        resume(tmp_path)


def test_a_run_killed_before_its_first_checkpoint_begins_again(
    start, tmp_path, at_step, monkeypatch
):
    with monkeypatch.context() as patch:
        at_step(patch, 2, lambda: (_ for _ in ()).throw(RuntimeError("the process dies")))
        with pytest.raises(RuntimeError, match="dies"):
            start(steps=3)
    folder = tmp_path / "run"
    assert not (folder / "state.pt").exists()
    assert resume(folder).step == 3
    assert [line["step"] for line in metrics(folder)] == [1, 2, 3]


def test_settings_of_the_resumed_run_are_those_of_the_file(start, tmp_path):
    folder = start(steps=2, ema=0.5, seed=4).folder
    plan = read_plan(folder)
    assert (plan.method, plan.run.ema, plan.run.seed, plan.config.width) == ("cyclegan", 0.5, 4, 4)
    assert plan.resolved.domains == ("dark", "bright")
    assert (plan.resolved.device, plan.resolved.precision) == ("cpu", "fp32")


def test_resume_can_take_another_number_of_workers_with_the_same_bits(
    start, tmp_path, at_step, monkeypatch
):
    whole = start(steps=3, out=str(tmp_path / "whole")).folder
    with monkeypatch.context() as patch:
        at_step(patch, 0, lambda: signal.raise_signal(signal.SIGINT))
        folder = start(steps=3).folder
    assert resume(folder, changes=Changes(workers=1)).step == 3
    assert losses(folder) == losses(whole)


def test_a_run_keeps_its_number_of_threads_and_gives_back_the_process_its_own(
    start, at_step, monkeypatch
):
    before, seen = torch.get_num_threads(), []
    at_step(monkeypatch, 1, lambda: seen.append(torch.get_num_threads()))
    outcome = start(steps=2, threads=3)
    assert seen == [3]
    assert torch.get_num_threads() == before
    assert read_plan(outcome.folder).resolved.threads == 3
