"""The reference of the command line, from the very declarations that parse it."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Literal, get_args, get_origin
from unittest import mock

from diptych.cli import parse
from diptych.cli.fields import Option, default_text
from diptych.cli.main import main
from diptych.cli.parse import Part
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

    def __init__(self, parts: Sequence[Part], about: str) -> None:
        self.parts = parts
        self.about = about

    @property
    def options(self) -> list[Option]:
        return [option for part in self.parts for option in part.options]


def declared(*command: str) -> Parsing:
    """The parts and the description that `diptych COMMAND` hands to its parser."""

    def stop(parts: Sequence[Part], words: object, program: str, about: str) -> None:
        raise Parsing(parts, about)

    with mock.patch.object(parse, "parse_parts", stop), \
         mock.patch("diptych.cli.train.parse_parts", stop):  # fmt: skip
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
    *shared, _ = declared("train", first).parts
    parts = [
        "## diptych train\n\n```text\ndiptych train METHOD [OPTIONS]\n```\n\n"
        "Train a method. The options of every method come first, then those of each one.\n"
    ]
    for part in shared:
        for title, options in part.shown():
            parts.append(f"### {title}\n\n{_options(options)}")
    for method in list_methods():
        found = declared("train", method)
        about = found.about.splitlines()[0]
        parts.append(f"### diptych train {method}\n\n{about}\n")
        parts.append(_options(found.parts[-1].options))
    return "\n".join(parts)


def _resume() -> str:
    return _command("train --resume", declared("train", "--resume", "RUN"))


def _command(name: str, found: Parsing) -> str:
    places = [option.usage for option in found.options if option.is_positional]
    usage = " ".join([f"diptych {name}", *places, "[OPTIONS]"])
    parts = (f"## diptych {name}", f"```text\n{usage}\n```", _prose(found.about))
    return "\n\n".join((*parts, _options(found.options)))


def _prose(about: str) -> str:
    """A description as Markdown: paragraphs that hold commands keep their lines."""
    parts = about.split("\n\n")
    return "\n\n".join(f"```text\n{p}\n```" if ": diptych " in p else p for p in parts)


def _options(options: Sequence[Option]) -> str:
    parts = []
    for option in options:
        shown = option.value if option.is_positional else option.flag
        if option.is_switch:
            shown = f"{option.flag}, {option.inverse}"
        kind = html.escape(_type_name(option) + _default(option))
        parts.append(
            f'<div class="option" markdown="1">\n**`{shown}`**'
            f' <span class="kind">{kind}</span>\n\n{option.help}\n</div>\n'
        )
    return "\n".join(parts)


def _default(option: Option) -> str:
    if option.is_required:
        return ", required"
    if option.is_switch:
        return ", on by default" if option.default else ""
    shown = default_text(option.default)
    return f", default {shown}" if shown else ""


def _type_name(option: Option) -> str:
    if option.is_switch:
        return "switch"
    if get_origin(option.one) is Literal:
        return " | ".join(map(str, get_args(option.one)))
    return f"{option.value}..." if option.takes_many else option.value
