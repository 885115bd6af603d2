"""Open folders as data: find the layout, name the domains and list the images.

docs/reference/data.md shows the layouts. No image is decoded. File sizes are read for at most
10,000 files in each folder, so that a million files open in seconds.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from diptych.data.attributes import attribute_data, find_table
from diptych.data.collections import Data
from diptych.data.images import IMAGE_SUFFIXES, image_size
from diptych.data.label_maps import LABELS_FOLDER, with_label_maps
from diptych.data.packed import packed_domain
from diptych.data.palettes import with_palettes
from diptych.data.splits import Found, Listing, join, make_data, probe_indices
from diptych.errors import InputError, counted, option

_IGNORED_FOLDERS = ("__MACOSX", "@eaDir", LABELS_FOLDER)
_PART_FOLDERS = {
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


def open_data(
    data: str | os.PathLike[str] | None = None,
    *,
    x: str | os.PathLike[str] | None = None,
    y: str | os.PathLike[str] | None = None,
    names: Sequence[str] | None = None,
    attributes: str | os.PathLike[str] | None = None,
    palettes: Sequence[str] = (),
    size: int,
) -> Data:
    """Open the data set in a folder, in two folders `x` and `y`, or of a sample (`sample:NAME`).

    `names` replaces the domain names that the folders suggest. `attributes` is a table of each
    image's attributes; then `names` selects its columns, all by default. `palettes` gives the
    meaning of the colours of label domains, each as NAME=FILE.csv or NAME=cityscapes. A
    palette.csv in a domain's folder does the same. `size` is the side of the square training
    images in pixels. Samples and files of many images are made in that size. Folders of images
    do not depend on it.

    Raises:
        InputError: a folder does not exist, has no images or too few, or has an unknown
            layout; `names` do not fit; the table is damaged or has no row for an image;
            a palette or the label images cannot be used.
    """
    return with_palettes(_open(data, x, y, names, attributes, size), palettes)


def _open(
    data: str | os.PathLike[str] | None,
    x: str | os.PathLike[str] | None,
    y: str | os.PathLike[str] | None,
    names: Sequence[str] | None,
    attributes: str | os.PathLike[str] | None,
    size: int,
) -> Data:
    """Do what `open_data` does, except for palettes."""
    if size < 1:
        raise InputError(f"size is {size}: expected at least 1 pixel")
    if data is not None and (x is not None or y is not None):
        raise InputError(
            f"give the data as one folder or as {option('x')} and {option('y')}, not both"
        )
    if attributes is not None:
        return _open_attributes(data, os.fspath(attributes), names)
    if data is not None:
        source = os.fspath(data)
        if source.startswith("sample:"):
            return _open_sample(source, names, size)
        folder = _folder(source)
        packed = _packed_in_one(folder, size)
        if packed is not None:
            return _joined_data(packed, names, source)
        found = _find_in_one(folder)
    elif x is not None and y is not None:
        source = f"{os.fspath(x)} {os.fspath(y)}"
        folders = _folder(os.fspath(x)), _folder(os.fspath(y))
        packed = _packed_in_two(*folders, size)
        if packed is not None:
            return _joined_data(packed, names, source)
        found = _find_in_two(*folders)
    else:
        both = f"{option('x')} and {option('y')}"
        missing = f"no data: give a folder, sample:NAME, or {both}, a folder each"
        raise InputError(
            missing if x is None and y is None else f"only one of {both} was given: give both"
        )
    if names is not None:
        found = dataclasses.replace(found, domains=_checked_names(names, found.domains))
    made = make_data(found, source)
    return made if data is None else with_label_maps(made, _folder(source))


def list_images(folder: Path) -> list[str]:
    """Return the relative names of the images below `folder`, sorted by code point.

    The order is the same on every system. Hidden files and folders, and folders that archivers
    leave behind, are skipped. Links are followed.

    Raises:
        InputError: a folder cannot be read.
    """
    names: list[str] = []
    _walk(os.fspath(folder), "", (), names)
    names.sort()
    return names


def _walk(folder: str, prefix: str, above: tuple[str, ...], names: list[str]) -> None:
    real = os.path.realpath(folder)
    if real in above:
        return  # a link to a folder that contains it
    for entry in _entries(folder):
        if entry.is_dir():
            _walk(entry.path, f"{prefix}{entry.name}/", (*above, real), names)
        elif entry.name.lower().endswith(IMAGE_SUFFIXES) and entry.is_file():
            names.append(prefix + entry.name)


def _entries(folder: str | Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if not entry.name.startswith(".") and entry.name not in _IGNORED_FOLDERS:
                    yield entry
    except OSError as error:
        raise InputError(f"cannot list {folder}: {error.strerror}") from error


def _folder(given: str) -> Path:
    path = Path(given).expanduser()
    if path.is_dir():
        return path
    if path.exists():
        raise InputError(f"{given} is a file: expected a folder of images (unpack archives first)")
    raise InputError(f"no such folder: {given}")


def _subfolders(folder: Path) -> list[Path]:
    return sorted((Path(entry.path) for entry in _entries(folder) if entry.is_dir()), key=str)


def _packed_in_one(folder: Path, size: int) -> list[Data] | None:
    """Open one folder per domain, if at least one holds files of many images; else None."""
    subfolders = _subfolders(folder)
    packed = {path: packed_domain(path, path.name, size) for path in subfolders}
    if not any(packed.values()):
        return None
    sides = [data or _images_of_domain(path) for path, data in packed.items()]
    kept = [side for side in sides if side is not None]
    if len(kept) < 2:
        raise InputError(f"{folder} holds {_contents(folder, subfolders)}: {_LAYOUTS}")
    return kept


def _packed_in_two(x: Path, y: Path, size: int) -> list[Data] | None:
    """Do what `_packed_in_one` does, for two folders from anywhere."""
    domains = _names_of_two(x, y)
    packed = [packed_domain(path, name, size) for path, name in zip((x, y), domains, strict=True)]
    if not any(packed):
        return None
    sides = []
    for path, name, data in zip((x, y), domains, packed, strict=True):
        side = data or _images_of_domain(path)
        if side is None:
            raise InputError(f"no images in {path}: {_LAYOUTS}")
        sides.append(dataclasses.replace(side, domains=(name,)))
    return sides


def _images_of_domain(folder: Path) -> Data | None:
    parts = {part: own for part, own in _parts_of_domain(folder).items() if own.names}
    if "train" not in parts:
        return None
    return make_data(
        Found((folder.name,), {part: [own] for part, own in parts.items()}), str(folder)
    )


def _joined_data(sides: list[Data], names: Sequence[str] | None, source: str) -> Data:
    data = join(sides, source)
    if names is None:
        return data
    return dataclasses.replace(data, domains=_checked_names(names, data.domains))


def _names_of_two(x: Path, y: Path) -> tuple[str, str]:
    if x.resolve() == y.resolve():
        raise InputError(f"{option('x')} and {option('y')} are the same folder: {x}")
    domains = (x.resolve().name, y.resolve().name)
    return ("x", "y") if domains[0] == domains[1] else domains


def _find_in_two(x: Path, y: Path) -> Found:
    return Found(_names_of_two(x, y), _joined([_parts_of_domain(x), _parts_of_domain(y)], [x, y]))


def _find_in_one(folder: Path) -> Found:
    subfolders = _subfolders(folder)
    by_name = {path.name.lower(): path for path in subfolders}
    if "traina" in by_name or "trainb" in by_name:
        return _find_cyclegan(folder, by_name)
    if "train" in by_name:
        return _find_by_part(folder, by_name)
    listed = [(path, _parts_of_domain(path)) for path in subfolders]
    kept = [(path, parts) for path, parts in listed if any(part.names for part in parts.values())]
    if len(kept) < 2:
        raise InputError(f"{folder} holds {_contents(folder, subfolders)}: {_LAYOUTS}")
    paths = [path for path, _ in kept]
    return Found(tuple(path.name for path in paths), _joined([part for _, part in kept], paths))


def _find_cyclegan(folder: Path, by_name: dict[str, Path]) -> Found:
    """Find trainA trainB [testA testB] [valA valB], the layout of the CycleGAN authors' sets."""
    sides: list[dict[str, Listing]] = []
    for letter in ("a", "b"):
        parts = {
            part: Listing(by_name[prefix + letter], list_images(by_name[prefix + letter]))
            for prefix, part in _PART_FOLDERS.items()
            if prefix + letter in by_name
        }
        if "train" not in parts:
            raise InputError(f"{folder} has no train{letter.upper()}/ beside the other one: add it")
        sides.append(parts)
    paths = [side["train"].folder for side in sides]
    return Found(_names_from(folder), _joined(sides, paths))


