"""What `diptych bench` does with its options: the plan, the runs, the pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from diptych.bench.page import markdown_page, write_pages
from diptych.bench.place import Place
from diptych.bench.plan import DEFAULT_PLAN, make_bench, read_plan_file, slug, source_name
from diptych.bench.render import terminal
from diptych.bench.results import read_report
from diptych.bench.run import Options, Running
from diptych.bench.tables import all_tables, problems
from diptych.cli.bench import BenchCommand
from diptych.cli.parse import complain
from diptych.errors import InputError
from diptych.files import atomic_write_text
from diptych.methods import give, named_method

_TABLES = {2: "systems", 3: "systems", 4: "ablations", 5: "ablations"}


def run(options: BenchCommand) -> int:
    """Train and score what is not done yet, then print the tables; returns the exit code."""
    target = options.target[0] if options.target else None
    methods = [(text, give(named_method(text))) for text in options.methods]
    options = replace(options, methods=tuple(name for _, name in methods))
    plan, name = _plan(options, target)
    place = _place(options, name)
    bench = make_bench(plan, leaves_out=not (_is_file(target) or options.methods))
    ways = Options(
        device=options.device,
        parallel=options.parallel,
        only=options.only,
        rescore=options.rescore,
        overwrite=options.overwrite,
        modules=tuple(text for text, known in methods if text != known),
    )
    running = Running(bench, place, ways, Console(stderr=True), after=lambda: write_pages(place))
    try:
        failures = running.run()
    except KeyboardInterrupt:
        return complain("stopped; the same command goes on", code=130)
    _show([place], options.markdown)
    return 1 if failures else 0


def report(options: BenchCommand) -> int:
    """Write the pages of what is done anew, and print the tables; returns the exit code."""
    targets = options.target or (None,)
    _show([_known_place(options, target) for target in targets], options.markdown)
    return 0


def _show(places: Sequence[Place], markdown: Path | None) -> None:
    """Write the pages anew and print the tables."""
    console = Console()
    pages = [write_pages(place) for place in places]
    reports = [read_report(place) for place in places]
    for one in reports:
        for table in all_tables(one):
            if not table.is_detail:
                console.print(terminal(table, console.width))
                console.print()
        for line in problems(one):
            console.print(line, highlight=False, markup=False)
    if markdown is not None:
        atomic_write_text(markdown, markdown_page(reports, markdown.parent))
    for page in pages:
        print(f"see {page}")


def _plan(options: BenchCommand, target: str | None) -> tuple[dict[str, Any], str]:
    """The plan with what the command line says in its place, and its name."""
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
    out = options.out or Path("bench") / name
    return Place(out, options.runs or Path("runs") / "bench" / out.name)


def _known_place(options: BenchCommand, target: str | None) -> Place:
    if target is not None and Place(Path(target), Path()).plan.exists():
        return Place(Path(target), Path())
    return _place(options, _plan(options, target)[1])
