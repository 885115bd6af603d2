"""Shares and intervals, by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from diptych.study.report import Fooled, fooled_shares, measure
from diptych.study.store import Answer, Study


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


def test_the_report_is_plain_values(new_study) -> None:
    folder = new_study()
    session(Study(folder), "r1", 1)
    text = json.dumps(measure(folder).to_dict())
    assert json.loads(text)["methods"]["alpha"].keys() == {
        "participants", "trials", "fooled", "share", "deviation", "interval"
    }  # fmt: skip
