"""Whether a method was still improving."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from diptych.evaluation.seeds import interval

LEAST_GAIN = 0.05
"""The share of an earlier score below which an improvement is not worth a mark."""


def is_improving(
    earlier: Sequence[Sequence[float]], end: Sequence[float], *, higher_is_better: bool
) -> bool:
    """Whether scores at the end of the budget are better than at each of `earlier`'s times.

    All hold a score a seed, in the same order. Every mean gain must exceed a twentieth of
    the mean score that it is counted from, and half the width of the 95% t-interval of the
    gains, where there are two seeds or more.
    """
    sign = 1 if higher_is_better else -1
    return all(
        _is_gain([sign * score for score in scores], [sign * score for score in end])
        for scores in earlier
    )


def _is_gain(before: Sequence[float], after: Sequence[float]) -> bool:
    """Whether scores of which the higher is the better have a gain."""
    gain, half = interval([late - early for early, late in zip(before, after, strict=True)])
    if gain <= LEAST_GAIN * abs(statistics.fmean(before)):
        return False
    return half is None or gain > half
