"""The library's front door: train, resume, and what has been learnt, ready to use."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from PIL import Image
from torch import nn

from diptych import scoring
from diptych.errors import InputError, check_path, dataclass_from
from diptych.evaluation import Scores
from diptych.inference.domains import shown
from diptych.inference.load import load
from diptych.inference.translator import Precision, Translator
from diptych.methods import give, make_config, method_class
from diptych.networks.device import Precision as TrainingPrecision
from diptych.report.notebook import picture_and_links
from diptych.training import run as runs
from diptych.training.changes import Changes
from diptych.training.loggers import Callbacks, LoggerName
from diptych.training.presets import chosen
from diptych.training.previews import latest_preview
from diptych.training.random_state import random_state_kept
from diptych.training.ranks import is_first_process
from diptych.training.settings import PER_DOMAIN, SETTING_NAMES, Settings, read_plan, renamed

_log = logging.getLogger("diptych")


@dataclass(frozen=True, repr=False)
class Run(os.PathLike[str]):
    """A run's folder, which has its path wherever one is expected.

    In Jupyter it shows its newest preview pictures and links to its report.
    """

    folder: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", Path(self.folder))

    def __fspath__(self) -> str:
        return str(self.folder)

    def __str__(self) -> str:
        return str(self.folder)

    def __repr__(self) -> str:
        try:
            plan = read_plan(self.folder)
            mark = " ↔ " if hasattr(method_class(plan.method), "translate") else ", "
        except InputError:  # there is no run there yet
            return f"Run({self})"
        domains = shown(plan.resolved.domains, mark)
        return f"Run({plan.method}, {domains}, {plan.config.size} px, {self})"

    def _repr_html_(self) -> str:
        """The newest pictures and links, for Jupyter."""
        report = {"report": self.report} if self.report.exists() else {}
        links = report | {self.folder.name: self.folder}
        return picture_and_links(repr(self), latest_preview(self.folder), links)

    @property
    def report(self) -> Path:
        """The page with its pictures, curves, settings and scores."""
        return self.folder / "report.html"

    def translator(
        self,
        *,
        device: str | torch.device = "auto",
        precision: Precision = "fp32",
        memory_gib: float = 2.0,
        draws: bool = False,
    ) -> Translator:
        """What it has learnt, ready to use: see `diptych.load`."""
        return load(
            self.folder, device=device, precision=precision, memory_gib=memory_gib, draws=draws
        )

    def evaluate(self, split: str = "test") -> Scores:
        """See `diptych.evaluate`."""
        return scoring.evaluate(self.folder, split=split)


@random_state_kept()
def train(
    method: str | type[nn.Module],
    *,
    data: str | os.PathLike[str] | None = None,
    x: str | os.PathLike[str] | None = None,
    y: str | os.PathLike[str] | None = None,
    names: Sequence[str] | None = None,
    attributes: str | os.PathLike[str] | None = None,
    palette: Sequence[str] | None = None,
    paired: bool | None = None,
    channels: str | Sequence[str] | None = None,
    range: str | Sequence[str] | None = None,
    nodata: str | Sequence[str] | None = None,
    show: str | Sequence[str] | None = None,
    preset: Literal["paper", "fast"] | None = None,
    recipe: str | None = None,
    out: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    steps: int | None = None,
    epochs: float | None = None,
    minutes: float | None = None,
    checkpoint_every: int | None = None,
    keep_every: int | None = None,
    preview_every: int | None = None,
    logger: LoggerName | None = None,
    on_log: Callable[[int, dict[str, float]], object] | None = None,
    on_preview: Callable[[Image.Image], object] | None = None,
    load_size: int | None = None,
    seed: int | None = None,
    starts: int | None = None,
    precision: TrainingPrecision | None = None,
    compile: Literal["auto", "on", "off"] | None = None,
    recompute: bool | None = None,
    device: str | None = None,
    threads: int | None = None,
    workers: int | None = None,
    init: str | os.PathLike[str] | None = None,
    lr_scale: float | None = None,
    ema: float | None = None,
    **options: Any,
) -> Run:
    """Train `method` and return its run.

        run = diptych.train("cyclegan", data="horse2zebra/", steps=20_000)

    Args:
        method: the name of a method, or a class of your own: see docs/your-own-method.md.
        on_log: called with the step and its losses whenever they are logged: at most about
            2,000 times a run.
        on_preview: called with each preview grid, an RGB image, as it is written to previews/.
        overwrite: replace the run that `out` already holds.
        options: the method's own, such as `size=128` and `cycle_weight=5.0`.

    All others are the options of `diptych train METHOD --help`. What is None is left to the
    preset, the recipe and the method. Ctrl-C, or Jupyter's Interrupt, stops the training at
    the end of a step and saves it: the run is returned, for `resume`. A callback that raises
    stops it likewise, and the exception comes out of `train`. Under torchrun, callbacks are
    called in the first process alone. PyTorch's random state is afterwards what it was before.

    Raises:
        InputError: an unknown option, or data that cannot be used.
        DivergedError: a loss was not finite; the last good checkpoint stays.
    """
    given = {k: v for k, v in locals().items() if k in SETTING_NAMES and v is not None}
    name = method if isinstance(method, str) else give(method)
    config, run = chosen(name, preset=preset, recipe=recipe)
    for key, value in (renamed(options) | given).items():
        plain = os.fspath(value) if isinstance(value, os.PathLike) else value
        if key in PER_DOMAIN and isinstance(plain, str):
            plain = (plain,)
        (run if key in SETTING_NAMES else config)[key] = (
            tuple(plain) if isinstance(plain, list) else plain
        )
    settings = dataclass_from(Settings, run, owner="train")
    outcome = runs.train(
        name,
        make_config(name, config),
        settings,
        overwrite=overwrite,
        callbacks=Callbacks(on_log, on_preview),
    )
    return _run_of(outcome)


@random_state_kept()
def resume(
    folder: str | os.PathLike[str],
    *,
    device: str | None = None,
    workers: int | None = None,
    data: str | os.PathLike[str] | None = None,
    x: str | os.PathLike[str] | None = None,
    y: str | os.PathLike[str] | None = None,
    steps: int | None = None,
    method: type[nn.Module] | None = None,
    on_log: Callable[[int, dict[str, float]], object] | None = None,
    on_preview: Callable[[Image.Image], object] | None = None,
) -> Run:
    """Go on with an interrupted run; one that is done is returned as it is.

    `device` and `workers` replace the run's own. `data`, or `x` and `y`, is where its data are
    now. `steps` is a new budget, of which the steps done are a part: with a larger one, a
    finished run goes on. Learning rates follow the new budget as if it had been so from the
    start. `method` is the class of a method from outside
    that this process has not used yet. The callbacks are those of `train`.

    Raises:
        InputError: no run, or one whose data have changed.
        DivergedError: a loss was not finite; the last good checkpoint stays.
    """
    outcome = runs.resume(
        check_path(folder, "a run's folder"),
        changes=Changes(
            device=device,
            workers=workers,
            data=data,
            x=x,
            y=y,
            steps=steps,
        ),
        method=method,
        callbacks=Callbacks(on_log, on_preview),
    )
    return _run_of(outcome)


def _run_of(outcome: runs.Outcome) -> Run:
    """The run, with a line on how to go on if Ctrl-C stopped it."""
    if not outcome.is_finished and is_first_process():
        _log.warning(runs.outcome_line(outcome))
    return Run(outcome.folder)
