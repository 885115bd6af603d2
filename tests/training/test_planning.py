"""Budgets become steps."""

from __future__ import annotations

import pytest

from diptych.checkpoint import load_state
from diptych.training import speed
from diptych.training.run import resume
from diptych.training.settings import read_plan
from tests.training.reading import losses


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
