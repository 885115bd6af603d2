"""Several starts, of which the best goes on."""

from __future__ import annotations

import signal

import pytest
import torch

from diptych.checkpoint import load_state, save_state
from diptych.data import open_data
from diptych.errors import InputError
from diptych.evaluation.scores import Scores
from diptych.scoring import evaluate
from diptych.training import folder as folder_module
from diptych.training import planning
from diptych.training import starts as starts_module
from diptych.training.notebook import Notebook
from diptych.training.ranks import Ranks
from diptych.training.run import outcome_line, resume
from diptych.training.settings import Settings, read_plan
from diptych.training.starts import budget_of_all, judge, steps_of_one
from diptych.training.trainer import Trainer
from tests.training.reading import metrics, one_line


@pytest.fixture
def paired(paired_folders):
    """Options of a run whose validation split has true pairs."""
    return {"x": None, "y": None, "data": str(paired_folders)}


def test_a_start_takes_a_tenth_and_all_but_one_come_on_top():
    assert [steps_of_one(steps) for steps in (1, 10, 11, 1000)] == [1, 1, 2, 100]
    assert budget_of_all(1) == 1
    assert budget_of_all(4) == pytest.approx(1.3)


def test_the_best_start_goes_on_with_the_weights_that_it_had(start, paired, monkeypatch):
    figures, judged, saved = iter([0.1, 0.7, 0.4]), [], []

    def judge_by_list(trainer, data, size):
        judged.append({name: w.clone() for name, w in trainer.method.named_parameters()})
        return "luck", next(figures)

    def save(folder, state):
        saved.append(state)
        save_state(folder, state)

    monkeypatch.setattr(starts_module, "judge", judge_by_list)
    monkeypatch.setattr(folder_module, "save_state", save)
    folder = start(steps=11, starts=3, **paired).folder
    assert len(saved) == 1
    assert saved[0]["step"] == 2
    weights = saved[0]["method"]
    assert all(torch.equal(w, weights[name]) for name, w in judged[1].items())
    assert not any(torch.equal(weights["G.1.weight"], j["G.1.weight"]) for j in judged[::2])
    assert load_state(folder)["step"] == 11
    assert [line["step"] for line in metrics(folder)] == list(range(3, 12))
    resolved = read_plan(folder).resolved
    assert (resolved.starts, resolved.starts_by) == ((0.1, 0.7, 0.4), "luck")


def test_one_start_of_several_has_the_bits_of_the_run_that_has_but_that_one(
    start, paired, monkeypatch, tmp_path
):
    monkeypatch.setattr(starts_module, "judge", lambda *_: ("luck", 0.0))  # the first of equals
    several = start(steps=6, starts=2, **paired).folder
    one = start(steps=6, out=str(tmp_path / "one"), **paired).folder
    assert (several / "translator.safetensors").read_bytes() == (
        one / "translator.safetensors"
    ).read_bytes()


def test_starts_are_judged_on_validation_pairs_by_l1(start, paired):
    folder = start(steps=2, starts=2, **paired).folder
    resolved = read_plan(folder).resolved
    assert resolved.starts_by == "1 − L1"
    scores = evaluate(folder, split="validation").to_dict()
    plan = read_plan(folder)
    data = open_data(paired["data"], size=32)
    trainer = Trainer(plan, data, load_state(folder), Ranks())
    name, figure = judge(trainer, data, 32)
    trainer.close()
    mean = sum(scores[d]["l1"] for d in ("dark→bright", "bright→dark")) / 2
    assert (name, figure) == ("1 − L1", pytest.approx(1 - mean, abs=1e-6))
    assert trainer.method.training
    best = resolved.starts.index(max(resolved.starts)) + 1
    note = f"of 2 starts, number {best} was trained on: by 1 − L1 on the validation split"
    assert note in scores["notes"][-1]
    assert note in (folder / "report.html").read_text(encoding="utf-8")


def test_accuracy_of_label_colours_goes_before_l1():
    scores = Scores("validation", None, {"a": {"l1": 0.5}, "b": {"pixel_accuracy": 0.3}}, ())
    assert starts_module._figure(scores) == ("per-pixel accuracy", 0.3)


@pytest.mark.parametrize("killed_in_start", [0, 1])
def test_interrupted_while_starts_are_tried_it_goes_on_to_the_same_bits(
    start, paired, monkeypatch, tmp_path, killed_in_start
):
    whole = start(steps=11, starts=2, out=str(tmp_path / "whole"), **paired).folder
    real, seen = starts_module.Trainer.step, []

    def step(self, steps):
        seen.append(steps)
        if len(seen) == 2 * killed_in_start + 1:
            signal.raise_signal(signal.SIGINT)
        return real(self, steps)

    with monkeypatch.context() as patch:
        patch.setattr(starts_module.Trainer, "step", step)
        outcome = start(steps=11, starts=2, **paired)
    assert (outcome.step, outcome.is_finished) == (0, False)
    assert not (outcome.folder / "state.pt").exists()
    assert outcome_line(outcome).startswith("stopped at step 0 of 11; go on with: diptych.resume(")
    assert resume(outcome.folder).is_finished
    assert (outcome.folder / "translator.safetensors").read_bytes() == (
        whole / "translator.safetensors"
    ).read_bytes()


def test_minutes_pay_for_the_starts_that_are_dropped(start, paired, monkeypatch):
    monkeypatch.setattr(planning, "seconds_per_step", lambda *_: 1.0)
    monkeypatch.setattr(planning, "judge", lambda *_: ("luck", 0.0))
    monkeypatch.setattr(planning, "_OVERHEAD", 1.0)
    steps = start(minutes=0.5, starts=4, **paired).steps
    assert 19 <= steps <= 23  # 23.1 of the 30 that one start would have had, less the set-up


def test_without_true_pairs_starts_cannot_be_compared(start, picture_folders, tmp_path):
    x, y = picture_folders(count=6, where="unpaired")
    (tmp_path / "unpaired" / "dark" / "0.png").rename(tmp_path / "unpaired" / "dark" / "z.png")
    with pytest.raises(InputError) as error:
        start(x=x, y=y, starts=2)
    assert "starts=2 compares starts on true pairs" in one_line(error.value)
    assert not (tmp_path / "run").exists()


def test_starts_and_init_exclude_each_other():
    with pytest.raises(InputError, match="give init or starts"):
        Settings(starts=2, init="runs/x")
    with pytest.raises(InputError, match="starts is 0: it must be above 0"):
        Settings(starts=0)


def test_in_a_notebook_starts_have_a_bar_too(start, paired, monkeypatch):
    class Recorded(Notebook):
        def progress(self, share, line):
            shares.append(share)

        def message(self, text):
            messages.append(text)

    shares: list[float] = []
    messages: list[str] = []
    monkeypatch.setattr(starts_module, "find_notebook", Recorded)
    start(steps=11, starts=2, **paired)
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    assert messages[0] == "trying 2 starts, 2 steps each"
    assert messages[-1].endswith(" goes on")
