"""`diptych study`: let people take part in a perceptual study, and report."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from diptych.cli.fields import Positional
from diptych.cli.parse import parse, run_command
from diptych.errors import InputError
from diptych.files import atomic_write_text, check_can_write
from diptych.study import tables
from diptych.study.plot import write_plot
from diptych.study.report import StudyReport, answer_rows, measure
from diptych.study.server import StudyServer
from diptych.study.store import Study

_COMMANDS = {
    "make": "study_make.make_command",
    "serve": "study.serve_command",
    "invite": "study.invite_command",
    "report": "study.report_command",
}
"""By name, the module and the function: making alone needs PyTorch."""

_HELP = """\
usage: diptych study COMMAND ...

Ask people which image of a pair is real, as CycleGAN's paper does: one second
per pair.

  make RUN...      make a study of runs, or of folders of images
  serve STUDY      let people take part in their browsers
  invite STUDY N   print personal links
  report STUDY...  show how often each method fooled people

Run diptych study COMMAND --help for a command's options.
"""


def study_command(arguments: list[str]) -> int:
    """Run `diptych study ...`; returns the exit code."""
    command, rest = (arguments[0], arguments[1:]) if arguments else ("--help", [])
    if command in ("--help", "-h"):
        print(_HELP, end="")
        return 0
    if command not in _COMMANDS:
        raise InputError(f"no command study {command!r}; there are: {', '.join(_COMMANDS)}")
    return run_command(_COMMANDS[command], rest)


# --- serve and invite --------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Serve:
    """Serve the study's page until Ctrl-C. Answers are saved as they arrive."""

    study: Positional[Path]
    """The study's folder."""
    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 lets other machines in."""
    port: int = 8000
    """Port to listen on; 0 takes a free one."""
    url: str | None = None
    """The study's public address, if a web server in front passes requests on."""


def serve_command(arguments: list[str]) -> int:
    options: Serve = parse(Serve, arguments, "diptych study serve")

    with StudyServer(Study(options.study), options.host, options.port, options.url) as server:
        host, port = server.server_address[:2]
        print(f"http://{host!s}:{port}/  Ctrl-C stops; nothing is lost", flush=True)
        server.serve_forever()
    return 0


@dataclass(frozen=True, kw_only=True)
class Invite:
    """Print personal links. From then on, only people with a link can take part."""

    study: Positional[Path]
    """The study's folder."""
    count: Positional[int]
    """Number of links."""
    url: str = "http://127.0.0.1:8000/"
    """The study's public address."""


def invite_command(arguments: list[str]) -> int:
    options: Invite = parse(Invite, arguments, "diptych study invite")

    for code in Study(options.study).invite(options.count):
        print(f"{options.url.rstrip('/')}/#{code}")
    return 0


# --- report ------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class ReportStudy:
    """Show how often people took each method's images for real. Several studies are columns."""

    studies: Positional[tuple[Path, ...]]
    """Studies' folders."""
    json: Path | None = None
    """Write the figures to this file, too."""
    csv: Path | None = None
    """Write every answer to this file, one per row."""
    table: Path | None = None
    """Write the table to this file: .md or .tex."""
    plot: Path | None = None
    """Draw a plot: .png, .svg or .pdf."""
    paper: bool = False
    """Show the rows of CycleGAN's Table 1, as cited."""
    resamples: int = 10_000
    """Number of bootstrap resamples."""
    seed: int = 0
    """Seed of the bootstrap."""


def report_command(arguments: list[str]) -> int:
    options: ReportStudy = parse(ReportStudy, arguments, "diptych study report")
    if options.table is not None and options.table.suffix not in (".md", ".tex"):
        raise InputError(f"cannot write a table to {options.table}: its name must end in .md, .tex")
    check_can_write(options.json, options.csv, options.table, options.plot)
    reports = [measure(s, seed=options.seed, resamples=options.resamples) for s in options.studies]
    _write(options, reports)
    console = Console()
    console.print(tables.terminal_table(reports))
    notes = "\n".join(f"- {line}" for line in tables.notes(reports))
    console.print(notes, style="dim", markup=False)
    if options.paper:
        console.print("", tables.paper_table(), f"[dim]- {tables.PAPER_NOTE}[/]", sep="\n")
    return 0


def _write(options: ReportStudy, reports: Sequence[StudyReport]) -> None:
    if options.json is not None:
        text = json.dumps([report.to_dict() for report in reports], indent=1, ensure_ascii=False)
        atomic_write_text(options.json, text + "\n")
    if options.csv is not None:
        rows = [{"study": str(s)} | row for s in options.studies for row in answer_rows(s)]
        file = io.StringIO()
        writer = csv.DictWriter(file, list(rows[0]) if rows else ["study"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        atomic_write_text(options.csv, file.getvalue())
    if options.table is not None:
        form = tables.markdown if options.table.suffix == ".md" else tables.latex
        atomic_write_text(options.table, form(reports, with_paper=options.paper))
    if options.plot is not None:
        write_plot(reports, options.plot)
