"""Intervals against values worked out by hand."""

from __future__ import annotations

import math

import pytest

from diptych.bench.statistics import is_improving
from diptych.evaluation.seeds import interval, students_t


def test_the_interval_of_three_values_by_hand():
    # Mean 2; deviations -1, 0, 1: variance (1 + 0 + 1) / 2 = 1; t(2) = 4.303; 4.303 / sqrt(3).
    mean, half = interval([1.0, 2.0, 3.0])
    assert mean == 2.0
    assert half == pytest.approx(4.303 / math.sqrt(3))


def test_a_single_value_has_no_interval_and_none_no_mean():
    assert interval([0.25]) == (0.25, None)
    with pytest.raises(ValueError, match="needs at least 1 value, not 0"):
        interval([])


@pytest.mark.parametrize(
    ("freedom", "t"), [(1, 12.706), (2, 4.303), (10, 2.228), (11, 2.201), (20, 2.086), (60, 2.000)]
)
def test_students_ts_are_those_of_printed_tables(freedom: int, t: float):
    assert students_t(freedom) == pytest.approx(t, abs=0.003)


def test_improving_needs_more_than_a_twentieth_and_more_than_the_seeds_scatter():
    # Gains 0.10, 0.11, 0.12: mean 0.11, half width 4.303 · 0.01 / sqrt(3) = 0.025.
    assert is_improving([[0.40, 0.40, 0.40]], [0.50, 0.51, 0.52], higher_is_better=True)
    # The same mean, but gains -0.01, 0.11, 0.23: half width 0.30.
    assert not is_improving([[0.40, 0.40, 0.40]], [0.39, 0.51, 0.63], higher_is_better=True)
    # Gains of 0.019 each, below a twentieth of 0.40.
    assert not is_improving([[0.40, 0.40]], [0.419, 0.419], higher_is_better=True)
    assert is_improving([[0.40, 0.40]], [0.421, 0.421], higher_is_better=True)


def test_improving_goes_down_where_lower_is_better():
    assert is_improving([[0.40, 0.40]], [0.30, 0.31], higher_is_better=False)
    assert not is_improving([[0.30, 0.31]], [0.40, 0.40], higher_is_better=False)


def test_of_a_single_seed_the_twentieth_alone_decides():
    assert is_improving([[0.40]], [0.43], higher_is_better=True)
    assert not is_improving([[0.40]], [0.41], higher_is_better=True)


def test_what_sank_and_came_back_to_its_first_score_is_not_improving():
    end = [0.50, 0.51, 0.52]
    sunk = [0.40, 0.40, 0.40]
    assert not is_improving([[0.50, 0.50, 0.50], sunk], end, higher_is_better=True)  # + 0.01
    assert not is_improving([[0.60, 0.60, 0.60], sunk], end, higher_is_better=True)
    # + 0.11, but of gains -0.01, 0.11 and 0.23
    assert not is_improving([[0.51, 0.40, 0.29], sunk], end, higher_is_better=True)
    assert is_improving([[0.39, 0.40, 0.41], sunk], end, higher_is_better=True)
    assert not is_improving([[0.30], [0.40]], [0.30], higher_is_better=False)
    assert is_improving([[0.35], [0.40]], [0.30], higher_is_better=False)
