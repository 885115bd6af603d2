"""The reference of the command line, from the very declarations that parse it."""

from __future__ import annotations

import dataclasses
import html
import inspect
import types
import typing
from pathlib import Path
from typing import Any
from unittest import mock

import tyro

from diptych.cli.fields import attribute_docstrings
from diptych.cli.main import main
from diptych.methods import list_methods

PAGE = "reference/cli.md"
MARK = "<!-- the reference is put here when the site is built -->"
COMMANDS = (
    ("translate",),
    ("evaluate",),
    ("generate",),
    ("interpolate",),
    ("report",),
    ("bench",),
    ("study", "make"),
    ("study", "serve"),
    ("study", "invite"),
    ("study", "report"),
)


class Parsing(BaseException):
    """What a command would parse its options as; raised in the place of parsing."""

    def __init__(self, kind: Any, about: str) -> None:
        self.kind = kind
        self.about = about


def declared(*command: str) -> Parsing:
    """The dataclass and the description that `diptych COMMAND` hands to its parser."""

    def stop(kind: Any, **given: Any) -> Any:
        raise Parsing(kind, given["description"])

    with mock.patch.object(tyro, "cli", stop):
        try:
            main([*command, "--help"])
        except Parsing as found:
            return found
    raise AssertionError(f"diptych {' '.join(command)} parses nothing")


def reference() -> str:
    """All commands as Markdown."""
    parts = [_train(), _resume()]
    parts += [_command(" ".join(command), declared(*command)) for command in COMMANDS]
    parts += [f"## diptych {name}\n\n{text}\n" for name, text in _LISTS.items()]
    return "\n".join(parts)


_LISTS = {
    "methods": "Print every method with its recipes. It takes no options.",
    "samples": "Print the sample data sets. It takes no options.",
}


def _train() -> str:
    first, *_ = list_methods()
    groups = {f.name: f.type for f in dataclasses.fields(declared("train", first).kind)}
    parts = [
        "## diptych train\n\n```text\ndiptych train METHOD [options]\n```\n\n"
        "Train a method. The options of every method come first, then those of each one.\n"
    ]
    for name, kind in groups.items():
        if name != "config":
            parts.append(_options(kind, {}))
    for method in list_methods():
        found = declared("train", method)
        config = next(f for f in dataclasses.fields(found.kind) if f.name == "config")
        about = found.about.splitlines()[0]
        parts.append(f"### diptych train {method}\n\n{about}\n")
        parts.append(_options(config.type, vars(config.default)))
    return "\n".join(parts)


def _resume() -> str:
    return _command("train --resume", declared("train", "--resume", "RUN"))


def _command(name: str, found: Parsing) -> str:
    places = " ".join(
        f"{field.upper()}{'...' if 'tuple' in str(hint) else ''}"
        for field, hint in _hints(found.kind).items()
        if _is_positional(hint)
    )
    usage = " ".join(part for part in (f"diptych {name}", places, "[options]") if part)
    about = inspect.cleandoc(found.about or found.kind.__doc__ or "")
    parts = (f"## diptych {name}", f"```text\n{usage}\n```", _prose(about))
    return "\n\n".join((*parts, _options(found.kind, {})))


def _prose(about: str) -> str:
    """A description as Markdown: paragraphs that hold commands keep their lines."""
    parts = about.split("\n\n")
    return "\n\n".join(f"```text\n{p}\n```" if ": diptych " in p else p for p in parts)


def _options(kind: Any, defaults: dict[str, Any]) -> str:
    hints, told = _hints(kind), attribute_docstrings(kind)
    parts = []
    for field in dataclasses.fields(kind):
        hint = hints[field.name]
        default = defaults.get(field.name, field.default)
        flag = field.name.replace("_", "-")
        plain = typing.get_args(hint)[0] if hasattr(hint, "__metadata__") else hint
        if _is_positional(hint):
            shown = field.name.upper()
        elif plain is bool:
            shown = f"--{flag}, --no-{flag}"
        else:
            shown = f"--{flag}"
        kind_text = html.escape(_type_name(plain) + _default(default))
        parts.append(
            f'<div class="option" markdown="1">\n**`{shown}`**'
            f' <span class="kind">{kind_text}</span>\n\n{told.get(field.name, "")}\n</div>\n'
        )
    return "\n".join(parts)


def _hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind, include_extras=True)


def _is_positional(hint: Any) -> bool:
    marker = typing.get_args(tyro.conf.Positional[int])[1]
    return marker in getattr(hint, "__metadata__", ())


def _default(value: Any) -> str:
    if value is dataclasses.MISSING:
        return ", required"
    if value is None or value == () or value == "" or isinstance(value, bool):
        return ", on by default" if value is True else ""
    shown = " ".join(map(str, value)) if isinstance(value, tuple) else value
    return f", default {shown}"


def _type_name(hint: Any) -> str:
    names = {int: "INT", float: "FLOAT", str: "TEXT", Path: "PATH", bool: "switch"}
    arguments = typing.get_args(hint)
    if hint in names:
        return names[hint]
    if typing.get_origin(hint) is typing.Literal:
        return " | ".join(map(str, arguments))
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        return " | ".join(_type_name(one) for one in arguments if one is not type(None))
    if typing.get_origin(hint) is tuple:
        one = _type_name(arguments[0])
        return f"[{one} ...]" if arguments[-1] is ... else " ".join(map(_type_name, arguments))
    return str(hint)
