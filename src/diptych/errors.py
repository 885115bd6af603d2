"""`InputError`, the exception whose message is meant for users; option names; input checks."""

from __future__ import annotations

import difflib
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, fields
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

D = TypeVar("D")


class InputError(ValueError):
    """The user gave something that cannot be used.

    The message is one line. It names the value, what was expected and how to fix it. The
    command line prints it without a traceback and exits with code 2. Every other exception is
    a bug and keeps its traceback.
    """


# --- how messages name options -------------------------------------------------

_is_command_line = False


@contextmanager
def command_line() -> Iterator[None]:
    """Inside the block, messages show options as typed in a shell: `option` adds dashes."""
    global _is_command_line
    before, _is_command_line = _is_command_line, True
    try:
        yield
    finally:
        _is_command_line = before


def option(name: str, value: object = None, *, flag: str | None = None) -> str:
    """Return an option as its user writes it: `keep_every` in Python, `--keep-every` in a shell.

    With `value`, return `ema=0.9` or `--ema 0.9`. In a shell, the value True gives the flag
    alone. `flag` is the command line's name where it differs from `name`.
    """
    if not _is_command_line:
        return name if value is None else f"{name}={value!r}"
    dashed = "--" + (flag or name).replace("_", "-")
    return dashed if value is None or value is True else f"{dashed} {value}"


def call(shell: str, python: str) -> str:
    """Return what to run next: `shell` on the command line, `python` from Python."""
    return shell if _is_command_line else python


def resume_call(folder: object) -> str:
    """Return the command or call that resumes the run in `folder`."""
    return call(f"diptych train --resume {folder}", f"diptych.resume({str(folder)!r})")


def counted(count: int, noun: str) -> str:
    """Return a number with its noun: 1 step, 2,000 steps."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


# --- checks ----------------------------------------------------------------------


LARGEST_SEED = 2**62
"""PyTorch takes 64 bits with a sign; processes, starts and draws add to a seed."""


def check_seed(seed: object) -> int:
    """Return the seed, a whole number from 0 to 2**62.

    Raises:
        InputError: it is something else.
    """
    return check_whole("seed", seed, 0, LARGEST_SEED)


def check_whole(name: str, value: object, least: int, most: int | None = None) -> int:
    """Return `value`, a whole number from `least` to `most`.

    Raises:
        InputError: it is something else. The message calls it by the option `name`.
    """
    whole = value.item() if hasattr(value, "item") and hasattr(value, "dtype") else value
    if not isinstance(whole, int) or isinstance(whole, bool):
        raise InputError(f"{option(name)} is {value!r}: it must be a whole number")
    if whole < least:
        said = "must not be negative" if least == 0 else f"must be at least {least}"
        raise InputError(f"{option(name)} is {whole}: it {said}")
    if most is not None and whole > most:
        raise InputError(f"{option(name)} is {whole}: it must be at most {most}")
    return whole


def check_path(given: object, what: str) -> Path:
    """Return `given` as a path. `what` says what it should be the path of.

    Raises:
        InputError: it is no text and no path, or it is empty.
    """
    if not isinstance(given, (str, os.PathLike)) or not os.fspath(given):
        raise InputError(f"{given!r} is no path: give {what}")
    return Path(os.fspath(given))


def check_callable(name: str, given: object) -> None:
    """Check that `given` is a function, or None.

    Raises:
        InputError: it is something else. The message calls it by the parameter `name`.
    """
    if given is not None and not callable(given):
        raise InputError(f"{name} is {given!r}: it must be a function")


def check_bounds(config: Any, least: Mapping[str, float], shares: Sequence[str] = ()) -> None:
    """Check the ranges of an options dataclass's fields.

    Each field in `least` must be at least its bound. Each field in `shares` must be from 0 to
    1. NaN fails both checks.

    Raises:
        InputError: a field is out of range.
    """
    values = vars(config)
    for name, bound in least.items():
        if not values[name] >= bound:
            raise InputError(f"{option(name)} is {values[name]}: it must be at least {bound}")
        if values[name] == math.inf:
            raise InputError(f"{option(name)} is {values[name]}: it must be finite")
    for name in shares:
        if not 0 <= values[name] <= 1:
            raise InputError(f"{option(name)} is {values[name]}: it must be from 0 to 1")


def check_size(size: int, *, needs_power_of_two: bool) -> None:
    """Check that networks can halve `size` pixels as often as they need to.

    `needs_power_of_two` is for networks that halve down to one pixel. Other networks halve
    twice and need a multiple of 4.

    Raises:
        InputError: `size` is not a power of two where one is needed, or not a multiple of 4.
    """
    multiple = 1 << size.bit_length() - 1 if needs_power_of_two else 4
    if size % multiple:
        what = "a power of two, such as 64" if multiple > 4 else "a multiple of 4"
        raise InputError(f"{option('size')} is {size}: it must be {what}")


def two_channel_counts(method: str, channels: Sequence[int]) -> tuple[int, int]:
    """Return the channel counts of both domains of a method that translates between two.

    Raises:
        InputError: there is another number of domains.
    """
    if len(channels) != 2:
        raise InputError(f"{method} translates between 2 domains, not {len(channels)}")
    return channels[0], channels[1]


def equal_channel_count(channels: Sequence[int], why: str) -> int:
    """Return the channel count that all domains have.

    Raises:
        InputError: they differ. `why` says what needs equal ones.
    """
    if len(set(channels)) > 1:
        counts = ", ".join(map(str, channels))
        grey = f" ({option('channels', 3)} reads grey images as colour)" if 1 in channels else ""
        raise InputError(
            f"{why}, so the domains must have as many channels, but they have {counts}: choose"
            f" another method, or give images with equal channels{grey}"
        )
    return channels[0]


def dataclass_from(kind: type[D], values: Mapping[str, Any], *, owner: str) -> D:
    """Return `kind(**values)`, with names and types checked first.

    `owner` is what messages call the thing that has these options.

    Raises:
        InputError: `kind` has no such field, a value has the wrong type, or
            a field without a default is missing.
    """
    hints = get_type_hints(kind)
    for key, value in values.items():
        if key not in hints:
            raise InputError(f"{owner} has no option {key!r}{did_you_mean(key, hints)}")
        if not _is_a(value, hints[key]):
            raise InputError(f"{key} is {value!r}: it must be {_describe(hints[key])}")
    for field in fields(cast(Any, kind)):
        if field.name not in values and field.default is field.default_factory is MISSING:
            raise InputError(
                f"{owner} lacks {field.name!r}: it must be {_describe(hints[field.name])}"
            )
    return kind(**values)


def _is_a(value: Any, hint: Any) -> bool:
    """Whether a value from TOML, JSON or Python has the field's type."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return value in inner
    if origin in (Union, UnionType):
        return any(_is_a(value, one) for one in inner)
    if origin is tuple:
        return isinstance(value, (list, tuple)) and all(_is_a(v, inner[0]) for v in value)
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint)


def _describe(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return " or ".join(repr(value) for value in get_args(hint))
    return str(hint.__name__) if isinstance(hint, type) else str(hint)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown name: the closest known name, or all names."""
    known = list(known)
    close = nearest(name, known)
    if close is not None:
        return f": did you mean {close!r}?"
    return f"; there are: {', '.join(known)}" if known else ""


def nearest(name: object, known: Iterable[str]) -> str | None:
    """Return the known name that is closest to `name`, ignoring case; None if none is close."""
    by_folded = {one.casefold(): one for one in known}
    close = difflib.get_close_matches(str(name).casefold(), by_folded, n=1)
    return by_folded[close[0]] if close else None
