"""`diptych doctor`: check data before a long training."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

import diptych
from diptych.cli.fields import Positional
from diptych.cli.parse import parse
from diptych.files import atomic_write_text, check_can_write
from diptych.report.checkup import checkup_page, distance_table, domain_table


@dataclass(frozen=True, kw_only=True)
class Doctor:
    """Check data before a long training.

    It says what is there, what is broken or doubled, how far apart the domains are, what fits
    them, and how long a training takes on this machine.
    """

    data: Positional[str | None] = None
    """The folder of the data, or sample:NAME."""
    x: str | None = None
    """Folder of domain X, with --y in place of DATA."""
    y: str | None = None
    """Folder of domain Y."""
    names: tuple[str, ...] = ()
    """Names of the domains, as for training."""
    attributes: str | None = None
    """Table of attributes, as for training."""
    size: int | None = None
    """Pixels a side of the training, if they are decided."""
    most: int = 5000
    """Images to look at, over all domains and splits."""
    times: bool = True
    """Train a few steps to tell how long a training takes."""
    device: str = "auto"
    """Where to time steps: cpu, cuda or mps; auto takes the fastest there is."""
    page: Path = Path("doctor.html")
    """File for the page."""
    json: Path | None = None
    """Write what was found to this file, too."""


def doctor_command(arguments: list[str]) -> int:
    options = parse(Doctor, arguments, "diptych doctor")
    check_can_write(options.page, options.json)
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bars:
        task = bars.add_task("looking")
        found = diptych.doctor(
            options.data,
            x=options.x,
            y=options.y,
            names=options.names or None,
            attributes=options.attributes,
            size=options.size,
            most=options.most,
            device=options.device,
            times=options.times,
            progress=lambda done, total: bars.update(task, completed=done, total=total),
        ).to_dict()
    atomic_write_text(options.page, checkup_page(found))
    if options.json is not None:
        atomic_write_text(options.json, json.dumps(found, indent=1) + "\n")
    _show(found)
    print(f"see {options.page}")
    return 0


def _show(found: Mapping[str, Any]) -> None:
    console = Console()
    console.print(_table(*domain_table(found)))
    if found["distances"]:
        console.print(_table(*distance_table(found)))
    seen = found["examination"]
    for title, lines in (
        ("what was decided", seen["notes"]),
        ("findings", [one["text"] for one in seen["findings"]] or ["none"]),
        ("what to train with", found["advice"]),
    ):
        if not lines:
            continue
        console.print(Text(f"\n{title}", style="bold"))
        for line in lines:
            console.print(Text(f"- {line}"), soft_wrap=False)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for head in heads:
        table.add_column(Text(head, style="bold"))
    for row in rows:
        table.add_row(*map(Text, row))
    return table
