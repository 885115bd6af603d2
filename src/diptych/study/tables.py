"""Tables of reports, as in Zhu et al. 2017, Table 1: a row per method, a column per direction."""

from __future__ import annotations

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from diptych.study.report import Fooled, StudyReport

HEADING = "% labelled real"
PAPER = "Zhu et al. 2017, Table 1"
PAPER_DIRECTIONS = ("map→photo", "photo→map")
PAPER_ROWS = {
    "CoGAN": ((0.6, 0.5), (0.9, 0.5)),
    "BiGAN/ALI": ((2.1, 1.0), (1.9, 0.9)),
    "SimGAN": ((0.7, 0.5), (2.6, 1.1)),
    "feature loss + GAN": ((1.2, 0.6), (0.3, 0.2)),
    "CycleGAN": ((26.8, 2.8), (23.2, 3.4)),
}
"""Percent of trials and the number after ±, by method and then by direction."""
PAPER_NOTE = "cited: other images and other people, so no figure of a study compares with these"


def rows(reports: Sequence[StudyReport]) -> list[list[str]]:
    """Return a row per method: its name, then for each report a text such as "26.8 ± 2.8"."""
    return [
        [method, *(_share(report.methods.get(method)) for report in reports)]
        for method in _methods(reports)
    ]


def paper_rows() -> list[list[str]]:
    """Return the paper's results in the form of `rows`."""
    return [
        [method, *(f"{share:.1f} ± {deviation:.1f}" for share, deviation in cells)]
        for method, cells in PAPER_ROWS.items()
    ]


def notes(reports: Sequence[StudyReport]) -> list[str]:
    """Return notes on the figures, one line each."""
    lines = [
        "share of the counted trials in which the generated image was taken for the real one;"
        " chance is 50",
        "±: standard deviation, []: 95% interval, of a bootstrap over participants and their"
        " trials",
    ]
    for report in reports:
        unfinished = f"{report.unfinished} did not finish and are left out"
        lines += [f"{report.direction}: {note}" for note in (*report.notes, unfinished)]
    cells = [cell for report in reports for cell in report.methods.values()]
    if any(cell.fooled in (0, cell.trials) for cell in cells if cell.trials):
        lines.append("where all trials went the same way, the bootstrap's ± 0.0 is too small")
    if any(0 < cell.participants < 10 for cell in cells):
        lines.append("intervals of fewer than 10 participants are too narrow")
    return lines


def terminal_table(reports: Sequence[StudyReport]) -> Table:
    """Return a table of shares, intervals and numbers of participants and trials."""
    table = Table(
        title=HEADING, title_justify="left", box=None, pad_edge=False, padding=(0, 3, 0, 0)
    )
    table.add_column("")
    for report in reports:
        table.add_column(escape(report.direction))
    for method in _methods(reports):
        cells = _cells(reports, method)
        table.add_row(f"[bold]{escape(method)}[/]", *(f"{_share(c)}{_styled(c)}" for c in cells))
    return table


def paper_table() -> Table:
    """Return a table of the paper's results."""
    table = Table(title=PAPER, title_justify="left", box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for column in ("", *PAPER_DIRECTIONS):
        table.add_column(column)
    for row in paper_rows():
        table.add_row(*row)
    return table


def markdown(reports: Sequence[StudyReport], *, with_paper: bool = False) -> str:
    """Return the table in Markdown, with intervals and numbers, and its notes as a list."""
    body = [
        [method, *(f"{_share(c)} {_plain(c)}".strip() for c in _cells(reports, method))]
        for method in _methods(reports)
    ]
    parts = [_markdown_table([r.direction for r in reports], body)]
    parts.append("".join(f"- {line}\n" for line in notes(reports)))
    if with_paper:
        parts += [f"{PAPER} ({PAPER_NOTE}):\n", _markdown_table(PAPER_DIRECTIONS, paper_rows())]
    return "\n".join(parts)


def latex(reports: Sequence[StudyReport], *, with_paper: bool = False) -> str:
    """Return a LaTeX tabular for booktabs, with intervals and numbers below each share.

    The notes are comments.
    """
    parts = ["".join(f"% {line}\n" for line in notes(reports))]
    body = []
    for method, *shares in rows(reports):
        small = [_small(_plain(cell)) for cell in _cells(reports, method)]
        body.append([_tex(method), *map(_tex, shares)])
        if any(small):
            body.append(["", *small])
    parts.append(_latex_table([r.direction for r in reports], body))
    if with_paper:
        body = [[_tex(cell) for cell in row] for row in paper_rows()]
        parts.append(f"% {PAPER}; {PAPER_NOTE}\n" + _latex_table(PAPER_DIRECTIONS, body))
    return "\n".join(parts)


def _methods(reports: Sequence[StudyReport]) -> list[str]:
    return list(dict.fromkeys(method for report in reports for method in report.methods))


def _cells(reports: Sequence[StudyReport], method: str) -> list[Fooled | None]:
    return [report.methods.get(method) for report in reports]


def _share(cell: Fooled | None) -> str:
    if cell is None or cell.share is None or cell.deviation is None:
        return "-"
    return f"{100 * cell.share:.1f} ± {100 * cell.deviation:.1f}"


def _detail(cell: Fooled | None) -> tuple[str, str]:
    """Return the interval, and the numbers of people and trials; both empty if nobody finished."""
    if cell is None or cell.interval is None:
        return "", ""
    low, high = cell.interval
    people = "person" if cell.participants == 1 else "people"
    numbers = f"{cell.participants} {people}, {cell.trials:,} trials"
    return f"[{100 * low:.1f}, {100 * high:.1f}]", numbers


def _plain(cell: Fooled | None) -> str:
    return "; ".join(filter(None, _detail(cell)))


def _styled(cell: Fooled | None) -> str:
    interval, numbers = _detail(cell)
    return f"  {escape(interval)}\n[dim]{numbers}[/]" if interval else ""


def _markdown_table(directions: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    head = ["method", *(f"{direction}: {HEADING}" for direction in directions)]
    lines = [head, ["---"] * len(head), *body]
    return "".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines
    )


def _latex_table(directions: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """Return a tabular. The cells of `body` are already LaTeX."""
    columns = "l" + "c" * len(directions)
    head = " & ".join(["", *(f"\\textbf{{{_tex(direction)}}}" for direction in directions)])
    below = " & ".join(["\\textbf{Method}", *([_tex(HEADING)] * len(directions))])
    content = " \\\\\n".join(" & ".join(line) for line in body)
    return (
        f"\\begin{{tabular}}{{{columns}}}\n\\toprule\n{head} \\\\\n{below} \\\\\n\\midrule\n"
        f"{content} \\\\\n\\bottomrule\n\\end{{tabular}}\n"
    )


def _small(text: str) -> str:
    return f"\\footnotesize {_tex(text)}" if text else ""


def _tex(text: str) -> str:
    special = {c: f"\\{c}" for c in "&%$#_{}"}
    special |= {"\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}"}
    special |= {"→": "$\\rightarrow$", "±": "$\\pm$"}
    return "".join(special.get(c, c) for c in text)
