"""report.html from what a run has left in its folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import Any

from torch import nn

from diptych.data import Palette
from diptych.methods import method_class
from diptych.report.page import write_report
from diptych.training.log import METRICS_FILE, read_metrics
from diptych.training.previews import previews_of
from diptych.training.settings import Plan, read_plan

SCORES_FILE = "scores.json"


def summarise(
    folder: Path,
    *,
    method: type[nn.Module] | None = None,
    notes: tuple[str, ...] = (),
    palettes: Mapping[str, Palette] | None = None,
) -> Path:
    """Write report.html from what the run in `folder` has left so far; returns its path.

    `method` is the class of a method from outside that this process has not used yet.

    Raises:
        InputError: `folder` holds no run, or cannot be written.
    """
    plan = read_plan(folder, method)
    scores = folder / SCORES_FILE
    data = plan.run.data or f"{plan.run.x} and {plan.run.y}"
    resolved = _given(plan.resolved)
    del resolved["started_in"]  # nobody else's business
    resolved["pixels"] = [pixels.describe() for pixels in plan.resolved.pixel_formats]
    kind = method_class(plan.method)
    return write_report(
        folder,
        title=f"{kind.__name__} on {data}",
        domains=plan.resolved.domains,
        config={plan.method: _given(plan.config), "run": _given(plan.run), "resolved": resolved},
        defaults={
            plan.method: _defaults(plan.config),
            "run": _defaults(plan.run),
            "resolved": resolved,
        },
        metrics=read_metrics(folder / METRICS_FILE),
        previews=previews_of(folder),
        scores=json.loads(scores.read_text("utf-8")) if scores.exists() else None,
        notes=(*notes, *starts_note(plan)),
        palettes=palettes,
        translates=hasattr(kind, "translate"),
    )


def starts_note(plan: Plan) -> tuple[str, ...]:
    """That the run's start was chosen, and by what; nothing if it was not."""
    figures = plan.resolved.starts
    if figures is None:
        return ()
    rest = ", ".join(f"{figure:.3f}" for figure in figures)
    return (
        f"of {len(figures)} starts, number {figures.index(max(figures)) + 1} was trained on: by"
        f" {plan.resolved.starts_by} on the validation split's true pairs ({rest})",
    )


def _given(table: Any) -> dict[str, Any]:
    return {name: value for name, value in asdict(table).items() if value is not None}


def _defaults(table: Any) -> dict[str, Any]:
    return {f.name: f.default for f in fields(table) if f.default is not MISSING}
