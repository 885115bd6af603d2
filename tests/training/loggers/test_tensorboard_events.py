"""TensorBoard's events of a run."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from diptych.training.log import RunLog
from diptych.training.loggers import LoggedRun, Logger, open_logger
from tests.training.test_log import write


def _events(folder: Path, resume_at: int | None) -> Logger:
    made = open_logger("tensorboard", LoggedRun(folder, resume_at, {}))
    assert made is not None
    return made


@pytest.mark.slow
def test_tensorboard_holds_each_step_once_after_a_resume(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with RunLog(tmp_path, None, [_events(tmp_path, None)]) as log:
        write(log, 1, 2, 3, loss=1.0)
        log.preview(2, Image.new("RGB", (6, 4), (255, 0, 0)))
    with RunLog(tmp_path, 2, [_events(tmp_path, 2)]) as log:
        write(log, 3, 4, loss=2.0)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    losses = [(event.step, event.value) for event in events.Scalars("losses/cycle")]
    assert losses == [(1, 1.0), (2, 1.0), (3, 2.0), (4, 2.0)]
    rates = [round(event.value, 9) for event in events.Scalars("learning_rates/generators")]
    assert rates == [2e-4] * 4
    [picture] = events.Images("previews")
    assert (picture.step, picture.width, picture.height) == (2, 6, 4)


@pytest.mark.slow
def test_event_files_sort_by_name_in_the_order_they_were_opened(tmp_path: Path) -> None:
    opened: list[str] = []
    for _ in range(3):
        known = {path.name for path in (tmp_path / "tensorboard").glob("*")}
        with RunLog(tmp_path, 0, [_events(tmp_path, 0)]):
            pass
        opened += sorted({path.name for path in (tmp_path / "tensorboard").glob("*")} - known)
    assert len(opened) == 3
    assert len({name.split(".")[3] for name in opened}) == 3  # no two of one second
    assert sorted(opened) == opened
