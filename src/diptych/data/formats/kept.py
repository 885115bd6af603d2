"""Files of many images that stay open, so that reading all of them opens the file once."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")
_Key = tuple[str, int, int, int]


class Kept(Generic[T]):
    """The last few files that a thread has opened. Others are closed."""

    def __init__(self, close: Callable[[T], None], most: int = 4) -> None:
        """Each thread keeps at most `most` files, and `close` ends the others."""
        self._close = close
        self._most = most
        self._own = threading.local()

    def find(self, name: str) -> T | None:
        """Return the file if it is open and unchanged. Raises OSError if it is gone."""
        files, key = self._files(), _key(name)
        if key not in files:
            return None
        files.move_to_end(key)
        return files[key]

    def keep(self, name: str, opened: T) -> None:
        """Keep an opened file. It must not be closed by others. Raises OSError if it is gone."""
        files = self._files()
        files[_key(name)] = opened
        while len(files) > self._most:
            self._close(files.popitem(last=False)[1])

    def _files(self) -> OrderedDict[_Key, T]:
        if not hasattr(self._own, "files"):
            self._own.files = OrderedDict()
        files: OrderedDict[_Key, T] = self._own.files
        return files


def _key(name: str) -> _Key:
    """A process that was forked must not share its parent's place in an open file."""
    found = os.stat(name)  # noqa: PTH116  # hot
    return name, found.st_mtime_ns, found.st_size, os.getpid()