def _find_by_part(folder: Path, by_name: dict[str, Path]) -> Found:
    """Find train/ [test/] [val/], each with one folder per domain or with side-by-side pairs."""
    folders = {part: by_name[name] for name, part in _PART_FOLDERS.items() if name in by_name}
    listed = [Listing(path, list_images(path)) for path in _subfolders(folders["train"])]
    domains = [listing for listing in listed if listing.names]
    has_own_images = any(
        entry.name.lower().endswith(IMAGE_SUFFIXES) for entry in _entries(folders["train"])
    )
    if len(domains) >= 2 and not has_own_images:
        names = tuple(listing.folder.name for listing in domains)
        sides = [
            {
                part: Listing(path / name, list_images(path / name))
                for part, path in folders.items()
                if part != "train" and (path / name).is_dir()
            }
            | {"train": listing}
            for name, listing in zip(names, domains, strict=True)
        ]
        return Found(names, _joined(sides, [listing.folder for listing in domains]))
    parts = {part: [Listing(path, list_images(path))] for part, path in folders.items()}
    parts = {part: listings for part, listings in parts.items() if listings[0].names}
    if "train" not in parts:
        raise InputError(f"no images in {folders['train']}: {_LAYOUTS}")
    _check_side_by_side(parts["train"][0])
    return Found(_names_from(folder), parts, is_side_by_side=True)


