"""`diptych methods` and `diptych samples`: what there is to train, and what to train it on."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from diptych.cli.parse import about
from diptych.errors import InputError

if TYPE_CHECKING:
    from diptych.methods import Installed


def methods_command(arguments: list[str]) -> int:
    """List the methods, their summaries and their recipes."""
    if _is_help("methods", methods_command, arguments):
        return 0
    from diptych.methods import installed_methods, own_methods

    console = Console()
    for name in own_methods():
        _show(console, name)
    for package, methods in groupby(installed_methods(), lambda method: method.distribution):
        console.print(f"[bold]From the package {escape(package)}[/]\n", highlight=False)
        for method in methods:
            _show_installed(console, method)
    return 0


def samples_command(arguments: list[str]) -> int:
    """List the data sets that need no files of your own, for --data."""
    if _is_help("samples", samples_command, arguments):
        return 0
    from diptych.data.samples import SAMPLES

    table = Table(box=None, pad_edge=False)
    for column in ("--data", "what it is"):
        table.add_column(column)
    for name, what in SAMPLES.items():
        table.add_row(f"sample:{name}", escape(what))
    Console().print(table)
    return 0


def _is_help(name: str, command: Callable[[list[str]], int], arguments: list[str]) -> bool:
    """Print the help of a command without options, if it is asked for.

    Raises:
        InputError: something else is.
    """
    if arguments in (["--help"], ["-h"]):
        print(f"usage: diptych {name}\n\n{command.__doc__}")
        return True
    if arguments:
        raise InputError(f"diptych {name} takes nothing, so not {' '.join(arguments)}")
    return False


def _show_installed(console: Console, method: Installed) -> None:
    if method.refusal is not None:
        console.print(method.refusal, markup=False, highlight=False)
        return
    try:
        method.load()
    except Exception as error:  # another package's fault hides no method of the others
        what = f"{method.name}  cannot be used: {type(error).__name__}: {error}"
        console.print(what, markup=False, highlight=False)
        return
    _show(console, method.name)


def _show(console: Console, name: str) -> None:
    from diptych.methods import find_method, summary

    console.print(
        f"[bold]{escape(name)}[/]  {escape(about(name).splitlines()[0])}", highlight=False
    )
    if what := summary(name):
        console.print(f"  {escape(what)}", highlight=False)
    console.print(f"  takes {_takes(name)}", style="dim", highlight=False)
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 2), style="dim")
    for recipe, one in vars(find_method(name)).get("RECIPES", {}).items():
        table.add_row(escape(f"--recipe {recipe}"), escape(one.summary))
    console.print(table)


def _takes(method: str) -> str:
    """What a method's batches are, in the first words of their own docstring."""
    from diptych.methods import batch_type_of

    text = str(batch_type_of(method).__doc__).splitlines()[0].rstrip(".")
    return text[:1].lower() + text[1:]
