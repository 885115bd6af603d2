"""Accuracy of a classifier, domain by domain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from diptych.data import Data, Split
from diptych.data.collections import Images, Labels
from diptych.data.transforms import evaluation_images
from diptych.errors import InputError

Classify = Callable[[Tensor, str], Tensor]
"""Takes (B, C, H, W) images in [-1, 1] and their domain's name; returns (B, classes) scores."""

_BATCH = 100


def accuracies(classify: Classify, data: Data, split: Split, *, size: int) -> dict[str, Any]:
    """Return the `accuracy` of each domain of `split` that has labels, by the domain's name.

    Images are scaled and cropped to `size` pixels.

    Raises:
        InputError: none of a domain's images can be used.
    """
    scores = {}
    for name, images, labels in zip(data.domains, split.domains, split.labels, strict=False):
        if labels is not None:
            scores[name] = accuracy(
                lambda batch, name=name: classify(batch, name),  # type: ignore[misc]
                images,
                labels,
                data.classes,
                size=size,
                is_tiled=data.is_tiled,
            )
    return scores


def accuracy(
    classify: Callable[[Tensor], Tensor],
    images: Images,
    labels: Labels,
    classes: Sequence[str],
    *,
    size: int,
    is_tiled: bool,
) -> dict[str, Any]:
    """Return the share of images whose highest score is that of their class.

    Images are scaled and cropped to `size` pixels. Unusable images are left out. The result has
    `images`, their number, `accuracy` in [0, 1], and `accuracy_per_class`, which is None for a
    class without images.

    Raises:
        InputError: no image can be used.
    """
    right = torch.zeros(len(classes), dtype=torch.int64)
    counts = torch.zeros_like(right)
    problem: InputError | None = None
    for start in range(0, len(images), _BATCH):
        batch: list[Tensor] = []
        kept: list[int] = []
        for index in range(start, min(start + _BATCH, len(images))):
            try:
                batch.append(evaluation_images(images, [index], size=size, is_tiled=is_tiled))
                kept.append(index)
            except InputError as error:
                problem = problem or error
        if batch:
            with torch.no_grad():
                chosen = classify(torch.cat(batch)).argmax(1).cpu()
            label = torch.from_numpy(labels[kept])
            counts += torch.bincount(label, minlength=len(classes))
            right += torch.bincount(label[chosen == label], minlength=len(classes))
    if not counts.sum():
        raise problem or InputError("there are no images to classify")
    pairs = zip(classes, right.tolist(), counts.tolist(), strict=True)
    return {
        "images": int(counts.sum()),
        "accuracy": int(right.sum()) / int(counts.sum()),
        "accuracy_per_class": {name: hit / count if count else None for name, hit, count in pairs},
    }
