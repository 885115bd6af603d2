"""`diptych report`: write the page of a run anew."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from diptych.cli.parse import parse


@dataclass(frozen=True, kw_only=True)
class WriteReport:
    """Rebuild a run's report.html."""

    run: tyro.conf.Positional[Path]
    """The run's folder."""


def report_command(arguments: list[str]) -> int:
    from diptych.training.summary import summarise

    options = parse(WriteReport, arguments, "diptych report", "")
    print(summarise(options.run))
    return 0
