"""The progress display."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from diptych.training.progress import TrainingProgress

SIX_TERMS = {"adversarial": 0.71, "cycle": 0.12, "identity": 0.034, "D_Y": 0.25, "D_X": 0.3}
SIX_TERMS |= {"gradient_penalty": 1234.5}


class Time:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def make_progress(width: int = 80, *, terminal: bool = False) -> tuple[TrainingProgress, Time]:
    time = Time()
    console = Console(file=io.StringIO(), width=width, force_terminal=terminal, color_system=None)
    return TrainingProgress(900, images_per_step=2, console=console, clock=time), time


def output(progress: TrainingProgress) -> str:
    file = progress._console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def test_a_file_gets_a_line_every_ten_seconds_and_one_at_the_end() -> None:
    progress, time = make_progress()
    with progress:
        for step in range(1, 126):
            time.now += 0.2
            progress.update(step, {"adversarial": 0.5, "cycle": 0.12})
    assert output(progress).splitlines() == [
        "step 50/900  6%  adversarial 0.5 cycle 0.12  10.0 images/s  2:50 left",
        "step 100/900  11%  adversarial 0.5 cycle 0.12  10.0 images/s  2:40 left",
        "step 125/900  14%  adversarial 0.5 cycle 0.12  10.0 images/s  2:35 left",
    ]


def test_losses_shown_are_a_moving_average_of_about_twenty() -> None:
    progress, _ = make_progress()
    progress.update(1, {"cycle": 0.0})
    progress.update(2, {"cycle": 21.0})
    assert "cycle 2 " in progress.line()  # 2 / (20 + 1) of the way


def test_a_loss_that_is_computed_no_more_leaves_the_display() -> None:
    progress, _ = make_progress()
    progress.update(1, {"cycle": 1.0, "identity": 1.0})
    for step in range(2, 21):
        progress.update(step, {"cycle": 1.0})
    assert "identity 1" in progress.line()
    progress.update(21, {"cycle": 1.0})
    assert "identity" not in progress.line()
    assert "cycle 1" in progress.line()


def test_the_rate_is_that_of_the_last_half_minute() -> None:
    progress, time = make_progress()
    for step in range(1, 41):  # 40 slow seconds, then 40 fast ones
        time.now += 1.0
        progress.update(step)
    for step in range(50, 450, 10):
        time.now += 1.0
        progress.update(step)
    assert progress.steps_per_second == pytest.approx(10.0)
    assert progress.images_per_second == pytest.approx(20.0)


def test_a_resumed_run_does_not_count_earlier_steps_as_speed() -> None:
    time = Time()
    console = Console(file=io.StringIO())
    progress = TrainingProgress(900, 800, console=console, clock=time)
    time.now += 10
    progress.update(820)
    assert progress.steps_per_second == pytest.approx(2.0)
    assert progress.line().endswith("0:40 left")


@pytest.mark.parametrize("width", [20, 40, 80, 120])
def test_the_display_keeps_to_two_lines_at_any_width(width: int) -> None:
    progress, time = make_progress(width, terminal=True)
    time.now += 3600
    progress.update(450, SIX_TERMS)
    progress._console.print(progress)
    lines = output(progress).splitlines()
    assert len(lines) == 2
    assert max(map(len, lines)) <= width
    if width >= 80:
        assert re.search(r"450/900 .* 50% .*1:00:00 elapsed .*1:00:00 left", lines[0])
    shown = "adversarial 0.71  cycle 0.12  identity 0.034  D_Y 0.25  D_X 0.3"
    assert (
        lines[1]
        == {
            20: "adversarial 0.71  …",
            40: "adversarial 0.71  cycle 0.12  …",
            80: f"{shown}  …",
            120: f"{shown}  gradient_penalty 1.23e+03",
        }[width]
    )


def test_before_the_first_step_no_time_is_promised() -> None:
    progress, _ = make_progress()
    assert progress.line() == "step 0/900  0%  0.0 images/s  –:–– left"
