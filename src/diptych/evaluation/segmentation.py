"""The FCN score: does a segmentation network find the labels that photos were generated from?

Isola et al. 2017 (arXiv:1611.07004, Sec. 4.1) define it, and Zhu et al. 2017 (arXiv:1703.10593,
Sec. 5.1.1) use it for labels → photo. An FCN-8s is trained on real photos and their labels. It
is applied to generated photos, and its prediction is compared with the labels they were
generated from. We always score real photos too, as the ceiling, and the label images themselves.

The authors' code (scripts/eval_cityscapes of their repositories) resizes each generated photo to
the size of Cityscapes' label images, 2048x1024, and runs FCN-8s under Caffe. It counts pixels
with one of the 19 classes, and ignores pixels that Cityscapes does not score.

Deviations:

- The network is trained here, at the size of the scored photos, on the true pairs of the
  training split. So it works for any labels, but scores cannot be compared with the papers'.
- True labels are the nearest palette colours of the label images, which are scaled without
  mixing colours.
- The pretrained layers stay fixed, which takes a minute, where training all of them takes many.
  Adam trains the other layers. The number of steps was fixed on a validation split
  (`sample:earth-climate`); it is larger if these steps would not show each pair once.
- Classes that are not in the truth are left out of means. The authors' code counts them as 0.
  Cityscapes' validation images contain all classes.
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
"""The names of a label domain and of a photo domain."""


@dataclass(frozen=True)
class Segmenter:
    """Networks that find the labels of photos, one for each pair of label and photo domain."""

    networks: Mapping[Pair, FCN8s]
    palettes: Mapping[str, Palette]
    size: int
    """Side of the training photos, in pixels."""
    images: int
    """Number of real training pairs."""

    def score(self, labels: str, photos: str) -> FCNScore | None:
        """Return a counter for the FCN score of labels → photos; None for other directions."""
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
    """Counts of pixels in generated photos, in real photos, and in the label images themselves.

    The score of the label images is that of a translator that changes nothing.
    """

    def __init__(self, network: Callable[[Tensor], Tensor], palette: Palette) -> None:
        """`network` turns (B, 3, H, W) photos in [-1, 1] into (B, K, H, W) scores of classes."""
        self.network, self.palette = network, palette
        counts = [Confusion.zeros(len(palette.names)) for _ in range(3)]
        self.of_fake, self.of_real, self.of_input = counts

    def add(self, fake: Tensor, photo: Tensor, image: Tensor, labels: Tensor) -> None:
        """Add a batch: photos generated from `image`, the real photos, `image`, and its labels.

        The colours of `labels` are not mixed. All are (B, 3, H, W) in [-1, 1].
        """
        true = true_class(labels, self.palette)
        pairs = ((fake, self.of_fake), (photo, self.of_real), (image, self.of_input))
        with torch.no_grad():
            for images, counts in pairs:
                counts.add(self.network(images).argmax(1).cpu(), true)

    def scores(self) -> dict[str, Any]:
        """Return `fcn`, `fcn_of_real` (the ceiling) and `fcn_untranslated` (the label images).

        The first two are `Confusion.scores`. The last is `Confusion.figures`.
        """
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
    """Return networks that find the labels of `data`'s photos.

    They are trained on the training split's pairs. Trained networks are cached in `folder`, by
    default in the user's cache folder. The cache's key is the data's fingerprint, `size`, the
    palette, the number of batches and `seed`.

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
    """Check that the FCN score can be trained on `data` and computed on `split`.

    Raises:
        InputError: no domain has a palette, all domains have one, or pairs are missing.
    """
    if not data.palettes:
        raise InputError(
            f"{data.source} has no domain of labels, which the FCN score needs: give the meaning"
            f" of a domain's colours by {option('palette')} DOMAIN=FILE.csv"
        )
    if set(data.palettes) >= set(data.domains):
        raise InputError(f"all domains of {data.source} have palettes: there are no photos")
    if data.train.pairs is None or split.pairs is None:
        raise InputError(
            f"{data.source} has no true pairs to {'score' if data.train.pairs else 'train'} on,"
            " which the FCN score needs: give photos and their labels the same file names"
        )
