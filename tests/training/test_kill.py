"""A run that is killed again and again ends with the same bits."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from diptych.checkpoint import load_state

HELPER = Path(__file__).with_name("kill_helper.py")


def _kill(mode: str, folders: tuple[str, str], folder: Path, **job: Any) -> dict[str, Any]:
    job |= {"mode": mode, "x": folders[0], "y": folders[1], "folder": str(folder)}
    done = subprocess.run(
        [sys.executable, str(HELPER), json.dumps(job)],
        capture_output=True, text=True, timeout=250, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _differences(a: Any, b: Any, where: str = "") -> list[str]:
    """Where two states differ in a bit."""
    if isinstance(a, Tensor):
        return [] if a.dtype == b.dtype and torch.equal(a, b) else [where]
    if isinstance(a, Mapping):
        if a.keys() != b.keys():
            return [f"{where}: {a.keys() ^ b.keys()}"]
        return [d for key in a for d in _differences(a[key], b[key], f"{where}.{key}")]
    if isinstance(a, (list, tuple)):
        if len(a) != len(b):
            return [f"{where}: {len(a)} and {len(b)}"]
        pairs = enumerate(zip(a, b, strict=True))
        return [d for i, (left, right) in pairs for d in _differences(left, right, f"{where}.{i}")]
    return [] if a == b else [f"{where}: {a!r} and {b!r}"]


def _metrics(folder: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{k: line[k] for k in ("step", "losses", "learning_rates")} for line in lines]


def _assert_same_run(killed: Path, whole: Path) -> None:
    assert _differences(load_state(killed), load_state(whole)) == []
    for name in ("translator.safetensors", *(f"previews/{p.name}" for p in _pictures(whole))):
        assert (killed / name).read_bytes() == (whole / name).read_bytes(), (killed, name)
    assert len(_pictures(killed)) == len(_pictures(whole))
    assert _metrics(killed) == _metrics(whole)
    assert (killed / "report.html").exists()
    own = {p.name for p in whole.iterdir()} | {"state.previous.pt"}
    assert {p.name for p in killed.iterdir()} <= own, "something was left behind"


def _pictures(folder: Path) -> list[Path]:
    return sorted((folder / "previews").iterdir())


@pytest.mark.slow
def test_run_killed_at_twenty_random_moments_ends_with_the_same_bits(picture_folders, tmp_path):
    steps = 120
    done = _kill(
        "random", picture_folders(), tmp_path, steps=steps, checkpoint_every=7, seed=1, kills=20
    )
    assert done["kills"] == 20
    assert load_state(tmp_path / "whole")["step"] == steps
    assert len(_metrics(tmp_path / "whole")) == steps
    for folder in done["folders"]:
        _assert_same_run(Path(folder), tmp_path / "whole")


@pytest.mark.slow
def test_run_killed_before_any_rename_or_sync_of_a_file_ends_with_the_same_bits(
    picture_folders, tmp_path
):
    done = _kill("calls", picture_folders(), tmp_path, steps=2, checkpoint_every=1)
    # A file takes 3 calls, and a state 1 or 2 renames more: config, metrics, picture, translator,
    # state, then picture, translator, state and report.
    assert done["kills"] == 3 + 3 + 3 + 3 + 4 + 3 + 3 + 5 + 3
    for folder in done["folders"]:
        _assert_same_run(Path(folder), tmp_path / "whole")
