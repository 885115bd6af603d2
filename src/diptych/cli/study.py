"""`diptych study`: make a perceptual study, let people take part, and report."""

from __future__ import annotations

import csv
import io
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from rich.console import Console

from diptych.cli.parse import parse
from diptych.errors import InputError
from diptych.study.settings import Pairing, Presentation, StudySettings

if TYPE_CHECKING:
    from diptych.data import Data
    from diptych.inference.translator import Translator
    from diptych.study.report import StudyReport
    from diptych.study.sources import HeldOut

_log = logging.getLogger(__name__)

_HELP = """\
usage: diptych study COMMAND ...

Can people tell a method's images from real ones? One second a pair, as in CycleGAN's paper.

  make RUN...      put the images of runs, or of folders, into a new study
  serve STUDY      let people take part, in their browsers
  invite STUDY N   make links, each for one person
  report STUDY...  how often each method fooled people

diptych study COMMAND --help lists a command's options.
"""


def study_command(arguments: list[str]) -> int:
    """Run `diptych study ...`; returns the exit code."""
    command, rest = (arguments[0], arguments[1:]) if arguments else ("--help", [])
    if command in ("--help", "-h"):
        print(_HELP, end="")
        return 0
    if command not in _COMMANDS:
        raise InputError(f"no command study {command!r}; there are: {', '.join(_COMMANDS)}")
    return _COMMANDS[command](rest)


# --- make --------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Make:
    """Put real images and each method's into a new study.

    Of runs: diptych study make RUN... --to DOMAIN --out studies/x
    Of folders: diptych study make --real DIR --fake NAME=DIR NAME=DIR --out studies/x
    """

    runs: tyro.conf.Positional[tuple[str, ...]] = ()
    """Runs' folders or .safetensors files, each perhaps as NAME=RUN; a method's name is the
    default."""
    out: Path
    """Folder for the study."""
    to: str | None = None
    """The domain that runs translate to, whose real images they are held against."""
    source: str | None = None
    """The domain that they translate from, where there are more than two."""
    data: str | None = None
    """The data to translate; by default what the first run was trained on."""
    split: Literal["test", "validation", "train"] = "test"
    """Which of its images."""
    images: int = 100
    """At most so many of each domain, evenly spread."""
    real: Path | None = None
    """A folder of real images, for a study of folders."""
    fake: tuple[str, ...] = ()
    """Folders of generated images, each as NAME=FOLDER."""
    size: int | None = None
    """Pixels a side to scale and crop the folders' images to."""
    direction: str | None = None
    """What the report calls a study of folders, such as "map→photo"."""
    title: str = StudySettings.title
    """The page's heading."""
    contact: str = ""
    """Who runs the study and whom to ask: shown before people agree to take part."""
    practice: int = StudySettings.practice
    """Trials with feedback, which do not count."""
    trials: int = StudySettings.counted
    """Trials that count."""
    exposure: float = StudySettings.exposure_seconds
    """Seconds that images are visible."""
    pairing: Pairing = StudySettings.pairing
    """Whether the images of a pair show the same scene: equal names in folders, true pairs in
    data."""
    presentation: Presentation = StudySettings.presentation
    """Both images at once, or the left one and then the right one."""
    seed: int = 0
    """Draws methods, images, order and sides, and the translations of methods that draw."""
    device: str = "auto"
    """cpu, cuda, mps; auto takes the fastest there is."""


def _make(arguments: list[str]) -> int:
    options: Make = parse(Make, arguments, "diptych study make", "")
    if options.runs and (options.real or options.fake):
        raise InputError("give runs, or --real and --fake, not both")
    if options.images < 1:
        raise InputError(f"--images is {options.images}: it must be at least 1")
    if options.size is not None and options.size < 1:
        raise InputError(f"--size is {options.size}: it must be at least 1")
    if options.out.exists():  # before minutes of translating
        raise InputError(f"{options.out} is there already: give another --out, or remove it")
    if options.runs:
        _make_of_runs(options)
    else:
        _make_of_folders(options)
    print(f"see {options.out}; let people take part: diptych study serve {options.out}")
    return 0


def _make_of_runs(options: Make) -> None:
    from diptych.study.items import make_study
    from diptych.study.sources import named_paths

    if options.to is None:
        raise InputError(
            "--to which domain? Its real images are what translations are held against"
        )
    to = options.to
    paths = named_paths(options.runs, _method_of)
    translators = {name: _load(path, options.device) for name, path in paths.items()}
    held_out = _held_out(options, to, translators, next(iter(paths.values())))
    for translator in translators.values():
        translator.targets(to, source=held_out.source)
    make_study(
        options.out,
        held_out.real(),
        {
            name: held_out.translated(partial(one.translate_batch, seed=options.seed))
            for name, one in translators.items()
        },
        _settings(options, held_out.direction, tuple(translators)),
    )


def _held_out(
    options: Make, to: str, translators: Mapping[str, Translator], first: Path
) -> HeldOut:
    """The images of the direction, of the size that all of the runs have."""
    from diptych.data import open_data
    from diptych.study.sources import HeldOut

    sizes = {name: one.size for name, one in translators.items()}
    if len(set(sizes.values())) > 1:
        each = ", ".join(f"{name} {size}" for name, size in sizes.items())
        raise InputError(f"runs are of different sizes ({each}), which people would see")
    size = next(iter(sizes.values()))
    data = _data_of(first, size) if options.data is None else open_data(options.data, size=size)
    _check_unseen(data, translators, is_chosen=options.data is not None)
    others = [name for name in data.domains if name != to]
    if options.source is None and len(others) != 1:
        raise InputError(f"--source which domain? {data.source} has {', '.join(data.domains)}")
    source = options.source or others[0]
    return HeldOut(data, source, to, options.split, size, options.images)


