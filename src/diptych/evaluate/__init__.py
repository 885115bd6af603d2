"""Scores of translations, new images and classifiers; given callables, never a method."""

from diptych.evaluate.generated import evaluate_generated
from diptych.evaluate.scores import Scores, evaluate
from diptych.evaluate.table import scores_table

__all__ = ["Scores", "evaluate", "evaluate_generated", "scores_table"]
