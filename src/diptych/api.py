"""The library's front door: train, resume, and what has been learnt, ready to use."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from diptych import scoring
from diptych.errors import InputError, dataclass_from
from diptych.evaluation import Scores
from diptych.inference.domains import shown
from diptych.inference.load import load
from diptych.inference.translator import Precision, Translator
from diptych.methods import give, make_config, method_class
from diptych.report.notebook import picture_and_links
from diptych.training import run as runs
from diptych.training.presets import chosen
from diptych.training.random_state import random_state_kept
from diptych.training.settings import SETTING_NAMES, Settings, read_plan
from diptych.training.summary import newest_picture


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
        return picture_and_links(repr(self), newest_picture(self.folder), links)

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
        samples: bool = False,
    ) -> Translator:
        """What it has learnt, ready to use: see `diptych.load`."""
        return load(
            self.folder, device=device, precision=precision, memory_gib=memory_gib, samples=samples
        )

    def evaluate(self, split: str = "test") -> Scores:
        """See `diptych.evaluate`."""
        return scoring.evaluate(self.folder, split=split)


@random_state_kept()
def train(method: str | type[nn.Module], *, overwrite: bool = False, **options: Any) -> Run:
    """Train `method` and return its run.

    `method` is the name of a method, or a class of your own: see docs/your-own-method.md.

    `options` are the command line's: `data=`, `steps=`, `size=`, and the
    method's own (`cycle_weight=5.0`); `recipe=` and `preset=` set several.

        run = diptych.train("cyclegan", data="horse2zebra/", steps=20_000)

    PyTorch's random state is afterwards what it was before.

    Raises:
        InputError: an unknown option, or data that cannot be used.
    """
    options = {k: str(v) if isinstance(v, os.PathLike) else v for k, v in options.items()}
    name = method if isinstance(method, str) else give(method)
    config, run = chosen(
        name, preset=options.pop("preset", None), recipe=options.pop("recipe", None)
    )
    for key, value in options.items():
        (run if key in SETTING_NAMES else config)[key] = value
    settings = dataclass_from(Settings, run, owner="train")
    return Run(runs.train(name, make_config(name, config), settings, overwrite=overwrite).folder)


@random_state_kept()
def resume(folder: str | os.PathLike[str], *, method: type[nn.Module] | None = None) -> Run:
    """Go on with an interrupted run; one that is done is returned as it is.

    `method` is the class of a method from outside that this process has not used yet.
    """
    return Run(runs.resume(Path(folder), method=method).folder)
