from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from diptych.data.formats import kept
from diptych.data.formats.kept import Kept, Volumes
from diptych.errors import InputError


def _files(folder: Path, count: int) -> list[str]:
    for i in range(count):
        (folder / str(i)).write_text("x" * (i + 1))
    return [str(folder / str(i)) for i in range(count)]


def test_the_files_used_last_stay_open_and_others_are_closed(tmp_path: Path) -> None:
    closed: list[str] = []
    files, names = Kept(closed.append, most=2), _files(tmp_path, 3)
    files.keep(names[0], "first")
    files.keep(names[1], "second")
    assert files.find(names[0]) == "first"
    files.keep(names[2], "third")
    assert closed == ["second"]
    assert files.find(names[1]) is None
    assert files.find(names[0]) == "first"


def test_a_changed_file_is_not_found_and_a_removed_one_is_named(tmp_path: Path) -> None:
    files, (name,) = Kept(lambda _: None), _files(tmp_path, 1)
    files.keep(name, "old")
    os.utime(name, (1, 1))
    assert files.find(name) is None
    Path(name).unlink()
    with pytest.raises(InputError, match="no such file"):
        files.find(name)


def test_threads_do_not_share_a_place_in_a_file(tmp_path: Path) -> None:
    files, (name,) = Kept(lambda _: None), _files(tmp_path, 1)
    files.keep(name, "mine")
    found: list[str | None] = []
    thread = threading.Thread(target=lambda: found.append(files.find(name)))
    thread.start()
    thread.join()
    assert found == [None]


def test_volumes_are_loaded_once_until_they_take_too_much_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "KEPT_BYTES", 10)
    loaded: list[str] = []
    volumes = Volumes(lambda name: loaded.append(name) or name, lambda _: 6)
    first, second = _files(tmp_path, 2)
    assert [volumes.get(first), volumes.get(first), volumes.get(second)] == [first, first, second]
    assert loaded == [first, second]
    volumes.get(second)
    volumes.get(first)  # both together take 12 bytes
    assert loaded == [first, second, first]
