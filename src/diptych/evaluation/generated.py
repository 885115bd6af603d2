"""Scores of images made from noise, by their distance from real images, domain by domain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from torch import Tensor

from diptych.data import Data
from diptych.data.raster import view
from diptych.evaluation.collapse import CollapseSums
from diptych.evaluation.distances import fid, kid
from diptych.evaluation.notes import LAST_STEP, channel_notes, features_notes
from diptych.evaluation.precision import precision_and_recall
from diptych.evaluation.scores import (
    Memory,
    RealFeatures,
    Scores,
    choose_split,
    installed,
)
from diptych.networks.features import FeatureNetwork

Generate = Callable[[int, str], Tensor]
"""Takes a number N and a domain's name; returns (N, C, H, W) images of it in [-1, 1]."""

_BATCH = 16


def evaluate_generated(
    generate: Generate,
    data: Data,
    split: str = "test",
    *,
    size: int,
    features: FeatureNetwork | Literal["auto"] | None = "auto",
    seed: int = 0,
    console: Console | None = None,
    memory: Memory | None = None,
) -> Scores:
    """Compare new images of each domain with the same number of real images in `split`.

    Real images are scaled and cropped to `size` pixels. With `features` ("auto" is
    EfficientNet-Lite0 if it is installed), the scores are KID, precision and recall, and FID if
    there are enough images. New images that are alike or of one colour are named as collapsed.
    `seed` draws KID's subsets. `memory` is that of `evaluate`.

    Raises:
        InputError: the split does not exist, or has no usable images.
    """
    network = installed() if features == "auto" else features
    chosen = choose_split(data, split)
    images = chosen.pairs if chosen.pairs is not None else chosen.domains
    real = RealFeatures(data, images, network, size, memory)
    console = console or Console(stderr=True)
    domains: dict[str, dict[str, Any]] = {}
    bars = Progress(console=console, transient=True, disable=not console.is_terminal)
    with bars, torch.no_grad():
        for index, name in enumerate(data.domains):
            count = len(images[index])
            task = bars.add_task(escape(f"new {name}"), total=count)
            found, sums = dict[str, Any](), CollapseSums()
            fakes = sums.add(generate(count, name))
            sums.targets.add(real.some(index))
            if network is not None:
                batches = torch.split(fakes, _BATCH)
                pixels = data.pixels[index]
                made = torch.cat([network(view(batch, pixels)).cpu() for batch in batches])
                theirs = real.of(index)
                found["kid"] = kid(theirs, made, seed=seed)
                found["kid_of_real"] = kid(theirs, real.of_training(index), seed=seed)
                found["fid"] = fid(theirs, made)
                found |= precision_and_recall(theirs, made)
            domains[name] = sums.scores(found)
            bars.advance(task, count)
    return Scores(
        split=split,
        features=None if network is None else network.name,
        resizing=None if network is None else network.resizing,
        directions={},
        notes=(
            LAST_STEP,
            "new images are compared with the real ones of their domain",
            *features_notes(network),
            *channel_notes(data),
        ),
        domains=domains,
    )
