"""Choose one of a run's checkpoints by its score on validation images.

A checkpoint that is chosen by its score on test images has an optimistic score on them. So the
test split is removed from the data before the first candidate is scored.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from diptych.data import Data
from diptych.errors import InputError, option
from diptych.evaluation.scores import Scores


@dataclass(frozen=True)
class Choice:
    """The chosen checkpoint, and the figures it was chosen by."""

    name: str
    figures: Mapping[str, float]
    """Mean KID over all directions on the validation images, by candidate."""

    @property
    def note(self) -> str:
        figures = ", ".join(f"{name}: {figure:.4f}" for name, figure in self.figures.items())
        return (
            f"of {len(self.figures)} checkpoints, {self.name} was chosen, by the lowest mean KID"
            f" over all directions on the validation images ({figures})"
        )


def choose(candidates: Mapping[str, Callable[[Data, str], Scores]], data: Data) -> Choice:
    """Return the candidate with the lowest mean KID on the validation images.

    Each candidate is a function that scores it on a split of some data. If several are equally
    good, the first is chosen, so give the simplest choice first.

    Raises:
        InputError: the data have no validation images, or a candidate has no KID.
    """
    if data.validation is None:
        raise InputError(
            f"a checkpoint is chosen on validation images, but {data.source} has none: put some in"
            f" valA and valB beside trainA and trainB, or leave out {option('choose')}"
        )
    without_test = replace(data, test=None)
    figures = {
        name: mean_kid(score(without_test, "validation")) for name, score in candidates.items()
    }
    return Choice(min(figures, key=lambda name: figures[name]), figures)


def mean_kid(scores: Scores) -> float:
    """Return the mean KID over directions, or over domains if images are made from noise.

    It is infinite if outputs are not finite.

    Raises:
        InputError: a direction or domain has no KID.
    """
    parts: list[Mapping[str, Any]] = list((scores.directions or scores.domains).values())
    if any(part.get("collapse") == "not finite" for part in parts):
        return math.inf
    kids = [part.get("kid", {"why_not": "no feature network is installed"}) for part in parts]
    missing = [kid["why_not"] for kid in kids if "mean" not in kid]
    if missing or not kids:
        why = missing[0] if missing else "nothing was scored"
        raise InputError(
            f"a checkpoint is chosen by KID, but there is none: {why}; KID's features are in the"
            " features extra: pip install 'diptych[features]'"
        )
    return statistics.fmean(kid["mean"] for kid in kids)
