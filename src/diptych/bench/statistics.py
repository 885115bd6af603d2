"""Intervals over seeds, and whether a method was still improving."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from statistics import NormalDist

_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
"""Student's t at 97.5%, for 1 to 10 degrees of freedom."""
LEAST_GAIN = 0.05
"""Of the score at half of the budget: less is no improvement worth a mark."""


def interval(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and half the width of its 95% t-interval, None for a single value.

    Raises:
        ValueError: no values.
    """
    if not values:
        raise ValueError("no values, no mean")
    mean = statistics.fmean(values)
    if len(values) == 1:
        return mean, None
    return mean, t_quantile(len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))


def t_quantile(freedom: int) -> float:
    """Student's t at 97.5%: of a table, from 11 degrees of freedom on by its expansion.

    The expansion (Abramowitz and Stegun, 26.7.5) is right to 0.003 there.
    """
    if freedom <= len(_T):
        return _T[freedom - 1]
    z = NormalDist().inv_cdf(0.975)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    return z + first / freedom + second / freedom**2


def is_improving(halfway: Sequence[float], end: Sequence[float], *, higher_is_better: bool) -> bool:
    """Whether scores still got better from half of the budget to its end.

    Both hold a score a seed, in the same order. The mean gain must exceed a twentieth of
    the mean score at half, and half the width of the 95% t-interval of the gains, where
    there are two seeds or more.
    """
    sign = 1 if higher_is_better else -1
    gains = [sign * (after - before) for before, after in zip(halfway, end, strict=True)]
    gain, half = interval(gains)
    if gain <= LEAST_GAIN * abs(statistics.fmean(halfway)):
        return False
    return half is None or gain > half
