"""Batch i as a function of (seed, i, rank): permutations, replacements, augmentation.

Everything here can be sent to a worker process. `stream.py` turns it into an
iterator.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from diptych.data.collections import Images, Labels
from diptych.data.images import to_uint8
from diptych.data.splits import probe_indices
from diptych.data.transforms import (
    Augmentation,
    draw_augmentation,
    random_words,
    read_for_training,
    training_images,
)
from diptych.errors import InputError

PROBED = 16
"""So many images of each domain are tried at opening, until one can be used."""
MOST_FAILURES = 50
"""So many unusable images in a row end the run: something is wrong with the data."""

_PERMUTATION, _AUGMENTATION = 0, 1  # keep the random words for different ends apart


@dataclass(frozen=True)
class BatchSettings:
    """What makes an image of a batch, the same for all of them."""

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
    """Collections that are drawn from together: a single domain, or the sides of pairs."""

    position: int
    """Among the batch's columns: its random words differ from the others'."""
    members: tuple[Images, ...]
    names: tuple[str, ...]
    """The members' domains; "" where the image's name says it already."""
    settings: BatchSettings
    labels: Labels | NDArray[np.uint8] | None = None
    """Classes or (N, K) attributes of the first member's images, where a batch may hold them."""
    unusable: dict[int, str] = field(default_factory=dict)
    """Reasons by index, as far as met."""
    _orders: dict[int, NDArray[np.int64]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.members[0])

    def draw(self, number: int) -> tuple[int, list[Tensor]]:
        """The `number`-th draw of all: its index and (3, size, size) uint8, one a member."""
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
                f"none of {len(tried)} images tried in {' and '.join(self.names) or 'the data'} "
                f"can be used; the first: {self.unusable[tried[0]]}"
            )

    def label(self, index: int, member: int = 0) -> str:
        """The image's name with its domain's, as messages have it."""
        name = self.members[member].name(index)
        return f"{self.names[member]}/{name}" if self.names[member] else name

    def _load(self, index: int, number: int) -> list[Tensor] | None:
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
        return [to_uint8(image) for image in images]

    def _augmentation(self, number: int) -> Augmentation:
        settings = self.settings
        if settings.is_tiled and not settings.mirrors:
            return Augmentation(0.0, 0.0, is_mirrored=False)  # nothing to draw
        drawn = draw_augmentation(settings.seed, _AUGMENTATION, self.position, number)
        return drawn if settings.mirrors else replace(drawn, is_mirrored=False)

    def _order(self, epoch: int) -> NDArray[np.int64]:
        if epoch not in self._orders:
            while len(self._orders) > 1:  # a batch may straddle two epochs, no more are needed
                del self._orders[min(self._orders)]
            words = random_words(len(self), self.settings.seed, _PERMUTATION, self.position, epoch)
            self._orders[epoch] = np.argsort(words, kind="stable")
        return self._orders[epoch]


class Joined:
    """Several domains as one collection, one after the other."""

    def __init__(self, domains: tuple[Images, ...], names: tuple[str, ...]) -> None:
        self._images = domains
        self._names = names
        self._ends = list(itertools.accumulate(len(images) for images in domains))
        self.domains = len(domains)

    def __len__(self) -> int:
        return self._ends[-1]

    def domain(self, index: int) -> int:
        """Which of the domains image `index` belongs to."""
        return bisect_right(self._ends, index)

    def name(self, index: int) -> str:
        images, local = self._at(index)
        return f"{self._names[self.domain(index)]}/{images.name(local)}"

    def read(self, index: int) -> Image.Image:
        images, local = self._at(index)
        return images.read(local)

    def read_reduced(self, index: int, shorter_side: int) -> Image.Image:
        images, local = self._at(index)
        return read_for_training(images, local, shorter_side)

    def _at(self, index: int) -> tuple[Images, int]:
        domain = self.domain(index)
        return self._images[domain], index - (self._ends[domain - 1] if domain else 0)


@dataclass(frozen=True)
class Made:
    """A batch on its way from a worker: bytes, a quarter of what floats would take.

    NumPy's arrays, not tensors: a worker that is told to end while its sending
    thread is inside PyTorch's shared memory can abort, with a RuntimeError here.
    """

    columns: tuple[NDArray[np.uint8], ...] = ()
    """(B, 3, size, size) each."""
    label: NDArray[np.integer[Any] | np.floating[Any]] | None = None
    """Labels of the first column: (B,) int64 classes, or (B, domains or attributes) float32."""
    skipped: Mapping[str, str] = field(default_factory=dict)
    """Unusable images first met on the way, with the reasons."""
    error: str | None = None
    """An InputError's message: raised in the worker it would arrive as a traceback."""


class BatchMaker(Dataset[Made]):
    """Item i is batch i."""

    def __init__(self, columns: tuple[Column, ...], settings: BatchSettings) -> None:
        self.columns = columns
        self.settings = settings

    def __getitem__(self, number: int) -> Made:
        settings = self.settings
        known = [len(column.unusable) for column in self.columns]
        first = (number * settings.world + settings.rank) * settings.batch_size
        drawn, indices, problem = [], [], None
        try:
            for column in self.columns:
                rows = [column.draw(first + row) for row in range(settings.batch_size)]
                indices.append([index for index, _ in rows])
                drawn += [
                    torch.stack([images[member] for _, images in rows]).numpy()
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
