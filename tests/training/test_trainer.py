"""What changes as a run trains."""

from __future__ import annotations

import json
import logging

import pytest

from diptych.checkpoint import load_state


def test_init_goes_on_from_another_runs_weights(start, tmp_path):
    first = start(steps=2, out=str(tmp_path / "first")).folder
    second = start(steps=1, init=str(first)).folder
    fresh = start(steps=1, out=str(tmp_path / "fresh")).folder
    weight = "G.1.weight"
    ends = {f.name: load_state(f)["method"][weight] for f in (first, second, fresh)}
    moved = (ends["run"] - ends["first"]).abs().max().item()
    assert 0 < moved <= 2.1e-4  # one step of Adam from there
    assert (ends["fresh"] - ends["first"]).abs().max().item() > 2.1e-4


def test_lr_scale_multiplies_every_rate(start):
    outcome = start(steps=4, lr_scale=3.0)
    lines = (outcome.folder / "metrics.jsonl").read_text().splitlines()
    rates = [json.loads(line)["learning_rates"] for line in lines]
    # Three times 2e-4 up to half of the budget; at three quarters, half of that.
    assert [rate["generators"] for rate in rates] == pytest.approx([6e-4, 6e-4, 6e-4, 3e-4])


def test_parts_that_the_init_run_lacks_start_afresh_and_are_named(start, tmp_path, caplog):
    start(steps=2)
    with caplog.at_level(logging.WARNING, logger="diptych"):
        start(
            {"cycle_loss": "adversarial"},
            steps=2,
            init=str(tmp_path / "run"),
            out=str(tmp_path / "second"),
        )
    assert "has no C_X, C_Y: they start afresh" in caplog.text
