"""From options to a number of steps."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from diptych.methods import make_config
from diptych.training.planning import with_steps_of_epochs
from diptych.training.settings import Plan, Resolved, Settings


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
