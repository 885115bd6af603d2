"""Translating files: which, to where, and then all of them, whatever some are like."""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, TaskID

from diptych.data import formats
from diptych.data.formats import Frame
from diptych.data.pixels import PixelFormat
from diptych.data.raster import Raster
from diptych.data.reading import in_own_range, raster_of
from diptych.errors import InputError, check_seed, check_whole, counted, option
from diptych.inference.file_plan import images_of, plan_files, suffix_in_kind, suffix_of_format
from diptych.inference.kinds import masked
from diptych.inference.translation import Translation
from diptych.inference.translator import Translator

_BATCH = 8
_BATCHED_PIXELS = 512 * 512  # beyond it, a batch gains no time
_ALL_WIDE = 2  # images, from which they are taken for pairs side by side
_log = logging.getLogger("diptych")
_AHEAD = 3  # images decoded, or still being written, at a time


@dataclass
class TranslatedFiles:
    """What became of the inputs of `translate_files`."""

    written: list[Path] = field(default_factory=list)
    """In the order of the inputs."""
    broken: list[tuple[Path, str]] = field(default_factory=list)
    """Inputs that could not be read, and why."""
    existing: int = 0
    """Inputs that were left out because their result existed."""
    notes: list[str] = field(default_factory=list)
    """A line for each image that was translated in tiles, and for each file of several images."""

    def __str__(self) -> str:
        """The counts, then a line for each broken file; `notes` went to the log."""
        lines = [f"{counted(len(self.written), 'image')} translated"]
        if self.existing:
            lines[0] += f", {counted(self.existing, 'result')} existed"
        if self.broken:
            lines[0] += f", {counted(len(self.broken), 'broken file')} passed over"
            lines += [f"passed over: {reason}" for _, reason in self.broken]
        return "\n".join(lines)


def translate_files(
    translator: Translator,
    inputs: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    to: str | Sequence[str] | None = None,
    source: str | None = None,
    overwrite: bool = False,
    skip_existing: bool = False,
    max_pixels: int = formats.MAX_PIXELS,
    format: str | None = None,
    seed: int = 0,
    draws: int | None = None,
    seen: Callable[[str, Image.Image], None] | None = None,
    console: Console | None = None,
) -> TranslatedFiles:
    """Translate files, folders with all that is in them, and patterns such as `album/**/*.jpg`.

        diptych.translate_files(translator, "album/", "zebras/", to="zebra")

    `inputs` is one of them or a list; `to` may be left out as when calling the translator.
    Results have the target domain's channels, depth and range. A file keeps its name in
    `out`, with the suffix of `format`. Without `format`, photographs become PNG, and
    TIFF, volumes, arrays and animations stay what they are; .tif stands in where a kind
    cannot hold the result. Below a given folder, or the fixed part of a pattern, a file keeps
    its sub-folder too. A file given twice is translated once. All images of a file are
    translated, in order, into one file. With `skip_existing`, files whose result exists are
    left out, so that a translation that was stopped goes on. Larger images than `max_pixels`
    pixels are taken for broken. Transparency, colour profile, EXIF data,
    georeference and headers are kept where the kind holds them. Broken files are passed
    over. Progress is drawn on `console` (standard error) where that is a terminal. With
    `draws`, each file becomes as many, of `seed` and the seeds after it: photo-1.png,
    photo-2.png. `seen` is shown each image once, by its file's name, over white where it is
    transparent.

    Raises:
        InputError: before anything is translated: nothing found, an unknown
            domain or format, two results of one name, a result that exists
            (unless `overwrite`) or would replace an input; later: `out`
            cannot be written to, or every file is broken.
    """
    _check_types(translator, overwrite)
    check_whole("max_pixels", max_pixels, 1)
    translator.require_translation()
    places = translator.targets(to, source=source)
    target = translator.target_pixels(places)
    suffix = None if format is None else suffix_of_format(format, target)
    given = translator.source_pixels(places, source)
    if to is None:
        to = [translator.domains[place] for place in places]
    seed = check_seed(seed)
    _check_draws(translator, draws)
    if isinstance(inputs, (str, os.PathLike)):
        inputs = [inputs]
    ends = [""] if draws is None else [f"-{i + 1}" for i in range(draws)]
    rounds = [
        plan_files(
            inputs,
            Path(out),
            partial(_result_end, end, suffix, target),
            overwrite=overwrite or skip_existing,
        )
        for end in ends
    ]
    there = 0
    if skip_existing:
        missing = [[job for job in jobs if not job[1].exists()] for jobs in rounds]
        there = sum(map(len, rounds)) - sum(map(len, missing))
        rounds = missing
    console = console or Console(stderr=True)
    done = TranslatedFiles(existing=there)
    with Progress(console=console, disable=not console.is_terminal, transient=True) as bars:
        for number, jobs in enumerate(rounds):
            done.broken.clear()  # the same ones each time
            shown = seen if number == 0 else None
            run = _Run(
                translator, to, source, seed + number, bars, done, given, target, max_pixels, shown
            )
            run.all(jobs)
    if not done.written and done.broken:
        count, first = counted(len(rounds[0]), "file"), done.broken[0][1]
        raise InputError(f"none of {count} could be translated; first: {first}")
    return done


