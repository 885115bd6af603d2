"""The pages of a bench, from its small files alone: the same files give the same bytes."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote

from markdown_it import MarkdownIt

from diptych.bench.place import Place, section_of
from diptych.bench.provenance import stretches_of
from diptych.bench.render import html, latex, markdown
from diptych.bench.results import BenchReport, Measured, read_report
from diptych.bench.tables import (
    IMPROVING,
    RowGroup,
    all_tables,
    cost_table,
    groups_of,
    problems,
)
from diptych.errors import InputError
from diptych.evaluation.failures import findings, lacks_brightness
from diptych.files import atomic_write_text
from diptych.report.html import whole_page

HTML_FILE, MARKDOWN_FILE, LATEX_FILE, JSON_FILE = (
    "report.html",
    "report.md",
    "report.tex",
    "report.json",
)
_MARK = (
    f"{IMPROVING} marks a row that was still improving: its main score, the first one, is better"
    " at the end of the budget than at a quarter and at half of it, either time by more than a"
    " twentieth and by more than half of the 95% t-interval of that gain over the seeds; in"
    " brackets where a single seed cannot tell."
)

_SEVERAL = (
    "# Tables of results\n\n"
    "`diptych bench --report-only` made this page from the files of finished runs."
)


def write_pages(place: Place) -> Path:
    """Write the four pages beside the results; returns the HTML page's path.

    Raises:
        InputError: there is no bench in `place`, or its folder cannot be written.
    """
    report = read_report(place)
    tables = all_tables(report)
    values = {"title": report.title, "tables": [table.to_dict() for table in tables]}
    values |= {"failures": failures(report), "problems": problems(report)}
    texts = {
        JSON_FILE: json.dumps(values, indent=1, ensure_ascii=False) + "\n",
        LATEX_FILE: latex(tables),
        MARKDOWN_FILE: markdown_page([report], place.out),
        HTML_FILE: html_page(report),
    }
    try:
        for name, text in texts.items():
            atomic_write_text(place.out / name, text)
    except OSError as error:
        raise InputError(f"{place.out} cannot be written: {error.strerror}") from error
    return place.out / HTML_FILE


def markdown_page(reports: Sequence[BenchReport], folder: Path) -> str:
    """One or several benches as one page that is to lie in `folder`; pictures are links."""
    blocks = [_SEVERAL] if len(reports) > 1 else []
    for report in reports:
        blocks += [f"# {report.title}" if len(reports) == 1 else f"## {report.title}"]
        blocks += [report.notes.strip()] if report.notes.strip() else []
        for data, rows in report.sections():
            blocks.append(f"{'#' * (1 + (len(reports) > 1))}# {_section_title(data)}")
            for group in groups_of(data, rows):
                blocks += [markdown(table).rstrip() for table in group.tables]
                blocks += list(markdown_pictures(report.place, data, group, folder))
        blocks.append(markdown(cost_table(report)).rstrip())
        blocks.append(_MARK)
        for head, lines in (
            ("Failures that scores name", failures(report)),
            ("Missing", problems(report)),
            ("What the figures depend on", circumstances(report)),
        ):
            blocks += [f"{head}:", "\n".join(f"- {line}" for line in lines)] if lines else []
    return "\n\n".join(block for block in blocks if block) + "\n"


def html_page(report: BenchReport) -> str:
    """One page that needs nothing but itself: tables, pictures, notes."""
    blocks = [f"<h1>{escape(report.title)}</h1>"]
    if report.notes.strip():
        # Without HTML of its own: what a results folder holds may come from anyone.
        body = MarkdownIt("commonmark", {"html": False}).disable("image").render(report.notes)
        blocks.append(f'<div class="prose">{body}</div>')
    for data, rows in report.sections():
        sections = []
        for group in groups_of(data, rows):
            sections += [html(table) for table in group.tables]
            sections += _html_pictures(report.place, data, group)
        title = escape(_section_title(data))
        blocks.append(f"<section><h2>{title}</h2>{''.join(sections)}</section>")
    blocks.append(f"<section><h2>Costs</h2>{html(cost_table(report))}</section>")
    for head, lines in (("Failures that scores name", failures(report)),
                        ("Missing", problems(report))):  # fmt: skip
        items = "".join(f"<li>{escape(line)}</li>" for line in lines)
        blocks.append(f"<section><h2>{head}</h2><ul>{items}</ul></section>" if items else "")
    facts = "".join(f"<li>{escape(line)}</li>" for line in circumstances(report))
    blocks.append(f"<footer><p>{escape(_MARK)}</p><ul>{facts}</ul></footer>")
    style = resources.files("diptych.bench").joinpath("bench.css").read_text("utf-8")
    return whole_page(report.title, blocks, style=style)


def failures(report: BenchReport) -> list[str]:
    """What `evaluation.failures` finds in the scores, a line each run and finding; then, of which
    runs it finds no negatives."""
    found = [
        f"{row.label}, seed {run['seed']}: {line}."
        for row in report.rows
        for run in row.scored
        for part in row.parts
        for line in findings(part, run["scores"]["100"].get(part, {}))
    ]
    return [*found, *_without_brightness(report)]


def _without_brightness(report: BenchReport) -> Iterator[str]:
    rows = []
    for row in report.rows:
        seeds = [
            str(run["seed"])
            for run in row.scored
            if any(lacks_brightness(run["scores"]["100"].get(part, {})) for part in row.parts)
        ]
        if seeds:
            rows.append(f"{row.label} (seed{'s' * (len(seeds) > 1)} {', '.join(seeds)})")
    if rows:
        yield f"Without the score brightness, so that negatives are not found: {', '.join(rows)}."


def circumstances(report: BenchReport) -> list[str]:
    """What the figures depend on, a line each: commits, machines, seeds, settings."""
    runs = [run for row in report.rows for run in row.scored]
    if not runs:
        return ["No run is done yet."]

    def every(key: str) -> list[str]:
        return sorted({str(run[key]) for run in [*runs, *stretches] if key in run})

    stretches = [stretch for run in runs for stretch in stretches_of(run)]
    commits = _commits([*runs, *stretches])
    scored = _commits([run["scored"] for run in runs if "scored" in run])
    seeds = sorted({run["seed"] for run in runs})
    timed = sorted({f"{row.speed['machine']}, {row.speed['threads']} threads"
                    for row in report.rows if row.speed and "threads" in row.speed})  # fmt: skip
    minutes = sorted({row.minutes for row in report.rows if row.minutes is not None})
    facts = [
        f"Diptych {', '.join(every('version'))}"
        + (f", commit {'; '.join(commits)}" if commits else "")
        + f"; PyTorch {', '.join(every('torch'))}",
        f"Trained on {'; '.join(every('machine'))}; device {', '.join(every('device'))},"
        f" precision {', '.join(every('precision'))}, threads {', '.join(every('threads'))}",
        *([f"Some runs scored anew, by commit {'; '.join(scored)}"] if scored else []),
        *_of_another_precision(report),
        f"Steps timed on {'; '.join(timed)}",
        f"Seeds {', '.join(map(str, seeds))}",
        *_of_kid(runs),
        "Scores are of the test images and of the last step's weights: no checkpoint was chosen",
    ]
    facts += _fewer_images(report)
    if minutes:
        given = ", ".join(f"{value:g}" for value in minutes)
        facts.append(
            f"The budget is {given} minutes of the machine on which steps were timed; what was"
            " trained is the number of steps that fill them"
        )
    return facts


def _of_another_precision(report: BenchReport) -> Iterator[str]:
    """Which runs are not of the precision that their row was timed in, on the same device."""
    others = [
        f"{row.label}, seed {run['seed']} ({run['precision']}, not {row.speed['precision']})"
        for row in report.rows
        for run in row.scored
        if row.speed and run.get("device") == row.speed.get("device") is not None
        if run["precision"] != row.speed["precision"]
    ]
    if others:
        yield f"Of another precision than was timed: {'; '.join(others)}"


def _commits(known: Iterable[Mapping[str, Any]]) -> list[str]:
    return sorted(
        {
            one["commit"][:10] + (", with changes" if one["has_uncommitted_changes"] else "")
            for one in known
            if "commit" in one
        }
    )


def _of_kid(runs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What KID depends on: features, resizing, numbers of images, subsets."""
    found: dict[str, list[tuple[int, int, int, int]]] = {}
    for scores in (run["scores"]["100"] for run in runs):
        how = f"{scores['features']}, images {scores.get('resizing', 'as they are')}"
        for part in scores.values():
            kid = part.get("kid", {}) if isinstance(part, Mapping) else {}
            if "subsets" in kid:
                counts = (kid["images"], kid["real_images"], kid["subsets"], kid["subset_size"])
                found.setdefault(how, []).append(counts)
    for how in sorted(found):
        made, real, subsets, size = (_span(values) for values in zip(*found[how], strict=True))
        yield (
            f"KID of the features of {how}; {made} images against {real} real ones,"
            f" mean over {subsets} random subsets of {size}; ± is over seeds, not subsets"
        )


