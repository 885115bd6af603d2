"""Budgets become steps."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from diptych.checkpoint import load_state
from diptych.methods import make_config
from diptych.training import speed
from diptych.training.planning import with_steps_of_epochs
from diptych.training.run import resume
from diptych.training.settings import Plan, Resolved, Settings, read_plan
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


@pytest.mark.parametrize(
    ("run", "optimisers", "steps"),
    [
        ({}, {"generators": None}, 1500),  # 200 passes of 7.5 batches
        ({}, {}, 8),  # a method that trains nothing: one pass, rounded up
        ({"epochs": 2.0}, {}, 15),
        ({"epochs": 2.0}, {"generators": None}, 15),
        ({"steps": 3}, {"generators": None}, None),  # as it was given: `Resolved` has it already
        ({"minutes": 3.0}, {}, None),
    ],
)
def test_epochs_become_steps_and_the_default_is_one_pass_where_nothing_is_trained(
    run: dict[str, Any], optimisers: dict[str, None], steps: int | None
) -> None:
    resolved = Resolved(
        domains=("x", "y"), fingerprint="f", precision="fp32", device="cpu", threads=1
    )
    config = make_config("cyclegan", {})
    plan = Plan(method="cyclegan", config=config, run=Settings(**run), resolved=resolved)
    trainer: Any = SimpleNamespace(optimisers=optimisers, epoch_batches=7.5)
    assert with_steps_of_epochs(plan, trainer).resolved.steps == steps
