"""Names of domains: taken from folders, guessed, selected and replaced.

A name may be written in several ways in Unicode: macOS writes "é" as two code points (NFD),
other systems as one (NFC). Such names are one name here. Names are kept in NFC and compared
with `nfc`. Files are opened by the names that they have on disk.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from diptych.errors import InputError, option

_WORD = r"[^\W\d_]"
_NAME2NAME = re.compile(
    rf"({_WORD}{{2,}}(?:[_-]{_WORD}+)*)2({_WORD}{{2,}}(?:[_-]{_WORD}+)*)", re.UNICODE
)
"""Two names of letters, such as horse2zebra or iphone2dslr_flower. photos2024 is not: its
second part is a number. T2flair is not: a single letter is no name."""


def nfc(name: str) -> str:
    """Return `name` with each letter and its accents as one code point where there is one."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def names_from(folder: Path) -> tuple[tuple[str, str], bool]:
    """Return names for two domains that lie in one folder, and whether the folder gave them.

    They are horse and zebra for horse2zebra, else x and y.
    """
    found = _NAME2NAME.fullmatch(nfc(folder.resolve().name))
    if found is None or found[1] == found[2]:
        return ("x", "y"), False
    return (found[1], found[2]), True


def names_of_folders(folders: Sequence[Path]) -> tuple[str, ...]:
    """Return the folders' names.

    Raises:
        InputError: two names differ only in how Unicode writes them.
    """
    names = tuple(nfc(path.name) for path in folders)
    for index, name in enumerate(names):
        if name in names[:index]:
            first = folders[names.index(name)]
            raise InputError(
                f"{first} and {folders[index]} are one name, written in two ways in Unicode:"
                " rename one, or put its images into the other"
            )
    return names


def selected(names: Sequence[str], known: tuple[str, ...]) -> tuple[list[int], tuple[str, ...]]:
    """Return which of the domains `known` are taken, in which order, and what they are called.

    If all `names` are known, they select domains, in the order of `names`. If none is, or those
    that are known stay in their places, they replace the names of all domains.

    Raises:
        InputError: some names are known and others not, their number does not fit, or a name
            cannot be used.
    """
    names = checked(names)
    there = [name for name in names if name in known]
    if len(there) == len(names) >= 2:
        return [known.index(name) for name in names], names
    stay = len(names) == len(known) and all(known.index(n) == names.index(n) for n in there)
    if 0 < len(there) < len(names) and not stay:
        new = next(name for name in names if name not in known)
        raise InputError(
            f"{option('names')} {' '.join(names)}: {there[0]} is one of the domains and {new} is"
            f" not; to select, give some of {', '.join(known)}; to rename, give {len(known)} new"
            " names"
        )
    return list(range(len(known))), replaced(names, known)


def replaced(names: Sequence[str], instead_of: tuple[str, ...]) -> tuple[str, ...]:
    """Return `names`, which replace those of all domains.

    Raises:
        InputError: their number differs, or a name cannot be used.
    """
    if len(names) != len(instead_of):
        raise InputError(
            f"{len(names)} names ({', '.join(names)}) for {len(instead_of)} domains "
            f"({', '.join(instead_of)}): expected one name per domain, or two or more of these"
            " to select"
        )
    return checked(names)


def checked(names: Sequence[str]) -> tuple[str, ...]:
    """Return `names` in NFC.

    Raises:
        InputError: two are equal, one is empty, or one has a slash.
    """
    found = tuple(nfc(name) for name in names)
    for name in found:
        if not name.strip() or "/" in name or "\\" in name or found.count(name) > 1:
            raise InputError(
                f"cannot call a domain {name!r}: names must differ, not be empty and have no slash"
            )
    return found
