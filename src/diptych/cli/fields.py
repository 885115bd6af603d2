"""A dataclass's fields as options of the command line: their names, values, defaults and help."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import textwrap
from collections.abc import Iterable
from dataclasses import MISSING, dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from diptych.errors import InputError

T = TypeVar("T")

_POSITIONAL, _REPEATED = "positional", "repeated"
Positional = Annotated[T, _POSITIONAL]
"""A field that is typed without a flag, such as RUN in `diptych report RUN`."""
Repeated = Annotated[T, _REPEATED]
"""A tuple that takes one value each time its flag is typed, as in `--to Blond --to Male`."""

_KINDS: dict[Any, tuple[str, str]] = {
    int: ("N", "a whole number"),
    float: ("NUMBER", "a number"),
    str: ("TEXT", "a text"),
    Path: ("PATH", "a path"),
}
"""By type: what --help calls a value, and what messages do."""
_VALUES = {
    "attributes": "FILE", "channels": "DOMAIN=N", "nodata": "DOMAIN=VALUE",
    "range": "DOMAIN=LOW,HIGH", "show": "DOMAIN=N,N,N",
    "config": "FILE", "csv": "FILE", "data": "DATA", "device": "DEVICE",
    "fake": "NAME=FOLDER", "host": "ADDRESS", "init": "RUN", "inputs": "INPUT", "json": "FILE",
    "markdown": "FILE", "method": "MODULE", "methods": "METHOD", "names": "NAME", "only": "ROW",
    "out": "PATH", "page": "FILE", "palette": "DOMAIN=FILE", "plan": "PLAN", "plot": "FILE",
    "preset": "PRESET",
    "real": "FOLDER", "recipe": "RECIPE", "resume": "RUN", "source": "DOMAIN", "studies": "STUDY",
    "style": "IMAGE", "table": "FILE", "target": "DATA", "to": "DOMAIN", "url": "URL",
    "vgg16": "FILE", "weights": "FILE", "x": "FOLDER", "y": "FOLDER",
}  # fmt: skip
"""By option, of texts and paths: what --help calls a value, where it says more than the type."""


@dataclass(frozen=True)
class Option:
    """One field, as the command line has it."""

    name: str
    hint: Any
    """Its type, without None and what it is annotated with."""
    default: Any
    """MISSING if it must be given."""
    help: str
    is_positional: bool
    is_repeated: bool

    @property
    def flag(self) -> str:
        """As it is typed: --keep-every."""
        return "--" + self.name.replace("_", "-")

    @property
    def inverse(self) -> str:
        """What turns a switch off: --no-check."""
        return "--no-" + self.flag.removeprefix("--")

    @property
    def is_required(self) -> bool:
        return self.default is MISSING

    @property
    def is_switch(self) -> bool:
        return self.hint is bool

    @property
    def takes_many(self) -> bool:
        return get_origin(self.hint) is tuple

    @property
    def one(self) -> Any:
        """The type of one value."""
        return get_args(self.hint)[0] if self.takes_many else self.hint

    @property
    def value(self) -> str:
        """What --help calls one value."""
        if get_origin(self.one) is Literal:
            return "{" + ",".join(map(str, get_args(self.one))) + "}"
        word = _KINDS[self.one][0]
        if self.is_positional and self.name not in _VALUES:
            return self.name.upper().removesuffix("S") if self.takes_many else self.name.upper()
        return _VALUES.get(self.name, word) if self.one in (str, Path) else word

    @property
    def shown(self) -> str:
        """What messages call it: RUN, or --out."""
        return self.value if self.is_positional else self.flag

    @property
    def usage(self) -> str:
        """With its value, as a line of usage has it: RUN, INPUT..., --out PATH."""
        if self.is_switch:
            return f"{self.flag}, {self.inverse}" if self.default is True else self.flag
        value = self.value + ("..." if self.takes_many and not self.is_repeated else "")
        return value if self.is_positional else f"{self.flag} {value}"

    @property
    def described(self) -> str:
        """Its help, with its default in brackets if there is one to speak of."""
        shown = default_text(self.default)
        return self.help + (f" (default: {shown})" if shown else "")

    def read(self, text: str) -> Any:
        """One value from what was typed.

        Raises:
            InputError: it is not of the option's type.
        """
        if get_origin(self.one) is Literal:
            known = {str(value): value for value in get_args(self.one)}
            expected = f"one of {', '.join(known)}"
            if text in known:
                return known[text]
        else:
            expected = _KINDS[self.one][1]
            try:
                return self.one(text)
            except ValueError:
                pass
        raise InputError(f"{self.shown} is {text!r}: it must be {expected}")


def options_of(kind: type, instance: object = None) -> list[Option]:
    """The fields of a dataclass; defaults are those of `instance`, if it is given.

    A field of a type that no text stands for, such as a dictionary, is no option.
    """
    helps = attribute_docstrings(kind)
    hints = get_type_hints(kind, include_extras=True)
    options = []
    for field in dataclasses.fields(kind):
        hint = hints[field.name]
        marks = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
        plain = _without_none(get_args(hint)[0] if marks else hint)
        if not field.init or not _is_readable(plain):
            continue
        options.append(
            Option(
                name=field.name,
                hint=plain,
                default=_default(field) if instance is None else vars(instance)[field.name],
                help=helps.get(field.name, ""),
                is_positional=_POSITIONAL in marks,
                is_repeated=_REPEATED in marks,
            )
        )
    return options


def attribute_docstrings(kind: type) -> dict[str, str]:
    """The string below each field of a class and of those it is derived from, as one line."""
    found = {}
    for one in reversed(kind.__mro__):
        for name, text in _docstrings_in(one):
            found[name] = " ".join(text.split())
    return found


def _docstrings_in(kind: type) -> Iterable[tuple[str, str]]:
    try:
        source = textwrap.dedent(inspect.getsource(kind))
    except (OSError, TypeError):  # built in, or made at run time
        return
    tree = ast.parse(source).body[0]
    assert isinstance(tree, ast.ClassDef)
    for field, below in zip(tree.body, tree.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            match below:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    yield field.target.id, text


def default_text(value: Any) -> str:
    """A default as --help shows it; empty if there is nothing to say."""
    if value is MISSING or value is None or value is False or value in ((), ""):
        return ""
    if value is True:
        return "on"
    if isinstance(value, tuple):
        return " ".join(map(default_text, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _default(field: dataclasses.Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def _without_none(hint: Any) -> Any:
    """`int` of `int | None`; other unions stay."""
    if get_origin(hint) not in (Union, UnionType):
        return hint
    parts = [part for part in get_args(hint) if part is not NoneType]
    return parts[0] if len(parts) == 1 else hint


def _is_readable(hint: Any) -> bool:
    if get_origin(hint) is tuple:
        (one, *more) = get_args(hint)
        return more == [...] and one is not bool and _is_readable(one)
    return hint is bool or hint in _KINDS or get_origin(hint) is Literal
