"""Small benches, whose pieces are carried out in this process."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from diptych.bench import job, lanes
from diptych.bench.lanes import Lane, Piece
from diptych.bench.place import Place, write_json
from diptych.bench.plan import make_bench
from diptych.bench.run import Options, Running

Carry = Callable[..., int]
TINY = {"size": 32, "width": 4, "blocks": 1, "buffer_size": 2, "batch_size": 1, "steps": 8}


class Ended:
    """A process that is over."""

    def __init__(self, code: int = 0) -> None:
        self.code = code

    def poll(self) -> int:
        return self.code

    def wait(self) -> int:
        return self.code


@pytest.fixture
def paired_data(picture_folders, tmp_path: Path) -> str:
    """Train and test images of two domains, with equal names: true pairs."""
    root = tmp_path / "dark2bright"
    root.mkdir()
    for part in ("train", "test"):
        for letter, made in zip("AB", picture_folders(where=f"made-{part}"), strict=True):
            Path(made).rename(root / f"{part}{letter}")
    return str(root)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "bench", tmp_path / "runs")


@pytest.fixture
def carried(monkeypatch: pytest.MonkeyPatch) -> list[Piece]:
    """The pieces as they are carried out, in this process and with made-up scores."""
    pieces: list[Piece] = []

    def start(piece: Piece, lane: Lane) -> Ended:
        pieces.append(piece)
        spec = {**piece.spec, "run": {**piece.spec["run"], "device": lane.device, "threads": 1}}
        write_json(piece.answer, job.carry_out(spec))
        return Ended()

    def score(file: Path, *_: Any) -> dict[str, Any]:
        step = int(file.stem) if file.stem.isdigit() else 8
        part = {"images": 6, "kid": {"mean": 1 / step, "std": 0.1}, "l1": step / 100}
        return {"features": "none", "dark→bright": part, "bright→dark": part, "notes": ["a"]}

    monkeypatch.setattr(lanes, "start", start)
    monkeypatch.setattr(job, "score", score)
    monkeypatch.setattr(job, "_MEASURED_SECONDS", 0.0)
    monkeypatch.setattr(job, "_MEASURED_STEPS", 1)
    monkeypatch.setattr(lanes, "_POLL_SECONDS", 0.0)
    return pieces


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
