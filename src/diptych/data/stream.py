"""An endless stream of training batches. Batch i depends only on (seed, i, rank).

Each domain is read in its own permutation, a new one each epoch. The batches do not depend on
the number of worker processes, on interruptions or on earlier draws. An image that cannot be
used is replaced by the next in the permutation.
"""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch

from diptych.data.collections import Data, FileImages, HalfImages, Images, Labels
from diptych.data.draws import BatchMaker, BatchSettings, Column, Joined, Made
from diptych.data.raster import from_sent
from diptych.data.transforms import default_load_size
from diptych.data.workers import decoded_ahead
from diptych.errors import InputError, option
from diptych.types import Adapting, Attributed, Batch, Labelled, Paired, PerDomain, Unpaired

_log = logging.getLogger("diptych")
B = TypeVar("B", bound=Batch)


class Stream(Iterator[B], Generic[B]):
    """An infinite iterator of batches. As a context manager, it closes on exit."""

    def __init__(
        self,
        maker: BatchMaker,
        build: Callable[[Made], B],
        *,
        start: int,
        workers: int,
        method: str | None,
    ) -> None:
        self.position = start
        """The number of the next batch: the place to resume at."""
        self.skipped: dict[str, str] = {}
        """Images that could not be used so far, with the reasons."""
        draws = maker.settings.batch_size * maker.settings.world
        self.epoch_batches = -(-max(len(column) for column in maker.columns) // draws)
        """Batches in one pass through the largest domain."""
        self.batch_images = draws * sum(len(column.members) for column in maker.columns)
        """Images in a batch, over all domains and processes."""
        self._build = build
        self._made: Iterator[Made] | None = (
            decoded_ahead(maker, start, workers, method)
            if workers
            else (maker[number] for number in itertools.count(start))
        )

    def __iter__(self) -> Stream[B]:
        return self

    def __next__(self) -> B:
        if self._made is None:
            raise ValueError("the stream is closed")
        made = next(self._made)
        for name, reason in made.skipped.items():
            if name not in self.skipped:
                self.skipped[name] = reason
                _log.warning("skipped: %s", reason)
        if made.error is not None:
            raise InputError(made.error)
        self.position += 1
        return self._build(made)

    def close(self) -> None:
        """End the worker processes. A closed stream gives no more batches."""
        self._made = None  # the loader's iterator joins its workers when it is freed

    def __enter__(self) -> Stream[B]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def stream(
    data: Data,
    batch_type: type[B],
    *,
    batch_size: int,
    size: int,
    load_size: int | None = None,
    seed: int,
    start: int = 0,
    rank: int = 0,
    world: int = 1,
    workers: int = 0,
    start_method: str | None = None,
) -> Stream[B]:
    """Return an endless stream of training batches `start`, `start` + 1, …, on the CPU.

    A batch has `batch_size` images of `size` x `size` pixels. Each of the `world` processes
    takes a different part of the global batch. The shorter side is scaled to `load_size`
    before the crop, by default 286/256 of `size`; 0 crops without scaling. `workers` processes
    decode ahead; 0 decodes in this process. They are started by `start_method`, by default the
    platform's.

    Raises:
        InputError: a number is out of range, the data lack what `batch_type` needs, or none
            of the images tried can be used. While drawing: 50 images in a row, or all of a
            smaller domain, cannot be used.
        TypeError: `batch_type` has no stream.
    """
    load_size = default_load_size(size) if load_size is None else load_size
    _check_numbers(batch_size, size, load_size, seed, start, workers)
    if not 0 <= rank < world:
        raise InputError(f"rank is {rank} of {world}: expected 0 to {world - 1}")
    mirrors = data.may_mirror and batch_type is not Adapting  # a class may not survive it
    settings = BatchSettings(batch_size, size, load_size, data.is_tiled, mirrors, seed, rank, world)
    columns = _columns(data, batch_type, settings)
    for column in columns:
        column.probe()
        column.unusable.clear()  # so that the first draw of an unusable image reports it
    has_attributes = batch_type is Labelled and data.train.attributes is not None
    build = _Build(Attributed if has_attributes else batch_type)
    return Stream(
        BatchMaker(columns, settings), build, start=start, workers=workers, method=start_method
    )


def default_workers(data: Data) -> int:
    """Return a good number of workers: 0 for images in memory, else up to 4, one per CPU."""
    on_disk = (FileImages, HalfImages)
    if not any(isinstance(images, on_disk) for images in data.train.domains):
        return 0
    return min(4, _usable_cpus())


def _usable_cpus() -> int:
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _check_numbers(
    batch_size: int, size: int, load_size: int, seed: int, start: int, workers: int
) -> None:
    least = {"batch size": (batch_size, 1), "size": (size, 1), "seed": (seed, 0)}
    least |= {"start": (start, 0), "workers": (workers, 0)}
    for name, (value, minimum) in least.items():
        if value < minimum:
            raise InputError(f"{name} is {value}: expected at least {minimum}")
    if 0 < load_size < size or load_size < 0:
        raise InputError(
            f"{option('load_size')} is {load_size}, smaller than the crop of {size}: expected"
            f" {size} or more, or 0 for no scaling"
        )


def _columns(data: Data, batch_type: type[Any], settings: BatchSettings) -> tuple[Column, ...]:
    domains, names = data.train.domains or data.train.pairs or (), data.domains
    attributes = data.train.attributes
    if batch_type is Labelled and attributes is not None:
        return (Column(0, (attributes.images,), ("",), settings, attributes.values),)
    if batch_type is Labelled:
        check_equal_channels(data, "this method has one network for all domains")
        return (Column(0, (Joined(domains, names),), ("",), settings),)
    if batch_type is PerDomain:
        return _apart(domains, names, settings)
    if batch_type not in (Unpaired, Paired, Adapting):
        kinds = "Unpaired, Paired, Labelled, PerDomain, Adapting"
        raise TypeError(f"no stream of {batch_type.__name__}: expected {kinds}")
    if len(names) != 2:
        raise InputError(
            f"this method takes 2 domains, but {data.source} has {len(names)} "
            f"({', '.join(names)}): select two by {option('names', ' '.join(names[:2]))}, or give"
            f" them as {option('x')} and {option('y')}"
        )
    if batch_type in (Unpaired, Adapting):
        # The target's labels are dropped here, so no method can see them.
        labels = [_source_labels(data) if batch_type is Adapting else None, None]
        return _apart(domains, names, settings, labels)
    if data.train.pairs is None:
        raise InputError(
            "this method needs pairs, the same scenes in both domains, but "
            f"{data.source} has no training pairs, only {len(domains[0])} images of {names[0]} and "
            f"{len(domains[1])} of {names[1]}: give both files of a pair the same name, or "
            "put side-by-side images in train/"
        )
    return (Column(0, data.train.pairs, names, settings),)


def check_equal_channels(data: Data, why: str) -> None:
    """Raises InputError if the domains differ in their numbers of channels."""
    counts = [len(pixels.channels) for pixels in data.pixels]
    if len(set(counts)) > 1:
        listed = ", ".join(f"{name} {n}" for name, n in zip(data.domains, counts, strict=True))
        raise InputError(
            f"{why}, so all must have the same number of channels, but they have {listed}: choose"
            f" another method, or give {option('channels', counts[0])} where files allow it"
        )


def _apart(
    domains: Sequence[Images],
    names: Sequence[str],
    settings: BatchSettings,
    labels: Sequence[Labels | None] | None = None,
) -> tuple[Column, ...]:
    """Return one column per domain."""
    labels = labels or [None] * len(domains)
    return tuple(
        Column(position, (images,), (name,), settings, label)
        for position, (images, name, label) in enumerate(zip(domains, names, labels, strict=True))
    )


def _source_labels(data: Data) -> Labels:
    labels = data.train.labels[0] if data.train.labels else None
    if labels is None:
        raise InputError(
            f"this method needs the classes of {data.domains[0]}, but {data.source} does not"
            " give them: put its images in one folder per class, and give that domain as --x"
        )
    return labels


@dataclass(frozen=True)
class _Build:
    """Builds a batch from what a worker sends."""

    batch_type: type[Any]

    def __call__(self, made: Made) -> Any:
        images: list[Any] = [from_sent(column) for column in made.columns]
        if self.batch_type is PerDomain:
            images = [tuple(images)]
        if made.label is not None:
            images.insert(1, torch.from_numpy(made.label))  # the label of the first images
        return self.batch_type(*images)
