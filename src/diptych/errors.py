"""The one exception whose message is meant for whoever typed the command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class InputError(ValueError):
    """Something given by the user cannot be used.

    The message is one line: it names the value, what was expected and the way
    out. The command line prints it without a traceback and exits with code 2;
    every other exception is a bug and keeps its traceback.
    """


def check_bounds(config: Any, least: Mapping[str, float], shares: Sequence[str] = ()) -> None:
    """Hold the fields of an options dataclass to their ranges.

    Those in `least` are at least that much, those in `shares` from 0 to 1; NaN is neither.

    Raises:
        InputError: one is not.
    """
    values = vars(config)
    for name, bound in least.items():
        if not values[name] >= bound:
            raise InputError(f"{name} is {values[name]}: it must be at least {bound}")
    for name in shares:
        if not 0 <= values[name] <= 1:
            raise InputError(f"{name} is {values[name]}: it must be from 0 to 1")


def check_size(size: int, *, needs_power_of_two: bool) -> None:
    """Hold a number of pixels to what networks halve to: all the way down, or twice.

    Raises:
        InputError: it is no power of two where one is needed, or no multiple of 4.
    """
    multiple = 1 << size.bit_length() - 1 if needs_power_of_two else 4
    if size % multiple:
        what = "a power of two for this network" if multiple > 4 else "a multiple of 4"
        raise InputError(f"size is {size}: it must be {what}")
