"""From a plan to a trained run's folder, however often it is interrupted."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from torch import nn

from diptych.checkpoint import load_state
from diptych.data import Data, for_batches, open_data
from diptych.data.pixel_choice import PixelOptions
from diptych.data.pixels import PixelFormat
from diptych.data.shared_files import shared_files_note
from diptych.data.splits import ordered_as
from diptych.errors import InputError, check_path, counted, option, resume_call
from diptych.methods import method_class
from diptych.networks.device import cpu_threads, find_device
from diptych.training.changes import Changes, in_its_folder
from diptych.training.folder import RunFolder, run_folder
from diptych.training.loggers import Callbacks, check_logger
from diptych.training.loop import DivergedError
from diptych.training.planning import completed, first_plan, is_complete, with_steps_of_epochs
from diptych.training.ranks import Ranks, is_restarted, join_ranks
from diptych.training.session import Session
from diptych.training.settings import CONFIG_FILE, Plan, Settings, read_plan
from diptych.training.starting_weights import ordered_as_in
from diptych.training.starts import check_starts, choose_start
from diptych.training.trainer import Trainer
from diptych.types import Method


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
        return f"{outcome.folder} is finished, after {counted(outcome.steps, 'step')}"
    if not outcome.is_finished:
        saved = " and saved" if outcome.step else ""  # before the first step there is only the plan
        return (
            f"stopped{saved} at step {outcome.step:,} of {outcome.steps:,}; go on with:"
            f" {resume_call(outcome.folder)}"
        )
    return f"trained {counted(outcome.steps, 'step')}: {outcome.folder}"


# --- beginning and going on -------------------------------------------------------


def train(
    method: str,
    config: Any,
    settings: Settings,
    *,
    overwrite: bool = False,
    callbacks: Callbacks | None = None,
) -> Outcome:
    """Begin a run and train it to the end of its budget, or to an interrupt.

    `config` is the method's `Config`. Blocks; shows its progress on standard error.

    Raises:
        InputError: something given cannot be used; nothing is left behind.
        DivergedError: a loss was not finite; the last good checkpoint stays.
    """
    started = time.monotonic()
    check_logger(settings.logger)
    device = find_device(settings.device)
    ranks = join_ranks(device)
    data = open_run_data(method, settings, config.size)
    data = replace(data, notes=(*data.notes, *shared_files_note(data)))
    if settings.init is not None:
        data = ordered_as_in(data, check_path(settings.init, "a run's folder"))
    path = Path(settings.out or f"runs/{_slug(method)}-{_data_name(settings, data)}")
    if is_restarted() and (path / CONFIG_FILE).exists():  # by torchrun, after a failure
        changes = Changes(device=settings.device, workers=settings.workers)
        return resume(path, changes=changes, callbacks=callbacks)
    folder = run_folder(path, ranks)
    folder.check_free(overwrite=overwrite)
    _check_init(settings.init, path)
    plan = first_plan(method, config, settings, data, device, ranks)
    # The trainer is made before anything is written: what is wrong shows here.
    with _Work(folder, plan, data, ranks, callbacks=callbacks) as work:
        check_starts(plan, data, work.trainer)
        work.plan = with_steps_of_epochs(plan, work.trainer)
        with folder.begun(), cpu_threads(plan.resolved.threads):
            return _carry_out(work, started, resume_at=None)


def resume(
    folder: Path,
    *,
    changes: Changes | None = None,
    method: type[nn.Module] | None = None,
    callbacks: Callbacks | None = None,
) -> Outcome:
    """Go on with the run in `folder` from its last good checkpoint.

    On the same kind of device the result has the same bits as a run that was
    never interrupted. `changes` says what is no longer as it was. `method` is the class of a
    method from outside that this process has not used yet.

    Raises:
        InputError: no run, one whose data have changed, or one that another
            process is training.
        DivergedError: a loss was not finite; the last good checkpoint stays.
    """
    started = time.monotonic()
    changes = changes or Changes()
    plan = read_plan(folder, method)  # there is a run
    ranks = join_ranks(find_device(changes.device or plan.resolved.device))
    _check_processes(folder, plan, ranks)
    own = run_folder(folder, ranks)
    with own.locked():
        return _resume(own, ranks, started, changes, callbacks)


def _resume(
    folder: RunFolder,
    ranks: Ranks,
    started: float,
    changes: Changes,
    callbacks: Callbacks | None,
) -> Outcome:
    with ranks.first_one_first():  # it puts the files in order
        folder.sweep()
        plan, state = read_plan(folder.path), folder.state()
    plan = changes.applied(plan, folder.path, 0 if state is None else state["step"])
    steps = plan.resolved.steps
    if state is not None and steps and state["step"] >= steps:
        folder.make_up_report()  # it may have been killed after its last checkpoint
        return Outcome(folder.path, state["step"], steps, was_finished=True)
    check_logger(plan.run.logger)
    data = open_plan_data(plan)
    _check_unchanged(data, folder.path, plan)
    made = _Work(folder, plan, data, ranks, state, callbacks=callbacks)
    del state  # as large as the trainer
    with made as work, cpu_threads(plan.resolved.threads):
        return _carry_out(work, started, resume_at=work.trainer.clock.step)


# --- carrying out -----------------------------------------------------------------


class _Work:
    """A run in this process: its plan, as far as it is known, and its one trainer.

    A context manager, which stops the trainer's workers.
    """

    def __init__(
        self,
        folder: RunFolder,
        plan: Plan,
        data: Data,
        ranks: Ranks,
        state: dict[str, Any] | None = None,
        callbacks: Callbacks | None = None,
    ) -> None:
        self.callbacks = callbacks
        self.folder, self.plan, self.data, self.ranks = folder, plan, data, ranks
        self._trainer: Trainer | None = self.make_trainer(state)

    @property
    def trainer(self) -> Trainer:
        assert self._trainer is not None
        return self._trainer

    def make_trainer(self, state: dict[str, Any] | None = None, *, start: int = 0) -> Trainer:
        """A trainer that follows the plan as it is now."""
        return Trainer(self.plan, self.data, state, self.ranks, start=start)

    def renew(self, state: dict[str, Any] | None = None) -> None:
        """Make the trainer anew, from the plan's seed or from `state`."""
        self.drop_trainer()
        self._trainer = self.make_trainer(state)

    def drop_trainer(self) -> None:
        """Free the trainer's memory: two at a time may be too many."""
        if self._trainer is not None:
            self._trainer.close()
        self._trainer = None

    def __enter__(self) -> _Work:
        return self

    def __exit__(self, *_: object) -> None:
        self.drop_trainer()


