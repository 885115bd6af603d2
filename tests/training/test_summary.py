"""A run's report, from what it has left in its folder."""

from __future__ import annotations

from dataclasses import replace

import pytest

from diptych.errors import InputError
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
    with pytest.raises(InputError, match=r"config\.toml cannot be read"):
        summarise(tmp_path)
