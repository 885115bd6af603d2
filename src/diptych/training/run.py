"""From a plan to a trained run's folder, however often it is interrupted."""

from __future__ import annotations

import logging
import math
import re
import shutil
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from diptych.checkpoint import (
    STATE_FILE,
    STATE_FILES,
    TRANSLATOR_FILE,
    load_state,
)
from diptych.data import Data, for_batches, open_data
from diptych.errors import InputError
from diptych.evaluation.familiarity import FAMILIARITY_FILE
from diptych.files import only_one_process, remove_leftovers
from diptych.methods import method_class
from diptych.networks.device import cpu_threads, find_device, find_precision
from diptych.report.page import REPORT_FILE
from diptych.training.log import EVENTS_FOLDER, METRICS_FILE
from diptych.training.loop import DivergedError
from diptych.training.ranks import Ranks, is_restarted, join_ranks
from diptych.training.session import SNAPSHOTS_FOLDER, Sitting
from diptych.training.settings import CONFIG_FILE, Plan, Resolved, Settings, read_plan, write_plan
from diptych.training.speed import seconds_per_step
from diptych.training.starts import budget_of_all, check_starts, choose_start, judge
from diptych.training.summary import SAMPLES_FOLDER, SCORES_FILE, summarise
from diptych.training.trainer import Trainer
from diptych.types import Budgets, Method

_log = logging.getLogger("diptych")

DEFAULT_EPOCHS = 200.0
"""Zhu et al. 2017, Sec. 4: 100 at a constant rate and 100 decaying."""
_OWN_FILES = (
    *STATE_FILES, CONFIG_FILE, TRANSLATOR_FILE, METRICS_FILE, REPORT_FILE, SCORES_FILE,
    FAMILIARITY_FILE,
)  # fmt: skip
LOCK_FILE = "run.lock"
_OWN_FOLDERS = (SAMPLES_FOLDER, SNAPSHOTS_FOLDER, EVENTS_FOLDER)
_MEASURED_SHARE = 0.03
_WORTH_COMPILING = 20 * 60.0
"""Seconds of training from which compiling, a minute or two, is taken to pay on a GPU.

On CPUs it does not: compiled layers were slower than the others, see benchmarks/README.md.
"""
_OVERHEAD = 1.03
"""An allowance for pictures, checkpoints and logs beside the steps."""


@dataclass(frozen=True)
class Outcome:
    """Where a run stands when training returns."""

    folder: Path
    step: int
    steps: int
    was_finished: bool = False
    """It was already done when it was resumed."""

    @property
    def is_finished(self) -> bool:
        return self.step >= self.steps


def outcome_line(outcome: Outcome) -> str:
    """How a run stands, and how to go on."""
    if outcome.was_finished:
        return f"{outcome.folder} is finished: {outcome.step:,} of {outcome.steps:,} steps are done"
    if not outcome.is_finished:
        saved = " and saved" if outcome.step else ""  # before the first step there is only the plan
        return (
            f"stopped{saved} at step {outcome.step:,} of {outcome.steps:,}; go on with:"
            f" diptych train --resume {outcome.folder}"
        )
    return f"trained {outcome.steps:,} steps: {outcome.folder}"


def train(method: str, config: Any, settings: Settings, *, overwrite: bool = False) -> Outcome:
    """Begin a run and train it to the end of its budget, or to an interrupt.

    `config` is the method's `Config`. Blocks; shows its progress on standard error.

    Raises:
        InputError: something given cannot be used; nothing is left behind.
        DivergedError: a loss was not finite; the last good checkpoint stays.
    """
    started = time.monotonic()
    device = find_device(settings.device)
    ranks = join_ranks(device)
    data = open_run_data(method, settings, config.size)
    folder = Path(settings.out or f"runs/{_slug(method)}-{_slug(data.source)}")
    if is_restarted() and (folder / CONFIG_FILE).exists():  # by torchrun, after a failure
        return resume(folder, device=settings.device, workers=settings.workers)
    if ranks.is_first:
        _check_free(folder, overwrite)
    if settings.init is not None and Path(settings.init).resolve() == folder.resolve():
        raise InputError(f"--init {settings.init} is the run to be overwritten: give another --out")
    resolved = Resolved(
        domains=data.domains,
        fingerprint=data.fingerprint,
        steps=settings.steps,
        precision=find_precision(settings.precision, device),
        device=str(device),
        threads=settings.threads or torch.get_num_threads(),
        processes=ranks.world,
        compiled=None if _may_compile(settings, device) else settings.compile == "on",
    )
    plan = ranks.share(Plan(method=method, config=config, run=settings, resolved=resolved))
    # Before anything is written: what is wrong shows here.
    trainer = Trainer(plan, data, ranks=ranks)
    check_starts(plan, data, trainer)
    if settings.minutes is None and settings.steps is None:
        own = trainer.method.epochs if isinstance(trainer.method, Budgets) else DEFAULT_EPOCHS
        steps = math.ceil((settings.epochs or own) * trainer.epoch_batches)
        plan = replace(plan, resolved=replace(plan.resolved, steps=steps))
    if ranks.is_first:
        _make(folder)
    with _locked(folder, ranks), cpu_threads(plan.resolved.threads):
        if ranks.is_first:
            _clear(folder)
            _sweep(folder)
        return _go(folder, plan, data, trainer, started, ranks, resume_at=None)


