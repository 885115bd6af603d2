"""The figures of studies as tables."""

from __future__ import annotations

from diptych.study.report import Fooled, StudyReport
from diptych.study.tables import latex, markdown, notes, paper_rows, rows


def cell(share: float, deviation: float, people: int = 25) -> Fooled:
    return Fooled(people, people * 40, round(share * people * 40), share, deviation,
                  (max(0, share - 2 * deviation), share + 2 * deviation))  # fmt: skip


REPORTS = [
    StudyReport("map→photo", {"cogan": cell(0.006, 0.005), "cyclegan": cell(0.268, 0.028)}, 2, ()),
    StudyReport("photo→map", {"cyclegan": cell(0.232, 0.034)}, 0, ("a note",)),
]


def test_rows_are_those_of_the_papers_table() -> None:
    assert rows(REPORTS) == [
        ["cogan", "0.6 ± 0.5", "-"],
        ["cyclegan", "26.8 ± 2.8", "23.2 ± 3.4"],
    ]
    assert paper_rows() == [
        ["CoGAN", "0.6 ± 0.5", "0.9 ± 0.5"],
        ["BiGAN/ALI", "2.1 ± 1.0", "1.9 ± 0.9"],
        ["SimGAN", "0.7 ± 0.5", "2.6 ± 1.1"],
        ["feature loss + GAN", "1.2 ± 0.6", "0.3 ± 0.2"],
        ["CycleGAN", "26.8 ± 2.8", "23.2 ± 3.4"],
    ]


def test_markdown_and_latex_hold_the_table_and_the_notes() -> None:
    text = markdown(REPORTS)
    assert "| method | map→photo: % labelled real | photo→map: % labelled real |\n" in text
    assert (
        "| cyclegan | 26.8 ± 2.8 [21.2, 32.4]; 25 people, 1,000 trials"
        " | 23.2 ± 3.4 [16.4, 30.0]; 25 people, 1,000 trials |\n"
    ) in text
    assert "| cogan | 0.6 ± 0.5 [0.0, 1.6]; 25 people, 1,000 trials | - |\n" in text
    assert "- map→photo: 2 did not finish and are left out\n" in text
    assert "- photo→map: a note\n" in text
    assert "Zhu" not in text
    assert "Zhu et al. 2017, Table 1 (cited: other images" in markdown(REPORTS, with_paper=True)
    nobody = Fooled(0, 0, 0, None, None, None)
    methods = {"x_1 & y": cell(0.1, 0.02, people=1), "z": nobody}
    tex = latex([StudyReport("a_b→c", methods, 0, ())], with_paper=True)
    assert (
        "x\\_1 \\& y & 10.0 $\\pm$ 2.0 \\\\\n"
        " & \\footnotesize [6.0, 14.0]; 1 person, 40 trials \\\\\n"
        "z & - \\\\\n"
        "\\bottomrule"
    ) in tex
    assert "CycleGAN & 26.8 $\\pm$ 2.8 & 23.2 $\\pm$ 3.4 \\\\\n\\bottomrule" in tex
    assert "\\textbf{a\\_b$\\rightarrow$c}" in tex
    assert "\\% labelled real" in tex


def test_figures_that_an_interval_cannot_carry_are_named() -> None:
    few = StudyReport("x→y", {"a": cell(0.3, 0.1, people=3)}, 0, ())
    assert "intervals of fewer than 10 participants are too narrow" in notes([few])
    none = StudyReport("x→y", {"a": cell(0.0, 0.0)}, 0, ())
    assert any("the bootstrap's ± 0.0 is too small" in line for line in notes([none]))
    assert not any("bootstrap knows" in line or "narrow" in line for line in notes(REPORTS))
