"""A run's folder: what is in it, how it goes on, and what it refuses."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path

import pytest
import torch
from PIL import Image

from diptych.checkpoint import load_state, load_translator
from diptych.errors import InputError
from diptych.training import speed
from diptych.training.run import resume
from diptych.training.settings import read_plan
from tests.training.reading import losses, metrics, one_line

# --- what a run leaves -----------------------------------------------------------


def test_snapshots_are_the_translators_of_their_steps(start, tmp_path):
    folder = start(steps=4, keep_every=2).folder
    kept = sorted(folder.glob("snapshots/*"))
    assert [path.name for path in kept] == ["00000002.safetensors", "00000004.safetensors"]
    assert kept[1].read_bytes() == (folder / "translator.safetensors").read_bytes()
    _, first = load_translator(kept[0])
    assert first.step == 2
    assert kept[0].read_bytes() != kept[1].read_bytes()
    start(steps=1, overwrite=True)
    assert not (folder / "snapshots").exists()


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


@pytest.mark.parametrize(
    ("epochs", "batch_size", "steps"),
    [
        (0.5, 1, 3),
        (1.0, 4, 2),
        (1.1, 2, 4),
    ],  # 5 images are left to train on: 5, 2 and 3 batches an epoch
)
def test_epochs_are_passes_through_the_larger_domain(start, epochs, batch_size, steps):
    outcome = start({"batch_size": batch_size}, epochs=epochs)
    assert outcome.steps == steps == load_state(outcome.folder)["step"]
    assert read_plan(outcome.folder).resolved.steps == steps


@pytest.mark.slow
def test_a_budget_in_minutes_fixes_the_steps_once_and_leaves_no_other_trace(
    start, tmp_path, monkeypatch
):
    monkeypatch.setattr(speed, "_LEAST_STEPS", 3)
    timed = start(minutes=0.02)
    resolved = read_plan(timed.folder).resolved
    assert resolved.steps == timed.steps == timed.step
    assert resolved.seconds_per_step is not None
    assert 0 < resolved.seconds_per_step < 1.2
    assert resolved.steps <= 1.2 / resolved.seconds_per_step + 1
    # Resuming does not measure again, and the run is the one that --steps would give.
    assert resume(timed.folder).steps == timed.steps
    counted = start(steps=timed.steps, out=str(tmp_path / "counted"))
    assert losses(counted.folder) == losses(timed.folder)


# --- folders that exist ----------------------------------------------------------


def test_an_existing_run_is_not_overwritten_unasked(start):
    folder = start(steps=1).folder
    before = (folder / "state.pt").read_bytes()
    with pytest.raises(InputError) as caught:
        start(steps=1, seed=1)
    message = one_line(caught.value)
    assert str(folder) in message
    assert f"diptych.resume('{folder}')" in message
    assert "overwrite=True" in message
    assert (folder / "state.pt").read_bytes() == before


def test_overwriting_removes_the_runs_files_and_no_others(start):
    folder = start(steps=3, preview_every=1).folder
    (folder / "notes.txt").write_text("mine")
    (folder / "photos").mkdir()
    (folder / "photos" / "one.png").write_bytes(b"mine too")
    start(steps=1, overwrite=True)
    assert (folder / "notes.txt").read_text() == "mine"
    assert (folder / "photos" / "one.png").read_bytes() == b"mine too"
    assert [line["step"] for line in metrics(folder)] == [1]
    assert len(list((folder / "previews").iterdir())) == 2
    assert load_state(folder)["step"] == 1


def test_a_folder_with_strangers_files_alone_is_used_without_asking(start, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    assert start(steps=1).is_finished
    assert (tmp_path / "run" / "notes.txt").read_text() == "mine"


def test_out_that_is_a_file_is_refused(start, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file"):
        start(out=str(tmp_path / "file"))


def test_what_cannot_be_used_leaves_nothing_behind(start, tmp_path):
    with pytest.raises(InputError):
        start(init=str(tmp_path / "nothing"))
    with pytest.raises(InputError):
        start(x=str(tmp_path / "nothing"))
    assert not (tmp_path / "run").exists()


# --- interrupts and resuming -------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_saves_at_the_iterations_end_and_resuming_changes_nothing(
    start, tmp_path, at_step, monkeypatch, number
):
    whole = start(steps=5, ema=0.9, out=str(tmp_path / "whole")).folder
    before = signal.getsignal(number)
    with monkeypatch.context() as patch:
        at_step(patch, 2, lambda: signal.raise_signal(number))
        outcome = start(steps=5, ema=0.9)
    assert (outcome.step, outcome.is_finished) == (3, False)
    assert signal.getsignal(number) is before
    assert load_state(outcome.folder)["step"] == 3
    assert len(metrics(outcome.folder)) == 3
    assert (outcome.folder / "report.html").exists()
    done = resume(outcome.folder)
    assert (done.step, done.was_finished) == (5, False)
    assert losses(outcome.folder) == losses(whole)
    for name in ("translator.safetensors", "previews/00000005.png"):
        assert (outcome.folder / name).read_bytes() == (whole / name).read_bytes()


def test_a_second_interrupt_acts_at_once_and_the_checkpoint_before_stays(
    start, tmp_path, at_step, monkeypatch
):
    def twice() -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    at_step(monkeypatch, 2, twice)
    with pytest.raises(KeyboardInterrupt):
        start(steps=5, checkpoint_every=1)
    assert load_state(tmp_path / "run")["step"] == 2


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
    with pytest.raises(InputError, match="files have changed") as caught:
        resume(folder)
    assert str(tmp_path / "data" / "dark") in one_line(caught.value)


def test_resuming_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(InputError, match=re.escape("config.toml cannot be read")):
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
    assert resume(folder, workers=1).step == 3
    assert losses(folder) == losses(whole)


def test_init_goes_on_from_another_runs_weights(start, tmp_path):
    first = start(steps=2, out=str(tmp_path / "first")).folder
    second = start(steps=1, init=str(first)).folder
    fresh = start(steps=1, out=str(tmp_path / "fresh")).folder
    weight = "G.1.weight"
    ends = {f.name: load_state(f)["method"][weight] for f in (first, second, fresh)}
    moved = (ends["run"] - ends["first"]).abs().max().item()
    assert 0 < moved <= 2.1e-4  # one step of Adam from there
    assert (ends["fresh"] - ends["first"]).abs().max().item() > 2.1e-4


def test_a_run_keeps_its_number_of_threads_and_gives_back_the_process_its_own(
    start, at_step, monkeypatch
):
    before, seen = torch.get_num_threads(), []
    at_step(monkeypatch, 1, lambda: seen.append(torch.get_num_threads()))
    outcome = start(steps=2, threads=3)
    assert seen == [3]
    assert torch.get_num_threads() == before
    assert read_plan(outcome.folder).resolved.threads == 3


def test_lr_scale_multiplies_every_rate(start):
    outcome = start(steps=4, lr_scale=3.0)
    lines = (outcome.folder / "metrics.jsonl").read_text().splitlines()
    rates = [json.loads(line)["learning_rates"] for line in lines]
    # Three times 2e-4 up to half of the budget; at three quarters, half of that.
    assert [rate["generators"] for rate in rates] == pytest.approx([6e-4, 6e-4, 6e-4, 3e-4])