def resume(
    folder: Path,
    *,
    device: str | None = None,
    workers: int | None = None,
    method: type[nn.Module] | None = None,
) -> Outcome:
    """Go on with the run in `folder` from its last good checkpoint.

    On the same kind of device the result has the same bits as a run that was
    never interrupted. `device` and `workers` replace the run's own. `method` is the class of a
    method from outside that this process has not used yet.

    Raises:
        InputError: no run, one whose data have changed, or one that another
            process is training.
        DivergedError: a loss was not finite; the last good checkpoint stays.
    """
    started = time.monotonic()
    plan = read_plan(folder, method)  # there is a run
    ranks = join_ranks(find_device(device or plan.resolved.device))
    if ranks.world != plan.resolved.processes:
        raise InputError(
            f"{folder} was begun by {plan.resolved.processes} processes, not {ranks.world}:"
            f" go on by torchrun --nproc-per-node {plan.resolved.processes} -m diptych train"
            f" --resume {folder}, or begin a new run with --init {folder}"
        )
    with _locked(folder, ranks):
        return _resume(folder, started, device, workers, ranks)


def _resume(
    folder: Path, started: float, device: str | None, workers: int | None, ranks: Ranks
) -> Outcome:
    plan = read_plan(folder)
    if ranks.is_first:
        _sweep(folder)
    plan = replace(
        plan,
        run=replace(plan.run, workers=plan.run.workers if workers is None else workers),
        resolved=replace(plan.resolved, device=str(find_device(device or plan.resolved.device))),
    )
    if not ranks.is_first:
        ranks.wait()  # for the first to have put the files in order
    has_state = any((folder / name).exists() for name in STATE_FILES)
    state = load_state(folder) if has_state else None  # None: killed before its first checkpoint
    if ranks.is_first:
        ranks.wait()
    if state is not None and plan.resolved.steps and state["step"] >= plan.resolved.steps:
        # It may have been killed after its last checkpoint.
        if ranks.is_first and not _has_current_report(folder):
            summarise(folder)
        return Outcome(folder, state["step"], plan.resolved.steps, was_finished=True)
    data = open_run_data(plan.method, plan.run, plan.config.size)
    if data.fingerprint != plan.resolved.fingerprint:
        raise InputError(
            f"{data.source} is not what {folder} was trained on: its files have changed;"
            f" put them back, or begin a new run with --init {folder}"
        )
    trainer = Trainer(plan, data, state, ranks)
    with cpu_threads(plan.resolved.threads):
        return _go(folder, plan, data, trainer, started, ranks, resume_at=trainer.clock.step)


def _locked(folder: Path, ranks: Ranks) -> AbstractContextManager[None]:
    return only_one_process(folder, LOCK_FILE) if ranks.is_first else nullcontext()


def _sweep(folder: Path) -> None:
    """Remove what killed sittings left: a torn state may be as large as a whole one."""
    remove_leftovers(folder, _OWN_FILES)
    remove_leftovers(folder / SAMPLES_FOLDER, ("*.png",))
    remove_leftovers(folder / SNAPSHOTS_FOLDER, ("*.safetensors",))


def _has_current_report(folder: Path) -> bool:
    report, state = folder / REPORT_FILE, folder / STATE_FILE
    if not (report.exists() and state.exists()):
        return False
    return report.stat().st_mtime_ns >= state.stat().st_mtime_ns


