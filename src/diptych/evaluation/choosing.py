"""Which of a run's checkpoints to use: chosen on validation images, then scored on others.

A checkpoint chosen by its score on the test images has seen them, and its score
there flatters. So the test split is taken out of the data before the first
candidate is scored.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from diptych.data import Data
from diptych.errors import InputError, option
from diptych.evaluation.scores import Scores


@dataclass(frozen=True)
class Choice:
    """What was chosen among what, and by which figures."""

    name: str
    figures: Mapping[str, float]
    """By candidate, its mean KID over all directions on the validation images."""

    @property
    def note(self) -> str:
        figures = ", ".join(f"{name}: {figure:.4f}" for name, figure in self.figures.items())
        return (
            f"of {len(self.figures)} checkpoints, {self.name} was chosen, by the lowest mean KID"
            f" over all directions on the validation images ({figures})"
        )


def choose(candidates: Mapping[str, Callable[[Data, str], Scores]], data: Data) -> Choice:
    """The best of several, each given as what scores it on a split of some data.

    The first of equals is chosen, so give the simplest choice first.

    Raises:
        InputError: the data have no validation images, or there is no KID of them.
    """
    if data.validation is None:
        raise InputError(
            f"a checkpoint is chosen on validation images, and {data.source} has none: put some in"
            f" folders valA and valB beside trainA and trainB, or leave out {option('choose')}"
        )
    without_test = replace(data, test=None)
    figures = {
        name: mean_kid(score(without_test, "validation")) for name, score in candidates.items()
    }
    return Choice(min(figures, key=lambda name: figures[name]), figures)


def mean_kid(scores: Scores) -> float:
    """Over directions, or over domains where images are made and not translated.

    Raises:
        InputError: one has no KID.
    """
    parts: list[Mapping[str, Any]] = list((scores.directions or scores.domains).values())
    kids = [part.get("kid", {"why_not": "no feature network is installed"}) for part in parts]
    missing = [kid["why_not"] for kid in kids if "mean" not in kid]
    if missing or not kids:
        why = missing[0] if missing else "nothing was scored"
        raise InputError(
            f"a checkpoint is chosen by KID, and there is none: {why}; its features come by"
            " pip install 'diptych[features]'"
        )
    return statistics.fmean(kid["mean"] for kid in kids)
