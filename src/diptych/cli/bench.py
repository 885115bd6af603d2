"""`diptych bench`: many methods trained and scored alike, and the papers' tables of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from diptych.cli.fields import Positional
from diptych.cli.parse import parse
from diptych.errors import InputError
from diptych.files import check_can_write

_OF_TRAINING = (
    "palette", "methods", "steps", "minutes", "seeds", "size", "width", "preset", "only",
    "parallel", "device", "rescore", "overwrite",
)  # fmt: skip
"""Options that --report-only has no use for."""


@dataclass(frozen=True, kw_only=True)
class BenchCommand:
    """Train many methods under one budget, score them alike, and print the papers' tables.

    What is done already is not done again, and what was stopped goes on.
    """

    target: Positional[tuple[str, ...]] = ()
    """Data, as --data of diptych train, or a plan's FILE.toml; with --report-only the folders
    of benches too."""
    x: str | None = None
    """Folder of one domain's images, instead of a target."""
    y: str | None = None
    """Folder of the other domain's images."""
    palette: tuple[str, ...] = ()
    """As of diptych train, such as labels=cityscapes: scores in classes need it."""
    plan: str | None = None
    """One of Diptych's own: methods (the default), papers, systems, ablations, variants, maps."""
    table: int | None = None
    """CycleGAN's Table 2, 3, 4 or 5, instead of a plan."""
    methods: tuple[str, ...] = ()
    """These methods, instead of the plan's rows."""
    steps: int | None = None
    """Budget of each run in iterations."""
    minutes: float | None = None
    """Budget of each run in minutes of this machine, as a step of each row is timed once."""
    seeds: int | None = None
    """Runs of each row, with seeds from 0."""
    size: int | None = None
    """Pixels a side."""
    width: int | None = None
    """Channels of the first layer, where a method has it."""
    preset: str | None = None
    """As of diptych train."""
    out: Path | None = None
    """Folder for the small files and the pages; bench/NAME by default."""
    runs: Path | None = None
    """Folder for the runs, with their weights; runs/bench/NAME by default."""
    only: tuple[str, ...] = ()
    """Rows to carry out now, by label or method; the pages hold all of them."""
    parallel: int | None = None
    """Runs at a time; by default one a GPU. On a CPU they share its threads."""
    device: str = "auto"
    """cpu, cuda, mps; auto takes the fastest there is."""
    rescore: bool = False
    """Score finished runs anew, without training them."""
    overwrite: bool = False
    """Train anew what is there of other options or data, which is refused without it, and
    finished runs of another precision than their row was timed in."""
    report_only: bool = False
    """Train nothing: make the pages anew from the small files."""
    markdown: Path | None = None
    """Also write the Markdown page to this file; of several benches, all of them."""


def bench_command(arguments: list[str]) -> int:
    """The exit code: 0, 1 if runs failed, 130 for an interrupt."""
    options = parse(BenchCommand, arguments, "diptych bench")
    check_can_write(options.markdown)
    if options.report_only:
        unused = [name for name in _OF_TRAINING if vars(options)[name] != vars(BenchCommand)[name]]
        if unused:
            flag = unused[0].replace("_", "-")
            raise InputError(f"--report-only trains nothing: leave out it, or --{flag}")
    elif len(options.target) > 1:
        raise InputError(f"give one target, not {len(options.target)}: {' '.join(options.target)}")
    from diptych.cli import bench_run  # PyTorch, which neither help nor a slip needs

    return bench_run.report(options) if options.report_only else bench_run.run(options)
