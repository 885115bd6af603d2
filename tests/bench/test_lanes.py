"""Pieces of work in real processes: how they begin, stop and break."""

from __future__ import annotations

import json
import subprocess
import time
from typing import Any

import pytest

from diptych.bench import lanes
from diptych.bench.job import STOPPED, make_spec
from diptych.bench.lanes import Lane, Piece, on_lanes
from diptych.data import open_data
from diptych.methods import make_config
from diptych.training.settings import Settings
from tests.bench.conftest import Ended


def test_pieces_begin_in_order_as_lanes_get_free_and_share_devices(tmp_path, monkeypatch):
    events: list[tuple[str, str]] = []

    def start(piece: Piece, lane: Lane) -> Ended:
        events.append((piece.stem.name, lane.device))
        piece.answer.write_text(f'{{"name": "{piece.stem.name}"}}')
        return Ended()

    monkeypatch.setattr(lanes, "start", start)
    answers: list[Any] = []
    pieces = [Piece(tmp_path / name, {}) for name in "abc"]
    on_lanes(
        pieces,
        [Lane("cuda:0", None), Lane("cuda:1", None)],
        begins=lambda piece: None,
        ends=lambda piece, answer: answers.append(answer["name"]),
    )
    assert events == [("a", "cuda:0"), ("b", "cuda:1"), ("c", "cuda:0")]
    assert answers == ["a", "b", "c"]


def test_a_process_that_broke_is_told_by_its_last_words(tmp_path, monkeypatch):
    piece = Piece(tmp_path / "one", {})
    piece.log.write_text("Traceback\nMemoryError: too large\n\n")
    monkeypatch.setattr(lanes, "start", lambda *_: Ended(1))
    told: list[dict[str, Any]] = []
    on_lanes([piece], [Lane("cpu", 1)], begins=lambda _: None, ends=lambda _, a: told.append(a))
    assert told == [{"why_not": "the process ended with code 1: MemoryError: too large"}]


@pytest.mark.slow
def test_a_piece_in_a_process_of_its_own_trains_and_stops_when_its_input_ends(
    paired_data, tmp_path
):
    config = make_config("cyclegan", {"size": 32, "width": 4, "blocks": 1})
    run = Settings(data=paired_data, steps=4000, workers=0, precision="fp32")
    more: dict[str, Any] = {"row": "r", "out": str(tmp_path / "out"), "runs": str(tmp_path)}
    more |= {"trains": True, "fingerprint": open_data(paired_data, size=32).fingerprint}
    piece = Piece(tmp_path / "r-0.job", make_spec("run", "cyclegan", config, run, **more))
    process = lanes.start(piece, Lane("cpu", 1))
    assert isinstance(process, subprocess.Popen)
    spec = json.loads((tmp_path / "r-0.job.spec.json").read_text())
    assert (spec["run"]["threads"], spec["run"]["device"]) == (1, "cpu")  # the lane's
    metrics = tmp_path / "r-0" / "metrics.jsonl"
    while not metrics.exists() or not metrics.stat().st_size:
        assert process.poll() is None, piece.log.read_text()
        time.sleep(0.05)
    lanes.stop(process)
    assert process.wait() == STOPPED
    assert (tmp_path / "r-0" / "state.pt").exists()
    assert not piece.answer.exists()
