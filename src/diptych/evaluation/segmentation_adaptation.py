"""Compare segmenters trained on translated images with segmenters trained on target images.

This follows the experiment of CycleGAN's authors for GTA5 → Cityscapes. One FCN is trained on
labelled source images, one on the same images translated to the target, and one, the oracle, on
labelled target images. All three are scored on the target's held-out images. The networks and
their training are those of the FCN score (segmentation.py), with the same deviations.

The target's labels are used only for scoring and for training the oracle.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from rich.console import Console
from torch import Tensor

from diptych.data import Data, Images, Split, evaluation_pairs
from diptych.data.label_maps import LabelSquares
from diptych.data.raster import view
from diptych.data.splits import probe_indices
from diptych.errors import InputError
from diptych.evaluation.labels import Confusion, true_class
from diptych.evaluation.segmentation_training import (
    LabelledPixels,
    on_its_device,
    train_fcn,
    trained_fcn,
)

Row = Literal["source only", "translated", "target (oracle)"]
ROWS: tuple[Row, ...] = ("source only", "translated", "target (oracle)")
ADAPTATION_NOTE = (
    "adaptation: an FCN-8s trained on labelled source images, on the same translated, and on"
    " labelled images of the target, scored on the target's held-out images"
)

_BATCH, _PROBED = 16, 256


def adaptation_scores(
    translate: Callable[[Tensor, str], Tensor],
    data: Data,
    split: Split,
    *,
    size: int,
    rows: Sequence[Row] = ROWS,
    seed: int = 0,
    steps: int | None = None,
    device: str = "cpu",
    folder: Path | None = None,
    console: Console | None = None,
) -> dict[str, dict[str, Any]]:
    """Return the scores of each segmenter in `rows` on the second domain's images of `split`.

    The scores are those of `segmentation_scores`. The first domain is the source. `translate`
    takes (B, 3, H, W) images in [-1, 1] and a domain's name, and returns images of that domain.
    Each network is trained for `steps` batches, 100 by default. Networks that do not depend on
    the translation are cached in `folder`, by default in the user's cache folder.

    Raises:
        InputError: there are not two domains; labels are missing for the source's training
            images, for the target's images in `split` or, for the oracle, for the target's
            training images; the `features` extra is not installed; `folder` cannot be written.
    """
    check_adaptation(data, split, rows)
    target = data.domains[1]
    scores: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row == "translated":
            network = train_fcn(
                _labelled(data, data.train, 0),
                size=size,
                seed=seed,
                steps=steps,
                device=device,
                console=console,
                what=f"FCN, {row}",
                change=lambda images: translate(images, target),
            )
        else:
            index = 0 if row == "source only" else 1
            labelled = _labelled(data, data.train, index)
            network = trained_fcn(
                labelled,
                key=f"{data.fingerprint} {data.domains[index]} {_digest(labelled.labels)}",
                what=f"FCN, {row}",
                size=size,
                folder=folder,
                seed=seed,
                steps=steps,
                device=device,
                console=console,
            )
        scores[row] = segmentation_scores(
            on_its_device(network), _labelled(data, split, 1), size=size
        )
    return scores


def check_adaptation(data: Data, split: Split, rows: Sequence[Row] = ROWS) -> None:
    """Check domains and labels for `adaptation_scores` before anything is trained.

    Raises:
        InputError: there are not two domains, or labels are missing.
    """
    if len(data.domains) != 2:
        raise InputError(
            f"{data.source} has {len(data.domains)} domains: adaptation needs two, and the first"
            " is the labelled source"
        )
    needed = [(data.train, 0, "training"), (split, 1, "held-out")]
    needed += [(data.train, 1, "training")] * ("target (oracle)" in rows)
    for part, index, images in needed:
        if data.label_palette is None or not part.label_maps or part.label_maps[index] is None:
            raise InputError(
                f"{data.source} has no pixel labels for {data.domains[index]}'s {images}"
                " images: put them into its folder pixel_labels, or use sample:earth-adaptation"
            )


def segmentation_scores(
    network: Callable[[Tensor], Tensor], labelled: LabelledPixels, *, size: int
) -> dict[str, Any]:
    """Return `images`, the number of usable images, and their `Confusion.scores`.

    `majority_share` is the share of pixels of the most frequent class: the accuracy of always
    predicting it. `network` takes (B, 3, size, size) images in [-1, 1] and returns (B, K, size,
    size) scores.

    Raises:
        InputError: no image can be used.
    """
    labels = LabelSquares(labelled.labels, size=size, is_tiled=labelled.is_tiled)
    counts = Confusion.zeros(len(labelled.palette.names))
    problem: InputError | None = None
    found = 0
    for start in range(0, len(labels), _BATCH):
        indices = range(start, min(start + _BATCH, len(labels)))
        try:
            images, truth = evaluation_pairs(
                (labelled.images, labels), indices, size=size, is_tiled=labelled.is_tiled
            )
        except InputError as error:
            problem = problem or error
            continue
        found += len(images)
        with torch.no_grad():
            predicted = network(view(images, labelled.images.pixels)).argmax(1).cpu()
        counts.add(predicted, true_class(truth, labelled.palette))
    if not found:
        raise problem or InputError("there are no images to score")
    most = float(counts.counts.sum(1).max() / counts.counts.sum().clamp(min=1))
    return {"images": found} | counts.scores(labelled.palette) | {"majority_share": most}


def _digest(labels: Images) -> str:
    """Hash up to 256 label images, since the data's fingerprint does not cover `pixel_labels`."""
    digest = hashlib.sha256()
    for index in probe_indices(len(labels), _PROBED):
        try:
            digest.update(labels.read(index).picture().tobytes())
        except InputError as error:  # training leaves this image out
            digest.update(str(error).encode())
    return digest.hexdigest()[:32]


def _labelled(data: Data, split: Split, index: int) -> LabelledPixels:
    labels = split.label_maps[index]
    assert labels is not None
    assert data.label_palette is not None
    return LabelledPixels(
        split.domains[index],
        labels,
        data.label_palette,
        is_tiled=data.is_tiled,
        may_mirror=data.may_mirror,
    )