def _parts_of_domain(folder: Path) -> dict[str, Listing]:
    """List a domain's folder: its images, or train/ [test/] [val/] with images."""
    by_name = {path.name.lower(): path for path in _subfolders(folder)}
    parts = {part: by_name[name] for name, part in _PART_FOLDERS.items() if name in by_name}
    if not parts:
        return {"train": Listing(folder, list_images(folder))}
    if "train" not in parts:
        raise InputError(f"{folder} has {next(iter(parts.values())).name}/ but no train/: add it")
    return {part: Listing(path, list_images(path)) for part, path in parts.items()}


def _joined(sides: list[dict[str, Listing]], folders: list[Path]) -> dict[str, list[Listing]]:
    """Regroup listings from domain → part to part → domains, without parts that no domain has."""
    parts: dict[str, list[Listing]] = {}
    for part in ("train", "validation", "test"):
        listings = [side.get(part) for side in sides]
        present = [listing for listing in listings if listing is not None and listing.names]
        if len(present) == len(sides):
            parts[part] = present
        elif present or part == "train":
            empty = next(i for i, item in enumerate(listings) if item is None or not item.names)
            listing = listings[empty]
            where = f"in {listing.folder}" if listing else f"for {part} beside {folders[empty]}"
            raise InputError(
                f"no images {where}: expected some in every domain ({', '.join(IMAGE_SUFFIXES)})"
            )
    return parts


def _check_side_by_side(listing: Listing) -> None:
    for index in probe_indices(len(listing.names), 16):
        path = listing.folder / listing.names[index]
        try:
            width, height = image_size(path)
        except InputError:
            continue  # a broken file does not show the layout; training will report it
        if width != 2 * height:
            raise InputError(
                f"{listing.folder} holds single images ({path.name} is {width}x{height}), not "
                f"side-by-side pairs, which are twice as wide as high: {_LAYOUTS}"
            )


def _contents(folder: Path, subfolders: list[Path]) -> str:
    own = sum(entry.name.lower().endswith(IMAGE_SUFFIXES) for entry in _entries(folder))
    shown = ", ".join(f"{path.name}/" for path in subfolders[:5])
    if len(subfolders) > 5:
        shown += f" and {len(subfolders) - 5} more"
    folders = f"the folders {shown}" if subfolders else "no folders"
    return f"{counted(own, 'image')} and {folders}"


def _names_from(folder: Path) -> tuple[str, str]:
    """Name the domains by the folder: horse and zebra for horse2zebra, else x and y."""
    first, _, second = folder.resolve().name.partition("2")
    return (first, second) if first and second and first != second else ("x", "y")


def _checked_names(names: Sequence[str], instead_of: tuple[str, ...]) -> tuple[str, ...]:
    if len(names) != len(instead_of):
        raise InputError(
            f"{len(names)} names ({', '.join(names)}) for {len(instead_of)} domains "
            f"({', '.join(instead_of)}): expected one name per domain"
        )
    for name in names:
        if not name.strip() or "/" in name or "\\" in name or names.count(name) > 1:
            raise InputError(
                f"cannot call a domain {name!r}: names must differ, not be empty and have no slash"
            )
    return tuple(names)


def _open_attributes(
    data: str | os.PathLike[str] | None, table: str, names: Sequence[str] | None
) -> Data:
    source = "" if data is None else os.fspath(data)
    if not source or source.startswith("sample:"):
        raise InputError(
            f"{option('attributes', table)} needs a folder of images: give the folder as"
            f" {option('data')}"
        )
    folder = _folder(source)
    parts = {part: own for part, own in _parts_of_domain(folder).items() if own.names}
    if "train" not in parts:
        raise InputError(f"no images in {folder}: expected images there or in train/")
    return attribute_data(parts, find_table(table, folder), names, source)


def _open_sample(source: str, names: Sequence[str] | None, size: int) -> Data:
    from diptych.data.samples import open_sample

    data = open_sample(source.removeprefix("sample:"), size)
    if names is None:
        return data
    renamed = dict(zip(data.domains, _checked_names(names, data.domains), strict=True))
    palettes = {renamed[name]: palette for name, palette in data.palettes.items()}
    return dataclasses.replace(data, domains=tuple(renamed.values()), palettes=palettes)