def _carry_out(work: _Work, started: float, resume_at: int | None) -> Outcome:
    """Complete the plan, then run it."""
    folder = work.folder
    folder.write(work.plan)
    if not is_complete(work.plan):
        work.plan = completed(work.plan, work.data, work.trainer, started, work.ranks)
        folder.write(work.plan)
        work.renew()  # from the seed: measuring left no trace
    if work.plan.run.starts > 1 and work.trainer.clock.step == 0:
        work.drop_trainer()
        chosen = choose_start(
            folder, work.plan, work.data, work.ranks, lambda k: work.make_trainer(start=k)
        )
        if chosen is None:
            return Outcome(folder.path, 0, work.plan.resolved.steps or 0)
        work.plan = chosen
        work.renew(load_state(folder.path))
    return _run(work, resume_at)


def _run(work: _Work, resume_at: int | None) -> Outcome:
    """Run a complete plan from where its trainer stands."""
    folder, data, trainer = work.folder, work.data, work.trainer
    session = Session(folder.path, work.plan, data, trainer, work.ranks, work.callbacks)
    try:
        session.run(resume_at)
    except DivergedError:  # its curves show how
        folder.summarise(_notes(data, trainer), data.palettes)
        raise
    trainer.close()
    folder.summarise(_notes(data, trainer), data.palettes)
    if session.failure is not None:
        raise session.failure
    return Outcome(folder.path, trainer.clock.step, session.steps)


def _notes(data: Data, trainer: Trainer) -> tuple[str, ...]:
    skipped = [f"passed over {file}: {reason}" for file, reason in trainer.skipped.items()]
    more = [f"... and {counted(len(skipped) - 5, 'more image')}"] if len(skipped) > 5 else []
    return (*data.notes, *skipped[:5], *more)


# --- the data ---------------------------------------------------------------------


def open_run_data(
    method: str, settings: Settings, size: int, pixels: Sequence[PixelFormat] | None = None
) -> Data:
    """The data of a run of `method`, as it sees them; `pixels` as in `open_whole`.

    Raises:
        InputError: they are not there, or cannot be used.
    """
    kind = cast(type[Method], method_class(method))
    return for_batches(open_whole(settings, size, pixels), kind.batch_type)


def open_plan_data(plan: Plan, settings: Settings | None = None) -> Data:
    """The data of a run that there is already, with its domains and pixel formats.

    `settings` take the place of the run's own where other data of its domains are opened.

    Raises:
        InputError: they are not there, or cannot be used.
    """
    resolved = plan.resolved
    own = in_its_folder(settings or plan.run, resolved.started_in)
    data = open_run_data(plan.method, own, plan.config.size, resolved.pixel_formats)
    return ordered_as(data, resolved.domains)


def open_whole(settings: Settings, size: int, pixels: Sequence[PixelFormat] | None = None) -> Data:
    """The data that the settings name, whatever method is to see them; `size` is in pixels.

    `pixels` are the formats of a run that there is already. By default they are decided.

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
        paired=s.paired,
        options=PixelOptions(s.channels, s.range, s.nodata, s.show),
        pixels=pixels,
        size=size,
    )


def _data_name(settings: Settings, data: Data) -> str:
    """What a run's folder calls the data: the last part of each folder that was given."""
    if settings.x is not None and settings.y is not None:
        return f"{_slug(settings.x)}-{_slug(settings.y)}"
    return _slug(data.source)


def _slug(source: str) -> str:
    """A folder's name from what the user typed: sample:earth-climate, ~/data/horse2zebra/."""
    name = source.removeprefix("sample:").rstrip("/\\")
    return re.sub(r"[^\w.-]+", "-", re.split(r"[/\\]", name)[-1]).strip("-.") or "data"


# --- what is refused --------------------------------------------------------------


def _check_init(init: str | None, path: Path) -> None:
    if init is not None and Path(init).resolve() == path.resolve():
        raise InputError(
            f"{option('init', init)} is the run to be overwritten: give another {option('out')}"
        )


def _check_processes(folder: Path, plan: Plan, ranks: Ranks) -> None:
    processes = plan.resolved.processes
    if ranks.world != processes:
        raise InputError(
            f"{folder} was begun by {processes} processes, not {ranks.world}:"
            f" go on by torchrun --nproc-per-node {processes} -m diptych train"
            f" --resume {folder}, or begin a new run with {option('init', str(folder))}"
        )


def _check_unchanged(data: Data, folder: Path, plan: Plan) -> None:
    if data.fingerprint != plan.resolved.fingerprint:
        raise InputError(
            f"{data.source} is not what {folder} was trained on: its files have other names or"
            f" sizes, or there are more or fewer; put them back, say by {option('data')} where"
            f" they are now, or begin a new run from its weights by {option('init', str(folder))}"
        )