def _data_of(run: Path, size: int) -> Data:
    """What the run, or that of a file in a run's folder, was trained on."""
    from diptych.training.run import open_run_data
    from diptych.training.settings import CONFIG_FILE, read_plan

    folder = run if run.is_dir() else run.parent
    if not (folder / CONFIG_FILE).is_file():
        raise InputError(f"{folder} has no {CONFIG_FILE} that names {run}'s data: give --data")
    plan = read_plan(folder)
    return open_run_data(plan.method, plan.run, size)


def _check_unseen(data: Data, translators: Mapping[str, Translator], *, is_chosen: bool) -> None:
    """What one run holds out another, trained on other data, may have been trained on."""
    prints = {name: one.info.fingerprint for name, one in translators.items()}
    others = [name for name, fingerprint in prints.items() if fingerprint != data.fingerprint]
    if not others:
        return
    finding = (
        f"{', '.join(others)}: trained on other data than {data.source} as it is opened here,"
        " perhaps on its held-out images too"
    )
    if not is_chosen:
        raise InputError(f"{finding}; give --data if they are new to all runs")
    _log.warning("%s", finding)


def _load(path: Path, device: str) -> Translator:
    from diptych.inference.load import load

    translator = load(path, device=device)
    translator.require_translation()
    return translator


def _method_of(path: Path) -> str:
    from diptych.checkpoint import load_translator

    return load_translator(path)[1].method


def _make_of_folders(options: Make) -> None:
    from diptych.study.items import make_study
    from diptych.study.sources import folder_items, named_paths

    if options.real is None or not options.fake:
        raise InputError("give runs, or --real FOLDER and --fake NAME=FOLDER")
    fakes = named_paths(options.fake, lambda path: path.name)
    make_study(
        options.out,
        folder_items(options.real, size=options.size),
        {name: folder_items(path, size=options.size) for name, path in fakes.items()},
        _settings(options, options.direction or options.to or options.real.name, tuple(fakes)),
    )


def _settings(options: Make, direction: str, methods: tuple[str, ...]) -> StudySettings:
    from diptych.study.items import as_text

    return StudySettings(
        direction=as_text(direction),
        methods=methods,
        seed=options.seed,
        practice=options.practice,
        counted=options.trials,
        exposure_seconds=options.exposure,
        pairing=options.pairing,
        presentation=options.presentation,
        title=options.title,
        contact=options.contact,
    )


# --- serve and invite --------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Serve:
    """Let people take part, until Ctrl-C; nothing is lost by stopping."""

    study: tyro.conf.Positional[Path]
    """The study's folder."""
    host: str = "127.0.0.1"
    """Address to listen at; 0.0.0.0 lets other machines in."""
    port: int = 8000
    """Port to listen at; 0 takes a free one."""
    url: str | None = None
    """Where participants find the study, if a web server in front of it passes requests on."""


def _serve(arguments: list[str]) -> int:
    options: Serve = parse(Serve, arguments, "diptych study serve", "")
    from diptych.study.server import StudyServer
    from diptych.study.store import Study

    with StudyServer(Study(options.study), options.host, options.port, options.url) as server:
        host, port = server.server_address[:2]
        print(f"http://{host!s}:{port}/  Ctrl-C stops; nothing is lost", flush=True)
        server.serve_forever()
    return 0


@dataclass(frozen=True, kw_only=True)
class Invite:
    """Print links, each for one person; from then on only people with a link can take part."""

    study: tyro.conf.Positional[Path]
    """The study's folder."""
    count: tyro.conf.Positional[int]
    """How many."""
    url: str = "http://127.0.0.1:8000/"
    """Where participants will find the study."""


def _invite(arguments: list[str]) -> int:
    options: Invite = parse(Invite, arguments, "diptych study invite", "")
    from diptych.study.store import Study

    for code in Study(options.study).invite(options.count):
        print(f"{options.url.rstrip('/')}/#{code}")
    return 0


# --- report ------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Report:
    """How often each method's images were taken for real; several studies are columns."""

    studies: tyro.conf.Positional[tuple[Path, ...]]
    """Studies' folders."""
    json: Path | None = None
    """Also write the figures to this file."""
    csv: Path | None = None
    """Also write every answer to this file, a row each."""
    table: Path | None = None
    """Also write the table to this file: .md or .tex."""
    plot: Path | None = None
    """Also draw it: .png, .svg or .pdf."""
    paper: bool = False
    """Also show the rows of CycleGAN's Table 1, as cited."""
    resamples: Annotated[int, tyro.conf.arg(metavar="N")] = 10_000
    """Draws of the bootstrap."""
    seed: int = 0
    """Of the bootstrap."""


def _report(arguments: list[str]) -> int:
    options: Report = parse(Report, arguments, "diptych study report", "")
    if not options.studies:
        raise InputError("report on what? Name a study's folder")
    from diptych.files import check_can_write
    from diptych.study import tables
    from diptych.study.report import measure

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


def _write(options: Report, reports: Sequence[StudyReport]) -> None:
    from diptych.files import atomic_write_text
    from diptych.study import tables
    from diptych.study.report import answer_rows

    if options.json is not None:
        text = json.dumps([report.as_json() for report in reports], indent=1, ensure_ascii=False)
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
        from diptych.study.plot import write_plot

        write_plot(reports, options.plot)


_COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "make": _make,
    "serve": _serve,
    "invite": _invite,
    "report": _report,
}
