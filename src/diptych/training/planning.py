"""From what was asked for to a plan that says everything a run needs to know.

A plan is complete once its steps and whether it is compiled are settled. What
follows from the options, the data and the machine is settled at once. What
depends on the speed is measured on a trainer that is thrown away.
"""

from __future__ import annotations

import logging
import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from diptych.data import Data
from diptych.networks.device import find_precision
from diptych.training.ranks import Ranks
from diptych.training.settings import Plan, Resolved, Settings
from diptych.training.speed import seconds_per_step
from diptych.training.starts import budget_of_all, judge
from diptych.training.trainer import Trainer

_log = logging.getLogger("diptych")

DEFAULT_EPOCHS = 200.0
"""Zhu et al. 2017, Sec. 4: 100 at a constant rate and 100 decaying."""
_MEASURED_SHARE = 0.03
_WORTH_COMPILING = 20 * 60.0
"""Seconds of training from which compiling, a minute or two, is taken to pay on a GPU.

On CPUs it does not: compiled layers were slower than the others, see benchmarks/README.md.
"""
_OVERHEAD = 1.03
"""An allowance for pictures, checkpoints and logs beside the steps."""


def first_plan(
    method: str, config: Any, settings: Settings, data: Data, device: torch.device, ranks: Ranks
) -> Plan:
    """What is known without a trainer: all but the steps of epochs, and what is measured.

    The same in every process.

    Raises:
        InputError: the device does not know the precision.
    """
    compiled = None if _may_compile(settings, device) else settings.compile == "on"
    resolved = Resolved(
        domains=data.domains,
        fingerprint=data.fingerprint,
        pixels=data.pixels,
        steps=settings.steps,
        precision=find_precision(settings.precision, device),
        device=str(device),
        threads=settings.threads or torch.get_num_threads(),
        processes=ranks.world,
        compiled=compiled,
        started_in=str(Path.cwd()),
    )
    return ranks.share(Plan(method=method, config=config, run=settings, resolved=resolved))


def with_steps_of_epochs(plan: Plan, trainer: Trainer) -> Plan:
    """The plan with the steps of its epochs, where the budget is in epochs or not given."""
    if plan.run.minutes is not None or plan.run.steps is not None:
        return plan
    # A method that trains nothing gathers all there is to know in one pass.
    epochs = plan.run.epochs or (DEFAULT_EPOCHS if trainer.optimisers else 1.0)
    steps = math.ceil(epochs * trainer.epoch_batches)
    return replace(plan, resolved=replace(plan.resolved, steps=steps))


def is_complete(plan: Plan) -> bool:
    """Whether nothing is left to be measured."""
    return plan.resolved.steps is not None and plan.resolved.compiled is not None


def completed(plan: Plan, data: Data, trainer: Trainer, started: float, ranks: Ranks) -> Plan:
    """The plan with what depends on the speed: the steps of a budget in minutes, compiling.

    The trainer is of no use afterwards. `started` is the moment from which minutes count, on the
    clock of `time.monotonic`.
    """
    resolved, budget = plan.resolved, 60 * (plan.run.minutes or 0.0)
    seconds = seconds_per_step(trainer, _MEASURED_SHARE * budget, ranks.share)
    begin, starts = time.monotonic(), plan.run.starts
    if starts > 1:
        judge(trainer, data, plan.config.size)
    judging = starts * (time.monotonic() - begin)
    left = budget - judging - (time.monotonic() - started)
    steps = resolved.steps or max(1, int(left / (seconds * _OVERHEAD * budget_of_all(starts))))
    compiled = resolved.compiled
    if compiled is None:
        compiled = steps * seconds >= _WORTH_COMPILING
        what = "compiling pays" if compiled else "too short for compiling to pay"
        _log.info("about %.0f minutes of training: %s", steps * seconds / 60, what)
    resolved = replace(resolved, steps=steps, seconds_per_step=seconds, compiled=compiled)
    return ranks.share(replace(plan, resolved=resolved))


def _may_compile(settings: Settings, device: torch.device) -> bool:
    """Whether it depends on the length of the run."""
    return settings.compile == "auto" and device.type == "cuda"
