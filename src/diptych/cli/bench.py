"""`diptych bench`: many methods trained and scored alike, and the papers' tables of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro
from rich.console import Console

from diptych.cli.parse import complain, parse
from diptych.errors import InputError

if TYPE_CHECKING:
    from diptych.bench.place import Place

_TABLES = {2: "systems", 3: "systems", 4: "ablations", 5: "ablations"}


@dataclass(frozen=True, kw_only=True)
class BenchCommand:
    """Train many methods under one budget, score them alike, and print the papers' tables.

    What is done already is not done again, and what was stopped goes on.
    """

    target: tyro.conf.Positional[tuple[str, ...]] = ()
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
    options: BenchCommand = parse(BenchCommand, arguments, "diptych bench", "")
    from diptych.files import check_can_write

    check_can_write(options.markdown)
    if options.report_only:
        targets = options.target or (None,)
        return _report([_known_place(options, target) for target in targets], options)
    if len(options.target) > 1:
        raise InputError(f"give one target, not {len(options.target)}: {' '.join(options.target)}")
    from diptych.bench.page import write_pages
    from diptych.bench.plan import make_bench
    from diptych.bench.run import Options, Running

    target = options.target[0] if options.target else None
    plan, name = _plan(options, target)
    place = _place(options, name)
    bench = make_bench(plan, leaves_out=not (_is_file(target) or options.methods))
    ways = Options(
        device=options.device,
        parallel=options.parallel,
        only=options.only,
        rescore=options.rescore,
        overwrite=options.overwrite,
    )
    running = Running(bench, place, ways, Console(stderr=True), after=lambda: write_pages(place))
    try:
        failures = running.run()
    except KeyboardInterrupt:
        return complain("stopped; the same command goes on", code=130)
    _report([place], options)
    return 1 if failures else 0


def _report(places: list[Place], options: BenchCommand) -> int:
    """Write the pages anew and print the tables."""
    from diptych.bench.page import markdown_page, write_pages
    from diptych.bench.render import terminal
    from diptych.bench.results import read_report
    from diptych.bench.tables import all_tables, problems
    from diptych.files import atomic_write_text

    console = Console()
    pages = [write_pages(place) for place in places]
    reports = [read_report(place) for place in places]
    for report in reports:
        for table in all_tables(report):
            if not table.is_detail:
                console.print(terminal(table, console.width))
                console.print()
        for line in problems(report):
            console.print(line, highlight=False, markup=False)
    if options.markdown is not None:
        atomic_write_text(options.markdown, markdown_page(reports, options.markdown.parent))
    for page in pages:
        print(f"see {page}")
    return 0


def _plan(options: BenchCommand, target: str | None) -> tuple[dict[str, Any], str]:
    """The plan with what the command line says in its place, and its name."""
    from diptych.bench.plan import DEFAULT_PLAN, read_plan_file, slug, source_name

    is_file = _is_file(target)
    if sum((is_file, options.plan is not None, options.table is not None)) > 1:
        raise InputError("give one plan: a FILE.toml, --plan or --table")
    if options.table is not None and options.table not in _TABLES:
        raise InputError(f"--table is {options.table}: it must be 2, 3, 4 or 5")
    chosen = _TABLES[options.table] if options.table is not None else options.plan
    name = target if is_file and target is not None else chosen or DEFAULT_PLAN
    plan = read_plan_file(name)
    own: dict[str, Any] = {
        "steps": options.steps,
        "minutes": options.minutes,
        "seeds": options.seeds,
    }
    own |= {"size": options.size, "width": options.width, "preset": options.preset}
    given = {key: value for key, value in own.items() if value is not None}
    if {"steps", "minutes"} & given.keys():
        plan = {key: value for key, value in plan.items() if key not in ("steps", "minutes")}
    if options.x is not None or options.y is not None:
        if target is not None and not is_file:
            raise InputError(f"give {target}, or --x and --y, not both")
        plan.pop("data", None)
        given |= {key: vars(options)[key] for key in ("x", "y") if vars(options)[key] is not None}
    if target is not None and not is_file:
        given["data"] = target
    if options.palette:
        given["palette"] = list(options.palette)
    if options.methods:
        given["rows"] = list(options.methods)
    plan |= given
    named = Path(name).stem if is_file else chosen
    places = [source_name(str(plan[key])) for key in ("data", "x", "y") if key in plan]
    data = slug(" ".join(places)) if places else None
    return plan, "-".join(part for part in (data if not is_file else None, named) if part)


def _is_file(target: str | None) -> bool:
    return target is not None and target.endswith(".toml")


def _place(options: BenchCommand, name: str) -> Place:
    from diptych.bench.place import Place

    out = options.out or Path("bench") / name
    return Place(out, options.runs or Path("runs") / "bench" / out.name)


def _known_place(options: BenchCommand, target: str | None) -> Place:
    from diptych.bench.place import Place

    if target is not None and Place(Path(target), Path()).plan.exists():
        return Place(Path(target), Path())
    return _place(options, _plan(options, target)[1])
