"""Translating files: which, to where, and then all of them, whatever some are like."""

from __future__ import annotations

import glob
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import torch
from PIL import Image
from rich.console import Console
from rich.progress import Progress, TaskID

from diptych.data.images import (
    IMAGE_SUFFIXES,
    Decoded,
    decode_image,
    save_image,
    to_image,
    to_tensor,
)
from diptych.errors import InputError, counted, option
from diptych.inference.translation import Translation
from diptych.inference.translator import Translator

FORMATS = {
    "png": ".png",
    "jpg": ".jpg",
    "jpeg": ".jpg",
    "webp": ".webp",
    "tiff": ".tiff",
    "tif": ".tiff",
}
"""What results may be saved as, and the suffix each gets. JPEG and WebP have quality 95."""

_BATCH = 8
_BATCHED_PIXELS = 512 * 512  # beyond it, a batch gains no time
_AHEAD = 3  # images decoded, or still being written, at a time


@dataclass
class TranslatedFiles:
    """What became of the inputs of `translate_files`."""

    written: list[Path] = field(default_factory=list)
    """In the order of the inputs."""
    broken: list[tuple[Path, str]] = field(default_factory=list)
    """Inputs that could not be read, and why."""
    notes: list[str] = field(default_factory=list)
    """A line for each image that was translated in tiles."""

    def __str__(self) -> str:
        """The counts, then a line for each broken file; `notes` went to the log."""
        lines = [f"{counted(len(self.written), 'image')} translated"]
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
    format: str = "png",
    seed: int = 0,
    draws: int | None = None,
    seen: Callable[[str, Image.Image], None] | None = None,
    console: Console | None = None,
) -> TranslatedFiles:
    """Translate files, folders with all that is in them, and patterns such as `album/**/*.jpg`.

        diptych.translate_files(translator, "album/", "zebras/", to="zebra")

    `inputs` is one of them or a list; `to` may be left out as when calling the translator.
    A file keeps its name in `out`, with the suffix of `format`; below a given
    folder, or the fixed part of a pattern, it keeps its sub-folder too. A file
    given twice is translated once. Transparency, colour profile and EXIF data
    are kept. Broken files are passed over. Progress is drawn on `console`
    (standard error) where that is a terminal. With `draws`, each file becomes as
    many, of `seed` and the seeds after it: photo-1.png, photo-2.png. `seen` is shown
    each image once, by its file's name, over white where it is transparent.

    Raises:
        InputError: before anything is translated: nothing found, an unknown
            domain or format, two results of one name, a result that exists
            (unless `overwrite`) or would replace an input; later: `out`
            cannot be written to, or every file is broken.
    """
    suffix = FORMATS.get(format.lower())
    if suffix is None:
        raise InputError(f"no format {format!r}: expected png, jpg, webp or tiff")
    translator.require_translation()
    places = translator.targets(to, source=source)
    if to is None:
        to = [translator.domains[place] for place in places]
    if draws is not None and draws < 1:
        raise InputError(f"{option('draws')} is {draws}: it must be at least 1")
    if isinstance(inputs, (str, os.PathLike)):
        inputs = [inputs]
    ends = [suffix] if draws is None else [f"-{i + 1}{suffix}" for i in range(draws)]
    rounds = [plan_files(inputs, Path(out), suffix=end, overwrite=overwrite) for end in ends]
    console = console or Console(stderr=True)
    done = TranslatedFiles()
    with Progress(console=console, disable=not console.is_terminal, transient=True) as bars:
        for number, jobs in enumerate(rounds):
            done.broken.clear()  # the same ones each time
            shown = seen if number == 0 else None
            _Run(translator, to, source, seed + number, bars, done, shown).all(jobs)
    if not done.written:
        count, first = counted(len(rounds[0]), "file"), done.broken[0][1]
        raise InputError(f"none of {count} could be translated; first: {first}")
    return done


