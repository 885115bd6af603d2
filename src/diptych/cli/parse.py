"""Options from the command line, and complaints as one line each."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import TYPE_CHECKING, Any, TypeVar

from diptych.cli.fields import Option, options_of
from diptych.cli.help import help_text, lowered
from diptych.errors import InputError, nearest

if TYPE_CHECKING:
    from torch import nn

T = TypeVar("T")


def run_command(place: str, arguments: list[str]) -> int:
    """Run the function at `place`, MODULE.FUNCTION of this package, whose module is loaded now."""
    module, _, function = place.partition(".")
    command: Callable[[list[str]], int] = getattr(
        importlib.import_module(f"diptych.cli.{module}"), function
    )
    return command(arguments)


@dataclass(frozen=True)
class Part:
    """A dataclass whose fields are options, and the title that --help puts above them."""

    title: str
    kind: type
    instance: object = None
    """Where defaults are taken from, if not from the class."""
    sections: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """By title, the names of options that --help shows apart from the others."""

    @property
    def options(self) -> list[Option]:
        return options_of(self.kind, self.instance)

    def shown(self) -> list[tuple[str, list[Option]]]:
        """Its options under their titles."""
        left = {option.name: option for option in self.options}
        parts = [(title, [left.pop(n) for n in names]) for title, names in self.sections.items()]
        return [*parts, (self.title, list(left.values()))]


def parse(kind: type[T], arguments: Sequence[str], program: str) -> T:
    """The dataclass `kind` with the values that were typed; its docstring begins the help.

    Raises:
        InputError: an option is unknown or missing, or a value is not of its type.
        SystemExit: --help was typed, and is printed.
    """
    about = inspect.cleandoc(kind.__doc__ or "")
    made: list[T] = parse_parts([Part("Options", kind)], arguments, program, about)
    return made[0]


def parse_parts(
    parts: Sequence[Part], arguments: Sequence[str], program: str, about: str
) -> list[Any]:
    """The dataclasses of several parts, whose options are typed together: see `parse`."""
    every = [option for part in parts for option in part.options]
    _check_names(parts)
    typed = _Typed(every)
    try:
        if typed.take(arguments):
            print(help_text([one for part in parts for one in part.shown()], program, about))
            raise SystemExit(0)
        typed.check_complete()
        return [_made(part, typed) for part in parts]
    except InputError as error:
        raise InputError(f"{error} (see {program} --help)") from None


def _check_names(parts: Sequence[Part]) -> None:
    owners: dict[str, type] = {}
    for part in parts:
        for option in part.options:
            if option.name in owners:
                raise InputError(
                    f"{option.name!r} of {part.kind.__name__} is an option of"
                    f" {owners[option.name].__name__} too: rename it"
                )
            owners[option.name] = part.kind


def _made(part: Part, typed: _Typed) -> Any:
    known = {} if part.instance is None else dict(vars(part.instance))
    return part.kind(**known | typed.values(part.options))


class _Typed:
    """What was typed for each option."""

    def __init__(self, options: Sequence[Option]) -> None:
        self._options = options
        self._by_flag = {option.flag: option for option in options if not option.is_positional}
        self._switches = {
            flag: (option.name, is_on)
            for option in options
            if option.is_switch
            for flag, is_on in ((option.flag, True), (option.inverse, False))
        }
        self._places = [option for option in options if option.is_positional]
        self._words: dict[str, list[str]] = {}
        self._is_on: dict[str, bool] = {}

    def take(self, arguments: Sequence[str]) -> bool:
        """Sort the words by the options that they are for; True if they ask for help."""
        waiting, places = deque(arguments), list[str]()
        if {"-h", "--help"} & {*takewhile(lambda word: word != "--", arguments)}:
            return True
        while waiting:
            word = waiting.popleft()
            if word == "--":
                places += waiting
                break
            if is_flag(word):
                self._take_flag(word, waiting)
            else:
                places.append(word)
        self._take_places(places)
        return False

    def _take_flag(self, word: str, waiting: deque[str]) -> None:
        flag, equals, value = word.partition("=")
        flag = flag.replace("_", "-")
        if flag in self._switches and not equals:
            name, is_on = self._switches[flag]
            self._is_on[name] = is_on
            return
        option = self._by_flag.get(flag)
        if option is None:
            close = nearest(flag, [*self._by_flag, *self._switches])
            raise InputError(f"no option {flag}" + (f": did you mean {close}?" if close else ""))
        if option.is_switch:
            raise InputError(f"{flag} takes no value: give {option.flag} or {option.inverse}")
        values = [value] if equals else []
        most = 1 if equals or not option.takes_many or option.is_repeated else len(waiting)
        while waiting and len(values) < most and not is_flag(waiting[0]):
            values.append(waiting.popleft())
        if not values:
            raise InputError(f"{flag} needs a value: {option.usage}")
        before = self._words.get(option.name, []) if option.takes_many else []
        self._words[option.name] = before + values

    def _take_places(self, words: list[str]) -> None:
        for option in self._places:
            taken = words if option.takes_many else words[:1]
            if taken:
                self._words[option.name] = taken
            words = words[len(taken) :]
        if words:
            raise InputError(f"unexpected {words[0]!r}: nothing more is expected there")

    def check_complete(self) -> None:
        """Raise `InputError` if an option that must be given was not typed."""
        missing = [o for o in self._options if o.is_required and o.name not in self._words]
        if len(missing) == 1:
            what = missing[0].help.partition(". ")[0].rstrip(".")
            raise InputError(f"{missing[0].shown} is missing: {lowered(what)}")
        if missing:
            *others, last = (option.shown for option in missing)
            raise InputError(f"{', '.join(others)} and {last} are missing")

    def values(self, options: Iterable[Option]) -> dict[str, Any]:
        """The values of those of the options that were typed."""
        found: dict[str, Any] = {}
        for option in options:
            if option.name in self._is_on:
                found[option.name] = self._is_on[option.name]
            elif option.name in self._words:
                read = [option.read(word) for word in self._words[option.name]]
                found[option.name] = tuple(read) if option.takes_many else read[0]
        return found


def is_flag(word: str) -> bool:
    """Whether a word names an option: --size and -h do; -1 and - are values."""
    return re.match(r"-[-a-zA-Z]", word) is not None


def given_method(text: str | None) -> type[nn.Module] | None:
    """The method that --method names, if it does: its module is imported."""
    from diptych.methods import named_method

    return None if text is None else named_method(text)


def complain(message: str, code: int = 2) -> int:
    print(f"diptych: {message}", file=sys.stderr)
    return code
