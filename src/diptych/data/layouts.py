"""Find out how a folder holds domains: the layouts of docs/reference/data.md."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from diptych.data import formats
from diptych.data.collections import Data
from diptych.data.listing import (
    Listing,
    entries,
    is_image,
    kinds,
    list_folder,
    none_in,
    subfolders,
    unused_note,
)
from diptych.data.names import names_from, names_of_folders, nfc, replaced, selected
from diptych.data.packed import packed_domain
from diptych.data.splits import Found, make_data, probe_indices
from diptych.errors import InputError, counted, option

_PARTS = {
    "train": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}
_LAYOUTS = (
    "expected trainA/ and trainB/, or one folder for each of two or more domains, "
    "or train/ with side-by-side pairs"
)


def folder_of(given: str) -> Path:
    """Return the folder that the user named.

    Raises:
        InputError: it does not exist, or is a file.
    """
    path = Path(given).expanduser()
    if path.is_dir():
        return path
    if path.exists():
        raise InputError(f"{given} is a file: expected a folder of images (unpack archives first)")
    raise InputError(f"no such folder: {given}")


# --- folders of images -------------------------------------------------------------


@dataclass(frozen=True)
class _Side:
    """A domain's images."""

    name: str
    parts: dict[str, Listing]
    """By train, validation and test."""
    folder: Path
    """What messages name."""

    @property
    def has_images(self) -> bool:
        return any(listing.names for listing in self.parts.values())


def find_in_one(folder: Path, names: Sequence[str] | None, paired: bool | None) -> Found:
    """Find the domains in one folder. `names` selects or renames them: see `names.selected`.

    Raises:
        InputError: the layout is unknown, images are missing, or `names` do not fit.
    """
    found = subfolders(folder)
    by_name = {path.name.lower(): path for path in found}
    if "traina" in by_name or "trainb" in by_name:
        return _find_cyclegan(folder, by_name, names, paired)
    if "train" in by_name:
        return _find_by_part(folder, by_name, names, paired)
    sides = [_Side(nfc(path.name), parts_of_domain(path), path) for path in found]
    kept = [side for side in sides if side.has_images]
    if len(kept) < 2:
        raise _too_few(folder, found, sides)
    names_of_folders([side.folder for side in kept])
    return _selected(folder, kept, names, paired)


def find_in_two(x: Path, y: Path, names: Sequence[str] | None, paired: bool | None) -> Found:
    """Find a domain in each of two folders. `names` replaces the folders' names.

    Raises:
        InputError: images are missing, or `names` do not fit.
    """
    own, notes = names_of_two(x, y, names)
    sides = [
        _Side(name, parts_of_domain(path), path) for name, path in zip(own, (x, y), strict=True)
    ]
    parts = _joined(sides)
    used = [[listing.folder for listing in side.parts.values()] for side in sides]
    looked = [unused_note(path, folders) for path, folders in zip((x, y), used, strict=True)]
    unused = tuple(note for found, _ in looked for note in found)
    beside = sum((left for _, left in looked), Counter[str]())
    return Found(own, parts, notes=(*notes, *unused), beside=beside, paired=paired)


