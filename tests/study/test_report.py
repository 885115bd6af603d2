"""Shares and intervals, by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from diptych.errors import InputError
from diptych.study.plot import write_plot
from diptych.study.report import Fooled, StudyReport, fooled_shares, measure
from diptych.study.store import Answer, Study
from diptych.study.tables import latex, markdown, notes, paper_rows, rows


def session(study: Study, request: str, fooled: int, *, stop: int | None = None) -> None:
    """Fooled in all of the practice, and in the first `fooled` trials that count."""
    token = study.join(request)
    practice = study.settings.practice
    mine = [r for r in study.records() if r["choice"] is None][-study.settings.total :]
    for record in mine[:stop]:
        number, real = record["number"], record["real_side"]
        fake = "left" if real == "right" else "right"
        is_fooled = number <= practice + fooled
        study.show(token, number)
        study.answer(token, number, Answer(fake if is_fooled else real, 500.0, 1000.0))


def test_the_share_is_of_the_counted_trials_of_those_who_finished(new_study) -> None:
    folder = new_study(methods=("alpha",), counted=4)
    study = Study(folder)
    session(study, "r1", 3)
    session(study, "r2", 0)
    session(study, "r3", 4, stop=5)  # closed the page with one trial to go
    report = measure(folder)
    alpha = report.methods["alpha"]
    assert (alpha.participants, alpha.trials, alpha.fooled) == (2, 8, 3)
    assert alpha.share == 3 / 8
    assert report.unfinished == 1
    assert report.notes == (
        "images were visible for 1000 ms (measured: median 1000, 0 off by more than 50)",
    )


def test_the_bootstrap_of_two_opposites_is_a_coin_tossed_twice() -> None:
    # One was fooled always, one never: a draw of two is 0, 1/2, 1 with 1/4, 1/2, 1/4.
    result = fooled_shares(np.array([40, 0]), 40)
    assert result.share == 0.5
    assert result.interval == (0.0, 1.0)
    assert result.deviation == pytest.approx(8**-0.5, abs=0.004)


def test_the_bootstrap_of_one_person_is_a_binomial() -> None:
    # 10 of 40: 40 trials drawn with replacement have a deviation of sqrt(p (1 - p) / 40).
    result = fooled_shares(np.array([10]), 40)
    assert result.deviation == pytest.approx((0.25 * 0.75 / 40) ** 0.5, rel=0.03)
    # The 2.5th and 97.5th percentiles of Binomial(40, 1/4) are 5 and 16.
    assert result.interval == (5 / 40, 16 / 40)


def test_the_bootstrap_draws_people_and_then_their_trials() -> None:
    # By hand: (variance of the people's shares + mean of p (1 - p) / n) / people.
    fooled = np.array([4, 8, 12, 20, 0, 16])
    p = fooled / 40
    by_hand = ((p.var() + (p * (1 - p)).mean() / 40) / 6) ** 0.5
    assert fooled_shares(fooled, 40).deviation == pytest.approx(by_hand, rel=0.03)


def test_the_seed_gives_the_same_figures_again() -> None:
    fooled = np.array([4, 8, 12])
    assert fooled_shares(fooled, 40, seed=3) == fooled_shares(fooled, 40, seed=3)
    assert fooled_shares(fooled, 40, seed=3) != fooled_shares(fooled, 40, seed=4)


def test_nobody_is_no_share() -> None:
    assert fooled_shares(np.array([], np.int64), 40) == Fooled(0, 0, 0, None, None, None)


def test_what_happened_to_exposures_is_noted(new_study) -> None:
    folder = new_study(methods=("alpha",), practice=0, counted=4)
    study = Study(folder)
    token = study.join("r1")
    exposures = ((1000.0, False), (1200.0, False), (400.0, True), (1001.0, False))
    for number, (ms, hidden) in enumerate(exposures, start=1):
        for _ in range(number):
            study.show(token, number)
        study.answer(token, number, Answer("left", 1.0, ms, hidden))
    assert measure(folder).notes == (
        "images were visible for 1000 ms (measured: median 1000, 2 off by more than 50)",
        "3 of 4 pairs were shown again, after a reload",
        "in 1 of 4 the page was out of sight meanwhile",
    )


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
    assert any("a bootstrap knows no doubt" in line for line in notes([none]))
    assert not any("bootstrap knows" in line or "narrow" in line for line in notes(REPORTS))


def test_the_plot_is_a_picture(tmp_path) -> None:
    write_plot(REPORTS, tmp_path / "plot.png")
    with Image.open(tmp_path / "plot.png") as image:
        assert image.width > 1000
        assert len(image.convert("RGB").getcolors(1 << 20) or ()) > 10
    write_plot(REPORTS, tmp_path / "plot.svg")
    assert "<svg" in (tmp_path / "plot.svg").read_text()
    with pytest.raises(InputError, match="its name must end in"):
        write_plot(REPORTS, tmp_path / "plot.gif")


def test_the_report_is_plain_values(new_study) -> None:
    folder = new_study()
    session(Study(folder), "r1", 1)
    text = json.dumps(measure(folder).as_json())
    assert json.loads(text)["methods"]["alpha"].keys() == {
        "participants", "trials", "fooled", "share", "deviation", "interval"
    }  # fmt: skip
