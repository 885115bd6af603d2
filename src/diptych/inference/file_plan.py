"""Which files are translated, and where their results go. Nothing is decoded or written here."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from diptych.data import formats
from diptych.data.pixels import PixelFormat
from diptych.errors import InputError, option

FORMATS = {
    "png": ".png",
    "jpg": ".jpg",
    "jpeg": ".jpg",
    "webp": ".webp",
    "tiff": ".tiff",
    "tif": ".tiff",
    "npy": ".npy",
}
"""What results may be saved as, and the suffix each gets. JPEG and WebP have quality 95."""


def suffix_of_format(format: str, target: PixelFormat) -> str:
    """Return the suffix of results in a format that was asked for.

    Raises:
        InputError: there is no such format, or it cannot hold images of `target`.
    """
    suffix = FORMATS.get(format.lower())
    if suffix is None:
        raise InputError(f"no format {format!r}: expected {', '.join(FORMATS)}")
    if not formats.can_hold(suffix, len(target.channels), target.dtype):
        raise InputError(
            f"{option('format', format)} cannot hold the results ({target.describe()}): leave it"
            f" out, or give {option('format', 'tiff')}"
        )
    return suffix


def suffix_in_kind(file: Path, target: PixelFormat) -> str:
    """Return the suffix of a file's translation where no format is asked for."""
    own, count = formats.suffix_of(file), len(target.channels)
    is_picture = own in formats.PILLOW_SUFFIXES
    several = own in formats.ANIMATED and images_of(file) > 1
    if (several or not is_picture) and formats.can_hold(own, count, target.dtype, 1 + several):
        return own
    is_png = not several and is_picture and formats.can_hold(".png", count, target.dtype)
    return ".png" if is_png else ".tif"


def images_of(file: Path) -> int:
    """Return how many images a file holds; 1 if it cannot be read."""
    try:
        return formats.header(file).images
    except InputError:  # it is reported when its turn comes
        return 1


def plan_files(
    inputs: Sequence[str | os.PathLike[str]],
    out: Path,
    suffix: Callable[[Path], str],
    *,
    overwrite: bool,
) -> list[tuple[Path, Path]]:
    """(file, result) for each file that `inputs` stand for, checked; nothing is written.

    `suffix` gives what follows a result's stem, by its file.

    Raises:
        InputError: as `translate_files`, as far as names can tell.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file: give a folder for the results")
    jobs: dict[Path, tuple[Path, Path]] = {}
    for given in inputs:
        for file, relative in _expand(Path(given), out):
            stem = relative.name[: len(relative.name) - len(formats.suffix_of(relative))]
            result = out / relative.with_name(stem + suffix(file))
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
            kinds = ", ".join(formats.SUFFIXES)
            raise InputError(f"no images in {given}: expected files ending in {kinds}")
        yield from ((file, file.relative_to(given)) for file in files)
    elif given.exists():
        yield given, Path(given.name)
    elif glob.has_magic(str(given)):
        base = _fixed_part(given)
        # Path.glob would find folders only where the pattern ends in **.
        matches = [Path(m) for m in sorted(glob.glob(str(given), recursive=True))]  # noqa: PTH207
        files = [m for m in matches if m.is_file() and formats.suffix_of(m) in formats.SUFFIXES]
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
            if formats.suffix_of(name) in formats.SUFFIXES and not name.startswith(".")
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
