"""Batch i as a function of (seed, i, rank): permutations, replacements, augmentation.

All objects here can be sent to a worker process. `stream.py` makes an iterator from them.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from diptych.data.collections import Images, Labels
from diptych.data.pixels import PixelFormat
from diptych.data.raster import Raster
from diptych.data.splits import probe_indices
from diptych.data.transforms import (
    Augmentation,
    draw_augmentation,
    random_words,
    read_for_training,
    training_images,
)
from diptych.errors import InputError, counted

PROBED = 16
"""When the stream opens, up to this many images of each domain are tried until one works."""
MOST_FAILURES = 50
"""The run ends after this many unusable images in a row, since the data must be wrong."""

Pixels = NDArray[np.uint8] | NDArray[np.float32]
"""What `Raster.array` returns."""

_PERMUTATION, _AUGMENTATION = 0, 1  # give permutations and augmentations separate random words


@dataclass(frozen=True)
class BatchSettings:
    """The settings that all images of all batches share."""

    batch_size: int
    size: int
    load_size: int
    is_tiled: bool
    mirrors: bool
    seed: int
    rank: int
    world: int


@dataclass
class Column:
    """Collections that are drawn from together: one domain, or the sides of pairs."""

    position: int
    """The column's index in the batch. Each position has its own random words."""
    members: tuple[Images, ...]
    names: tuple[str, ...]
    """The members' domains; "" where the image's name says it already."""
    settings: BatchSettings
    labels: Labels | NDArray[np.uint8] | None = None
    """(N,) classes or (N, K) attributes of the first member's images; None if unused."""
    unusable: dict[int, str] = field(default_factory=dict)
    """The unusable images found so far: the reason, by index."""
    _orders: dict[int, NDArray[np.int64]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.members[0])

    def draw(self, number: int) -> tuple[int, list[Pixels]]:
        """Return draw `number`: its index, and a (C, size, size) image per member.

        An unusable image is replaced by the next in the epoch's permutation.

        Raises:
            InputError: `MOST_FAILURES` images in a row, or all, cannot be used.
        """
        epoch, place = divmod(number, len(self))
        order = self._order(epoch)
        tries = min(MOST_FAILURES, len(self))
        for attempt in range(tries):
            index = int(order[(place + attempt) % len(self)])
            if (images := self._load(index, number)) is not None:
                return index, images
        first = self.unusable[int(order[place])]
        raise InputError(
            f"{tries} images in a row cannot be used: check the data; the first: {first}"
        )

    def probe(self) -> None:
        """Raises InputError if none of a few images, spread over all, can be used."""
        tried = probe_indices(len(self), PROBED)
        if not any(self._load(index, 0) is not None for index in tried):
            raise InputError(
                f"none of {counted(len(tried), 'image')} tried in"
                f" {' and '.join(self.names) or 'the data'} can be used; the first:"
                f" {self.unusable[tried[0]]}"
            )

    def label(self, index: int, member: int = 0) -> str:
        """Return the image's name as messages show it: domain/name."""
        name = self.members[member].name(index)
        return f"{self.names[member]}/{name}" if self.names[member] else name

    def _load(self, index: int, number: int) -> list[Pixels] | None:
        if index in self.unusable:
            return None
        settings = self.settings
        try:
            images = training_images(
                [read_for_training(member, index, settings.load_size) for member in self.members],
                [self.label(index, member) for member in range(len(self.members))],
                self._augmentation(number),
                size=settings.size,
                load_size=settings.load_size,
                is_tiled=settings.is_tiled,
            )
        except InputError as error:
            self.unusable[index] = str(error)
            return None
        return [image.array() for image in images]

    def _augmentation(self, number: int) -> Augmentation:
        settings = self.settings
        if settings.is_tiled and not settings.mirrors:
            return Augmentation(0.0, 0.0, is_mirrored=False)  # nothing to draw
        drawn = draw_augmentation(settings.seed, _AUGMENTATION, self.position, number)
        return drawn if settings.mirrors else replace(drawn, is_mirrored=False)

    def _order(self, epoch: int) -> NDArray[np.int64]:
        if epoch not in self._orders:
            while len(self._orders) > 1:  # keep two: a batch may straddle two epochs
                del self._orders[min(self._orders)]
            words = random_words(len(self), self.settings.seed, _PERMUTATION, self.position, epoch)
            self._orders[epoch] = np.argsort(words, kind="stable")
        return self._orders[epoch]