def _go(
    folder: Path,
    plan: Plan,
    data: Data,
    trainer: Trainer,
    started: float,
    ranks: Ranks,
    resume_at: int | None,
) -> Outcome:
    """Measure what is not decided yet, then train."""
    try:
        if ranks.is_first:
            write_plan(folder, plan)
        if plan.resolved.steps is None or plan.resolved.compiled is None:
            plan = _measured(plan, data, trainer, started, ranks)
            if ranks.is_first:
                write_plan(folder, plan)
            trainer.close()
            trainer = Trainer(plan, data, ranks=ranks)  # from the seed: measuring left no trace
        if plan.run.starts > 1 and trainer.clock.step == 0:
            trainer.close()
            chosen = choose_start(
                folder, plan, data, ranks, lambda k: Trainer(plan, data, ranks=ranks, start=k)
            )
            if chosen is None:
                return Outcome(folder, 0, plan.resolved.steps or 0)
            plan = chosen
            trainer = Trainer(plan, data, load_state(folder), ranks)
        sitting = Sitting(folder, plan, data, trainer, ranks)
        try:
            sitting.run(resume_at)
        except DivergedError:  # its curves show how
            _summarise(folder, data, trainer, ranks)
            raise
    finally:
        trainer.close()
    _summarise(folder, data, trainer, ranks)
    return Outcome(folder, trainer.clock.step, sitting.steps)


def _summarise(folder: Path, data: Data, trainer: Trainer, ranks: Ranks) -> None:
    if ranks.is_first:
        summarise(folder, notes=_notes(data, trainer), palettes=data.palettes)


def _may_compile(settings: Settings, device: torch.device) -> bool:
    """Whether it depends on the length of the run."""
    return settings.compile == "auto" and device.type == "cuda"


def _measured(plan: Plan, data: Data, trainer: Trainer, started: float, ranks: Ranks) -> Plan:
    """The plan with what depends on the speed: the steps of a budget in minutes, compiling."""
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


def open_run_data(method: str, settings: Settings, size: int) -> Data:
    """The data of a run of `method`, as it sees them.

    Raises:
        InputError: they are not there, or cannot be used.
    """
    kind = cast(type[Method], method_class(method))
    return for_batches(open_whole(settings, size), kind.batch_type)


def open_whole(settings: Settings, size: int) -> Data:
    """The data that the settings name, whatever method is to see them; `size` is in pixels.

    Raises:
        InputError: they are not there, or cannot be used.
    """
    s = settings
    return open_data(
        s.data,
        x=s.x,
        y=s.y,
        names=s.names,
        attributes=s.attributes,
        palettes=s.palette,
        size=size,
    )


def _notes(data: Data, trainer: Trainer) -> tuple[str, ...]:
    skipped = [f"passed over {file}: {reason}" for file, reason in trainer.skipped.items()]
    more = [f"... and {len(skipped) - 5} more images"] if len(skipped) > 5 else []
    return (*data.notes, *skipped[:5], *more)


def _slug(source: str) -> str:
    """A folder's name from what the user typed: sample:earth-climate, ~/data/horse2zebra/."""
    name = source.removeprefix("sample:").rstrip("/\\")
    return re.sub(r"[^\w.-]+", "-", re.split(r"[/\\]", name)[-1]).strip("-.") or "data"


def _check_free(folder: Path, overwrite: bool) -> None:
    if folder.is_file():
        raise InputError(f"{folder} is a file: give --out the name of a folder")
    taken = [name for name in (*_OWN_FILES, *_OWN_FOLDERS) if (folder / name).exists()]
    if taken and not overwrite:
        raise InputError(
            f"{folder} already holds a run: go on with it by diptych train --resume {folder},"
            " give another --out, or --overwrite it"
        )


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot use {folder} for the run: {error.strerror}") from error


def _clear(folder: Path) -> None:
    """Remove what an earlier run left in the folder, and nothing else."""
    try:
        for name in _OWN_FILES:
            (folder / name).unlink(missing_ok=True)
        for name in _OWN_FOLDERS:
            if (folder / name).exists():
                shutil.rmtree(folder / name)
    except OSError as error:
        raise InputError(f"cannot use {folder} for the run: {error.strerror}") from error
