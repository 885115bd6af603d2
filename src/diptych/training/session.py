"""One stretch of training, from where a run stands to its end or an interrupt."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from diptych.checkpoint import TRANSLATOR_FILE, TranslatorInfo, save_state, save_translator
from diptych.data import Data
from diptych.errors import option
from diptych.training.forecast import Forecast
from diptych.training.interrupt import Interrupt
from diptych.training.log import RunLog
from diptych.training.loggers import Callbacks, LoggedRun, Logger, open_logger
from diptych.training.loop import DivergedError
from diptych.training.notebook import find_notebook
from diptych.training.previews import CollapseWatch, Previews, steps_between, write_preview
from diptych.training.progress import TrainingProgress
from diptych.training.ranks import Ranks
from diptych.training.settings import Plan
from diptych.training.trainer import Trainer
from diptych.types import Kept

SNAPSHOTS_FOLDER = "snapshots"
_CHECKPOINT_SECONDS = 120.0
_METRICS_LINES = 2000


class Session:
    """Steps a trainer, and writes down what happens.

    Whatever kills it, its folder holds a state from which the rest of the run
    has the same bits.
    """

    def __init__(
        self,
        folder: Path,
        plan: Plan,
        data: Data,
        trainer: Trainer,
        ranks: Ranks | None = None,
        callbacks: Callbacks | None = None,
    ) -> None:
        assert plan.resolved.steps is not None
        self._ranks = ranks or Ranks()
        self.folder, self.plan, self.data, self.trainer = folder, plan, data, trainer
        self.steps = plan.resolved.steps
        self._callbacks = callbacks
        self._previews = Previews(data, plan.config.size)
        self._log_every = max(1, self.steps // _METRICS_LINES)
        self._preview_every = steps_between(self.steps, plan.run.preview_every)
        self._checkpoint_due = _Due(plan.run.checkpoint_every, _CHECKPOINT_SECONDS)
        self._checkpoint_due.last_step = trainer.clock.step or None
        self._watch = CollapseWatch()
        self.failure: Exception | None = None
        """What a logger or a callback raised: the training stopped for it, and was saved."""

    def run(self, resume_at: int | None) -> None:
        """Train until the budget is spent, Ctrl-C asks for a stop or `failure` is set; then save.

        Raises:
            DivergedError: a loss was not finite; the last good checkpoint stays.
            InputError: the disk is full; likewise.
        """
        if not self._ranks.is_first:
            self._follow()
            return
        trainer = self.trainer
        notebook = find_notebook()
        progress = TrainingProgress(
            self.steps,
            trainer.clock.step,
            images_per_step=trainer.step_images,
            notebook=notebook,
        )
        loggers = [logger for logger in (notebook, *self._loggers(resume_at)) if logger is not None]
        with Interrupt() as interrupt, RunLog(self.folder, resume_at, loggers) as log, progress:
            for note in self.data.notes if resume_at is None else ():
                progress.message(note)
            if trainer.clock.step == 0:
                self._draw(log, progress)
            began = time.monotonic() - log.seconds_before
            forecast = Forecast(self.plan, self.steps, done=trainer.clock.step)
            (stops,) = self._ranks.any(interrupt.requested or self._has_failed)
            while trainer.clock.step < self.steps and not stops:
                self._step(log, progress, began)
                for line in forecast.after_step():
                    progress.message(line)
                stops, saves = self._ranks.any(
                    interrupt.requested or self._has_failed, self._is_checkpoint_due()
                )
                if saves:
                    self._save()
            self._save()

    def _follow(self) -> None:
        """What the first process does, without writing anything."""
        trainer = self.trainer
        with Interrupt() as interrupt:
            (stops,) = self._ranks.any(interrupt.requested)
            while trainer.clock.step < self.steps and not stops:
                trainer.step(self.steps)
                stops, saves = self._ranks.any(interrupt.requested, False)
                if saves:
                    trainer.state()
            trainer.state()

    def _is_checkpoint_due(self) -> bool:
        step = self.trainer.clock.step
        return step < self.steps and self._checkpoint_due.at(step)

    def _step(self, log: RunLog, progress: TrainingProgress, began: float) -> None:
        trainer = self.trainer
        try:
            losses = trainer.step(self.steps)
        except DivergedError as error:
            raise DivergedError(f"{error}: stopped; {self._way_on()}") from None
        step = trainer.clock.step
        progress.update(step, losses)
        if step % self._log_every == 0 or step == self.steps:
            with self._failures_noted():
                log.write(
                    step,
                    losses,
                    learning_rates=trainer.learning_rates,
                    seconds=time.monotonic() - began,
                    images_per_second=progress.images_per_second,
                )
        if step % self._preview_every == 0 or step == self.steps:
            self._draw(log, progress)
        keep_every = self.plan.run.keep_every
        if keep_every is not None and step % keep_every == 0 and self._is_kept:
            (self.folder / SNAPSHOTS_FOLDER).mkdir(exist_ok=True)
            self._save_translator(self.folder / SNAPSHOTS_FOLDER / f"{step:08d}.safetensors")

    def _draw(self, log: RunLog, progress: TrainingProgress) -> None:
        """Keep a preview, show it to the loggers, and name a collapse that begins in it."""
        trainer = self.trainer
        step = trainer.clock.step
        with trainer.averaged():
            preview = self._previews.draw(trainer.method, trainer.device)
        if preview is None:
            return
        write_preview(self.folder, step, preview.grid)
        with self._failures_noted():
            log.preview(step, preview.grid)
        for line in self._watch.after_preview(step, preview.collapses):
            progress.message(line)

    def _loggers(self, resume_at: int | None) -> tuple[Logger | None, ...]:
        plan = self.plan
        tables = {plan.method: plan.config, "run": plan.run, "resolved": plan.resolved}
        options = {
            f"{table}.{name}": value
            for table, values in tables.items()
            for name, value in vars(values).items()
            if value is not None
        }
        run = LoggedRun(self.folder, resume_at, options)
        return open_logger(plan.run.logger, run), self._callbacks

    @contextmanager
    def _failures_noted(self) -> Iterator[None]:
        """What a logger or a callback raises stops all processes of the run, as Ctrl-C does.

        Raised at once, it would leave the other processes waiting for this one.
        """
        try:
            yield
        except Exception as error:
            self.failure = self.failure or error

    @property
    def _has_failed(self) -> bool:
        return self.failure is not None

    def _save(self) -> None:
        # The state comes last: once it says that the run is done, everything else is there.
        if self._is_kept:
            self._save_translator(self.folder / TRANSLATOR_FILE)
        save_state(self.folder, self.trainer.state())

    @property
    def _is_kept(self) -> bool:
        return isinstance(self.trainer.method, Kept)

    def _save_translator(self, path: Path) -> None:
        plan, trainer = self.plan, self.trainer
        info = TranslatorInfo(
            method=plan.method,
            config={k: v for k, v in vars(plan.config).items() if v is not None},
            domains=plan.resolved.domains,
            size=plan.config.size,
            step=trainer.clock.step,
            fingerprint=plan.resolved.fingerprint,
            source=self.data.source,
            version=plan.resolved.version,
            classes=self.data.classes,
            has_attributes=self.data.train.attributes is not None,
            pixels=self.data.pixels,
        )
        save_translator(path, trainer.inference_weights(), info)

    def _way_on(self) -> str:
        lower = f"a lower {option('lr')} or {option('precision', 'fp32')}"
        if self._checkpoint_due.last_step is None:
            return f"there was no checkpoint yet; begin anew with {lower}"
        return (
            f"the checkpoint of step {self._checkpoint_due.last_step} is good; begin anew from it"
            f" with {option('init', str(self.folder))} and {lower}"
        )


class _Due:
    """Whether it is time for something: by steps if they are given, else by the clock."""

    def __init__(self, every: int | None, seconds: float) -> None:
        self._every, self._seconds = every, seconds
        self._last_time = time.monotonic()
        self.last_step: int | None = None

    def at(self, step: int) -> bool:
        if self._every is not None:
            is_due = step % self._every == 0
        else:
            is_due = time.monotonic() - self._last_time >= self._seconds
        if is_due:
            self._last_time, self.last_step = time.monotonic(), step
        return is_due
