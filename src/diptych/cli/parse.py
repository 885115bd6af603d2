"""Options from the command line, and complaints as one line each."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import io
import re
import shutil
import sys
import textwrap
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import tyro

from diptych.cli.fields import registry
from diptych.errors import InputError

if TYPE_CHECKING:
    from torch import nn


def run_command(place: str, arguments: list[str]) -> int:
    """Run the function at `place`, MODULE.FUNCTION of this package, whose module is loaded now."""
    module, _, function = place.partition(".")
    command: Callable[[list[str]], int] = getattr(
        importlib.import_module(f"diptych.cli.{module}"), function
    )
    return command(arguments)


def parse(kind: Any, arguments: list[str], program: str, about: str) -> Any:
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint), registry():
            return tyro.cli(
                kind,
                config=(tyro.conf.OmitArgPrefixes,),
                args=arguments,
                prog=program,
                description=_wrapped(about or inspect.cleandoc(kind.__doc__ or "")),
            )
    except SystemExit as stop:
        if not stop.code:  # --help
            raise
        raise InputError(f"{_unboxed(complaint.getvalue())} (see {program} --help)") from None


def _wrapped(text: str) -> str:
    """Wrap paragraphs to the terminal's width, which tyro does for options alone."""
    width = min(shutil.get_terminal_size().columns, 100)
    paragraphs = (" ".join(part.split()) for part in text.split("\n\n"))
    return "\n\n".join(textwrap.fill(part, width) for part in paragraphs)


def _unboxed(text: str) -> str:
    """The first paragraph of what tyro says in a box, as one line.

    The box is drawn in lines or, where the encoding has none, in ASCII.
    """
    lines: list[str] = []
    for line in text.splitlines()[1:]:  # the first holds the box's title
        if set(line) - set("│╰╯─- "):
            lines.append(line.strip("│ "))
        elif lines:  # the rule below the paragraph, or the end of the box
            break
    return re.sub(r"^Error parsing (config|run|choices): ", "", " ".join(lines))


def about(method: str) -> str:
    from diptych import methods

    return inspect.cleandoc(methods.about(method))


def given_method(text: str | None) -> type[nn.Module] | None:
    """The method that --method names, if it does: its module is imported."""
    from diptych.methods import named_method

    return None if text is None else named_method(text)


def complain(message: str, code: int = 2) -> int:
    print(f"diptych: {message}", file=sys.stderr)
    return code
