"""The run's log, and the progress display."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console

from diptych.errors import InputError
from diptych.training.log import METRICS_FILE, RunLog, read_metrics
from diptych.training.progress import TrainingProgress

SIX_TERMS = {"adversarial": 0.71, "cycle": 0.12, "identity": 0.034, "D_Y": 0.25, "D_X": 0.3}
SIX_TERMS |= {"gradient_penalty": 1234.5}


def write(log: RunLog, *steps: int, loss: float = 0.5) -> None:
    for step in steps:
        log.write(
            step,
            {"cycle": torch.tensor(loss)},
            learning_rates={"generators": 2e-4},
            seconds=step / 10,
            images_per_second=9.8,
        )


def logged_steps(folder: Path) -> list[int]:
    return [line["step"] for line in read_metrics(folder / METRICS_FILE)]


def test_a_logged_line_is_exactly_this_json(tmp_path: Path) -> None:
    with RunLog(tmp_path, tensorboard=False) as log:
        write(log, 7, loss=0.1)
    assert (tmp_path / METRICS_FILE).read_text("utf-8") == (
        '{"step": 7, "losses": {"cycle": 0.100000001}, "learning_rates": {"generators": 0.0002}, '
        '"seconds": 0.7, "images_per_second": 9.8}\n'
    )


def test_nine_digits_tell_neighbouring_float32_apart(tmp_path: Path) -> None:
    value = np.float32(0.7123456)
    with RunLog(tmp_path, tensorboard=False) as log:
        write(log, 1, loss=float(value))
        write(log, 2, loss=float(np.nextafter(value, np.float32(1))))
    first, second = (m["losses"]["cycle"] for m in read_metrics(tmp_path / METRICS_FILE))
    assert np.float32(first) == value
    assert np.float32(second) == np.nextafter(value, np.float32(1))


def test_non_finite_losses_are_null_in_strict_json(tmp_path: Path) -> None:
    def fail(name: str) -> float:
        raise AssertionError(f"{name} is no JSON")

    with RunLog(tmp_path, tensorboard=False) as log:
        for step, loss in enumerate((float("nan"), float("inf"), -float("inf"))):
            write(log, step, loss=loss)
    lines = (tmp_path / METRICS_FILE).read_text("utf-8").splitlines()
    assert [json.loads(x, parse_constant=fail)["losses"]["cycle"] for x in lines] == [None] * 3


def test_each_line_is_readable_at_once(tmp_path: Path) -> None:
    with RunLog(tmp_path, tensorboard=False) as log:
        write(log, 1, 2)
        assert logged_steps(tmp_path) == [1, 2]


def test_resuming_drops_what_was_logged_beyond_the_checkpoint(tmp_path: Path) -> None:
    with RunLog(tmp_path, tensorboard=False) as log:
        write(log, 1, 2, 3, 4)
    with RunLog(tmp_path, resume_at=2, tensorboard=False) as log:
        assert logged_steps(tmp_path) == [1, 2]
        assert log.seconds_before == 0.2
        write(log, 3)
    assert logged_steps(tmp_path) == [1, 2, 3]


def test_resuming_drops_a_torn_last_line(tmp_path: Path) -> None:
    with RunLog(tmp_path, tensorboard=False) as log:
        write(log, 1, 2)
    path = tmp_path / METRICS_FILE
    path.write_bytes(path.read_bytes() + b'{"step": 3, "los')
    assert logged_steps(tmp_path) == [1, 2]
    with RunLog(tmp_path, resume_at=9, tensorboard=False) as log:
        write(log, 3)
    assert logged_steps(tmp_path) == [1, 2, 3]
    assert path.read_bytes().count(b"\n") == 3


def test_a_new_run_begins_anew(tmp_path: Path) -> None:
    with RunLog(tmp_path, tensorboard=False) as log:
        write(log, 1, 2)
    with RunLog(tmp_path, tensorboard=False) as log:
        assert log.seconds_before == 0
    assert logged_steps(tmp_path) == []


@pytest.mark.parametrize("line", ["nonsense", "[1]", '{"losses": {}}', '{"step": "one"}'])
def test_a_damaged_line_in_the_middle_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / METRICS_FILE
    path.write_text(f'{{"step": 1}}\n{line}\n{{"step": 3}}\n')
    with pytest.raises(InputError, match=r'metrics.jsonl, line 2: .*"step"; delete that line'):
        read_metrics(path)


def test_missing_metrics_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"metrics.jsonl cannot be read \(No such file"):
        read_metrics(tmp_path / METRICS_FILE)


@pytest.mark.slow
def test_tensorboard_holds_each_step_once_after_a_resume(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with RunLog(tmp_path) as log:
        write(log, 1, 2, 3, loss=1.0)
        log.picture(2, Image.new("RGB", (6, 4), (255, 0, 0)))
    with RunLog(tmp_path, resume_at=2) as log:
        write(log, 3, 4, loss=2.0)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    losses = [(event.step, event.value) for event in events.Scalars("losses/cycle")]
    assert losses == [(1, 1.0), (2, 1.0), (3, 2.0), (4, 2.0)]
    rates = [round(event.value, 9) for event in events.Scalars("learning_rates/generators")]
    assert rates == [2e-4] * 4
    [picture] = events.Images("samples")
    assert (picture.step, picture.width, picture.height) == (2, 6, 4)


@pytest.mark.slow
def test_event_files_sort_by_name_in_the_order_they_were_opened(tmp_path: Path) -> None:
    opened: list[str] = []
    for _ in range(3):
        known = {path.name for path in (tmp_path / "tensorboard").glob("*")}
        with RunLog(tmp_path, resume_at=0):
            pass
        opened += sorted({path.name for path in (tmp_path / "tensorboard").glob("*")} - known)
    assert len(opened) == 3
    assert len({name.split(".")[3] for name in opened}) == 3  # no two of one second
    assert sorted(opened) == opened


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
