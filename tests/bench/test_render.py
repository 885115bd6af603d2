"""Tables on a terminal: every word can be read, however narrow it is."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from diptych.bench.place import Place
from diptych.bench.render import latex, terminal
from diptych.bench.results import read_report
from diptych.bench.tables import Cell, Line, ScoreTable, all_tables
from tests.bench.made_results import fill

HEADINGS = ("n", "FCN per-pixel acc. ↑", "FCN per-class acc. ↑", "FCN class IoU ↑",
            "FCN per-pixel, renamed ↑", "KID ↓")  # fmt: skip
LABELS = ("Discriminator of whole images", "inputs, untranslated", "GAN + forward cycle")


def printed(width: int) -> list[str]:
    cells = (Cell("3"), *[Cell("0.291 ± 0.453")] * 4, Cell("0.3442 ± 0.0954"))
    lines = (*(Line(label, cells) for label in LABELS[:2]), Line(LABELS[2], cells, "cited"))
    table = ScoreTable("a", "A title", HEADINGS, lines, ("A note.",))
    console = Console(width=width, file=io.StringIO())
    console.print(terminal(table, width))
    return console.file.getvalue().splitlines()


def test_at_80_columns_no_word_of_a_table_is_cut():
    lines = printed(80)
    assert max(map(len, lines)) <= 80
    words = " ".join(lines).split()
    for word in " ".join([*HEADINGS, *LABELS, "(cited)", "0.291 ±", "0.0954"]).split():
        assert word in words


def test_where_there_is_room_each_row_is_one_line():
    lines = printed(200)
    (head,) = [line for line in lines if "KID" in line]
    assert head.split() == " ".join(HEADINGS).split()
    for label in (*LABELS[:2], f"{LABELS[2]} (cited)"):
        (line,) = [line for line in lines if line.startswith(label)]
        assert line.split()[-3:] == ["0.3442", "±", "0.0954"]


@pytest.mark.parametrize("width", [20, 40])
def test_where_words_do_not_fit_they_are_folded_and_no_letter_is_lost(width: int):
    narrow, wide = (sorted("".join(printed(n)).replace("─", "")) for n in (width, 200))
    assert [c for c in narrow if c != " "] == [c for c in wide if c != " "]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return fill(Place(tmp_path / "bench", tmp_path / "runs"))


def table(place: Place, words: str) -> ScoreTable:
    (found,) = [t for t in all_tables(read_report(place)) if words in t.title]
    return found


def test_latex_has_booktabs_rules_and_escapes_what_it_must(place):
    text = latex([table(place, "Table 3")])
    assert text.count(r"\toprule") == text.count(r"\bottomrule") == 1
    assert text.count(r"\midrule") == 3  # below the heads, before the references and the cited
    assert r"\begin{tabular}{lrrrrr}" in text
    assert r"CycleGAN & 3 & 0.600 $\pm$ 0.248 & 0.300 $\pm$ 0.124" in text
    assert r"aerial$\rightarrow$climate" in text
    assert r"\emph{CycleGAN (cited)} & -- & 0.58" in text
    assert r"95\% t-interval" in text
    assert not re.search(r"[→↑↓±–↗]", text)
