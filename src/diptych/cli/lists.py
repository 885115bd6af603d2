"""`diptych methods` and `diptych samples`: what there is to train, and what to train it on."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from diptych.cli.parse import about


def methods_command(arguments: list[str]) -> int:
    from diptych.methods import find_method, list_methods

    console = Console()
    for name in list_methods():
        console.print(f"[bold]{name}[/]  {about(name).splitlines()[0]}", highlight=False)
        module = vars(find_method(name))
        console.print(f"  {module['SUMMARY']}", highlight=False)
        console.print(f"  takes {_takes(name)}", style="dim", highlight=False)
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 2), style="dim")
        for recipe, what in module.get("RECIPES", {}).items():
            table.add_row(f"--recipe {recipe}", what.summary)
        console.print(table)
    return 0


def samples_command(arguments: list[str]) -> int:
    from diptych.data.samples import SAMPLES

    table = Table(box=None, pad_edge=False)
    for column in ("--data", "what it is"):
        table.add_column(column)
    for name, what in SAMPLES.items():
        table.add_row(f"sample:{name}", what)
    Console().print(table)
    return 0


def _takes(method: str) -> str:
    """What a method's batches are, in the first words of their own docstring."""
    from diptych.methods import method_class

    text = str(vars(method_class(method))["batch_type"].__doc__).splitlines()[0].rstrip(".")
    return text[:1].lower() + text[1:]
