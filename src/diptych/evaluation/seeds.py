"""Scores of several runs as one: means, with 95% t-intervals over training seeds.

The spread over KID's subsets shows how much one run's score depends on the images that were
drawn. The interval over seeds shows how much a method's score varies between trainings. It is
mean ± t · s/√n with Student's t of n - 1 degrees of freedom. This assumes that the seeds'
scores are independent draws from one normal distribution.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

# 97.5% quantiles of Student's t, from 1 degree of freedom.
_T = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
)  # fmt: skip
_DETAIL = ("collapse", "confusion", "accuracy_per_class", "iou_per_class")


def interval(values: Sequence[float]) -> tuple[float, float | None]:
    """Return the mean, and half the width of its 95% t-interval (None for a single value).

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("an interval needs at least 1 value, not 0")
    mean = statistics.fmean(values)
    if len(values) == 1:
        return mean, None
    return mean, students_t(len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))


def students_t(freedom: int) -> float:
    """Return the 97.5% quantile of Student's t with `freedom` degrees of freedom, to 0.001."""
    if freedom <= len(_T):
        return _T[freedom - 1]
    z = 1.959964  # the normal distribution's quantile, for Cornish and Fisher's expansion
    first, second = z**3 + z, 5 * z**5 + 16 * z**3 + 3 * z
    return z + first / (4 * freedom) + second / (96 * freedom**2)


def over_seeds(runs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Combine `Scores.to_dict()` of two or more runs, given by name, into one such mapping.

    A score that every run has becomes a mapping with `mean` and `interval` over the runs, and
    `runs`, the score of each. A mean over subsets also has `spreads`, the deviation in each
    run. Counts of images are kept if all runs agree. Warnings name their run.
    """
    scores = list(runs.values())
    first = scores[0]
    result: dict[str, Any] = {
        key: first[key]
        for key in ("split", "features", "resizing")
        if all(key in one and one[key] == first[key] for one in scores)
    }
    for name, part in first.items():
        if isinstance(part, Mapping) and all(name in one for one in scores):
            result[name] = _combined([one[name] for one in scores])
    result["warnings"] = [f"{name}: {w}" for name, one in runs.items() for w in one["warnings"]]
    result["notes"] = [
        f"means of {len(runs)} runs with 95% t-intervals over their seeds",
        *(note for note in first["notes"] if all(note in one["notes"] for one in scores)),
    ]
    result["runs"] = list(runs)
    return result


def _combined(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Combine the scores of one direction over all runs."""
    result: dict[str, Any] = {}
    for key, first in parts[0].items():
        values = [part.get(key) for part in parts]
        if key in _DETAIL or any(value is None for value in values):
            continue
        if isinstance(first, int):
            if len(set(values)) == 1:
                result[key] = first
        elif isinstance(first, Mapping):
            result[key] = _of_mappings([value for value in values if isinstance(value, Mapping)])
        else:
            result[key] = _of_numbers([float(value) for value in values if value is not None])
    return result


def _of_mappings(values: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    for value in values:
        if "why_not" in value:
            return {"why_not": value["why_not"]}
    first = values[0]
    main = next((key for key in ("mean", "value") if key in first), None)
    if main is None:  # scores within scores
        return _combined(values)
    result = _of_numbers([float(value[main]) for value in values])
    if "std" in first:
        result["spreads"] = [value["std"] for value in values]
    facts = {key: first[key] for key in first if key not in (main, "std")}
    return result | {k: v for k, v in facts.items() if all(one.get(k) == v for one in values)}


def _of_numbers(values: Sequence[float]) -> dict[str, Any]:
    mean, half = interval(values)
    return {"mean": mean, "interval": half, "runs": list(values)}
