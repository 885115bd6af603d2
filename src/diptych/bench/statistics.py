"""Whether a method was still improving."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from diptych.evaluation.seeds import interval

LEAST_GAIN = 0.05
"""Of the score at half of the budget: less is no improvement worth a mark."""


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