def _span(values: Sequence[int]) -> str:
    low, high = min(values), max(values)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _fewer_images(report: BenchReport) -> list[str]:
    """Methods that optimise when they translate are scored on fewer images: it is said."""
    lines = []
    for data, rows in report.sections():
        directions = [(row, part) for row in rows for part in row.parts if "→" in part]
        counts = {
            row.label: int(max(found))
            for row, part in directions
            if (found := row.values(part, ("images",)))
        }
        usual = max(counts.values(), default=0)
        fewer = [f"{label} {count}" for label, count in counts.items() if count < usual]
        if fewer:
            name = _section_title(data)
            lines.append(f"{name}: {usual} test images a direction, but of {', '.join(fewer)}")
    return lines


def columns_of(
    place: Place, data: Mapping[str, Any], rows: Sequence[Measured]
) -> Iterator[tuple[tuple[str, ...], list[tuple[str, Path]]]]:
    """The picture grids of rows on one data set: what the columns of each picture are, and the
    heads and files of the pictures, that of the real images first.

    Rows of the same directions or domains share a grid.
    """
    grids: dict[tuple[str, ...], list[tuple[str, Path]]] = {}
    for row in rows:
        parts = next((tuple(run["pictures"]) for run in row.scored if run.get("pictures")), ())
        path = place.picture(row.row)
        if parts and path.exists():
            grids.setdefault(parts, []).append((row.label, path))
    for parts, made in grids.items():
        real = place.real(section_of(data))
        first = [(f"real {', '.join(data['domains'])}", real)] if real.exists() else []
        yield parts, [*first, *made]


