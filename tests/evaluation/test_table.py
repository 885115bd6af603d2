"""Scores as a table in the terminal."""

from __future__ import annotations

from rich.console import Console

from diptych.evaluation import scores_table


def test_the_table_shows_the_score_and_the_ceiling_below():
    figures = {"pixel_accuracy": 0.5, "class_accuracy": 0.25, "mean_iou": 0.125}
    scores = {
        "split": "test",
        "features": "none",
        "notes": (),
        "label→photo": {
            "images": 8,
            "fcn": figures,
            "fcn_of_real": {"pixel_accuracy": 0.875},
            "fcn_untranslated": {"pixel_accuracy": 0.375},
        },
    }
    console = Console(width=80)
    with console.capture() as captured:
        console.print(scores_table(scores))
    lines = [line.split() for line in captured.get().splitlines() if "FCN" in line or "of" in line]
    assert lines[0][-2] == "0.500"
    assert lines[1][-2] == "0.875"
    assert lines[2][-2] == "0.375"
