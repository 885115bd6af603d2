"""What a page says of the machine and of time."""

from __future__ import annotations

import re

from diptych.report.facts import describe_machine, duration


def test_durations_use_the_two_largest_units() -> None:
    assert [duration(s) for s in (42.4, 302, 12_000)] == ["42 s", "5 min 2 s", "3 h 20 min"]


def test_the_machine_is_described_with_its_cores() -> None:
    assert re.search(r"\w.*, [1-9]\d* cores?\)?$", describe_machine())