class Joined:
    """Several domains, one after the other, as one collection."""

    def __init__(self, domains: tuple[Images, ...], names: tuple[str, ...]) -> None:
        self._images = domains
        self._names = names
        self._ends = list(itertools.accumulate(len(images) for images in domains))
        self.domains = len(domains)

    def __len__(self) -> int:
        return self._ends[-1]

    @property
    def pixels(self) -> PixelFormat:
        """The first domain's. `stream` sees to it that the others have as many channels."""
        return self._images[0].pixels

    def domain(self, index: int) -> int:
        """Return the index of the domain that image `index` belongs to."""
        return bisect_right(self._ends, index)

    def name(self, index: int) -> str:
        images, local = self._at(index)
        return f"{self._names[self.domain(index)]}/{images.name(local)}"

    def read(self, index: int) -> Raster:
        images, local = self._at(index)
        return images.read(local)

    def read_reduced(self, index: int, shorter_side: int) -> Raster:
        images, local = self._at(index)
        return read_for_training(images, local, shorter_side)

    def _at(self, index: int) -> tuple[Images, int]:
        domain = self.domain(index)
        return self._images[domain], index - (self._ends[domain - 1] if domain else 0)


@dataclass(frozen=True)
class Made:
    """A batch as a worker sends it. Images of 8 bits go as bytes, a quarter of float32.

    It holds NumPy arrays, not tensors. A worker that is stopped while its sending thread is
    inside PyTorch's shared memory can abort, which raises a RuntimeError in the parent.
    """

    columns: tuple[NDArray[Any], ...] = ()
    """(B, C, size, size) each: uint8, or float32 in [-1, 1]."""
    label: NDArray[np.integer[Any] | np.floating[Any]] | None = None
    """Labels of the first column: (B,) int64 classes, or (B, domains or attributes) float32."""
    skipped: Mapping[str, str] = field(default_factory=dict)
    """Unusable images first found in this batch: the reason, by name."""
    error: str | None = None
    """The message of an InputError. Raised in the worker, it would arrive as a traceback."""


class BatchMaker(Dataset[Made]):
    """A data set whose item i is batch i."""

    def __init__(self, columns: tuple[Column, ...], settings: BatchSettings) -> None:
        self.columns = columns
        self.settings = settings

    def __getitem__(self, number: int) -> Made:
        settings = self.settings
        known = [len(column.unusable) for column in self.columns]
        first = (number * settings.world + settings.rank) * settings.batch_size
        drawn: list[NDArray[Any]] = []
        indices: list[list[int]] = []
        problem = None
        try:
            for column in self.columns:
                rows = [column.draw(first + row) for row in range(settings.batch_size)]
                indices.append([index for index, _ in rows])
                drawn += [
                    np.stack([images[member] for _, images in rows])
                    for member in range(len(column.members))
                ]
        except InputError as error:
            problem = str(error)
        skipped = {
            column.label(index): reason
            for column, count in zip(self.columns, known, strict=True)
            for index, reason in itertools.islice(column.unusable.items(), count, None)
        }
        if problem is not None:
            return Made(skipped=skipped, error=problem)
        return Made(tuple(drawn), self._label(indices[0]), skipped)

    def _label(self, indices: list[int]) -> NDArray[np.integer[Any] | np.floating[Any]] | None:
        joined, labels = self.columns[0].members[0], self.columns[0].labels
        if labels is not None:
            label = labels[indices]
            return label.astype(np.float32) if label.ndim == 2 else label
        if not isinstance(joined, Joined):
            return None
        domains = [joined.domain(index) for index in indices]
        return np.eye(joined.domains, dtype=np.float32)[domains]
