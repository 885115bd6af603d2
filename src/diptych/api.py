"""The library's front door: train, resume, and what has been learnt, ready to use."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from diptych import scoring
from diptych.errors import dataclass_from
from diptych.evaluation import Scores
from diptych.inference.load import load
from diptych.inference.translator import Translator
from diptych.methods import give, make_config
from diptych.training import run as runs
from diptych.training.presets import chosen
from diptych.training.random_state import random_state_kept
from diptych.training.settings import SETTING_NAMES, Settings


@dataclass(frozen=True)
class Run:
    """A run's folder."""

    folder: Path

    @property
    def report(self) -> Path:
        """The page with its pictures, curves, settings and scores."""
        return self.folder / "report.html"

    def translator(self, device: str = "auto") -> Translator:
        """What it has learnt, ready to use."""
        return load(self.folder, device=device)

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
