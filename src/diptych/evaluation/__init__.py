"""Scores of translations, generated images and classifiers. They take callables, not methods."""

from diptych.evaluation.generated import evaluate_generated
from diptych.evaluation.scores import Scores, evaluate
from diptych.evaluation.seeds import over_seeds
from diptych.evaluation.table import scores_table

__all__ = ["Scores", "evaluate", "evaluate_generated", "over_seeds", "scores_table"]
