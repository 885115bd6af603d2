"""`InputError`, the exception whose message is meant for users; option names; input checks."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, fields
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
        what = "a power of two for this network" if multiple > 4 else "a multiple of 4"
        raise InputError(f"{option('size')} is {size}: it must be {what}")


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
