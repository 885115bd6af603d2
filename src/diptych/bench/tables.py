"""The tables of a bench: what stands in which cell, before anything is a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from diptych.bench.place import SHARES
from diptych.bench.plan import slug
from diptych.bench.published import LABELS_TO_PHOTO, PHOTO_TO_LABELS, PUBLISHED, SOURCE
from diptych.bench.results import BenchReport, Measured, value_at
from diptych.bench.statistics import is_improving
from diptych.evaluation.seeds import interval

IMPROVING = "↗"
COLLAPSED = "†"
EMPTY = "–"


@dataclass(frozen=True)
class Score:
    """One column."""

    path: tuple[str, ...]
    heading: str
    higher_is_better: bool = True
    decimals: int = 3


_MATCHED = "matched_accuracy"
_FCN = tuple(
    Score(("fcn", key), f"FCN {name}")
    for key, name in (
        ("pixel_accuracy", "per-pixel acc."),
        ("class_accuracy", "per-class acc."),
        ("mean_iou", "class IoU"),
        (_MATCHED, "per-pixel, renamed"),
    )
)
_LABELS = (
    Score(("pixel_accuracy",), "per-pixel acc."),
    Score(("class_accuracy",), "per-class acc."),
    Score(("mean_iou",), "class IoU"),
    Score((_MATCHED,), "per-pixel, renamed"),
)
_PAIRED = (Score(("l1",), "L1", False), Score(("within_16",), "within 16"))
_ACCURACY = (Score(("accuracy",), "accuracy"),)
KID = Score(("kid",), "KID", False, 4)
_MAIN = (_FCN[0], _LABELS[0], _PAIRED[0], _ACCURACY[0], KID)
"""Those of which one is the first column, and so the one that is followed on the way."""
_OF_INPUTS = ("l1", "within_16", "pixel_accuracy", "class_accuracy", "mean_iou", _MATCHED)
_REFERENCES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "real images": {"fcn": ("fcn_of_real",), "kid": ("kid_of_real",)},
    "inputs, untranslated": {
        "fcn": ("fcn_untranslated",),
        "kid": ("kid_untranslated",),
        **{name: ("untranslated", name) for name in _OF_INPUTS},
    },
}
"""Rows beside the measured ones, and where among the scores their figures are."""
_RENAMED = (
    "Renamed: the accuracy after the one-to-one renaming of classes that gets the most pixels"
    " right, fitted to each run's test labels. Far above the plain accuracy, it means that the run"
    " exchanged colours."
)


@dataclass(frozen=True)
class Cell:
    """What is shown, and the figure behind it."""

    text: str
    mean: float | None = None
    half_width: float | None = None
    """Half the width of the 95% t-interval over seeds."""


@dataclass(frozen=True)
class Line:
    """One row of a table."""

    label: str
    cells: tuple[Cell, ...]
    kind: Literal["measured", "reference", "cited"] = "measured"


@dataclass(frozen=True)
class ScoreTable:
    """Columns, rows, and what has to be said of them."""

    name: str
    title: str
    columns: tuple[str, ...]
    """Headings of the cells; the labels' column has none."""
    lines: tuple[Line, ...]
    notes: tuple[str, ...] = ()
    is_detail: bool = False
    """Shown on demand, where a page can."""

    def to_dict(self) -> dict[str, Any]:
        """Return the table as nested plain values, with the figures behind each text."""
        return asdict(self)


@dataclass
class RowGroup:
    """Rows that stand in one table, and the tables."""

    title: str
    rows: list[Measured]
    tables: list[ScoreTable] = field(default_factory=list)


def groups_of(
    data: Mapping[str, Any], rows: Sequence[Measured], everyone: Sequence[Measured] = ()
) -> list[RowGroup]:
    """The rows by the tables that they belong to, each with a table a direction.

    Rows of reference, such as the ceiling, come from any of `everyone`'s results.
    """
    names = dict.fromkeys(name for row in rows for name in row.groups)
    groups = []
    for name in names:
        own = [row for row in rows if name in row.groups]
        group = RowGroup(name.capitalize(), own)
        for part in dict.fromkeys(part for row in own for part in row.parts):
            there, known = ([r for r in some if part in r.parts] for some in (own, everyone or own))
            group.tables += _tables(data, name, part, there, known)
        groups.append(group)
    return groups


