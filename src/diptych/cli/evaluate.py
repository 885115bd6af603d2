"""`diptych evaluate`: score runs, and show scores in the terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rich.console import Console

import diptych
from diptych.cli.fields import Positional
from diptych.cli.parse import given_method, parse
from diptych.files import atomic_write_text, check_can_write


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Score a run on held-out images and add the scores to its report."""

    runs: Positional[tuple[Path, ...]]
    """The run's folder. Several runs that differ in their seeds are scored and averaged."""
    data: str | None = None
    """Where the run's data are now, or other data of its domains to score on."""
    x: str | None = None
    """Folder of domain X, with --y in place of --data."""
    y: str | None = None
    """Folder of domain Y."""
    split: Literal["test", "validation", "train"] = "test"
    """The images to score on."""
    features: Literal["efficientnet-lite0", "inception"] | None = None
    """The network whose features KID and FID compare; by default, the installed one."""
    weights: Path | None = None
    """The weights file, for inception."""
    vgg16: Path | None = None
    """torchvision's VGG-16 weights. With true pairs, they add LPIPS and DISTS."""
    choose: bool = False
    """Score the best checkpoint that --keep-every kept, chosen by KID on validation images."""
    palette: tuple[str, ...] = ()
    """The classes of a label domain: DOMAIN=FILE.csv with lines of name,r,g,b, or
    DOMAIN=cityscapes. By default, those of the run, or palette.csv in the domain's folder."""
    fcn: bool = False
    """Add the FCN score of labels → photos. This trains a segmentation network on the real
    training pairs once, which takes minutes."""
    adaptation: bool = False
    """Also train segmentation networks for the second domain on source images, on translated
    ones and on its own, and compare them."""
    json: Path | None = None
    """Write the scores to this file, too."""
    method: str | None = None
    """The module of its method, if it is your own: my_package.my_method or my_method.py."""
    device: str = "auto"
    """cpu, cuda or mps; auto takes the fastest available."""


def evaluate_command(arguments: list[str]) -> int:
    options = parse(Evaluate, arguments, "diptych evaluate")
    check_can_write(options.json)
    how: dict[str, Any] = {
        "method": given_method(options.method),
        "data": options.data,
        "x": options.x,
        "y": options.y,
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
        scores = diptych.evaluate(options.runs[0], **how).to_dict()
    else:
        scores = diptych.evaluate_seeds(options.runs, **how)
    if options.json is not None:
        atomic_write_text(options.json, json.dumps(scores, indent=1, allow_nan=False) + "\n")
    show_scores(scores)
    return 0


def show_scores(scores: Mapping[str, Any]) -> None:
    """Print a table of `Scores.to_dict()`, and below it what has failed."""
    from diptych.evaluation import scores_table

    console = Console()
    console.print(scores_table(scores))
    for warning in scores["warnings"]:
        console.print(f"warning: {warning}", markup=False, highlight=False)
