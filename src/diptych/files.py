"""Files are written whole or not at all."""

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
"""Windows alone has O_BINARY: without it, line ends would be rewritten."""


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A binary file that takes `path`'s place, synced, when the block ends well.

    If the block raises, or the process dies in it, what stood at `path` still
    stands there. Raises OSError as `open` does (a full disk, no permission).
    """
    path = Path(path)
    descriptor, temporary = _create(path)
    try:
        with os.fdopen(descriptor, "wb") as file:
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
    """To be asked before what takes a while.

    Raises:
        InputError: one of `paths` is a folder, or lies in none.
    """
    for path in filter(None, paths):
        if path.is_dir() or not path.parent.is_dir():
            where = "it is a folder" if path.is_dir() else f"there is no folder {path.parent}"
            raise InputError(f"cannot write {path}: {where}")


def remove_leftovers(folder: Path, names: Iterable[str]) -> None:
    """Remove what killed processes left of `atomic_write` to the files `names` in `folder`.

    `names` may hold wildcards (`*.png`). For a folder that no other process
    writes to. A leftover may be as large as its file.
    """
    for name in names:
        for leftover in folder.glob(f".{name}.????????"):  # the eight characters of _create
            leftover.unlink(missing_ok=True)


@contextmanager
def only_one_process(folder: Path, name: str, wait: float = 0.0) -> Iterator[None]:
    """Hold the lock `name` in `folder`, which exists; it ends with the process, however that ends.

    Another process has `wait` seconds to let go of it.

    Raises:
        InputError: another process holds it, or the file cannot be made.
    """
    lock = FileLock(folder / name)
    try:
        lock.acquire(timeout=wait)
    except Timeout:
        raise InputError(
            f"another process is working in {folder}: wait until it is done, or stop it"
        ) from None
    except OSError as error:
        raise InputError(f"cannot use {folder}: {error.strerror}") from error
    try:
        yield
    finally:
        lock.release()


def cache_folder() -> Path:
    """What can be made again is kept here: the user's cache folder, or DIPTYCH_CACHE."""
    override = os.environ.get("DIPTYCH_CACHE")
    return Path(override) if override else platformdirs.user_cache_path("diptych")


def _create(path: Path) -> tuple[int, Path]:
    """A new file beside `path`, open for writing, with the permissions that the umask leaves.

    `tempfile` makes files that only their owner reads. To read the umask, which would tell
    what to change that to, Python has to set it, for all threads at once.
    """
    while True:
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            return os.open(temporary, _NEW_FILE, 0o666), temporary
        except FileExistsError:
            continue


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows cannot open a folder, and journals the rename itself
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
