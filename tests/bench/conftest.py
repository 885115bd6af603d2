"""Small benches, whose pieces are carried out in this process."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from diptych.bench import job, lanes
from diptych.bench.lanes import Lane, Piece
from diptych.bench.place import Place, write_json
from diptych.bench.plan import make_bench
from diptych.bench.run import Options, Running
from diptych.training import speed

Carry = Callable[..., int]
TINY = {"size": 32, "width": 4, "blocks": 1, "buffer_size": 2, "batch_size": 1, "steps": 4}


class Ended:
    """A process that is over."""

    def __init__(self, code: int = 0) -> None:
        self.code = code

    def poll(self) -> int:
        return self.code

    def wait(self) -> int:
        return self.code


@pytest.fixture
def paired_data(parted_folders) -> str:
    """Train and test images of two domains, with equal names: true pairs."""
    return str(parted_folders("train", "test"))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "bench", tmp_path / "runs")


@dataclass
class Carried:
    """The pieces that a bench carries out in this process, and how."""

    pieces: list[Piece] = field(default_factory=list)
    way: Callable[[dict[str, Any]], dict[str, Any]] = field(default_factory=lambda: made_up)

    @property
    def names(self) -> list[str]:
        return [piece.stem.name for piece in self.pieces]


def made_up(spec: dict[str, Any]) -> dict[str, Any]:
    """What timing and training would answer, without either."""
    known = {"machine": "a machine", "threads": 1, "device": "cpu", "precision": "fp32"}
    facts = {"source": "dark2bright", "size": 32, "domains": ["dark", "bright"]}
    facts |= {"label_domains": [], "is_paired": True, "fingerprint": "f"}
    if spec["kind"] == "measure":
        costs = {"seconds_per_step": 0.05, "peak_gib": None, "parameters": 7}
        return known | costs | {"data": facts, "parts": ["dark→bright", "bright→dark"]}
    steps = spec["run"]["steps"]
    scores = {str(share): made_up_scores(steps * share // 100) for share in (25, 50, 100)}
    return known | {"steps": steps, "data": facts, "pictures": [], "scores": scores}


def made_up_scores(step: int) -> dict[str, Any]:
    part = {"images": 6, "kid": {"mean": 1 / step, "std": 0.1}, "l1": step / 100}
    return {"features": "none", "dark→bright": part, "bright→dark": part, "notes": ["a"]}


@pytest.fixture
def carried(monkeypatch: pytest.MonkeyPatch) -> Carried:
    """Pieces are carried out here, and by default made up."""
    carried = Carried()

    def start(piece: Piece, lane: Lane) -> Ended:
        carried.pieces.append(piece)
        spec = {**piece.spec, "run": {**piece.spec["run"], "device": lane.device, "threads": 1}}
        write_json(piece.answer, carried.way(spec))
        return Ended()

    monkeypatch.setattr(lanes, "start", start)
    monkeypatch.setattr(lanes, "_POLL_SECONDS", 0.0)
    return carried


@pytest.fixture
def trained(carried: Carried, monkeypatch: pytest.MonkeyPatch) -> Carried:
    """Pieces are carried out here in earnest, but for the scores."""

    def score(file: Path, *_: Any, **__: Any) -> Any:
        made_up = made_up_scores(int(file.stem) if file.stem.isdigit() else 4)
        return SimpleNamespace(to_dict=lambda: made_up)

    carried.way = job.carry_out
    monkeypatch.setattr(job, "score_file", score)
    monkeypatch.setattr(job, "_MEASURED_SECONDS", 0.0)
    monkeypatch.setattr(speed, "_LEAST_STEPS", 1)
    monkeypatch.setattr(speed, "_WARM_UP_STEPS", 0)
    return carried


@pytest.fixture
def bench(carried, paired_data: str, place: Place) -> Carry:
    """Carries out a bench of tiny rows; returns how many runs failed."""

    def carry(*rows: Any, options: Options | None = None, **plan: Any) -> int:
        given = TINY | {"data": paired_data, "workers": 0, "precision": "fp32"} | plan
        given = {key: value for key, value in given.items() if value is not None}
        made = make_bench(given | {"rows": list(rows) or ["cyclegan"]})
        console = Console(file=io.StringIO())
        return Running(made, place, options or Options(device="cpu"), console).run()

    return carry
