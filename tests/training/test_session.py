"""One stretch of training: snapshots, interrupts, what it leaves."""

from __future__ import annotations

import signal

import pytest
import torch

from diptych.checkpoint import load_state, load_translator
from diptych.methods.cyclegan import CycleGAN
from diptych.training.run import resume
from tests.training.reading import losses, metrics


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


def test_collapse_is_named_once_a_kind_when_it_begins_and_not_before_the_first_step(
    start, picture_folders, monkeypatch, capsys
):
    x, y = picture_folders(count=60, where="more")  # of which three are held out
    calls = []

    def translate(self, image, to, rng=None):
        calls.append(to)
        # A preview has four translations. From that of step 2 on, Y comes out black, and X alike.
        if len(calls) <= 8:
            return image
        return -torch.ones_like(image) if to == (1,) else image[:1].expand_as(image)

    monkeypatch.setattr(CycleGAN, "translate", translate)
    start(steps=4, preview_every=1, x=x, y=y)
    lines = [line for line in capsys.readouterr().err.splitlines() if "collapsed" in line]
    assert len(calls) == 20
    assert [line.partition(" (")[0] for line in lines] == [
        "warning: at step 2, dark→bright has collapsed: outputs are black",
        "warning: at step 2, bright→dark has collapsed: outputs are alike for unlike inputs",
    ]
    monkeypatch.setattr(CycleGAN, "translate", lambda self, image, to, rng=None: 0 * image)
    start(steps=3, preview_every=1, overwrite=True)
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "collapsed" in line]
    assert line.startswith("warning: at step 2, dark→bright has collapsed: outputs are of one")


def test_a_sound_run_says_nothing_of_collapse(start, picture_folders, capsys):
    x, y = picture_folders(count=60, where="more")
    start(steps=3, preview_every=1, x=x, y=y)
    assert "collapsed" not in capsys.readouterr().err


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
