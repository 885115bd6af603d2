"""The report of a run: one HTML page that needs nothing but itself.

Pictures are inline, styles and the few lines of script too; without scripts the
page reads just as well. Everything that comes from outside is escaped.
"""

from __future__ import annotations

import os
import platform
import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from importlib import metadata, resources
from pathlib import Path
from typing import Any

import torch

from diptych.errors import InputError, counted
from diptych.files import atomic_write_text
from diptych.report.charts import COLOURS, Series, line_chart, smoothed
from diptych.report.facts import describe_machine, duration
from diptych.report.html import plain, whole_page
from diptych.report.scores import scores_section
from diptych.report.viewer import PaletteLike, palette_legend, viewer

REPORT_FILE = "report.html"


def write_report(
    folder: str | os.PathLike[str],
    *,
    title: str,
    domains: Sequence[str],
    config: Mapping[str, Any],
    metrics: Sequence[Mapping[str, Any]],
    previews: Sequence[tuple[int, str | os.PathLike[str]]],
    scores: Mapping[str, Any] | None = None,
    notes: Sequence[str] = (),
    palettes: Mapping[str, PaletteLike] | None = None,
    defaults: Mapping[str, Any] | None = None,
    commands: Mapping[str, str] | None = None,
    machine: str | None = None,
    translates: bool = True,
) -> Path:
    """Write `folder`/report.html from what a run left behind; returns its path.

    Args:
        title: what was trained, such as "CycleGAN on sample:earth-climate".
        config: options, one level of nesting at most; `defaults`, of the same
            shape, marks those that differ.
        metrics: as `read_metrics` returns them.
        previews: (step, path of a grid that `write_grid` wrote); unreadable ones
            are named in the page.
        scores: see `scores_section`.
        commands: shell commands by what they do; by default how to translate,
            to score and to go on.
        machine: by default this one.
        translates: whether images go from domain to domain; else new ones are made of each.

    The page stays below 3 MB: the newest pictures lossless if they fit, earlier
    ones compressed. Raises InputError where the file cannot be written.
    """
    folder = Path(folder)
    last_step = max((int(line["step"]) for line in metrics), default=0)
    pictures, problems = viewer([(step, Path(path)) for step, path in previews], last_step)
    if commands is None:
        commands = _default_commands(folder, domains, translates)
    blocks = [
        f"<h1>{_between(domains, translates)}</h1>",
        f'<p class="lede">{_lede(title, metrics, machine or describe_machine())}</p>',
        _notes([*notes, *_broken_off(metrics), *problems]),
        pictures + palette_legend(palettes or {}),
        _section("Training", _charts(metrics)),
        _section("Scores", scores_section(scores) if scores else ""),
        _section("Next", _commands(commands)),
        _section("Configuration", _configuration(config, defaults or {})),
        f"<footer>{_provenance()}</footer>",
    ]
    try:
        name = (" ⇄ " if len(domains) == 2 and translates else ", ").join(domains)
        script = resources.files("diptych.report").joinpath("report.js").read_text("utf-8")
        atomic_write_text(folder / REPORT_FILE, whole_page(name, blocks, script=script))
    except OSError as error:
        raise InputError(
            f"{folder / REPORT_FILE} cannot be written ({error.strerror}): "
            "make room or give a folder that can be written to"
        ) from error
    return folder / REPORT_FILE


def chart_of(term: str) -> str:
    """The chart that a loss belongs to: judges (D_Y, critic) on one, the rest on another."""
    is_judge = term[:1] in ("C", "D") or "discriminator" in term or "critic" in term
    return "Discriminators" if is_judge else "Generators"


def _section(title: str, body: str) -> str:
    return f"<section><h2>{title}</h2>{body}</section>" if body else ""


def _between(domains: Sequence[str], translates: bool) -> str:
    mark = " <span class='swap'>⇄</span> " if len(domains) == 2 and translates else ", "
    return mark.join(escape(name) for name in domains)


