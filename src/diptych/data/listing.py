"""List the images below a folder, and count what is passed over."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from diptych.data import formats
from diptych.data.names import nfc
from diptych.errors import InputError

LABELS_FOLDER = "pixel_labels"
"""A folder in a data set's folder. It holds palette.csv and, for each image, a PNG file of the
same name in a folder of the same name."""
PALETTE_FILE = "palette.csv"
"""A table of the colours of a label domain, in the domain's folder."""
FIRST = 3
"""Messages name this many files and count the others."""

_IGNORED_FOLDERS = ("__MACOSX", "@eaDir", LABELS_FOLDER)
_KNOWN_FILES = (PALETTE_FILE, "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r")
_KNOWN_STARTS = ("readme", "licence", "license", "copying", "citation", "changelog")
_BROKEN_LINK = "broken link"
_MOST_KINDS = 5


@dataclass(frozen=True)
class Listing:
    """The relative names of the images below one folder, in code-point order."""

    folder: Path
    names: list[str]
    passed_over: Counter[str] = field(default_factory=Counter)
    """The numbers of files that are no images by their suffix, by suffix."""


def list_images(folder: Path) -> list[str]:
    """Return the names of the images below `folder`, as `list_folder` does."""
    return list_folder(folder).names


def list_folder(folder: Path) -> Listing:
    """List the images below `folder`, sorted by the code points of their names in NFC.

    The order is the same on every system. Hidden files and folders, and folders that archivers
    leave behind, are skipped. Links are followed. Files of other kinds are counted, except
    those that belong to a data set or a file manager, such as palette.csv and Thumbs.db.

    Raises:
        InputError: a folder cannot be read.
    """
    names: list[str] = []
    passed_over: Counter[str] = Counter()
    _walk(os.fspath(folder), "", (), names, passed_over)
    names.sort()
    if not all(name.isascii() for name in names):
        names.sort(key=nfc)
    return Listing(folder, names, passed_over)


def _walk(
    folder: str, prefix: str, above: tuple[str, ...], names: list[str], passed_over: Counter[str]
) -> None:
    real = os.path.realpath(folder)
    if real in above:
        return  # a link to a folder that contains it
    for entry in entries(folder):
        if entry.is_dir():
            _walk(entry.path, f"{prefix}{entry.name}/", (*above, real), names, passed_over)
        elif is_image(entry):
            names.append(prefix + entry.name)
        elif (kind := _kind(entry)) is not None:
            passed_over[kind] += 1


def is_image(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry of a folder is an image by its name."""
    return entry.name.lower().endswith(formats.SUFFIXES) and entry.is_file()


def _kind(entry: os.DirEntry[str]) -> str | None:
    """Return what to call a file that is no image; None for one that is not worth a word."""
    name = entry.name.lower()
    if name in _KNOWN_FILES or name.startswith(_KNOWN_STARTS):
        return None
    if not entry.is_file():
        return _BROKEN_LINK
    return suffix_of(name)


def suffix_of(name: str) -> str:
    """Return how messages call files of this name's kind, such as .gif."""
    return Path(name).suffix.lower() or "without a suffix"


def entries(folder: str | Path) -> Iterator[os.DirEntry[str]]:
    """Yield what lies in a folder, except hidden and known other things.

    Raises:
        InputError: the folder cannot be read.
    """
    try:
        with os.scandir(folder) as found:
            for entry in found:
                if not entry.name.startswith(".") and entry.name not in _IGNORED_FOLDERS:
                    yield entry
    except OSError as error:
        raise InputError(f"cannot list {folder}: {error.strerror}") from error


def subfolders(folder: Path) -> list[Path]:
    """Return the folders in `folder`, sorted by their names in NFC."""
    found = (Path(entry.path) for entry in entries(folder) if entry.is_dir())
    return sorted(found, key=lambda path: nfc(str(path)))


# --- in words --------------------------------------------------------------------


def kinds(passed_over: Mapping[str, int]) -> str:
    """Return the numbers of files by kind, the most frequent first: "10 .gif, 2 .txt"."""
    ordered = sorted(passed_over.items(), key=lambda item: (-item[1], item[0]))
    parts = [
        f"{count:,} {kind}{'s' if kind == _BROKEN_LINK and count > 1 else ''}"
        for kind, count in ordered[:_MOST_KINDS]
    ]
    if rest := ordered[_MOST_KINDS:]:
        parts.append(f"{sum(count for _, count in rest):,} of other kinds")
    return ", ".join(parts)


def none_in(listing: Listing) -> str:
    """Return the start of a message on a folder without images: what it has instead."""
    instead = f", only {kinds(listing.passed_over)}" if listing.passed_over else ""
    return f"no images in {listing.folder}{instead}"


def passed_over_note(counts: Iterable[Counter[str]]) -> tuple[str, ...]:
    """Return a line that counts the files that were passed over, by kind, if there are any."""
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    count = total.total()
    if not count:
        return ()
    were = "file was" if count == 1 else "files were"
    return (f"{count:,} {were} passed over: {kinds(total)}",)


def first_of(names: Iterable[str], count: int) -> str:
    """Return the first few of `count` names, and how many more there are."""
    shown = [name for name, _ in zip(names, range(FIRST), strict=False)]
    more = f" and {count - len(shown):,} more" if count > len(shown) else ""
    return ", ".join(shown) + more


def unused_note(root: Path, used: Iterable[Path]) -> tuple[tuple[str, ...], Counter[str]]:
    """Look at what lies in `root` beside the folders `used`, whose images were listed.

    Return a line on folders and images that belong to no domain, if there are any, and the
    numbers of files that were passed over there, by kind.
    """
    folders: list[str] = []
    beside = Listing(root, [], Counter())
    _look_for_unused(root, tuple(used), folders, beside)
    parts = []
    if folders:
        word = "folder" if len(folders) == 1 else "folders"
        parts.append(f"the {word} {first_of(folders, len(folders))}")
    if count := len(beside.names):
        word = "image" if count == 1 else "images"
        shown = first_of(beside.names, count)
        parts.append(f"{count:,} {word} beside the domains' folders ({shown})")
    return ((f"not used: {' and '.join(parts)}",) if parts else ()), beside.passed_over


def _look_for_unused(
    folder: Path, used: tuple[Path, ...], folders: list[str], beside: Listing
) -> None:
    if folder in used:
        return  # all below it was listed
    for entry in sorted(entries(folder), key=lambda entry: entry.name):
        path = folder / entry.name
        name = path.relative_to(beside.folder).as_posix()
        if entry.is_dir():
            if any(one.is_relative_to(path) for one in used):
                _look_for_unused(path, used, folders, beside)
            else:
                folders.append(f"{name}/")
        elif is_image(entry):
            beside.names.append(name)
        elif (kind := _kind(entry)) is not None:
            beside.passed_over[kind] += 1
