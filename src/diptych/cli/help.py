"""What `--help` prints: usage, what the command is for, and its options in two columns."""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Sequence

from diptych.cli.fields import Option

_WIDEST = 100
"""Columns of a line: longer ones are hard to read."""
_COLUMN = 24
"""Where the text about an option begins."""


def help_text(parts: Sequence[tuple[str, Sequence[Option]]], program: str, about: str) -> str:
    """The help of a command whose options come in parts, each with a title."""
    width = min(shutil.get_terminal_size().columns, _WIDEST)
    every = [option for _, options in parts for option in options]
    places = [option for option in every if option.is_positional]
    blocks = [_usage(every, program, width), *_paragraphs(about, width)]
    if places:
        blocks.append("\n".join(_row(one.usage, one.described, width) for one in places))
    for title, options in parts:
        rows = [_row(o.usage, o.described, width) for o in options if not o.is_positional]
        blocks += ["\n".join([f"{title}:", *rows])] if rows else []
    return "\n\n".join([*blocks, _row("-h, --help", "Show this help.", width)])


def lowered(text: str) -> str:
    """A sentence's text without its capital; abbreviations keep theirs."""
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]


def _usage(options: Sequence[Option], program: str, width: int) -> str:
    """One line or more: what must be typed, in order, and that there are options."""
    words = [f"usage: {program}"]
    places = [option for option in options if option.is_positional]
    words += [one.usage if one.is_required else f"[{one.usage}]" for one in places]
    words += [one.usage for one in options if one.is_required and not one.is_positional]
    words += ["[OPTIONS]"] if any(not one.is_required for one in options) else []
    return textwrap.fill(" ".join(words), width, subsequent_indent="    ", break_on_hyphens=False)


def _paragraphs(about: str, width: int) -> list[str]:
    """Filled paragraphs; those that hold commands keep their lines."""
    return [
        paragraph if ": diptych " in paragraph else textwrap.fill(paragraph, width)
        for paragraph in about.split("\n\n")
    ]


def _row(left: str, right: str, width: int) -> str:
    begin = f"  {left}"
    # A default is not torn from its bracket: textwrap leaves no-break spaces alone.
    whole = re.sub(r"\(default: [^ ]+\)", lambda found: found[0].replace(" ", "\xa0"), right)
    filled = textwrap.wrap(whole, width - _COLUMN, break_on_hyphens=False)
    lines = [line.replace("\xa0", " ") for line in filled] or [""]
    if len(begin) + 2 > _COLUMN:
        lines.insert(0, "")
    rest = [" " * _COLUMN + line for line in lines[1:]]
    return "\n".join([f"{begin:{_COLUMN}}{lines[0]}".rstrip(), *rest])
