"""Before the first long wait: how long it will be, and what a shorter way is."""

from __future__ import annotations

import re
import signal
import time
from dataclasses import replace
from typing import Any

import pytest

from diptych.errors import command_line
from diptych.methods import make_config
from diptych.methods.cyclegan import CycleGAN
from diptych.training import forecast as forecast_module
from diptych.training import planning
from diptych.training.forecast import Forecast
from diptych.training.presets import chosen
from diptych.training.run import resume
from diptych.training.settings import Plan, Resolved, Settings


def _plan(config: dict[str, Any] | None = None, compiled: bool = False, **run: Any) -> Plan:
    resolved = Resolved(
        domains=("x", "y"), fingerprint="f", precision="bf16", device="cpu", threads=1,
        compiled=compiled,
    )  # fmt: skip
    config = make_config("cyclegan", config or {})
    return Plan(method="cyclegan", config=config, run=Settings(**run), resolved=resolved)


def _told(
    seconds: list[float], steps: int = 16_000, plan: Plan | None = None, **more: Any
) -> tuple[int, list[str]]:
    """After how many steps something is told, and what; `seconds` are what each step takes."""
    now = 100.0
    forecast = Forecast(plan or _plan(), steps, clock=lambda: now, **more)
    told: tuple[int, list[str]] = (0, [])
    for step, each in enumerate(seconds, 1):
        now += each
        lines = forecast.after_step()
        if lines:
            assert not told[1], "it is told once"
            told = step, lines
    return told


def test_a_long_training_without_a_budget_says_how_long_and_how_to_have_it_shorter():
    when, lines = _told([9.0, 7.9, 7.9])
    assert when == 1  # nine seconds have gone by: the user waits no longer for this
    assert lines[0] == (
        "at most about 40 hours on this machine (cpu, bf16): 16,000 steps of up to 9 s"
    )
    when, lines = _told([3.0, 2.0, 2.0, 2.0, 2.0])
    assert when == 4
    assert lines == [
        "about 8.9 hours on this machine (cpu, bf16): 16,000 steps of 2 s",
        "shorter: stop, and begin again with overwrite=True and preset='fast', minutes=30,"
        " or steps=1800 (an hour)",
    ]


def test_in_a_shell_the_ways_are_flags():
    with command_line():
        _, lines = _told([2.0] * 4)
    assert lines[1] == (
        "shorter: stop, and begin again with --overwrite and --preset fast --minutes 30,"
        " or --steps 1800 (an hour)"
    )


def test_the_first_step_is_not_counted_if_others_can_be_had_soon():
    assert _told([7.0, 0.5, 0.5, 0.5])[1][0].endswith("16,000 steps of 0.5 s")  # 8 s have gone by
    when, lines = _told([0.9] + [0.25] * 30)
    assert when == 9  # two seconds of steps: fewer would be a guess
    assert lines[0] == "about 67 minutes on this machine (cpu, bf16): 16,000 steps of 0.25 s"


def test_while_kernels_are_compiled_nothing_is_told():
    when, lines = _told([60.0, 20.0, 0.5, 0.5], plan=_plan(compiled=True))
    assert (when, lines[0].rpartition("of ")[2]) == (3, "0.5 s")


@pytest.mark.parametrize(
    ("steps", "duration"),
    [
        (299, None),
        (300, "10 minutes"),
        (2699, "90 minutes"),
        (2700, "1.5 hours"),
        (80_000, "44 hours"),
        (86_400, "2.0 days"),
        (864_000, "20 days"),
    ],
)
def test_durations_are_told_in_the_unit_that_suits_them(steps, duration):
    _, lines = _told([2.0] * 4, steps=steps)
    assert [re.match("about (.*) on", line)[1] for line in lines[:1]] == (
        [duration] if duration else []
    )


@pytest.mark.parametrize("budget", [{"steps": 16_000}, {"epochs": 200.0}, {"minutes": 600.0}])
def test_who_gave_a_budget_is_told_how_long_alone(budget):
    _, lines = _told([2.0] * 4, plan=_plan(**budget))
    assert len(lines) == 1
    assert lines[0].startswith("about 8.9 hours")


def test_what_is_fast_already_is_not_advised_to_be():
    config, run = chosen("cyclegan", preset="fast")
    _, lines = _told([2.0] * 4, plan=_plan(config, **run))
    assert "overwrite=True and minutes=30, or steps=1800" in lines[1]


def test_several_processes_are_named():
    plan = _plan()
    plan = replace(plan, resolved=replace(plan.resolved, processes=4, device="cuda"))
    assert "(4 processes, cuda, bf16)" in _told([2.0] * 4, plan=plan)[1][0]


def test_a_resumed_training_is_not_told_of():
    assert _told([2.0] * 9, done=3) == (0, [])


@pytest.mark.slow
def test_a_slow_method_is_told_of_after_four_of_its_own_steps(
    start, monkeypatch, at_step, capfd, tmp_path
):
    real = CycleGAN.iteration

    def slow(self, batches, clock):
        time.sleep(0.3)
        yield from real(self, batches, clock)

    monkeypatch.setattr(CycleGAN, "iteration", slow)
    monkeypatch.setattr(planning, "DEFAULT_EPOCHS", 100_000.0)  # of 5 steps each
    monkeypatch.setattr(forecast_module, "_LEAST_SECONDS", 0.5)
    with monkeypatch.context() as patch:
        at_step(patch, 4, lambda: signal.raise_signal(signal.SIGINT))
        folder = start(steps=None).folder
    told = capfd.readouterr().err.splitlines()
    (line,) = [line for line in told if line.startswith("about ")]
    found = re.fullmatch(
        r"about ([\d.]+) (hours|days) on this machine \(cpu, fp32\): 500,000 steps of ([\d.]+) s",
        line,
    )
    assert found is not None
    seconds = float(found[1]) * {"hours": 3600, "days": 86_400}[found[2]]
    assert 0.3 <= float(found[3]) < 1.0  # the sleep, and a step of a tiny network
    assert seconds == pytest.approx(500_000 * float(found[3]), rel=0.1)
    (shorter,) = [line for line in told if line.startswith("shorter: ")]
    steps = int(re.search(r"steps=(\d+) \(an hour\)", shorter)[1])
    assert steps * float(found[3]) == pytest.approx(3600, rel=0.1)
    with monkeypatch.context() as patch:
        at_step(patch, 9, lambda: signal.raise_signal(signal.SIGINT))
        assert resume(folder).step == 10
    assert "on this machine" not in capfd.readouterr().err


def test_a_short_training_is_begun_without_a_word_of_how_long(start, capfd, monkeypatch):
    monkeypatch.setattr(forecast_module, "_LEAST_SECONDS", 0.0)
    start(steps=6)
    assert "on this machine" not in capfd.readouterr().err


def test_starts_are_told_of_before_the_first_of_them_is_through(
    start, paired_folders, monkeypatch, capfd
):
    monkeypatch.setattr(forecast_module, "_LEAST_SECONDS", 0.0)
    monkeypatch.setattr(forecast_module, "_WORTH_TELLING", 0.0)
    start(x=None, y=None, data=str(paired_folders), steps=50, starts=2)
    told = capfd.readouterr().err.splitlines()
    (line,) = [line for line in told if "on this machine" in line]
    assert ": 55 steps of " in line  # a tenth of the budget on top
    first = next(i for i, line in enumerate(told) if line.startswith("start 1:"))
    assert told.index(line) < first
