"""Charts: known values at known places."""

from __future__ import annotations

import re

import pytest

from diptych.report.charts import Series, line_chart, nice_ticks, smoothed


def test_a_chart_puts_known_values_at_known_places() -> None:
    svg = line_chart([Series("a", [0, 5, 10], [0.0, 0.5, 1.0])], unit="u", width=456, height=256)
    # 46 left, 10 right, 20 top, 36 bottom: the plot is 400 x 200; 4% of head room above 1.
    [points] = re.findall(r'<polyline class="line s0" points="([^"]*)"/>', svg)
    assert points == f"46.0,220.0 246.0,{220 - 100 / 1.04:.1f} 446.0,{220 - 200 / 1.04:.1f}"


def test_a_chart_has_a_raw_and_a_smoothed_line_for_each_long_series() -> None:
    steps, values = list(range(100)), [float(i % 7) for i in range(100)]
    svg = line_chart([Series("a", steps, values), Series("b", steps, values)], unit="loss")
    assert re.findall(r'<polyline class="(\w+ s\d)"', svg) == [
        "raw s0",
        "raw s1",
        "line s0",
        "line s1",
    ]
    svg = line_chart([Series("a", steps, values)], unit="loss", smooth=False)
    assert svg.count("<polyline") == 1


def test_a_gap_parts_a_line() -> None:
    svg = line_chart([Series("a", [1, 2, 3, 4, 5], [1.0, 2.0, None, 2.0, 1.0])], unit="loss")
    lines = re.findall(r'points="([^"]*)"', svg)
    assert [len(points.split()) for points in lines] == [2, 2]


def test_long_series_are_thinned_to_400_points() -> None:
    series = Series("a", list(range(5000)), [1.0] * 5000)
    [points] = re.findall(r'points="([^"]*)"', line_chart([series], unit="u", smooth=False))
    assert len(points.split()) == 400


@pytest.mark.parametrize("values", [[], [None, None], [3.0], [0.0, 0.0], [-2.0, -1.0]])
def test_a_chart_of_next_to_nothing_is_drawn(values: list[float | None]) -> None:
    svg = line_chart([Series("a", list(range(len(values))), values)], unit="u")
    assert "nan" not in svg
    assert svg.count("<text") >= 4


def test_smoothing_is_a_centred_mean_that_skips_gaps() -> None:
    values: list[float | None] = [float(i) for i in range(40)]
    assert smoothed(values)[10:12] == [10.0, 11.0]  # half a window is 1: (9 + 10 + 11) / 3
    assert smoothed(values)[0] == 0.5
    values[10] = None
    assert smoothed(values)[9:12] == [8.5, None, 11.5]
    assert smoothed([1.0, 5.0]) == [1.0, 5.0]


def test_ticks_are_round_and_inside() -> None:
    assert nice_ticks(0, 0.87) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8])
    assert nice_ticks(10, 1200, about=6) == [200, 400, 600, 800, 1000, 1200]
    assert nice_ticks(0, 2e-4) == pytest.approx([0, 5e-5, 1e-4, 1.5e-4, 2e-4])
