"""The run's log, and the progress display."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from diptych.errors import InputError
from diptych.training.log import METRICS_FILE, RunLog, read_metrics


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
    with RunLog(tmp_path) as log:
        write(log, 7, loss=0.1)
    assert (tmp_path / METRICS_FILE).read_text("utf-8") == (
        '{"step": 7, "losses": {"cycle": 0.100000001}, "learning_rates": {"generators": 0.0002}, '
        '"seconds": 0.7, "images_per_second": 9.8}\n'
    )


def test_nine_digits_tell_neighbouring_float32_apart(tmp_path: Path) -> None:
    value = np.float32(0.7123456)
    with RunLog(tmp_path) as log:
        write(log, 1, loss=float(value))
        write(log, 2, loss=float(np.nextafter(value, np.float32(1))))
    first, second = (m["losses"]["cycle"] for m in read_metrics(tmp_path / METRICS_FILE))
    assert np.float32(first) == value
    assert np.float32(second) == np.nextafter(value, np.float32(1))


def test_non_finite_losses_are_null_in_strict_json(tmp_path: Path) -> None:
    def fail(name: str) -> float:
        raise AssertionError(f"{name} is no JSON")

    with RunLog(tmp_path) as log:
        for step, loss in enumerate((float("nan"), float("inf"), -float("inf"))):
            write(log, step, loss=loss)
    lines = (tmp_path / METRICS_FILE).read_text("utf-8").splitlines()
    assert [json.loads(x, parse_constant=fail)["losses"]["cycle"] for x in lines] == [None] * 3


def test_each_line_is_readable_at_once(tmp_path: Path) -> None:
    with RunLog(tmp_path) as log:
        write(log, 1, 2)
        assert logged_steps(tmp_path) == [1, 2]


def test_resuming_drops_what_was_logged_beyond_the_checkpoint(tmp_path: Path) -> None:
    with RunLog(tmp_path) as log:
        write(log, 1, 2, 3, 4)
    with RunLog(tmp_path, resume_at=2) as log:
        assert logged_steps(tmp_path) == [1, 2]
        assert log.seconds_before == 0.2
        write(log, 3)
    assert logged_steps(tmp_path) == [1, 2, 3]


def test_resuming_drops_a_torn_last_line(tmp_path: Path) -> None:
    with RunLog(tmp_path) as log:
        write(log, 1, 2)
    path = tmp_path / METRICS_FILE
    path.write_bytes(path.read_bytes() + b'{"step": 3, "los')
    assert logged_steps(tmp_path) == [1, 2]
    with RunLog(tmp_path, resume_at=9) as log:
        write(log, 3)
    assert logged_steps(tmp_path) == [1, 2, 3]
    assert path.read_bytes().count(b"\n") == 3


def test_a_new_run_begins_anew(tmp_path: Path) -> None:
    with RunLog(tmp_path) as log:
        write(log, 1, 2)
    with RunLog(tmp_path) as log:
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
