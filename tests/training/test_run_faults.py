"""What can go wrong in a run: bad numbers, full disks, damaged files, kills."""

from __future__ import annotations

import errno
import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import pytest
import torch

import diptych.checkpoint
from diptych.checkpoint import load_state, save_state
from diptych.errors import InputError
from diptych.files import atomic_write
from diptych.methods.cyclegan import CycleGAN
from diptych.training.loop import DivergedError
from diptych.training.run import Outcome, resume
from tests.training.reading import losses, one_line


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_good_checkpoint(
    start, monkeypatch, tmp_path
):
    real = CycleGAN._cycle

    def spoilt(self: CycleGAN, C: Any, image: Any, cycled: Any) -> Any:
        spoilt.calls += 1
        return real(self, C, image, cycled) * (float("nan") if spoilt.calls > 6 else 1)

    spoilt.calls = 0  # two a step: the fourth step is spoilt
    monkeypatch.setattr(CycleGAN, "_cycle", spoilt)
    with pytest.raises(DivergedError) as caught:
        start(steps=6, checkpoint_every=2)
    message = one_line(caught.value)
    assert message.startswith("cycle is nan at step 4")
    assert "the checkpoint of step 2 is good" in message
    state = load_state(tmp_path / "run")
    assert state["step"] == 2
    assert all(w.isfinite().all() for w in state["method"].values() if isinstance(w, torch.Tensor))
    assert (tmp_path / "run" / "report.html").stat().st_size > 10_000  # its curves show how


class _Full:
    """A file on a disk that fills up after `room` bytes."""

    def __init__(self, file: IO[bytes], room: int) -> None:
        self._file, self._room = file, room

    def write(self, data: Any) -> int:
        size = memoryview(data).nbytes
        if size > self._room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._room -= size
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "room"), [("state.new.pt", 0), ("state.new.pt", 5000), ("translator.safetensors", 100)]
)
def test_a_full_disk_leaves_the_last_checkpoint_and_room_to_go_on(
    start, tmp_path, monkeypatch, name, room
):
    whole = start(steps=5, out=str(tmp_path / "whole")).folder
    written = []

    @contextmanager
    def filling(path: Path) -> Iterator[Any]:
        written.append(path.name)
        with atomic_write(path) as file:
            yield _Full(file, room) if written.count(name) == 2 and path.name == name else file

    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(diptych.checkpoint, "atomic_write", filling)
        with pytest.raises(InputError) as caught:
            start(steps=5, checkpoint_every=2)
    message = one_line(caught.value)
    assert "No space left on device" in message
    assert str(folder) in message
    assert load_state(folder)["step"] == 2
    assert not list(folder.glob(".*")), "a temporary file takes room that is not there"
    assert resume(folder).step == 5
    assert losses(folder) == losses(whole)
    translator = "translator.safetensors"
    assert (folder / translator).read_bytes() == (whole / translator).read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["cut", "flip"])
def test_a_damaged_state_falls_back_to_the_one_before_and_ends_with_the_same_bits(
    start, tmp_path, at_step, monkeypatch, caplog, damage
):
    whole = start(steps=5, out=str(tmp_path / "whole")).folder
    with monkeypatch.context() as patch:
        at_step(patch, 3, lambda: signal.raise_signal(signal.SIGINT))
        folder = start(steps=5, checkpoint_every=2).folder
    path = folder / "state.pt"
    content = bytearray(path.read_bytes())
    if damage == "cut":
        del content[len(content) // 2 :]
    else:
        content[len(content) // 2] ^= 4
    path.write_bytes(content)
    with caplog.at_level(logging.WARNING, "diptych"):
        assert resume(folder).step == 5
    assert f"{path} is damaged" in caplog.text
    assert losses(folder) == losses(whole)


def test_a_stale_new_state_is_the_newest_that_is_whole(start, at_step, monkeypatch):
    with monkeypatch.context() as patch:
        at_step(patch, 1, lambda: signal.raise_signal(signal.SIGINT))
        folder = start(steps=3).folder
    newer = {k: v for k, v in load_state(folder).items() if k != "format"} | {"marker": 1}
    save_state(folder, newer)
    (folder / "state.pt").replace(folder / "state.new.pt")  # killed between the two renames
    assert load_state(folder)["marker"] == 1
    assert replace(resume(folder), folder=Path()) == Outcome(Path(), 3, 3)


def test_a_run_is_not_begun_from_the_run_that_it_would_overwrite(start, tmp_path):
    start(steps=2)
    before = (tmp_path / "run" / "state.pt").read_bytes()
    with pytest.raises(InputError, match="is the run to be overwritten: give another out"):
        start(steps=2, init=str(tmp_path / "run"), overwrite=True)
    assert (tmp_path / "run" / "state.pt").read_bytes() == before
