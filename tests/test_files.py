"""Files are written whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from diptych.errors import InputError
from diptych.files import atomic_write, atomic_write_text, only_one_process, remove_leftovers


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _write_half(path: Path, error: type[BaseException]) -> None:
    with atomic_write(path) as file:
        file.write(b"half of the n")
        raise error


def test_new_content_takes_the_old_ones_place_when_the_block_ends(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with atomic_write(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert _names(tmp_path) == ["file"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError])
def test_an_exception_leaves_the_old_content_and_no_temporary_file(tmp_path, error):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(error):
        _write_half(path, error)
    assert path.read_bytes() == b"old"
    assert _names(tmp_path) == ["file"]


def test_an_exception_leaves_no_file_where_there_was_none(tmp_path):
    with pytest.raises(ValueError):
        _write_half(tmp_path / "file", ValueError)
    assert _names(tmp_path) == []


def test_a_failing_sync_leaves_the_old_content(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"), atomic_write(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"old"
    assert _names(tmp_path) == ["file"]


def test_content_is_synced_before_the_rename_and_the_folder_after_it(tmp_path, monkeypatch):
    path, seen = tmp_path / "file", []
    real = os.fsync

    def note(descriptor: int) -> None:
        seen.append((str(Path(f"/proc/self/fd/{descriptor}").readlink()), path.exists()))
        real(descriptor)

    if not Path("/proc/self/fd").exists():
        pytest.skip("only Linux tells which file a descriptor is of")
    monkeypatch.setattr(os, "fsync", note)
    atomic_write_text(path, "new")
    (first, existed), (second, exists) = seen
    assert first.startswith(str(tmp_path / ".file."))
    assert (existed, second, exists) == (False, str(tmp_path), True)


def test_permissions_are_those_of_an_ordinary_new_file(tmp_path):
    before = os.umask(0o027)
    try:
        atomic_write_text(tmp_path / "file", "text")
        assert os.umask(0o027) == 0o027  # and the mask is left as it was
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


def test_the_mask_of_the_process_is_never_set_not_even_for_a_moment(tmp_path, monkeypatch):
    # Another thread that made a file in that moment would make it writable for everybody.
    def fail(mask: int) -> int:
        raise AssertionError(f"umask set to {mask}")

    monkeypatch.setattr(os, "umask", fail)
    atomic_write_text(tmp_path / "file", "text")
    assert (tmp_path / "file").read_text() == "text"


def test_text_is_utf8(tmp_path):
    atomic_write_text(tmp_path / "file", "naïve → 画像\n")
    assert (tmp_path / "file").read_bytes() == "naïve → 画像\n".encode()


def test_a_missing_folder_raises_what_open_raises(tmp_path):
    with pytest.raises(FileNotFoundError):
        atomic_write_text(tmp_path / "no" / "file", "")


def test_leftovers_are_told_from_other_hidden_files(tmp_path):
    names = [
        ".a.txt.abcdefgh",
        ".b1.png.12345678",
        ".a.txt.abc",
        ".b.txt.abcdefgh",
        ".keep",
        "a.txt",
    ]
    for name in names:
        (tmp_path / name).touch()
    remove_leftovers(tmp_path, ("a.txt", "*.png"))
    assert _names(tmp_path) == sorted(names[2:])


_HOLD = """
import sys
from pathlib import Path
from diptych.files import only_one_process
with only_one_process(Path(sys.argv[1]), "lock"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_lock_keeps_other_processes_out_until_its_own_is_killed(tmp_path):
    command = [sys.executable, "-c", _HOLD, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as holder:
        assert holder.stdout.readline() == b"held\n"
        with (
            pytest.raises(InputError, match=r"another process is working in .*: wait"),
            only_one_process(tmp_path, "lock"),
        ):
            pass
        holder.kill()
    with only_one_process(tmp_path, "lock"):
        pass


def test_a_lock_that_cannot_be_made_is_one_clear_line(tmp_path):
    (tmp_path / "lock").mkdir()
    with (
        pytest.raises(InputError, match=r"cannot use .*directory"),
        only_one_process(tmp_path, "lock"),
    ):
        pass
