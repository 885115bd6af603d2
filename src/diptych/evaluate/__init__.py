"""Scores of translations and of classifiers; given callables, never a method."""

from diptych.evaluate.scores import Scores, evaluate
from diptych.evaluate.table import scores_table

__all__ = ["Scores", "evaluate", "scores_table"]