def _lede(title: str, metrics: Sequence[Mapping[str, Any]], machine: str) -> str:
    if not metrics:
        return f"{escape(title)}, on {escape(machine)}. Nothing is logged yet."
    last = metrics[-1]
    steps = int(last["step"])
    text = counted(steps, "step")
    if last.get("seconds"):
        text += f" in {duration(last['seconds'])}"
    speeds = sorted(m["images_per_second"] for m in metrics if m.get("images_per_second"))
    if speeds:
        median = speeds[len(speeds) // 2]
        text += f", {median:,.{1 if median < 100 else 0}f} images a second"
    return f"{escape(title)}. {text}, on {escape(machine)}."


def _notes(notes: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return f'<ul class="notes">{items}</ul>' if items else ""


def _broken_off(metrics: Sequence[Mapping[str, Any]]) -> list[str]:
    first: dict[str, int] = {}
    for line in metrics:
        for term, value in line.get("losses", {}).items():
            if value is None:
                first.setdefault(term, line["step"])
    return [
        f"The loss {term} was not finite at step {step:,}: its line has gaps."
        for term, step in first.items()
    ]


def _series(metrics: Sequence[Mapping[str, Any]], key: str) -> list[Series]:
    names = dict.fromkeys(name for line in metrics for name in line.get(key, {}))
    return [
        Series(
            name,
            [line["step"] for line in metrics if name in line.get(key, {})],
            [line[key][name] for line in metrics if name in line.get(key, {})],
        )
        for name in names
    ]


def _charts(metrics: Sequence[Mapping[str, Any]]) -> str:
    charts: dict[str, list[Series]] = {}
    for series in _series(metrics, "losses"):
        charts.setdefault(chart_of(series.name), []).append(series)
    figures = [_chart(title, lines, "loss, unweighted") for title, lines in charts.items()]
    rates = _series(metrics, "learning_rates")
    if any(len(set(series.values)) > 1 for series in rates):
        figures.append(_chart("Learning rate", _merged(rates), "rate", smooth=False))
    if not figures:
        return ""
    note = (
        "Faint: as logged. Bold: a moving average over a twentieth of the run, "
        "whose last value stands beside the name."
        if any(len(line.steps) >= 20 for lines in charts.values() for line in lines)
        else ""
    )
    figures.append(f'<p class="quiet">{note}</p>' if note else "")
    return f'<div class="charts">{"".join(figures)}</div>'


def _merged(rates: Sequence[Series]) -> list[Series]:
    """Rates that are the same throughout as one line, named after all of them."""
    same: dict[tuple[Any, ...], list[str]] = {}
    for series in rates:
        same.setdefault((tuple(series.steps), tuple(series.values)), []).append(series.name)
    return [Series(", ".join(names), *lines) for lines, names in same.items()]


def _chart(title: str, lines: Sequence[Series], unit: str, *, smooth: bool = True) -> str:
    legend = []
    for i, series in enumerate(lines):
        values = [
            v for v in (smoothed(series.values) if smooth else series.values) if v is not None
        ]
        last = f"{values[-1]:.3g}" if values else "–"
        name = f"<i></i><span>{escape(series.name)}</span>"
        legend.append(f'<li class="s{i % COLOURS}">{name}<b>{last}</b></li>')
    svg = line_chart(lines, unit=unit, smooth=smooth)
    return f'<figure><h3>{title}</h3><ul class="legend">{"".join(legend)}</ul>{svg}</figure>'


def _commands(commands: Mapping[str, str]) -> str:
    return "".join(
        f"<h3>{escape(purpose)}</h3><pre>{escape(command)}</pre>"
        for purpose, command in commands.items()
    )


def _default_commands(folder: Path, domains: Sequence[str], translates: bool) -> dict[str, str]:
    run, to = shlex.quote(str(folder)), shlex.quote(domains[-1])
    use = {"Translate": f"diptych translate {run} photo.jpg --to {to} --out translated/"}
    make = {"Make new images": f"diptych generate {run} --to {to} --out generated/"}
    return {
        **(use if translates else make),
        "Score": f"diptych evaluate {run}",
        "Go on after a stop": f"diptych train --resume {run}",
    }


def _configuration(config: Mapping[str, Any], defaults: Mapping[str, Any]) -> str:
    """A list a section; options outside any section join "run"."""
    sections: dict[str, dict[str, Any]] = {"run": {}}
    known: dict[str, dict[str, Any]] = {"run": {}}
    for target, table in ((sections, config), (known, defaults)):
        for name, value in table.items():
            if isinstance(value, Mapping):
                target.setdefault(name, {}).update(value)
            else:
                target["run"][name] = value
    lists = [
        f"<div><h3>{escape(name)}</h3><dl>"
        + "".join(_option(key, value, known.get(name, {})) for key, value in options.items())
        + "</dl></div>"
        for name, options in sections.items()
        if options
    ]
    return f'<div class="config">{"".join(lists)}</div>' if lists else ""


def _option(name: str, value: Any, defaults: Mapping[str, Any]) -> str:
    # An option that is unset by default has nothing to differ from.
    changed = defaults.get(name) is not None and defaults[name] != value
    mark = ' class="changed"' if changed else ""
    before = f"<small>default {plain(defaults[name])}</small>" if changed else ""
    return f"<dt>{escape(name)}</dt><dd{mark}>{plain(value)}{before}</dd>"


def _provenance() -> str:
    try:
        own = metadata.version("diptych")
    except metadata.PackageNotFoundError:  # run from a checkout
        own = "from source"
    now = datetime.now(UTC)
    return escape(
        f"Written {now:%d %B %Y, %H:%M} UTC by Diptych {own}, torch {torch.__version__}, "
        f"Python {platform.python_version()}, {platform.system()} {platform.machine()}."
    )
