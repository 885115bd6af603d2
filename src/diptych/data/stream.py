"""An endless stream of training batches, of which batch i depends on (seed, i, rank) alone.

Each domain is walked in a permutation of its own, a new one each epoch. The
number of worker processes, an interruption, or what was drawn before change
nothing. Images that cannot be used are replaced by the next of the permutation.
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
from diptych.data.images import from_uint8
from diptych.data.transforms import default_load_size
from diptych.data.workers import decoded_ahead
from diptych.errors import InputError, option
from diptych.types import Adapting, Attributed, Batch, Labelled, Paired, PerDomain, Unpaired

_log = logging.getLogger("diptych")
B = TypeVar("B", bound=Batch)


class Stream(Iterator[B], Generic[B]):
    """An infinite iterator of batches; a context manager, closed on leaving."""

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
        """Batches drawn, those before the start included: where to resume."""
        self.skipped: dict[str, str] = {}
        """Images that could not be used so far, with the reasons."""
        draws = maker.settings.batch_size * maker.settings.world
        self.epoch_batches = -(-max(len(column) for column in maker.columns) // draws)
        """Batches in one pass through the larger domain."""
        self.batch_images = draws * sum(len(column.members) for column in maker.columns)
        """Images in a batch, those of all processes together."""
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
        """End the worker processes. A closed stream cannot be drawn from."""
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
    """Training batches `start`, `start` + 1, … without end, on the CPU.

    Of `batch_size` images of `size` x `size` pixels a process; the `world`
    processes take different parts of each global batch. `load_size`, by default
    286/256 of the size, is what the shorter side is scaled to before the crop;
    0 crops images as they are.
    `workers` processes decode ahead, started by `start_method` (the platform's
    own by default); 0 decodes in this one.

    Raises:
        InputError: a number out of range, data without what `batch_type` needs,
            or no usable images among those tried; while drawing, 50 unusable
            images in a row.
        TypeError: no such type of batch.
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
        column.unusable.clear()  # so that whoever draws an unusable image names it
    has_attributes = batch_type is Labelled and data.train.attributes is not None
    build = _Build(Attributed if has_attributes else batch_type)
    return Stream(
        BatchMaker(columns, settings), build, start=start, workers=workers, method=start_method
    )


def default_workers(data: Data) -> int:
    """Worker processes worth having: none for images in memory, else up to 4."""
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
        return (Column(0, (Joined(domains, names),), ("",), settings),)
    if batch_type is PerDomain:
        return _apart(domains, names, settings)
    if batch_type not in (Unpaired, Paired, Adapting):
        kinds = "Unpaired, Paired, Labelled, PerDomain, Adapting"
        raise TypeError(f"no stream of {batch_type.__name__}: expected {kinds}")
    if len(names) != 2:
        raise InputError(
            f"this method takes 2 domains, and {data.source} has {len(names)} "
            f"({', '.join(names)}): give two of them as --x and --y"
        )
    if batch_type in (Unpaired, Adapting):
        # Of the target no label goes any further than here.
        labels = [_source_labels(data) if batch_type is Adapting else None, None]
        return _apart(domains, names, settings, labels)
    if data.train.pairs is None:
        raise InputError(
            "this method needs pairs, the same scenes in both domains, and "
            f"{data.source} has none to train on, only {len(domains[0])} images of {names[0]} and "
            f"{len(domains[1])} of {names[1]} apart: give both files of a pair the same name, or "
            "train/ side-by-side images"
        )
    return (Column(0, data.train.pairs, names, settings),)


def _apart(
    domains: Sequence[Images],
    names: Sequence[str],
    settings: BatchSettings,
    labels: Sequence[Labels | None] | None = None,
) -> tuple[Column, ...]:
    """A column a domain."""
    labels = labels or [None] * len(domains)
    return tuple(
        Column(position, (images,), (name,), settings, label)
        for position, (images, name, label) in enumerate(zip(domains, names, labels, strict=True))
    )


def _source_labels(data: Data) -> Labels:
    labels = data.train.labels[0] if data.train.labels else None
    if labels is None:
        raise InputError(
            f"this method learns the classes of {data.domains[0]}, and {data.source} does not"
            " tell them: put its images in one folder a class, and let it be --x"
        )
    return labels


@dataclass(frozen=True)
class _Build:
    """From what a worker sends to a batch."""

    batch_type: type[Any]

    def __call__(self, made: Made) -> Any:
        images: list[Any] = [from_uint8(torch.from_numpy(column)) for column in made.columns]
        if self.batch_type is PerDomain:
            images = [tuple(images)]
        if made.label is not None:
            images.insert(1, torch.from_numpy(made.label))  # it belongs to the first images
        return self.batch_type(*images)
