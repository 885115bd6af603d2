"""Line charts as inline SVG: a smoothed line over the faint raw one.

Colours come from the page's style sheet (classes s0 to s7), so that a chart
follows its light and dark scheme.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

COLOURS = 8
_MAX_POINTS = 400  # more than the pixels of a chart on most screens
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 10, 20, 36


@dataclass(frozen=True)
class Series:
    """One line of a chart."""

    name: str
    steps: Sequence[int]
    values: Sequence[float | None]
    """None where nothing finite is known: the line has a gap there."""


@dataclass(frozen=True)
class _Frame:
    """From data to the pixels of the plot."""

    x: tuple[float, float]
    y: tuple[float, float]
    width: int
    height: int

    def across(self, step: float) -> float:
        share = (step - self.x[0]) / (self.x[1] - self.x[0])
        return _LEFT + share * (self.width - _LEFT - _RIGHT)

    def down(self, value: float) -> float:
        share = (value - self.y[0]) / (self.y[1] - self.y[0])
        return self.height - _BOTTOM - share * (self.height - _TOP - _BOTTOM)


def line_chart(
    series: Sequence[Series],
    *,
    unit: str,
    smooth: bool = True,
    width: int = 440,
    height: int = 250,
) -> str:
    """An SVG of the series over the step, the vertical axis in `unit`.

    The axis reaches from 0 (or the lowest value) to the 99th percentile of what
    is logged, and at least to every smoothed value: a spike is cut off rather
    than flattening the rest. With `smooth`, series of 20 values or more get a
    centred moving average over a twentieth of them, and fade as logged.
    """
    lines = [(s, smoothed(s.values) if smooth else list(s.values)) for s in series]
    frame = _Frame(_step_range(series), _value_range(lines), width, height)
    marks = [_axes(frame, unit)]
    for i, (s, values) in enumerate(lines):
        if values != list(s.values):
            marks += _polylines(frame, s.steps, s.values, f"raw s{i % COLOURS}")
    for i, (s, values) in enumerate(lines):
        marks += _polylines(frame, s.steps, values, f"line s{i % COLOURS}")
    label = escape(f"{', '.join(s.name for s in series)} over the steps, in {unit}")
    return (
        f'<svg class="chart" viewBox="0 0 {width} {height}" role="img" aria-label="{label}">'
        + "".join(marks)
        + "</svg>"
    )


def smoothed(values: Sequence[float | None]) -> list[float | None]:
    """A centred moving average over a twentieth of the values; None stays None.

    Fewer than 20 values stay as they are.
    """
    if len(values) < 20:
        return list(values)
    half = max(1, len(values) // 40)
    known = np.array([v is not None for v in values])
    numbers = np.array([v if v is not None else 0.0 for v in values])
    sums, counts = (np.concatenate([[0.0], np.cumsum(a)]) for a in (numbers, known))
    first = np.maximum(np.arange(len(values)) - half, 0)
    past = np.minimum(np.arange(len(values)) + half + 1, len(values))
    means = (sums[past] - sums[first]) / np.maximum(counts[past] - counts[first], 1)
    return [float(m) if k else None for m, k in zip(means, known, strict=True)]


def nice_ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers from `low` to `high`, 1, 2, 2.5 or 5 times a power of ten apart."""
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    apart = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * 0.999)
    first = math.ceil(low / apart - 1e-9)
    return [k * apart for k in range(first, math.floor(high / apart + 1e-9) + 1)]


def _step_range(series: Sequence[Series]) -> tuple[float, float]:
    steps = [step for s in series for step in s.steps]
    low, high = min(steps, default=0), max(steps, default=1)
    return (low, high) if high > low else (low - 1, low + 1)


def _value_range(lines: Sequence[tuple[Series, Sequence[float | None]]]) -> tuple[float, float]:
    raw = [v for s, _ in lines for v in s.values if v is not None] or [0.0]
    smooth = [v for _, values in lines for v in values if v is not None] or [0.0]
    low = min(0.0, float(np.quantile(raw, 0.01)), *smooth)
    high = max(float(np.quantile(raw, 0.99)), *smooth, low)
    if high == low:
        return low, low + 1.0
    return low, high + 0.04 * (high - low)


def _axes(frame: _Frame, unit: str) -> str:
    marks = []
    right, bottom = frame.width - _RIGHT, frame.height - _BOTTOM
    for value in nice_ticks(*frame.y):
        y = frame.down(value)
        marks.append(
            f'<path class="grid" d="M{_LEFT} {y:.1f}H{right}"/>'
            f'<text x="{_LEFT - 7}" y="{y + 4:.1f}" text-anchor="end">{_number(value)}</text>'
        )
    for step in nice_ticks(*frame.x, about=6):
        x = frame.across(step)
        # Past 90% of the width a centred number would leave the picture.
        anchor = "end" if x > _LEFT + 0.95 * (right - _LEFT) else "middle"
        marks.append(
            f'<path class="tick" d="M{x:.1f} {bottom}v4"/>'
            f'<text x="{x:.1f}" y="{bottom + 17}" text-anchor="{anchor}">{_number(step)}</text>'
        )
    marks.append(f'<path class="axis" d="M{_LEFT} {bottom}H{right}"/>')
    middle = (_LEFT + right) / 2
    below = frame.height - 4
    marks.append(
        f'<text class="unit" x="{middle:.0f}" y="{below}" text-anchor="middle">step</text>'
        f'<text class="unit" x="2" y="11">{escape(unit)}</text>'
    )
    return "".join(marks)


def _polylines(
    frame: _Frame, steps: Sequence[int], values: Sequence[float | None], style: str
) -> list[str]:
    """One polyline a stretch without gaps, each thinned by averaging."""
    marks, stretch = [], list[tuple[float, float]]()
    for step, value in [*zip(steps, values, strict=True), (0, None)]:
        if value is not None:
            stretch.append((step, value))
        elif stretch:
            points = " ".join(
                f"{frame.across(x):.1f},{max(_TOP, frame.down(y)):.1f}" for x, y in _thin(stretch)
            )
            marks.append(f'<polyline class="{style}" points="{points}"/>')
            stretch = []
    return marks


def _thin(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    if len(points) <= _MAX_POINTS:
        return points
    bins = np.array_split(np.array(points), _MAX_POINTS)
    return [(float(x), float(y)) for x, y in (b.mean(axis=0) for b in bins)]


def _number(value: float) -> str:
    if value == 0:
        return "0"
    if abs(value) >= 100_000:
        return f"{value / 1000:,.0f}k" if abs(value) < 1e6 else f"{value / 1e6:g}M"
    if abs(value) < 0.001:
        mantissa, exponent = f"{value:.1e}".split("e")
        return f"{float(mantissa):g}e{int(exponent)}"
    return f"{value:,.10g}" if abs(value) >= 1000 else f"{value:.4g}"
