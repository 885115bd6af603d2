"""A run's report, from what it has left in its folder."""

from __future__ import annotations

import signal
from dataclasses import replace

import pytest

from diptych.errors import InputError
from diptych.training.previews import latest_preview, previews_of
from diptych.training.run import resume
from diptych.training.settings import read_plan, write_plan
from diptych.training.summary import starts_note, summarise


def test_the_report_is_made_again_from_the_folder_alone(start) -> None:
    folder = start(steps=3, preview_every=1).folder
    (folder / "report.html").unlink()
    assert summarise(folder, notes=("a note",)) == folder / "report.html"
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "CycleGAN on " in page
    assert "a note" in page
    assert page.count("data:image/") >= 3
    assert "NaN" not in page


def test_a_run_that_began_with_samples_goes_on_with_previews_and_shows_both(
    start, at_step, monkeypatch
) -> None:
    with monkeypatch.context() as patch:
        at_step(patch, 1, lambda: signal.raise_signal(signal.SIGINT))
        folder = start(steps=4, preview_every=2).folder
    (folder / "previews").rename(folder / "samples")  # where version 0.1.0 has them
    assert [step for step, _ in previews_of(folder)] == [0, 2]
    resume(folder)
    assert [path.name for path in sorted((folder / "samples").iterdir())] == [
        "00000000.png",
        "00000002.png",
    ]
    assert previews_of(folder)[2:] == [(4, folder / "previews" / "00000004.png")]
    assert latest_preview(folder) == folder / "previews" / "00000004.png"
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert [f"Step {step}" in page for step in (0, 2, 4)] == [True, True, True]


def test_a_chosen_start_is_told_with_all_figures(start) -> None:
    folder = start(steps=1).folder
    plan = read_plan(folder)
    assert starts_note(plan) == ()
    resolved = replace(plan.resolved, starts=(0.25, 0.5, 0.125), starts_by="accuracy")
    write_plan(folder, replace(plan, resolved=resolved))
    (note,) = starts_note(read_plan(folder))
    assert note.startswith("of 3 starts, number 2 was trained on: by accuracy")
    assert note.endswith("(0.250, 0.500, 0.125)")


def test_a_folder_without_a_run_is_named(tmp_path) -> None:
    with pytest.raises(InputError, match=r"holds no config\.toml"):
        summarise(tmp_path)
