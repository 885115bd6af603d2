"""`diptych report`: write the page of a run anew."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from diptych.cli.fields import Positional
from diptych.cli.parse import given_method, parse
from diptych.training.summary import summarise


@dataclass(frozen=True, kw_only=True)
class WriteReport:
    """Rebuild a run's report.html."""

    run: Positional[Path]
    """The run's folder."""
    method: str | None = None
    """The module of its method, if it is your own: my_package.my_method or my_method.py."""


def report_command(arguments: list[str]) -> int:
    options = parse(WriteReport, arguments, "diptych report")
    print(summarise(options.run, method=given_method(options.method)))
    return 0