def markdown_pictures(
    place: Place, data: Mapping[str, Any], group: RowGroup, folder: Path
) -> Iterator[str]:
    """The pictures of a group as tables, linked from a page in `folder`."""
    for parts, columns in columns_of(place, data, group.rows):
        heads = " | ".join(head.replace("|", r"\|") for head, _ in columns)
        pictures = " | ".join(f"![]({_link(path, folder)})" for _, path in columns)
        yield f"| {heads} |\n|{'---|' * len(columns)}\n| {pictures} |"
        yield _caption(parts, data)


def _caption(parts: Sequence[str], data: Mapping[str, Any]) -> str:
    text = f"The columns of each picture, from left to right: {', '.join(parts)}."
    is_paired = data.get("is_paired") and "→" in parts[0]
    return text + (" Each row is one scene, so the real images are the truth." if is_paired else "")


def _link(path: Path, folder: Path) -> str:
    relative = os.path.relpath(path, folder)
    return quote(Path(relative).as_posix())


def _html_pictures(place: Place, data: Mapping[str, Any], group: RowGroup) -> Iterator[str]:
    for parts, columns in columns_of(place, data, group.rows):
        figures = "".join(
            f"<figure><figcaption>{escape(head)}</figcaption>"
            f'<img alt="{escape(head)}" src="data:image/webp;base64,'
            f'{base64.b64encode(path.read_bytes()).decode()}"></figure>'
            for head, path in columns
        )
        yield f'<h3>Pictures</h3><p class="quiet">{escape(_caption(parts, data))}</p>'
        yield f'<div class="wide"><div class="strips">{figures}</div></div>'


def _section_title(data: Mapping[str, Any]) -> str:
    return f"{data['source']}, {data['size']} pixels"
