"""What Weights & Biases keeps of a run, offline, read from its own files."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import diptych
from diptych.errors import InputError
from diptych.training.loggers import LoggedRun, open_logger

pytestmark = [pytest.mark.slow]
SMALL = {"width": 4, "size": 32, "blocks": 1, "device": "cpu", "workers": 0, "precision": "fp32"}
_BLOCK = 32768
_FILE_HEADER, _HEADER = 7, 7


def records(file: Path) -> Iterator[bytes]:
    """The records of a .wandb file: LevelDB's log format behind a header of its own."""
    data, at, parts = file.read_bytes(), _FILE_HEADER, b""
    while at + _HEADER <= len(data):
        left = _BLOCK - at % _BLOCK
        if left < _HEADER:
            at += left
            continue
        _, length, kind = struct.unpack_from("<IHB", data, at)
        at += _HEADER
        parts += data[at : at + length]
        at += length
        if kind in (1, 4):  # whole, or the last part
            yield parts
            parts = b""


def told(folder: Path, kind: str) -> list[Any]:
    """What was told in all sessions of a run in records of one kind, in order."""
    from wandb.proto import wandb_internal_pb2

    found = []
    for file in sorted(folder.glob("wandb/offline-run-*/*.wandb")):
        for data in records(file):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(data)
            if record.WhichOneof("record_type") == kind:
                found.append(getattr(record, kind))
    return found


def history(folder: Path) -> list[dict[str, object]]:
    """What was logged in all sessions of a run, in order."""
    return [
        {"/".join(i.nested_key) or i.key: json.loads(i.value_json) for i in row.item}
        for row in told(folder, "history")
    ]


def test_a_stopped_and_resumed_run_is_one_run_with_every_step_once(
    picture_folders, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    x, y = picture_folders()

    def stop(step: int, losses: dict[str, float]) -> None:
        if step == 3:
            raise InputError("stop here")

    with pytest.raises(InputError, match="stop here"):
        diptych.train(
            "cyclegan", x=x, y=y, out=tmp_path / "run", steps=5, preview_every=5, logger="wandb",
            on_log=stop, **SMALL,
        )  # fmt: skip
    before = (tmp_path / "run" / "wandb.id").read_text().split()[0]
    run = diptych.resume(tmp_path / "run")
    assert (run.folder / "wandb.id").read_text().split() == [before, "5"]
    sessions = sorted(run.folder.glob("wandb/offline-run-*"))
    assert len(sessions) == 2
    assert all(f"-{before}" in session.name for session in sessions)
    rows = history(run.folder)
    logged = [row["_step"] for row in rows if "losses/cycle" in row]
    assert logged == [1, 2, 3, 4, 5]
    assert [row["_step"] for row in rows if any(name.startswith("previews") for name in row)] == [
        0,
        5,
    ]
    pictures = list(run.folder.glob("wandb/offline-run-*/files/media/images/previews_*.png"))
    assert len(pictures) == 2
    config = {i.key: json.loads(i.value_json) for i in told(run.folder, "run")[0].config.update}
    assert (config["cyclegan.width"], config["run.logger"]) == (4, "wandb")


def test_nothing_is_collected_that_was_not_asked_for(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    logger = open_logger("wandb", LoggedRun(tmp_path, None, {"run.steps": 2}))
    assert logger is not None
    print("a secret")
    logger.log(1, {"losses/cycle": 1.0})
    logger.close()
    files = {file.name for file in tmp_path.glob("wandb/offline-run-*/files/**/*")}
    assert files == set()  # such as requirements.txt, wandb-metadata.json and output.log
    kinds = ("output", "output_raw", "stats", "environment", "files")
    assert [kind for kind in kinds if told(tmp_path, kind)] == []
    assert len(told(tmp_path, "history")) == 1
    assert capsys.readouterr().out == "a secret\n"


def test_want_of_a_key_is_named_in_one_line(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("HOME", str(tmp_path))  # where it looks for keys
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    import wandb

    wandb.teardown()  # it reads its environment once
    with pytest.raises(InputError, match=r"wandb.* does not work .* run wandb login") as caught:
        open_logger("wandb", LoggedRun(tmp_path, None, {}))
    wandb.teardown()
    assert "\n" not in str(caught.value)
