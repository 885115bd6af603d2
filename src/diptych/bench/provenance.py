"""By what code and on which machine a run was trained, sitting by sitting, and scored."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from diptych import __version__
from diptych.bench.place import Place, read_json, write_json
from diptych.report.page import describe_machine

_KEYS = ("version", "torch", "commit", "has_uncommitted_changes", "machine")


def circumstances() -> dict[str, Any]:
    """What a figure depends on beside the settings: the code, the machine, PyTorch."""
    known: dict[str, Any] = {"version": __version__, "torch": torch.__version__}
    commit, is_clean = _commit()
    if commit is not None:
        known |= {"commit": commit, "has_uncommitted_changes": not is_clean}
    return known | {"machine": describe_machine()}


class Sittings:
    """The circumstances of each sitting of one run, on file from before it trains."""

    def __init__(self, place: Place, row: str, seed: int, now: Mapping[str, Any]) -> None:
        """`now`: this sitting's."""
        self._file = place.runs / f"{row}-{seed}.sittings.json"
        self._result = place.result(row, seed)
        self._now = dict(now)
        self._before: list[dict[str, Any]] = []

    def begin(self, *, anew: bool) -> None:
        """A sitting begins; `anew`: it is the first."""
        self._before = [] if anew else (read_json(self._file) or {"sittings": []})["sittings"]
        self._write([*self._before, self._now])

    def had_nothing_to_train(self) -> None:
        """The sitting that had begun was none."""
        self._write(self._before)

    def facts(self) -> dict[str, Any]:
        """The last sitting's circumstances; beside them all, if several differ, and the scoring's.

        Of a run that is older than its sittings' file a result that is there tells.
        """
        known = (read_json(self._file) or {"sittings": []})["sittings"]
        known = [one for i, one in enumerate(known) if one not in known[:i]]
        if not known:
            old = read_json(self._result) or {}
            known = [{key: old[key] for key in _KEYS if key in old} or self._now]
        facts = dict(known[-1])
        if len(known) > 1:
            facts["sittings"] = known
        if self._now != known[-1]:
            facts["scored"] = self._now
        return facts

    def _write(self, sittings: list[dict[str, Any]]) -> None:
        write_json(self._file, {"sittings": sittings})


def _commit() -> tuple[str | None, bool]:
    """Of a checkout of Diptych; None where it is installed, even inside another checkout."""
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
    return git("rev-parse", "HEAD"), git("status", "--porcelain", ".") == ""