def plan_files(
    inputs: Sequence[str | os.PathLike[str]], out: Path, *, suffix: str, overwrite: bool
) -> list[tuple[Path, Path]]:
    """(file, result) for each file that `inputs` stand for, checked; nothing is written.

    Raises:
        InputError: as `translate_files`, as far as names can tell.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file: give a folder for the results")
    jobs: dict[Path, tuple[Path, Path]] = {}
    for given in inputs:
        for file, relative in _expand(Path(given), out):
            result = out / relative.with_name(relative.stem + suffix)
            jobs.setdefault(file.resolve(), (file, result))
    if not jobs:
        raise InputError("no images were given: name files, folders or patterns")
    _check_results(list(jobs.values()), {str(file).casefold() for file in jobs}, overwrite)
    return list(jobs.values())


def _expand(given: Path, out: Path) -> Iterator[tuple[Path, Path]]:
    """Each file, and its name below the folder or the pattern that it came from."""
    if given.is_dir():
        files = _images_below(given, out)
        if not files:
            kinds = ", ".join(IMAGE_SUFFIXES)
            raise InputError(f"no images in {given}: expected files ending in {kinds}")
        yield from ((file, file.relative_to(given)) for file in files)
    elif given.exists():
        yield given, Path(given.name)
    elif glob.has_magic(str(given)):
        base = _fixed_part(given)
        # Path.glob would find folders only where the pattern ends in **.
        matches = [Path(m) for m in sorted(glob.glob(str(given), recursive=True))]  # noqa: PTH207
        files = [m for m in matches if m.is_file() and m.suffix.lower() in IMAGE_SUFFIXES]
        if not files:
            raise InputError(f"no images match {given}: check the pattern")
        yield from ((file, file.relative_to(base)) for file in files)
    else:
        raise InputError(f"no such file or folder: {given}")


def _images_below(folder: Path, out: Path) -> list[Path]:
    """Sorted; without hidden ones, and without earlier results where `out` lies inside."""
    found = []
    nested_out = out.resolve() if out.resolve() != folder.resolve() else None
    for path, folders, names in os.walk(folder):
        kept = (f for f in folders if not f.startswith("."))
        folders[:] = sorted(f for f in kept if Path(path, f).resolve() != nested_out)
        found += [
            Path(path, name)
            for name in sorted(names)
            if Path(name).suffix.lower() in IMAGE_SUFFIXES and not name.startswith(".")
        ]
    return found


def _fixed_part(pattern: Path) -> Path:
    parts = pattern.parts
    magic = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    return Path(*parts[:magic])


def _check_results(jobs: Iterable[tuple[Path, Path]], inputs: set[str], overwrite: bool) -> None:
    seen: dict[str, Path] = {}
    existing = []
    for file, result in jobs:
        key = str(result.resolve()).casefold()  # as Windows and macOS compare names
        if key in seen:
            raise InputError(
                f"{seen[key]} and {file} would both become {result}: rename one, give the folder "
                "that holds both, or translate them to different folders"
            )
        if key in inputs:
            raise InputError(f"{result} would replace an input: give another folder for results")
        seen[key] = file
        if result.exists():
            existing.append(result)
    if existing and not overwrite:
        others = f" and {len(existing) - 1} more" if len(existing) > 1 else ""
        exist, way_out = "exist" if others else "exists", option("overwrite", True)
        raise InputError(f"{existing[0]}{others} {exist}: give {way_out} or another folder")


@dataclass
class _Run:
    """One call of `translate_files` after the checks: decode, translate and encode overlap."""

    translator: Translator
    to: str | Sequence[str]
    source: str | None
    seed: int
    bars: Progress
    done: TranslatedFiles
    seen: Callable[[str, Image.Image], None] | None = None
    writing: deque[tuple[Path, Future[None]]] = field(default_factory=deque)

    def all(self, jobs: Sequence[tuple[Path, Path]]) -> None:
        to = self.to if isinstance(self.to, str) else ", ".join(self.to)
        total = self.bars.add_task(f"to {to}", total=len(jobs))
        with ThreadPoolExecutor(2) as readers, ThreadPoolExecutor(2) as writers:
            batch: list[tuple[Decoded, Path]] = []
            for file, result, future in _ahead(readers, jobs):
                try:
                    decoded = future.result()
                except InputError as error:
                    self.done.broken.append((file, str(error)))
                    self.bars.advance(total)
                    continue
                if self.seen is not None:
                    self.seen(str(file), decoded.over_white())
                if batch and not self._joins(batch, decoded):
                    self._translate(batch, writers, total)
                    batch = []
                batch.append((decoded, result))
            if batch:
                self._translate(batch, writers, total)
            while self.writing:
                self._wait()

    def _joins(self, batch: list[tuple[Decoded, Path]], decoded: Decoded) -> bool:
        width, height = decoded.image.size
        return (
            batch[0][0].image.size == (width, height)
            and width * height <= _BATCHED_PIXELS
            and len(batch) < min(_BATCH, self.translator.batch_size(height, width))
        )

    def _translate(
        self, batch: list[tuple[Decoded, Path]], writers: ThreadPoolExecutor, total: TaskID
    ) -> None:
        if len(batch) == 1:
            made = self._translate_one(batch[0][0])
            images = [made.image]
            if made.note is not None:
                self.done.notes.append(f"{batch[0][1].name}: {made.note}")
        else:
            stacked = torch.stack([to_tensor(decoded.image) for decoded, _ in batch])
            outputs = self.translator.translate_batch(stacked, self.to, self.seed)
            images = [to_image(output) for output in outputs]
        for (decoded, result), image in zip(batch, images, strict=True):
            if len(self.writing) >= max(_AHEAD, len(batch)):
                self._wait()
            self.writing.append((result, writers.submit(_save, image, result, decoded)))
            self.bars.advance(total)

    def _translate_one(self, decoded: Decoded) -> Translation:
        task: TaskID | None = None

        def show(what: str, done: int, tiles: int) -> None:
            nonlocal task
            if task is None:
                task = self.bars.add_task(what)
            self.bars.update(task, description=what, completed=done, total=tiles)

        made = self.translator.translate(
            decoded, to=self.to, source=self.source, seed=self.seed, progress=show
        )
        if task is not None:
            self.bars.remove_task(task)
        return made

    def _wait(self) -> None:
        result, future = self.writing.popleft()
        future.result()
        self.done.written.append(result)


def _ahead(
    readers: ThreadPoolExecutor, jobs: Sequence[tuple[Path, Path]]
) -> Iterator[tuple[Path, Path, Future[Decoded]]]:
    """The jobs in order, with a few being decoded before their turn."""
    pending: deque[tuple[Path, Path, Future[Decoded]]] = deque()
    for file, result in jobs:
        pending.append((file, result, readers.submit(decode_image, file)))
        if len(pending) > _AHEAD:
            yield pending.popleft()
    yield from pending


def _save(image: Image.Image, result: Path, decoded: Decoded) -> None:
    try:
        result.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {result.parent}: {error.strerror}") from error
    save_image(image, result, like=decoded)
