"""Files of many images that stay open, so that reading all of them opens the file once."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from diptych.data.formats.checks import check_is_file

T = TypeVar("T")
_Key = tuple[str, int, int, int]
KEPT_BYTES = 2**29
"""Decoded volumes of up to so many bytes stay in a process's memory, and always the last one."""


class Kept(Generic[T]):
    """The last few files that a thread has opened. Others are closed."""

    def __init__(self, close: Callable[[T], None], most: int = 4) -> None:
        """Each thread keeps at most `most` files, and `close` ends the others."""
        self._close = close
        self._most = most
        self._own = threading.local()

    def find(self, name: str) -> T | None:
        """Return the file if it is open and unchanged. Raises InputError if it is gone."""
        files, key = self._files(), _key(name)
        if key not in files:
            return None
        files.move_to_end(key)
        return files[key]

    def keep(self, name: str, opened: T) -> None:
        """Keep an opened file. It must not be closed by others. Raises InputError if it is gone."""
        files = self._files()
        files[_key(name)] = opened
        while len(files) > self._most:
            self._close(files.popitem(last=False)[1])

    def _files(self) -> OrderedDict[_Key, T]:
        if not hasattr(self._own, "files"):
            self._own.files = _Closing(self._close)
        files: OrderedDict[_Key, T] = self._own.files
        return files


class _Closing(OrderedDict[_Key, T]):
    """Files that are closed when the thread that opened them has ended."""

    def __init__(self, close: Callable[[T], None]) -> None:
        super().__init__()
        self._close = close

    def __del__(self) -> None:
        for opened in self.values():
            self._close(opened)


class Volumes(Generic[T]):
    """The decoded files that a process used last, for all its threads."""

    def __init__(self, load: Callable[[str], T], size: Callable[[T], int]) -> None:
        """`load` decodes a file. `size` is the memory that one takes in bytes; 0 if mapped."""
        self._load = load
        self._size = size
        self._lock = threading.Lock()
        self._held: OrderedDict[_Key, T] = OrderedDict()

    def get(self, name: str) -> T:
        """Return the decoded file. Raises as `load` does, and InputError if it is gone."""
        key = _key(name)
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key]
            loaded = self._held[key] = self._load(name)
            while len(self._held) > 1 and self._is_much():
                self._held.popitem(last=False)
            return loaded

    def _is_much(self) -> bool:
        return sum(map(self._size, self._held.values())) > KEPT_BYTES or len(self._held) > 64


def _key(name: str) -> _Key:
    """A process that was forked must not share its parent's place in an open file."""
    check_is_file(name)
    found = os.stat(name)  # noqa: PTH116  # hot
    return name, found.st_mtime_ns, found.st_size, os.getpid()
