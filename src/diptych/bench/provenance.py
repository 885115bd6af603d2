"""By what code and on which machine a run was trained, stretch by stretch, and scored."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from diptych import __version__
from diptych.bench.place import Place, read_json, read_result, run_name, write_json
from diptych.report.facts import describe_machine

_KEYS = ("version", "torch", "commit", "has_uncommitted_changes", "machine")


def circumstances(*beside: Path) -> dict[str, Any]:
    """What a figure depends on beside the settings: the code, the machine, PyTorch.

    Folders `beside` Diptych's, in the same checkout, are code too.
    """
    known: dict[str, Any] = {"version": __version__, "torch": torch.__version__}
    commit, is_clean = _commit(*beside)
    if commit is not None:
        known |= {"commit": commit, "has_uncommitted_changes": not is_clean}
    return known | {"machine": describe_machine()}


class Stretches:
    """The circumstances of each stretch of one run: from a start to the next stop.

    They are on file from before the run trains.
    """

    def __init__(self, place: Place, row: str, seed: int, now: Mapping[str, Any]) -> None:
        """`now`: this stretch's circumstances."""
        self._file = place.runs / f"{run_name(row, seed)}.stretches.json"
        self._old_file = place.runs / f"{run_name(row, seed)}.sittings.json"
        self._result = read_result(place, row, seed) or {}
        self._now = dict(now)
        self._before: list[dict[str, Any]] = []

    def begin(self, *, anew: bool) -> None:
        """A stretch begins; `anew`: it is the first."""
        self._before = [] if anew else self._read()
        self._write([*self._before, self._now])

    def had_nothing_to_train(self) -> None:
        """The stretch that had begun was none."""
        self._write(self._before)

    def facts(self) -> dict[str, Any]:
        """The last stretch's circumstances; beside them all, if several differ, and the scoring's.

        A run that is older than the file of its stretches has them in its result.
        """
        known = self._read()
        known = [one for i, one in enumerate(known) if one not in known[:i]]
        if not known:
            old = {key: self._result[key] for key in _KEYS if key in self._result}
            known = [old or self._now]
        facts = dict(known[-1])
        if len(known) > 1:
            facts["stretches"] = known
        if self._now != known[-1]:
            facts["scored"] = self._now
        return facts

    def _read(self) -> list[dict[str, Any]]:
        return stretches_of(read_json(self._file) or read_json(self._old_file) or {})

    def _write(self, stretches: list[dict[str, Any]]) -> None:
        write_json(self._file, {"stretches": stretches})


def stretches_of(known: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The stretches that a result or a file of them names; Diptych 0.1.0 called them sittings."""
    return list(known.get("stretches", known.get("sittings", ())))


def _commit(*beside: Path) -> tuple[str | None, bool]:
    """Return the commit of a checkout of Diptych, and whether it is changed.

    The commit is None where Diptych is installed, even inside another checkout.
    """
    here = Path(__file__).parents[1]

    def git(*arguments: str) -> str | None:
        command = ["git", "-C", str(here), *arguments]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError:  # no git
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    if git("ls-files", "--error-unmatch", "__init__.py") is None:
        return None, False
    files = [f"{folder}/*.py" for folder in beside]
    return git("rev-parse", "HEAD"), git("status", "--porcelain", ".", *files) == ""
