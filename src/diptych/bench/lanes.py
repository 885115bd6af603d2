"""Pieces of work in processes of their own, as many at a time as there are lanes for them."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from diptych.bench.place import read_json, write_json

_POLL_SECONDS = 0.2


class Process(Protocol):
    """The part of `subprocess.Popen` that is used here."""

    def poll(self) -> int | None: ...

    def wait(self) -> int: ...


@dataclass(frozen=True)
class Lane:
    """What one piece of work has for itself."""

    device: str
    threads: int | None
    """None: as many as the machine has."""


@dataclass(frozen=True)
class Piece:
    """One piece of work: a spec for `diptych.bench.job`, and the stem of its files."""

    stem: Path
    spec: Mapping[str, Any]
    modules: tuple[str, ...] = ()
    """Modules of methods from outside that the process imports, as the user named them."""

    @property
    def answer(self) -> Path:
        return self.stem.with_name(f"{self.stem.name}.answer.json")

    @property
    def log(self) -> Path:
        return self.stem.with_name(f"{self.stem.name}.log")


def on_lanes(
    pieces: Iterable[Piece],
    lanes: Iterable[Lane],
    *,
    begins: Callable[[Piece], None],
    ends: Callable[[Piece, dict[str, Any]], None],
) -> None:
    """Carry out all pieces in their order; `ends` gets what came of each, as it ends.

    A process that broke leaves `why_not`.

    Raises:
        KeyboardInterrupt: stopped; the pieces at work have saved where they stand.
    """
    waiting, free = list(reversed(list(pieces))), list(lanes)
    running: list[tuple[Piece, Lane, Process]] = []
    try:
        while waiting or running:
            while waiting and free:
                piece, lane = waiting.pop(), free.pop(0)
                begins(piece)
                running.append((piece, lane, start(piece, lane)))
            for one in list(running):
                piece, lane, process = one
                code = process.poll()
                if code is None:
                    continue
                running.remove(one)
                free.append(lane)
                ends(piece, _outcome(piece, code))
            if running:
                time.sleep(_POLL_SECONDS)
    finally:
        for _, _, process in running:
            stop(process)
        for _, _, process in running:
            process.wait()


def start(piece: Piece, lane: Lane) -> Process:
    """Begin a piece; its messages go to its log."""
    spec = dict(piece.spec)
    spec["run"] = {**spec["run"], "device": lane.device}
    if lane.threads is not None:
        spec["run"]["threads"] = min(lane.threads, spec["run"].get("threads", lane.threads))
    file = piece.stem.with_name(f"{piece.stem.name}.spec.json")
    write_json(file, spec)
    piece.answer.unlink(missing_ok=True)
    with piece.log.open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "diptych.bench.job", file, piece.answer, *piece.modules],
            stdin=subprocess.PIPE,  # it stops when this ends
            stdout=log,
            stderr=log,
            # Ctrl-C is for this process alone, which then stops the others once.
            start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )


def stop(process: Process) -> None:
    """Ask a process to save and end."""
    stdin = getattr(process, "stdin", None)
    if stdin is not None:
        with suppress(OSError):
            stdin.close()


def _outcome(piece: Piece, code: int) -> dict[str, Any]:
    answer = read_json(piece.answer) if code == 0 else None
    if answer is not None:
        return answer
    lines = piece.log.read_text("utf-8", "replace").split("\n") if piece.log.exists() else []
    last = next((line.strip() for line in reversed(lines) if line.strip()), "no message")
    return {"why_not": f"the process ended with code {code}: {last}"}