def _check_types(translator: object, overwrite: object) -> None:
    if not isinstance(translator, Translator):
        raise InputError(f"{translator!r} is no translator: give what diptych.load returns")
    if not isinstance(overwrite, bool):
        raise InputError(f"overwrite is {overwrite!r}: it must be True or False")


def _check_draws(translator: Translator, draws: int | None) -> None:
    if draws is None:
        return
    check_whole("draws", draws, 1)
    if draws > 1 and not translator.has_draws:
        raise InputError(
            f"{option('draws', draws)}: {translator.info.method} translates an image in one way,"
            " so all would be equal: leave it out"
        )


def _result_end(end: str, suffix: str | None, target: PixelFormat, file: Path) -> str:
    """Return what follows the stem of a file's result."""
    return end + (suffix or suffix_in_kind(file, target))


@dataclass(frozen=True)
class _Item:
    """One image of a file."""

    file: Path
    result: Path
    index: int
    images: int
    """How many images the file holds."""
    raster: Raster


@dataclass
class _Run:
    """One call of `translate_files` after the checks: decode, translate and encode overlap."""

    translator: Translator
    to: str | Sequence[str]
    source: str | None
    seed: int
    bars: Progress
    done: TranslatedFiles
    given: PixelFormat
    """The inputs' pixel format."""
    target: PixelFormat
    """The results' pixel format."""
    max_pixels: int
    seen: Callable[[str, Image.Image], None] | None = None
    made: dict[Path, list[NDArray[Any]]] = field(default_factory=dict)
    """By result, the images of files that are not yet complete."""
    failed: set[Path] = field(default_factory=set)
    looked: int = 0
    wide: int = 0
    writing: deque[tuple[Path, Future[None]]] = field(default_factory=deque)

    def all(self, jobs: Sequence[tuple[Path, Path]]) -> None:
        to = self.to if isinstance(self.to, str) else ", ".join(self.to)
        total = self.bars.add_task(escape(f"to {to}"), total=len(jobs))
        with ThreadPoolExecutor(2) as readers, ThreadPoolExecutor(2) as writers:
            batch: list[_Item] = []
            for file, result, index, images, future in self._ahead(readers, jobs):
                if file in self.failed:
                    continue
                try:
                    frame = in_own_range(future.result(), self.given, str(file))
                    item = _Item(file, result, index, images, self._raster(frame, file))
                except InputError as error:
                    self._fail(file, result, str(error), total)
                    continue
                if batch and not self._joins(batch, item.raster):
                    self._translate(batch, writers, total)
                    batch = []
                batch.append(item)
            if batch:
                self._translate(batch, writers, total)
            while self.writing:
                self._wait()
        if self.wide == self.looked >= _ALL_WIDE:
            self._note(
                f"all {self.looked} images are twice as wide as high: if they are pairs side by"
                " side, cut them apart and translate one half"
            )

    def _raster(self, frame: Frame, file: Path) -> Raster:
        """The image without its transparency, which its result takes over."""
        raster = raster_of(replace(frame, alpha=None), self.given, str(file))
        self._look_at_shape(raster)
        if self.seen is not None:
            shown = raster_of(frame, self.given, str(file)) if frame.alpha is not None else raster
            self.seen(str(file), shown.picture(self.given))
        return raster

    def _ahead(
        self, readers: ThreadPoolExecutor, jobs: Sequence[tuple[Path, Path]]
    ) -> Iterator[tuple[Path, Path, int, int, Future[Frame]]]:
        """The images in order, with a few being decoded before their turn."""
        pending: deque[tuple[Path, Path, int, int, Future[Frame]]] = deque()
        for file, result in jobs:
            images = self._images(file, result)
            for index in range(images):
                pending.append(
                    (file, result, index, images, readers.submit(self._read, file, index))
                )
                if len(pending) > _AHEAD:
                    yield pending.popleft()
        yield from pending

    def _read(self, file: Path, index: int) -> Frame:
        return formats.read(file, index, max_pixels=self.max_pixels)

    def _images(self, file: Path, result: Path) -> int:
        """How many images a file holds, if its result can hold as many; else the first one."""
        images = images_of(file)
        if images == 1:
            return 1
        kind = formats.suffix_of(result)
        if not formats.can_hold(kind, len(self.target.channels), self.target.dtype, images):
            self._note(
                f"{file.name}: only the first of its {images} images was translated, since"
                f" {kind} holds one"
            )
            return 1
        self._note(f"{file.name}: all its {images} images were translated")
        return images

    def _note(self, line: str) -> None:
        self.done.notes.append(line)
        _log.info("%s", line)

    def _look_at_shape(self, raster: Raster) -> None:
        """Count images that are twice as wide as high, as pairs side by side are."""
        self.looked += 1
        self.wide += raster.width == 2 * raster.height

    def _fail(self, file: Path, result: Path, reason: str, total: TaskID) -> None:
        self.done.broken.append((file, reason))
        self.failed.add(file)
        self.made.pop(result, None)
        self.bars.advance(total)

    def _joins(self, batch: list[_Item], raster: Raster) -> bool:
        width, height = raster.size
        return (
            batch[0].raster.size == (width, height)
            and width * height <= _BATCHED_PIXELS
            and len(batch) < min(_BATCH, self.translator.batch_size(height, width))
        )

    def _translate(self, batch: list[_Item], writers: ThreadPoolExecutor, total: TaskID) -> None:
        if len(batch) == 1:
            made = self._translate_one(batch[0].raster)
            assert made.values is not None
            results = [made.values]
            if made.note is not None:
                self.done.notes.append(f"{batch[0].result.name}: {made.note}")
        else:
            stacked = torch.stack([item.raster.tensor() for item in batch])
            outputs = self.translator.translate_batch(stacked, self.to, self.seed)
            results = [
                masked(self.target.from_tensor(output), item.raster, self.target)
                for item, output in zip(batch, outputs, strict=True)
            ]
        for item, values in zip(batch, results, strict=True):
            if item.file in self.failed:
                continue
            images = self.made.setdefault(item.result, [])
            images.append(values)
            if len(images) < item.images:
                continue
            if len(self.writing) >= max(_AHEAD, len(batch)):
                self._wait()
            images = self.made.pop(item.result)
            future = writers.submit(_save, item.result, images, self.target, item.file)
            self.writing.append((item.result, future))
            self.bars.advance(total)

    def _translate_one(self, raster: Raster) -> Translation:
        task: TaskID | None = None

        def show(what: str, done: int, tiles: int) -> None:
            nonlocal task
            if task is None:
                task = self.bars.add_task(what)
            self.bars.update(task, description=what, completed=done, total=tiles)

        made = self.translator.translate(
            raster, to=self.to, source=self.source, seed=self.seed, progress=show
        )
        if task is not None:
            self.bars.remove_task(task)
        return made

    def _wait(self) -> None:
        result, future = self.writing.popleft()
        future.result()
        self.done.written.append(result)


def _save(result: Path, images: Sequence[NDArray[Any]], pixels: PixelFormat, source: Path) -> None:
    try:
        result.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {result.parent}: {error.strerror}") from error
    formats.write(result, images, pixels, source)
