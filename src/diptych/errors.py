"""The one exception whose message is meant for users, how messages name options, and checks."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, fields
from types import UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

D = TypeVar("D")


class InputError(ValueError):
    """Something given by the user cannot be used.

    The message is one line: it names the value, what was expected and the way
    out. The command line prints it without a traceback and exits with code 2;
    every other exception is a bug and keeps its traceback.
    """


# --- how messages name options -------------------------------------------------

_is_command_line = False


@contextmanager
def command_line() -> Iterator[None]:
    """Inside the block, messages are for someone who typed a command: `option` adds dashes."""
    global _is_command_line
    before, _is_command_line = _is_command_line, True
    try:
        yield
    finally:
        _is_command_line = before


def option(name: str, value: object = None, *, flag: str | None = None) -> str:
    """An option as its user writes it: `keep_every` from Python, `--keep-every` in a shell.

    With `value`, `ema=0.9` and `--ema 0.9`; True is a flag alone in a shell. `flag` is the
    command line's name where it differs.
    """
    if not _is_command_line:
        return name if value is None else f"{name}={value!r}"
    dashed = "--" + (flag or name).replace("_", "-")
    return dashed if value is None or value is True else f"{dashed} {value}"


def call(shell: str, python: str) -> str:
    """A way on: the command in a shell, the call from Python."""
    return shell if _is_command_line else python


def resume_call(folder: object) -> str:
    """How to go on with the run in `folder`."""
    return call(f"diptych train --resume {folder}", f"diptych.resume({str(folder)!r})")


# --- checks ----------------------------------------------------------------------


def check_bounds(config: Any, least: Mapping[str, float], shares: Sequence[str] = ()) -> None:
    """Hold the fields of an options dataclass to their ranges.

    Those in `least` are at least that much, those in `shares` from 0 to 1; NaN is neither.

    Raises:
        InputError: one is not.
    """
    values = vars(config)
    for name, bound in least.items():
        if not values[name] >= bound:
            raise InputError(f"{option(name)} is {values[name]}: it must be at least {bound}")
    for name in shares:
        if not 0 <= values[name] <= 1:
            raise InputError(f"{option(name)} is {values[name]}: it must be from 0 to 1")


def check_size(size: int, *, needs_power_of_two: bool) -> None:
    """Hold a number of pixels to what networks halve to: all the way down, or twice.

    Raises:
        InputError: it is no power of two where one is needed, or no multiple of 4.
    """
    multiple = 1 << size.bit_length() - 1 if needs_power_of_two else 4
    if size % multiple:
        what = "a power of two for this network" if multiple > 4 else "a multiple of 4"
        raise InputError(f"{option('size')} is {size}: it must be {what}")


def dataclass_from(kind: type[D], values: Mapping[str, Any], *, owner: str) -> D:
    """`kind(**values)`, with names and types checked first.

    Raises:
        InputError: `kind` has no such field, the value is not of its type, or
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
    """Whether a value that came from TOML, JSON or Python is of the field's type."""
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
    """The end of a complaint about a name: the nearest of those known, or all of them."""
    known = list(known)
    close = nearest(name, known)
    if close is not None:
        return f": did you mean {close!r}?"
    return f"; there are: {', '.join(known)}" if known else ""


def nearest(name: object, known: Iterable[str]) -> str | None:
    """The known name that `name` is most likely a slip of, upper and lower case aside, if any."""
    by_folded = {one.casefold(): one for one in known}
    close = difflib.get_close_matches(str(name).casefold(), by_folded, n=1)
    return by_folded[close[0]] if close else None
