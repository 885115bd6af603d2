"""Several starts, of which the best is trained on.

Any one-to-one mapping of colours satisfies cycle consistency (Zhu et al. 2017,
Eq. (2)), and an adversary that sees one image at a time is content with many of
them: which one a run settles on is decided within its first steps, by its first
weights. So several may be tried, for a tenth of the budget each; the one that
does best on the true pairs of the validation split goes on. This is of no paper,
and it uses pairs, though only to choose between trainings that saw none.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import replace
from typing import cast

import torch
from rich.console import Console
from torch import Tensor

from diptych.data import Data
from diptych.errors import InputError, counted, option
from diptych.evaluation import Scores, evaluate
from diptych.training.folder import RunFolder
from diptych.training.forecast import Forecast
from diptych.training.interrupt import Interrupt
from diptych.training.notebook import find_notebook
from diptych.training.progress import TrainingProgress
from diptych.training.ranks import Ranks
from diptych.training.settings import Plan
from diptych.training.trainer import Trainer
from diptych.types import Translates

SHARE = 0.1
"""The share of the budget that each start takes."""


def check_starts(plan: Plan, data: Data, trainer: Trainer) -> None:
    """Raises InputError where starts cannot be compared."""
    if plan.run.starts == 1:
        return
    if data.validation is None or data.validation.pairs is None:
        raise InputError(
            f"{option('starts', plan.run.starts)} compares starts on true pairs of the validation"
            f" split, and {data.source} has none: train with several {option('seed')} and compare"
            " the pictures"
        )
    if not isinstance(trainer.method, Translates):
        raise InputError(
            f"{option('starts', plan.run.starts)} compares translations, and {plan.method} makes"
            " none"
        )


def steps_of_one(steps: int) -> int:
    """How long each start is of a budget of `steps`."""
    return math.ceil(SHARE * steps)


def budget_of_all(starts: int) -> float:
    """What is computed in all, over the steps of the budget: all but one start come on top."""
    return 1 + SHARE * (starts - 1)


def choose_start(
    folder: RunFolder, plan: Plan, data: Data, ranks: Ranks, begin: Callable[[int], Trainer]
) -> Plan | None:
    """Try the plan's starts and save the state of the best in `folder`.

    `begin(k)` is a trainer with the k-th first weights. Returns the plan with
    what was found, or None after an interrupt, when nothing is saved.
    """
    starts, steps = plan.run.starts, cast(int, plan.resolved.steps)
    each = steps_of_one(steps)
    images = 2 * plan.config.batch_size * ranks.world
    console = None if ranks.is_first else Console(file=io.StringIO())
    progress = TrainingProgress(
        starts * each,
        images_per_step=images,
        console=console,
        notebook=find_notebook() if ranks.is_first else None,
    )
    figures: list[float] = []
    best, state, name = 0, None, ""
    with Interrupt() as interrupt, progress:
        progress.message(f"trying {counted(starts, 'start')}, {counted(each, 'step')} each")
        forecast: Forecast | None = None
        for k in range(starts):
            trainer = begin(k)
            forecast = forecast or Forecast(plan, round(steps * budget_of_all(starts)))
            try:
                for step in range(each):
                    losses = trainer.step(steps)
                    progress.update(k * each + step + 1, losses)
                    for line in forecast.after_step():
                        progress.message(line)
                    if ranks.any(interrupt.requested)[0]:
                        return None
                name, figure = ranks.share(judge(trainer, data, plan.config.size))
                now = trainer.state()
            finally:
                trainer.close()
            progress.message(f"start {k + 1}: {name} {figure:.3f} on the validation split")
            figures.append(figure)
            if figure > max(figures[:-1], default=-math.inf):
                best, state = k, now
    progress.message(f"start {best + 1} goes on")
    resolved = replace(plan.resolved, starts=tuple(figures), starts_by=name)
    plan = replace(plan, resolved=resolved)
    assert state is not None
    folder.write(plan)
    folder.save(state)  # last: with it, this is done
    ranks.wait()
    return plan


def judge(trainer: Trainer, data: Data, size: int) -> tuple[str, float]:
    """A score on the validation split's true pairs by its name; more of it is better."""
    method = cast(Translates, trainer.method)

    def translate(image: Tensor, to: str) -> Tensor:
        return method.translate(image.to(trainer.device), (data.domains.index(to),)).float()

    forked = [trainer.device] if trainer.device.type == "cuda" else []
    with torch.random.fork_rng(devices=forked), trainer.averaged():
        trainer.method.eval()
        silent = Console(file=io.StringIO())  # a bar is there already
        scores = evaluate(translate, data, "validation", size=size, features=None, console=silent)
        trainer.method.train()
    return _figure(scores)


def _figure(scores: Scores) -> tuple[str, float]:
    """Per-pixel accuracy where a domain is of label colours, else one minus L1."""
    found = (d.get("pixel_accuracy") for d in scores.directions.values())
    accuracies = [accuracy for accuracy in found if accuracy is not None]
    if accuracies:
        return "per-pixel accuracy", sum(accuracies) / len(accuracies)
    errors = [d["l1"] for d in scores.directions.values()]
    return "1 − L1", 1 - sum(errors) / len(errors)
