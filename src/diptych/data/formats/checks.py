"""What every format does alike: checks before a file is decoded, errors and quiet libraries."""

from __future__ import annotations

import contextvars
import logging
import os
import stat
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from diptych.errors import InputError, option

_warnings_state = threading.RLock()
_is_quiet: contextvars.ContextVar[bool] = contextvars.ContextVar("is_quiet", default=False)


def check_is_file(name: str) -> None:
    """Raise InputError unless `name` is a file with contents. Pipes and devices are not opened."""
    try:
        found = os.stat(name)  # noqa: PTH116  # hot
    except FileNotFoundError as error:
        raise InputError(f"no such file: {name}") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{name} cannot be opened ({one_line(error)})") from error
    if stat.S_ISDIR(found.st_mode):
        raise InputError(f"{name} is a folder: expected an image file")
    if not stat.S_ISREG(found.st_mode):
        raise InputError(f"{name} is no regular file: expected an image file")
    if found.st_size == 0:
        raise InputError(f"{name} is empty: expected an image file")


def check_size(name: str, size: tuple[int, int], max_pixels: int) -> None:
    """Raise InputError if an image has more than `max_pixels` pixels, or none."""
    width, height = size
    if width * height > max_pixels:
        raise InputError(
            f"{name} has {width * height / 1e6:.1f} megapixels ({width}x{height}), more than "
            f"the limit of {max_pixels / 1e6:.1f}: shrink it or raise {option('max_pixels')}"
        )
    if width < 1 or height < 1:
        raise InputError(f"{name} is broken (it is {width}x{height}): replace it or remove it")


def check_index(name: str, index: int, images: int) -> None:
    """Raise InputError if a file of `images` images has no image `index`."""
    if not 0 <= index < images:
        raise InputError(f"{name} has no image {index}: it holds {images}, counted from 0")


def broken(name: str, error: BaseException | str) -> InputError:
    """Return the error to raise for a file that cannot be decoded."""
    said = error if isinstance(error, str) else one_line(error)
    return InputError(f"{name} is broken ({said}): replace it or remove it")


def needs(name: str, package: str, extra: str, doing: str = "reading") -> InputError:
    """Return the error to raise where a package is not installed."""
    return InputError(f"{doing} {name} needs {package}: pip install 'diptych[{extra}]'")


def one_line(error: BaseException) -> str:
    """Return what an exception says, without line ends, or its type if it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__


@contextmanager
def quiet() -> Iterator[None]:
    """Turn off warnings. They belong to the whole process, so one thread at a time is inside."""
    with _warnings_state, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def quiet_logger(name: str) -> Iterator[None]:
    """Drop what a library's logger gets from this thread during the block."""
    logger = logging.getLogger(name)
    if _drop not in logger.filters:
        logger.addFilter(_drop)
    token = _is_quiet.set(True)
    try:
        yield
    finally:
        _is_quiet.reset(token)


def _drop(record: logging.LogRecord) -> bool:
    return not _is_quiet.get()