def names_of_two(
    x: Path, y: Path, names: Sequence[str] | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the domains in two folders, and a line if they are a guess.

    Raises:
        InputError: the folders are the same, or `names` do not fit or exchange their names.
    """
    if x.resolve() == y.resolve():
        raise InputError(f"{option('x')} and {option('y')} are the same folder: {x}")
    own = (nfc(x.resolve().name), nfc(y.resolve().name))
    if names is not None:
        given = replaced(names, own if own[0] != own[1] else ("x", "y"))
        if given == own[::-1]:
            raise InputError(
                f"{option('names')} {' '.join(given)} exchanges the names of the folders {x} and"
                f" {y}: exchange {option('x')} and {option('y')} instead"
            )
        return given, ()
    if own[0] != own[1]:
        return own, ()
    called = f"the domains are called x and y, because both folders are called {own[0]}"
    return ("x", "y"), (f"{called}: {option('names')} gives other names",)


def _selected(
    root: Path, sides: list[_Side], names: Sequence[str] | None, paired: bool | None
) -> Found:
    """Return the domains of folders that bear their names, as `names` selects or renames them."""
    used = [listing.folder for side in sides for listing in side.parts.values()]
    notes, beside = unused_note(root, used)
    known = tuple(side.name for side in sides)
    if names is not None:
        places, called = selected(names, known)
        sides = [
            dataclasses.replace(sides[place], name=name)
            for place, name in zip(places, called, strict=True)
        ]
        known = called
    return Found(known, _joined(sides), notes=notes, beside=beside, paired=paired)


def _guessed(folder: Path, names: Sequence[str] | None, of: str) -> tuple[tuple[str, ...], str]:
    """Return names for two domains whose folders do not name them, and a line that says so.

    `of` says what is of the first and of the second domain.
    """
    guess, is_from_folder = names_from(folder)
    if names is not None:
        called = replaced(names, guess)
        return called, f"{of} are {called[0]} and {called[1]}"
    why = ", after the folder's name" if is_from_folder else ""
    return guess, f"{of} are called {guess[0]} and {guess[1]}{why}: {option('names')} changes that"


def _find_cyclegan(
    folder: Path, by_name: dict[str, Path], names: Sequence[str] | None, paired: bool | None
) -> Found:
    """Find trainA trainB [testA testB] [valA valB], the layout of the CycleGAN authors' sets."""
    called, note = _guessed(folder, names, "trainA and trainB")
    sides: list[_Side] = []
    for letter, name in zip(("a", "b"), called, strict=True):
        parts = {
            part: list_folder(by_name[prefix + letter])
            for prefix, part in _PARTS.items()
            if prefix + letter in by_name
        }
        if "train" not in parts:
            raise InputError(f"{folder} has no train{letter.upper()}/ beside the other one: add it")
        sides.append(_Side(name, parts, parts["train"].folder))
    used = [listing.folder for side in sides for listing in side.parts.values()]
    unused, beside = unused_note(folder, used)
    notes = (*((note,) if names is None else ()), *unused)
    return Found(called, _joined(sides), notes=notes, beside=beside, paired=paired)


def _find_by_part(
    folder: Path, by_name: dict[str, Path], names: Sequence[str] | None, paired: bool | None
) -> Found:
    """Find train/ [test/] [val/], each with one folder per domain or with side-by-side pairs."""
    folders = {part: by_name[name] for name, part in _PARTS.items() if name in by_name}
    train = [list_folder(path) for path in subfolders(folders["train"])]
    domains = [listing for listing in train if listing.names]
    has_own_images = any(is_image(entry) for entry in entries(folders["train"]))
    if len(domains) >= 2 and not has_own_images:
        names_of_folders([listing.folder for listing in domains])
        others = {
            part: {nfc(own.name): own for own in subfolders(path)}
            for part, path in folders.items()
            if part != "train"
        }
        sides = []
        for listing in domains:
            name = nfc(listing.folder.name)
            parts = {part: list_folder(own[name]) for part, own in others.items() if name in own}
            sides.append(_Side(name, parts | {"train": listing}, listing.folder))
        return _selected(folder, sides, names, paired)
    return _find_side_by_side(folder, folders, train, names, paired)


def _find_side_by_side(
    folder: Path,
    folders: dict[str, Path],
    train: list[Listing],
    names: Sequence[str] | None,
    paired: bool | None,
) -> Found:
    listed = {part: list_folder(path) for part, path in folders.items()}
    if not listed["train"].names:
        raise InputError(f"{none_in(listed['train'])}: {_LAYOUTS}")
    unread = [one for one in train if one.passed_over and not one.names]
    if len(train) >= 2 and unread and len(train) - len(unread) < 2:
        raise _unreadable(unread)  # folders of domains, and not pairs side by side
    parts = {part: [listing] for part, listing in listed.items() if listing.names}
    _check_side_by_side(parts["train"][0])
    called, note = _guessed(folder, names, "left and right halves")
    unused, beside = unused_note(folder, folders.values())
    return Found(
        called,
        parts,
        is_side_by_side=True,
        notes=(f"images are pairs side by side: {note}", *unused),
        beside=beside,
        paired=paired,
    )


def parts_of_domain(folder: Path) -> dict[str, Listing]:
    """List a domain's folder: its images, or train/ [test/] [val/] with images."""
    by_name = {path.name.lower(): path for path in subfolders(folder)}
    parts = {part: by_name[name] for name, part in _PARTS.items() if name in by_name}
    if not parts:
        return {"train": list_folder(folder)}
    if "train" not in parts:
        raise InputError(f"{folder} has {next(iter(parts.values())).name}/ but no train/: add it")
    return {part: list_folder(path) for part, path in parts.items()}


def _joined(sides: Sequence[_Side]) -> dict[str, list[Listing]]:
    """Regroup listings from domain → part to part → domains, without parts that no domain has."""
    parts: dict[str, list[Listing]] = {}
    for part in ("train", "validation", "test"):
        listings = [side.parts.get(part) for side in sides]
        present = [listing for listing in listings if listing is not None and listing.names]
        if len(present) == len(sides):
            parts[part] = present
        elif present or part == "train":
            empty = next(i for i, item in enumerate(listings) if item is None or not item.names)
            listing, beside = listings[empty], sides[empty].folder
            start = none_in(listing) if listing else f"no images for {part} beside {beside}"
            raise InputError(
                f"{start}: expected some in every domain ({', '.join(formats.SUFFIXES)})"
            )
    return parts


# --- files of many images -----------------------------------------------------------


def packed_in_one(folder: Path, size: int) -> list[Data] | None:
    """Open one folder per domain, if at least one holds files of many images; else None."""
    found = subfolders(folder)
    packed = {path: packed_domain(path, nfc(path.name), size) for path in found}
    if not any(packed.values()):
        return None
    sides = [data or images_of_domain(path) for path, data in packed.items()]
    kept = [side for side in sides if side is not None]
    if len(kept) < 2:
        raise InputError(f"{folder} holds {_contents(folder, found)}: {_LAYOUTS}")
    names_of_folders([path for path, side in zip(packed, sides, strict=True) if side is not None])
    return kept


def packed_in_two(x: Path, y: Path, names: Sequence[str] | None, size: int) -> list[Data] | None:
    """Do what `packed_in_one` does, for two folders from anywhere, called as `names` says."""
    packed = [packed_domain(path, nfc(path.resolve().name), size) for path in (x, y)]
    if not any(packed):
        return None
    own, notes = names_of_two(x, y, names)
    sides = []
    for path, name, data in zip((x, y), own, packed, strict=True):
        side = data or images_of_domain(path)
        if side is None:
            raise InputError(f"no images in {path}: {_LAYOUTS}")
        sides.append(dataclasses.replace(side, domains=(name,), notes=(*notes, *side.notes)))
        notes = ()
    return sides


def images_of_domain(folder: Path) -> Data | None:
    """Open a folder of images as data of one domain; None if it has none to train on."""
    parts = {part: own for part, own in parts_of_domain(folder).items() if own.names}
    if "train" not in parts:
        return None
    name = nfc(folder.resolve().name)
    return make_data(Found((name,), {part: [own] for part, own in parts.items()}), str(folder))


# --- what is refused ----------------------------------------------------------------


def _too_few(folder: Path, found: Sequence[Path], sides: Sequence[_Side]) -> InputError:
    """Return the error on a folder that has fewer than two domains that can be read."""
    listings = [listing for side in sides for listing in side.parts.values()]
    unread = [listing for listing in listings if listing.passed_over and not listing.names]
    if unread and len(found) > 1:
        return _unreadable(unread)
    return InputError(f"{folder} holds {_contents(folder, found)}: {_LAYOUTS}")


def _unreadable(unread: Sequence[Listing]) -> InputError:
    shown = "; ".join(f"{one.folder} has {kinds(one.passed_over)}" for one in unread[:3])
    more = f"; and {len(unread) - 3} more folders" if len(unread) > 3 else ""
    return InputError(
        f"{shown}{more}, and no image of a kind that is read: convert them to one of"
        f" {', '.join(formats.SUFFIXES)}"
    )


def _check_side_by_side(listing: Listing) -> None:
    for index in probe_indices(len(listing.names), 16):
        path = listing.folder / listing.names[index]
        try:
            width, height = formats.header(path).size
        except InputError:
            continue  # a broken file does not show the layout; training will report it
        if width != 2 * height:
            raise InputError(
                f"{listing.folder} holds single images ({path.name} is {width}x{height}), not "
                f"side-by-side pairs, which are twice as wide as high: {_LAYOUTS}"
            )


def _contents(folder: Path, found: Sequence[Path]) -> str:
    own = sum(is_image(entry) for entry in entries(folder))
    shown = ", ".join(f"{path.name}/" for path in found[:5])
    if len(found) > 5:
        shown += f" and {len(found) - 5} more"
    folders = f"the folders {shown}" if found else "no folders"
    return f"{counted(own, 'image')} and {folders}"