def of_the_way(scores: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the main scores of each part, which tables show before the end of the budget."""
    parts = {part: found for part, found in scores.items() if isinstance(found, Mapping)}
    kept: dict[str, dict[str, Any]] = {}
    for part, found in parts.items():
        for score in _MAIN:
            value = value_at(found, score.path)
            if value is not None:
                *above, key = score.path
                place = kept.setdefault(part, {})
                for name in above:
                    place = place.setdefault(name, {})
                place[key] = value
    return kept


def cost_table(report: BenchReport) -> ScoreTable:
    """Every row of every data set: what it took, and one score that all of them have."""
    lines = []
    for row in report.rows:
        speed: Mapping[str, Any] = row.speed or {}
        steps = sorted({run["steps"] for run in row.scored})
        cells = (
            _data_cell(row),
            Cell(", ".join(f"{n:,}" for n in steps) or EMPTY),
            Cell(f"{len(row.scored)}"),
            _cell(_mean_kids(row), KID),
            _number(speed.get("seconds_per_step"), 1000, 1),
            _number(speed.get("peak_gib"), 1, 2),
            _number(speed.get("parameters"), 1e-6, 2),
        )
        lines.append(Line(row.label, cells))
    return ScoreTable(
        name="costs",
        title="Every row, and what it costs",
        columns=("data", "steps", "n", "KID ↓, mean", "ms a step", "GiB", "million parameters"),
        lines=tuple(lines),
        notes=(
            "KID is the mean over all directions, or over all domains of methods that make new"
            " images. Steps were timed one row after another on a machine that did nothing else;"
            " GiB is the most memory that the training's process held (on a GPU, the most that"
            " was allocated there); parameters are those that are trained.",
        ),
    )


def all_tables(report: BenchReport) -> list[ScoreTable]:
    """In the page's order."""
    tables = [
        table
        for data, rows in report.sections()
        for group in groups_of(data, rows)
        for table in group.tables
    ]
    return [*tables, cost_table(report)]


def problems(report: BenchReport) -> list[str]:
    """What is missing, and why, a line each."""
    lines = []
    for row in report.rows:
        if row.speed is not None and "why_not" in row.speed:
            lines.append(f"{row.label} was not trained: {row.speed['why_not']}.")
            continue
        for run in row.runs:
            why = row.problem(run)
            if why is not None:
                lines.append(f"{row.label}, seed {run['seed']}: {why}.")
        if row.pending:
            seeds = ", ".join(map(str, row.pending))
            many = "s" if len(row.pending) > 1 else ""
            lines.append(f"{row.label}: not done yet, seed{many} {seeds}.")
    return lines + [f"{name} is left out: {why}." for name, why in report.left_out.items()]


def _tables(
    data: Mapping[str, Any],
    group: str,
    part: str,
    rows: Sequence[Measured],
    everyone: Sequence[Measured],
) -> Iterator[ScoreTable]:
    kind = _kind(data, part)
    columns = _columns(kind, part, rows)
    published = PUBLISHED.get((group, kind)) if kind else None
    title = part + (f" ({kind})" if kind else "")
    name = slug(f"{data['source']} {data['size']} {group} {part}")
    lines = [_line(row, part, columns) for row in rows]
    lines += _references(everyone, part, columns)
    notes: list[str] = []
    if published is not None:
        title = f"{published.name}: {title}"
        cited = columns[0].path[-1] == "pixel_accuracy"  # else no column holds such figures
        if cited:
            for label, figures in published.figures.items():
                cells = [Cell(f"{value:.2f}", value) for value in figures]
                blank = [Cell(EMPTY)] * (len(columns) - len(cells))
                lines.append(Line(label, (Cell(EMPTY), *cells, *blank), "cited"))
            notes.append(f"Cited rows: {SOURCE}.")
    heads = tuple(f"{c.heading} {'↑' if c.higher_is_better else '↓'}" for c in columns)
    if any(column.path[-1] == _MATCHED for column in columns):
        notes.append(_RENAMED)
    if any(len(row.scored) > 1 for row in rows):
        notes.append("Mean over n seeds ± half of the 95% t-interval; a single seed has none.")
    notes += _collapsed_note(rows, part)
    yield ScoreTable(name, title, ("n", *heads), tuple(lines), tuple(notes))
    if any(row.scored for row in rows):
        yield _way(name, part, rows, columns[0])


def _kind(data: Mapping[str, Any], part: str) -> str | None:
    """Whether a direction leads from labels to photographs, or back."""
    source, arrow, target = part.partition("→")
    labels = data["label_domains"]
    if not arrow or (source in labels) == (target in labels):
        return None
    return LABELS_TO_PHOTO if source in labels else PHOTO_TO_LABELS


def _columns(kind: str | None, part: str, rows: Sequence[Measured]) -> tuple[Score, ...]:
    """The scores that a direction is judged by, and that any row has; the first is the main one."""
    own = {LABELS_TO_PHOTO: _FCN, PHOTO_TO_LABELS: _LABELS, None: (*_PAIRED, *_ACCURACY)}[kind]
    there = tuple(c for c in own if any(row.values(part, c.path) for row in rows))
    has_kid = any(row.values(part, KID.path) for row in rows)
    return (*there, KID) if has_kid or not there else there


def _line(row: Measured, part: str, columns: Sequence[Score]) -> Line:
    n = Cell(str(len(row.scored)), len(row.scored))
    if not row.scored:
        failed = [row.problem(run) for run in row.runs]
        text = _briefly(failed[0]) if failed and failed[0] else EMPTY
        return Line(row.label, (n, Cell(text), *[Cell(EMPTY)] * (len(columns) - 1)))
    cells = tuple(_cell(row.values(part, column.path), column) for column in columns)
    marks = (improving_mark(row, part, columns[0]), COLLAPSED if _collapsed(row, part) else "")
    return Line(" ".join(filter(None, (row.label, *marks))), (n, *cells))


def _collapsed(row: Measured, part: str) -> list[str]:
    """The seeds whose outputs have collapsed in a direction, each with how."""
    known = {run["seed"]: run["scores"]["100"].get(part, {}).get("collapse") for run in row.scored}
    return [f"seed {seed}: {verdict}" for seed, verdict in known.items() if verdict]


def _collapsed_note(rows: Sequence[Measured], part: str) -> list[str]:
    found = [(row.label, _collapsed(row, part)) for row in rows]
    told = [f"{label} ({', '.join(seeds)})" for label, seeds in found if seeds]
    if not told:
        return []
    return [f"{COLLAPSED} Outputs collapsed, and the figures include them: {'; '.join(told)}."]


def improving_mark(row: Measured, part: str, score: Score) -> str:
    """↗ where the row was still improving at the end of its budget, in brackets of one seed."""
    *earlier, end = (row.values(part, score.path, share) for share in SHARES)
    if not end or any(len(scores) != len(end) for scores in earlier):
        return ""
    if not is_improving(earlier, end, higher_is_better=score.higher_is_better):
        return ""
    return IMPROVING if len(end) > 1 else f"({IMPROVING})"


def _references(rows: Sequence[Measured], part: str, columns: Sequence[Score]) -> Iterator[Line]:
    """Real images and untranslated inputs by the same scores, of the most images: the same for
    every row but those of methods that are scored on fewer."""
    found = [run["scores"]["100"].get(part) for row in rows for run in row.scored]
    for label, places in _REFERENCES.items():
        lines = [
            (scores.get("images", 0), _reference(scores, places, columns))
            for scores in found
            if scores is not None
        ]
        cells = max(lines, key=lambda line: (line[0], _filled(line[1])), default=(0, []))[1]
        if _filled(cells):
            yield Line(label, (Cell(EMPTY), *cells), "reference")


def _reference(
    scores: Mapping[str, Any], places: Mapping[str, tuple[str, ...]], columns: Sequence[Score]
) -> list[Cell]:
    paths = [places[c.path[0]] + c.path[1:] if c.path[0] in places else None for c in columns]
    values = [None if path is None else value_at(scores, path) for path in paths]
    return [
        _cell([] if value is None else [value], column)
        for value, column in zip(values, columns, strict=True)
    ]


def _filled(cells: Sequence[Cell]) -> int:
    return sum(cell.mean is not None for cell in cells)


def _way(name: str, part: str, rows: Sequence[Measured], score: Score) -> ScoreTable:
    arrow = "↑" if score.higher_is_better else "↓"
    lines = []
    for row in rows:
        if not row.scored:
            continue
        cells = [_cell(row.values(part, score.path, share), score) for share in SHARES]
        mark = improving_mark(row, part, score) or EMPTY
        n = Cell(str(len(row.scored)), len(row.scored))
        lines.append(Line(row.label, (n, *cells, Cell(mark))))
    return ScoreTable(
        f"{name}-way",
        f"{part} on the way: {score.heading} {arrow}",
        ("n", *(f"{share}% of the budget" for share in SHARES), "still improving"),
        tuple(lines),
        is_detail=True,
    )


def _cell(values: Sequence[float], score: Score) -> Cell:
    if not values:
        return Cell(EMPTY)
    mean, half = interval(values)
    text = f"{mean:.{score.decimals}f}"
    if half is not None:
        text += f" ± {half:.{score.decimals}f}"
    return Cell(text.replace("-", "−"), mean, half)


def _number(value: float | None, factor: float, decimals: int) -> Cell:
    if value is None:
        return Cell(EMPTY)
    return Cell(f"{value * factor:,.{decimals}f}", value * factor)


def _data_cell(row: Measured) -> Cell:
    return Cell(EMPTY if row.data is None else f"{row.data['source']}, {row.data['size']} px")


def _mean_kids(row: Measured) -> list[float]:
    """Return, for each seed, the mean KID over the directions or domains that have one."""
    means = []
    for run in row.scored:
        found = [value_at(run["scores"]["100"].get(part), KID.path) for part in row.parts]
        kids = [kid for kid in found if kid is not None]
        if kids:
            means.append(sum(kids) / len(kids))
    return means


def _briefly(problem: str) -> str:
    """What fits a cell: "generators is nan at step 3, ..." is "diverged at step 3"."""
    _, at, rest = problem.partition(" at step ")
    if not at:
        return "failed"
    return f"diverged at step {rest.split()[0].rstrip(',.:;')}"
