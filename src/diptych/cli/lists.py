"""`diptych methods` and `diptych samples`: what there is to train, and what to train it on."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from diptych.cli.parse import parse
from diptych.data.samples import SAMPLES
from diptych.methods import (
    Installed,
    about,
    batch_type_of,
    find_method,
    installed_methods,
    own_methods,
    summary,
)


@dataclass(frozen=True)
class ListMethods:
    """List the methods, with what each is, the data that it takes, and its recipes."""


@dataclass(frozen=True)
class ListSamples:
    """List the data sets that need no files of your own, as --data takes them."""


def methods_command(arguments: list[str]) -> int:
    parse(ListMethods, arguments, "diptych methods")
    console = Console()
    for name in own_methods():
        _show(console, name)
    for package, methods in groupby(installed_methods(), lambda method: method.distribution):
        console.print(f"[bold]From the package {package}[/]\n", highlight=False)
        for method in methods:
            _show_installed(console, method)
    return 0


def samples_command(arguments: list[str]) -> int:
    parse(ListSamples, arguments, "diptych samples")
    table = Table(box=None, pad_edge=False)
    for column in ("--data", "what it is"):
        table.add_column(column)
    for name, what in SAMPLES.items():
        table.add_row(f"sample:{name}", what)
    Console().print(table)
    return 0


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
    told = Text.assemble((name, "bold"), "  ", about(name).splitlines()[0])
    console.print(told, highlight=False)
    below = [Text(what)] if (what := summary(name)) else []
    below.append(Text(f"takes {_takes(name)}", style="dim"))
    for text in below:
        console.print(Padding(text, (0, 0, 0, 2)), highlight=False)
    recipes = vars(find_method(name)).get("RECIPES", {})
    if recipes:
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 2), style="dim")
        for recipe, one in recipes.items():
            table.add_row(f"--recipe {recipe}", one.summary)
        console.print(table)
    console.print()


def _takes(method: str) -> str:
    """What a method's batches are, in the first words of their own docstring."""
    text = str(batch_type_of(method).__doc__).splitlines()[0].rstrip(".")
    return text[:1].lower() + text[1:]
