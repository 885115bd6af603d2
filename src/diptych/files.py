"""Atomic writes, locks and the cache folder. A file is written whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import platformdirs
from filelock import FileLock, Timeout

from diptych.errors import InputError

_NEW_FILE = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0)
"""O_BINARY exists only on Windows, where line ends would be rewritten without it."""


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Open a binary file that replaces `path`, synced to disk, when the block succeeds.

    If the block raises, or the process dies inside it, the old file at `path` stays as it was.

    Raises:
        OSError: as for `open`, such as a full disk or a missing permission.
    """
    path = Path(path)
    descriptor, temporary = _create(path)
    try:
        # Opened by its name, which some libraries ask a file for.
        with open(temporary, "wb", opener=lambda *_: descriptor) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def atomic_write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` as UTF-8 to `path`, whole or not at all."""
    with atomic_write(path) as file:
        file.write(text.encode())


def check_can_write(*paths: Path | None) -> None:
    """Check, before a long computation, that `paths` can be written. None is skipped.

    Raises:
        InputError: one of `paths` is a folder, or its parent folder does not exist.
    """
    for path in filter(None, paths):
        if path.is_dir() or not path.parent.is_dir():
            where = "it is a folder" if path.is_dir() else f"there is no folder {path.parent}"
            raise InputError(f"cannot write {path}: {where}")


def remove_leftovers(folder: Path, names: Iterable[str]) -> None:
    """Remove temporary files that killed processes left in `folder` from `atomic_write`.

    `names` are the names of the files that were being written, with wildcards if needed
    (`*.png`). Call this only for a folder that no other process writes to. A leftover can be
    as large as its file.
    """
    for name in names:
        for leftover in folder.glob(f".{name}.????????"):  # the eight characters of _create
            leftover.unlink(missing_ok=True)


@contextmanager
def only_one_process(folder: Path, name: str, wait: float = 0.0) -> Iterator[None]:
    """Hold the lock file `name` in the existing folder `folder` during the block.

    The lock ends when the process ends, even if it is killed. If another process holds it,
    wait up to `wait` seconds.

    Raises:
        InputError: another process still holds the lock, or the file cannot be made.
    """
    lock = FileLock(folder / name)
    try:
        lock.acquire(timeout=wait)
    except Timeout:
        raise InputError(
            f"another process is working in {folder}: wait for it to finish, or stop it"
        ) from None
    except OSError as error:
        raise InputError(f"cannot use {folder}: {error.strerror}") from error
    try:
        yield
    finally:
        lock.release()


def cache_folder() -> Path:
    """Return the folder for files that can be made again.

    This is the environment variable DIPTYCH_CACHE if it is set, else the user's cache folder.
    """
    override = os.environ.get("DIPTYCH_CACHE")
    return Path(override) if override else platformdirs.user_cache_path("diptych")


def _create(path: Path) -> tuple[int, Path]:
    """Open a new file beside `path` for writing, with the permissions that the umask leaves.

    `tempfile` is not used because only the owner can read its files. Setting other permissions
    afterwards needs the umask, which Python can only read by setting it for all threads.
    """
    while True:
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            return os.open(temporary, _NEW_FILE, 0o666), temporary
        except FileExistsError:
            continue


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows cannot open a folder, and it journals the rename itself
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
