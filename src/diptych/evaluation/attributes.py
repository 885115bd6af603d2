"""Scores of translations that change one attribute of an image and keep the other attributes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress
from torch import Tensor

from diptych.data import Data, Split, evaluation_images
from diptych.data.attributes import Values, changed, exclusions
from diptych.data.collections import Attributes, evenly_spaced
from diptych.data.pixels import PixelFormat
from diptych.data.raster import view
from diptych.errors import InputError, counted
from diptych.evaluation import paired
from diptych.evaluation.collapse import CollapseSums
from diptych.evaluation.distances import fid, kid
from diptych.evaluation.precision import precision_and_recall
from diptych.networks.features import FeatureNetwork

_BATCH = 16


def attribute_scores(
    translate: Callable[[Tensor, Any], Tensor],
    data: Data,
    split: Split,
    network: FeatureNetwork | None,
    *,
    size: int,
    most: int | None,
    seed: int,
    console: Console,
) -> dict[str, dict[str, Any]]:
    """Return scores for each change of an attribute, such as "→Young" and "→no Young".

    For "→Young", images of `split` without the attribute are given it, and the results are
    compared with real images that have it. Attributes that exclude it are removed. For
    "→no Young", images with the attribute lose it, and the results are compared with real
    images without it. This change is skipped for attributes that exclude others, because
    nothing says which of these should replace it. All other attributes stay.

    Each change also has the KID of its inputs and of real training images. The cycle error
    compares an image with its translation back to its own attributes. At most `most` images are
    used, evenly spread. `seed` draws KID's subsets.

    Raises:
        InputError: none of the images can be used.
    """
    assert split.attributes is not None
    assert data.train.attributes is not None
    excluded = exclusions(data.train.attributes.values)
    changes = [_Change(data, k, is_set=True) for k in range(len(data.domains))]
    changes += [_Change(data, k, is_set=False) for k in np.flatnonzero(~excluded.any(1)).tolist()]
    pixels = split.attributes.images.pixels
    real, total = _Real(pixels), len(split.attributes.images)
    bars = Progress(console=console, transient=True, disable=not console.is_terminal)
    with bars, torch.no_grad():
        task = bars.add_task("attributes", total=min(total, most or total))
        for images, labels in _batches(split.attributes, size, most):
            real.add(network, images, labels)
            for change in changes:
                change.add(translate, network, images, labels, excluded)
            bars.advance(task, len(images))
        training = _Real(pixels)
        if network is not None:
            for images, labels in _batches(data.train.attributes, size, most or total):
                training.add(network, images, labels)
    return {change.name: change.scores(real, training, seed) for change in changes if change.count}


@dataclass
class _Real:
    """Features of real images, and each image's attributes."""

    pixels: PixelFormat
    parts: list[Tensor] = field(default_factory=list)
    labels: list[Values] = field(default_factory=list)

    def add(self, network: FeatureNetwork | None, images: Tensor, labels: Values) -> None:
        if network is not None:
            self.parts.append(network(view(images, self.pixels)).cpu())
            self.labels.append(labels)

    def of(self, attribute: int, has_it: bool) -> Tensor:
        """Return (N, D) features of the images that have the attribute, or of the others."""
        chosen = np.concatenate(self.labels)[:, attribute] == has_it
        return torch.cat(self.parts)[torch.from_numpy(chosen)]


@dataclass
class _Change:
    """One change: an attribute is given or taken away."""

    data: Data
    attribute: int
    is_set: bool
    collapse: CollapseSums = field(default_factory=CollapseSums)
    count: int = 0
    cycle: float = 0.0
    features: list[Tensor] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"→{'' if self.is_set else 'no '}{self.data.domains[self.attribute]}"

    def add(
        self,
        translate: Callable[[Tensor, Any], Tensor],
        network: FeatureNetwork | None,
        images: Tensor,
        labels: Values,
        excluded: NDArray[np.bool_],
    ) -> None:
        lacks = labels[:, self.attribute] != self.is_set
        self.collapse.targets.add(images[torch.from_numpy(~lacks)])
        concerned = np.flatnonzero(lacks)
        if not len(concerned):
            return
        own = labels[concerned]
        inputs = images[torch.from_numpy(concerned)]
        targets = np.stack([changed(label, self.attribute, excluded) for label in own])
        fakes = self.collapse.add(self._translated(translate, inputs, targets), inputs)
        back = self._translated(translate, fakes, own)
        self.count += len(concerned)
        self.cycle += float(paired.mean_absolute_error(back, inputs).double().sum())
        if network is not None:
            self.features.append(network(view(fakes, self.data.pixels[0])).cpu())

    def _translated(
        self, translate: Callable[[Tensor, Any], Tensor], images: Tensor, labels: Values
    ) -> Tensor:
        """Translate each image to its own label. Images of the same label form one batch."""
        results = torch.empty_like(images)
        for label in np.unique(labels, axis=0):
            same = torch.from_numpy((labels == label).all(1))
            names = tuple(self.data.domains[k] for k in np.flatnonzero(label))
            results[same] = translate(images[same], names).cpu()
        return results

    def scores(self, real: _Real, training: _Real, seed: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        if self.features:
            theirs, fakes = real.of(self.attribute, self.is_set), torch.cat(self.features)
            inputs = real.of(self.attribute, not self.is_set)
            result["kid"] = kid(theirs, fakes, seed=seed)
            result["kid_untranslated"] = kid(theirs, inputs, seed=seed)
            of_training = training.of(self.attribute, self.is_set)
            result["kid_of_real"] = kid(theirs, of_training, seed=seed)
            result["fid"] = fid(theirs, fakes)
            result |= precision_and_recall(theirs, fakes)
        return self.collapse.scores(result | {"cycle": self.cycle / self.count})


def _batches(known: Attributes, size: int, most: int | None) -> Iterator[tuple[Tensor, Values]]:
    """Yield at most `most` images, evenly spread, with their attributes, without unusable ones."""
    indices = evenly_spaced(len(known.images), most or len(known.images))
    is_empty = True
    for start in range(0, len(indices), _BATCH):
        images, kept = [], []
        for index in indices[start : start + _BATCH]:
            with suppress(InputError):
                images.append(evaluation_images(known.images, [index], size=size, is_tiled=False))
                kept.append(index)
        if images:
            is_empty = False
            yield torch.cat(images), known.values[kept]
    if is_empty:
        raise InputError(f"none of {counted(len(indices), 'image')} to evaluate on can be used")
