"""The FCN score: whether a segmentation network finds in photos the labels they were made from.

Isola et al. 2017 (arXiv:1611.07004, Sec. 4.1), which Zhu et al. 2017 (arXiv:1703.10593,
Sec. 5.1.1) follow for labels → photo: an FCN-8s that was trained on real photos and their
labels is applied to generated photos, and what it finds is compared with the labels that
these were generated from. What it makes of real photos is the ceiling, and is always scored
beside, as is what it makes of the label images themselves.

The authors' code (scripts/eval_cityscapes of their repositories) resizes each generated photo
to the size of Cityscapes' label images, 2048x1024, runs FCN-8s under Caffe there, counts
pixels with one of the 19 classes, and takes no class for a pixel's true one where Cityscapes
does not score it.

Deviations: the network is trained here, at the size of the photos that are scored, on the
training split's true pairs, so any labels will do, and figures cannot be compared with those
of papers; true labels are the nearest colours of label images, which are scaled without mixing
colours. The pretrained layers stay as they are, which takes a minute where training all of
them takes many; Adam trains the others for a number of steps that was fixed on a validation
split (`sample:earth-climate`), or for more where these would not show each pair once. Classes
that the truth has not are left out of means, where the authors' code counts them as 0;
Cityscapes' validation images have all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import Tensor

from diptych.data import Data, Palette, Split
from diptych.errors import InputError, option
from diptych.evaluation.labels import Confusion, true_class
from diptych.evaluation.segmentation_training import (
    LabelledPixels,
    on_its_device,
    steps_for,
    trained_fcn,
)
from diptych.networks.fcn import FCN8s

Pair = tuple[str, str]
"""A label domain's name, and a photo domain's."""


@dataclass(frozen=True)
class Segmenter:
    """What finds the labels of photos, for each domain of labels and each of photos."""

    networks: Mapping[Pair, FCN8s]
    palettes: Mapping[str, Palette]
    size: int
    """Pixels a side of the photos it was trained on."""
    images: int
    """Real pairs that it was trained on."""

    def score(self, labels: str, photos: str) -> FCNScore | None:
        """What adds up the FCN score of labels → photos; None if they are not that."""
        network = self.networks.get((labels, photos))
        if network is None:
            return None
        return FCNScore(on_its_device(network), self.palettes[labels])

    @property
    def note(self) -> str:
        return (
            f"FCN score: an FCN-8s trained on {self.images:,} real pairs of the training split at"
            f" {self.size} pixels; beside it, what it makes of real photos is the ceiling"
        )


class FCNScore:
    """Counts of pixels in generated photos, in the real ones of the same labels, and in the
    label images as if they were photos: what doing nothing scores."""

    def __init__(self, network: Callable[[Tensor], Tensor], palette: Palette) -> None:
        """`network` turns (B, 3, H, W) photos in [-1, 1] into (B, K, H, W) scores of classes."""
        self.network, self.palette = network, palette
        counts = [Confusion.zeros(len(palette.names)) for _ in range(3)]
        self.of_fake, self.of_real, self.of_input = counts

    def add(self, fake: Tensor, photo: Tensor, image: Tensor, labels: Tensor) -> None:
        """Photos generated from `image`, the real ones, `image`, and its labels, unmixed.

        All are (B, 3, H, W) in [-1, 1].
        """
        true = true_class(labels, self.palette)
        pairs = ((fake, self.of_fake), (photo, self.of_real), (image, self.of_input))
        with torch.no_grad():
            for images, counts in pairs:
                counts.add(self.network(images).argmax(1).cpu(), true)

    def scores(self) -> dict[str, Any]:
        """`fcn`, and `fcn_of_real`, the ceiling, each with the figures of `Confusion.scores`;
        `fcn_untranslated`, with the three of all classes."""
        return {
            "fcn": self.of_fake.scores(self.palette),
            "fcn_of_real": self.of_real.scores(self.palette),
            "fcn_untranslated": self.of_input.figures,
        }


def segmenter_for(
    data: Data,
    *,
    size: int,
    folder: Path | None = None,
    seed: int = 0,
    device: str = "cpu",
    console: Console | None = None,
) -> Segmenter:
    """Networks that find the labels of `data`'s photos, trained on the training split's pairs.

    What was trained is kept in `folder`, by default one in the user's cache folder, by the
    data's fingerprint, `size`, palette, number of batches and `seed`, and read the next time.

    Raises:
        InputError: no domain has a palette, all have, or there are no pairs to train on;
            the `features` extra is not installed; `folder` cannot be written.
    """
    check_segmentation(data, data.train)
    pairs = data.train.pairs
    assert pairs is not None
    where = {name: index for index, name in enumerate(data.domains)}
    wanted = [(a, b) for a in data.palettes for b in data.domains if b not in data.palettes]
    networks = {
        (labels, photos): trained_fcn(
            LabelledPixels(
                pairs[where[photos]],
                pairs[where[labels]],
                data.palettes[labels],
                is_tiled=data.is_tiled,
                may_mirror=data.may_mirror,
            ),
            key=f"{data.fingerprint} {labels} {photos}",
            what=f"FCN of {photos}",
            size=size,
            folder=folder,
            seed=seed,
            steps=steps_for(len(pairs[0])),
            device=device,
            console=console,
        )
        for labels, photos in wanted
    }
    return Segmenter(networks, data.palettes, size, len(pairs[0]))


def check_segmentation(data: Data, split: Split) -> None:
    """Raises InputError where the FCN score cannot be had of `split`, or not be trained."""
    if not data.palettes:
        raise InputError(
            f"{data.source} has no domain of labels, which the FCN score is for: say what a"
            f" domain's colours mean by {option('palette')} DOMAIN=FILE.csv"
        )
    if set(data.palettes) >= set(data.domains):
        raise InputError(f"all domains of {data.source} have palettes: there are no photos")
    if data.train.pairs is None or split.pairs is None:
        raise InputError(
            f"{data.source} has no true pairs to {'score' if data.train.pairs else 'train'} on,"
            " which the FCN score needs: photos and labels by the same file names"
        )
