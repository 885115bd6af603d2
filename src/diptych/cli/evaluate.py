"""`diptych evaluate`: score runs, and show scores in the terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tyro
from rich.console import Console

from diptych.cli.parse import given_method, parse
from diptych.errors import InputError
from diptych.files import atomic_write_text, check_can_write


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Score a run on held-out images; its report shows the scores from then on."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """The run's folder; several, of one training with other seeds, are scored and averaged."""
    data: str | None = None
    """Other data than the run's own."""
    split: Literal["test", "validation", "train"] = "test"
    """Which images."""
    features: Literal["efficientnet-lite0", "inception"] | None = None
    """The network whose features KID and FID compare; by default the one that is installed."""
    weights: Path | None = None
    """Its weights, for inception."""
    vgg16: Path | None = None
    """torchvision's weights of VGG-16, for LPIPS and DISTS where there are true pairs."""
    choose: bool = False
    """Score the best of the checkpoints that --keep-every kept, by KID on validation images."""
    palette: tuple[str, ...] = ()
    """What a domain's colours mean: DOMAIN=FILE.csv, with lines of name,r,g,b, or
    DOMAIN=cityscapes; by default as the run was told, or palette.csv in the domain's folder."""
    fcn: bool = False
    """Also the FCN score of labels → photos: trains a segmentation network on the real
    training pairs, in minutes, and keeps it for the next time."""
    adaptation: bool = False
    """Also how well segmentation networks of the second domain do, trained on images of the
    first as they are, translated, and on the second's own."""
    json: Path | None = None
    """Also write the scores to this file."""
    method: str | None = None
    """Where its method is, if it is your own: my_package.my_method, or my_method.py."""
    device: str = "auto"
    """cpu, cuda, mps; auto takes the fastest there is."""


def evaluate_command(arguments: list[str]) -> int:
    options = parse(Evaluate, arguments, "diptych evaluate", "")
    if not options.runs:
        raise InputError("nothing to evaluate: name a run's folder")
    from diptych.scoring import evaluate, evaluate_seeds

    check_can_write(options.json)
    how = {
        "method": given_method(options.method),
        "data": options.data,
        "split": options.split,
        "features": options.features,
        "weights": options.weights,
        "vgg16": options.vgg16,
        "choose": options.choose,
        "palette": options.palette,
        "fcn": options.fcn,
        "adaptation": options.adaptation,
        "device": options.device,
    }
    if len(options.runs) == 1:
        scores = evaluate(options.runs[0], **how).to_dict()
    else:
        scores = evaluate_seeds(options.runs, **how)
    if options.json is not None:
        atomic_write_text(options.json, json.dumps(scores, indent=1) + "\n")
    show_scores(scores)
    return 0


def show_scores(scores: Mapping[str, Any]) -> None:
    """Print a table of `Scores.to_dict()`, and below it what has failed."""
    from diptych.evaluation import scores_table

    console = Console()
    console.print(scores_table(scores))
    for warning in scores["warnings"]:
        console.print(f"warning: {warning}", markup=False, highlight=False)
