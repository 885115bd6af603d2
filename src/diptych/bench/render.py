"""Tables as Markdown, LaTeX and HTML, and on a terminal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

import rich.table
from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.text import Text

from diptych.bench.tables import Line, ScoreTable

_CITED = "(cited)"
_GAP = 2  # between columns of the terminal's tables
_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "→": r"$\rightarrow$", "↗": r"$\nearrow$", "↑": r"$\uparrow$", "↓": r"$\downarrow$",
    "†": r"\dag{}", "±": r"$\pm$", "−": r"$-$", "–": "--", "λ": r"$\lambda$",
}  # fmt: skip


def markdown(table: ScoreTable) -> str:
    """A table in the form that most sites render, with its title and notes."""
    head = f"| | {' | '.join(_bars(column) for column in table.columns)} |"
    rule = "|---|" + "---:|" * len(table.columns)
    lines = []
    for line in table.lines:
        label = _bars(line.label)
        label = f"*{label} {_CITED}*" if line.kind == "cited" else label
        label = f"*{label}*" if line.kind == "reference" else label
        lines.append(f"| {label} | {' | '.join(_bars(cell.text) for cell in line.cells)} |")
    notes = "".join(f"\n\n{note}" for note in table.notes)
    return "\n".join([f"**{table.title}**", "", head, rule, *lines]) + notes + "\n"


def latex(tables: Sequence[ScoreTable]) -> str:
    """A file to \\input, each table with its caption; it needs the package booktabs."""
    return "\n".join(["% \\usepackage{booktabs}", *(_latex_table(table) for table in tables)])


def html(table: ScoreTable) -> str:
    """A table with its title and notes, for the page's style sheet."""
    heads = "".join(f'<th scope="col">{escape(column)}</th>' for column in table.columns)
    parts = [f"<thead><tr><td></td>{heads}</tr></thead>"]
    kinds = list(dict.fromkeys(line.kind for line in table.lines))
    for kind in kinds:
        rows = "".join(_html_row(line) for line in table.lines if line.kind == kind)
        parts.append(f'<tbody class="{kind}">{rows}</tbody>')
    notes = "".join(f'<p class="quiet">{escape(note)}</p>' for note in table.notes)
    body = f'<div class="wide"><table class="bench">{"".join(parts)}</table></div>{notes}'
    title = escape(table.title)
    if table.is_detail:
        return f"<details><summary>{title}</summary>{body}</details>"
    return f"<h3>{title}</h3>{body}"


def terminal(table: ScoreTable, width: int) -> rich.table.Table:
    """The same for `rich` to print in lines of `width` characters, with no word cut off."""
    shown = rich.table.Table(
        title=Text(table.title), caption=Text(" ".join(table.notes)), title_justify="left",
        caption_justify="left", box=SIMPLE_HEAD, show_edge=False, pad_edge=False,
        padding=(0, 1, 0, 0),
    )  # fmt: skip
    head = ["", *table.columns]
    body = [[f"{line.label}{_cited(line)}", *(c.text for c in line.cells)] for line in table.lines]
    widths = _widths(list(zip(head, *body, strict=True)), width - _GAP * len(table.columns))
    for i, (heading, room) in enumerate(zip(head, widths, strict=True)):
        shown.add_column(
            Text(heading), justify="right" if i else "left", width=room, overflow="fold"
        )
    for line, texts in zip(table.lines, body, strict=True):
        style = None if line.kind == "measured" else "dim"
        shown.add_row(*map(Text, texts), style=style)
    return shown


def _widths(columns: Sequence[Sequence[str]], room: int) -> list[int]:
    """What each column gets of `room`: its longest word if that can be, and then its lines.

    `rich` alone narrows the widest column first, be it of one word, and cuts that.
    """
    wanted = [max(map(cell_len, texts)) for texts in columns]
    words = (" ".join(texts).replace(" ±", "_±").split() for texts in columns)
    widths = [max(map(cell_len, some), default=0) for some in words]
    while sum(widths) > room and max(widths) > 1:
        widths[widths.index(max(widths))] -= 1
    while sum(widths) < min(room, sum(wanted)):
        lacking = [wish - has for wish, has in zip(wanted, widths, strict=True)]
        widths[lacking.index(max(lacking))] += 1
    return widths


def _latex_table(table: ScoreTable) -> str:
    columns = " & ".join(["", *(_tex(column) for column in table.columns)])
    body: list[str] = []
    for i, line in enumerate(table.lines):
        if i and line.kind != table.lines[i - 1].kind:
            body.append(r"\midrule")
        body.append(" & ".join([_tex_label(line), *(_tex(cell.text) for cell in line.cells)]))
        body[-1] += r" \\"
    caption = " ".join(_tex(text.rstrip(".") + ".") for text in (table.title, *table.notes))
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering\small",
            rf"\caption{{{caption}}}",
            rf"\label{{tab:{table.name}}}",
            r"\smallskip",
            rf"\begin{{tabular}}{{l{'r' * len(table.columns)}}}",
            r"\toprule",
            rf"{columns} \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _tex_label(line: Line) -> str:
    label = _tex(line.label)
    return label if line.kind == "measured" else rf"\emph{{{label}{_cited(line)}}}"


def _cited(line: Line) -> str:
    return f" {_CITED}" if line.kind == "cited" else ""


def _tex(text: str) -> str:
    return re.sub(r"[\\&%$#_{}~^→↗↑↓±−–λ]", lambda found: _LATEX[found[0]], text)


def _html_row(line: Line) -> str:
    label = escape(line.label) + (f" <small>{_CITED}</small>" if line.kind == "cited" else "")
    cells = "".join(f"<td>{_nowrap(cell.text)}</td>" for cell in line.cells)
    return f'<tr><th scope="row">{label}</th>{cells}</tr>'


def _nowrap(text: str) -> str:
    figure, plus, rest = text.partition(" ± ")
    return escape(figure) + (f"<span> ± {escape(rest)}</span>" if plus else "")


def _bars(text: str) -> str:
    return text.replace("|", r"\|")
