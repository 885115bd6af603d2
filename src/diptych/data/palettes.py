"""Palettes, which give the meaning of the colours of label images: read from files or built in.

The Cityscapes palette has the 19 classes that its benchmark scores, with the colours of
labels.py in cityscapesScripts (Cordts et al. 2016, arXiv:1604.01685). Its other labels, such as
unlabeled, ego vehicle, parking or caravan, are ignored, as in the benchmark. The benchmark also
ignores polegroup and license plate. Here they count as pole and car, which have the same colours.
"""

from __future__ import annotations

import csv
import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from diptych.data.collections import Data, FileImages, Palette
from diptych.data.listing import PALETTE_FILE
from diptych.data.names import nfc
from diptych.errors import InputError, option

IGNORED_NAME = "ignored"
_PART_FOLDERS = ("train", "val", "valid", "validation", "test")
_FORM = "expected lines with a class's name and colour, such as road,128,64,128"

CITYSCAPES = Palette(
    names=(
        "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light",
        "traffic sign", "vegetation", "terrain", "sky", "person", "rider", "car", "truck",
        "bus", "train", "motorcycle", "bicycle",
    ),
    colours=(
        (128, 64, 128), (244, 35, 232), (70, 70, 70), (102, 102, 156), (190, 153, 153),
        (153, 153, 153), (250, 170, 30), (220, 220, 0), (107, 142, 35), (152, 251, 152),
        (70, 130, 180), (220, 20, 60), (255, 0, 0), (0, 0, 142), (0, 0, 70), (0, 60, 100),
        (0, 80, 100), (0, 0, 230), (119, 11, 32),
    ),
    ignored=(
        (0, 0, 0),  # unlabeled, ego vehicle, rectification border, out of roi, static
        (111, 74, 0),  # dynamic
        (81, 0, 81),  # ground
        (250, 170, 160),  # parking
        (230, 150, 140),  # rail track
        (180, 165, 180),  # guard rail
        (150, 100, 100),  # bridge
        (150, 120, 90),  # tunnel
        (0, 0, 90),  # caravan
        (0, 0, 110),  # trailer
    ),
)  # fmt: skip
PALETTES: Mapping[str, Palette] = MappingProxyType({"cityscapes": CITYSCAPES})
"""The built-in palettes, by name."""


def read_palette(path: str | os.PathLike[str]) -> Palette:
    """Read a table of classes. Each line has a name, and red, green and blue in 0 to 255.

    A first line without numbers is a heading. Lines named `ignored` give colours of no class.

    Raises:
        InputError: the file cannot be read, a line has another form, there are fewer than
            two classes, or two lines share a name or a colour.
    """
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            rows = [
                (n, [cell.strip() for cell in row]) for n, row in enumerate(csv.reader(file), 1)
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"cannot read the palette {path}: {error}") from error
    rows = [(number, row) for number, row in rows if any(row)]
    if rows and not any(cell.isdecimal() for cell in rows[0][1]):
        del rows[0]
    names: list[str] = []
    colours: list[tuple[int, int, int]] = []
    ignored: list[tuple[int, int, int]] = []
    for number, row in rows:
        colour = _colour(row)
        if colour is None:
            raise InputError(f"{path}, line {number}: {','.join(row)!r} is not a class: {_FORM}")
        if colour in colours or colour in ignored or row[0] in names:
            raise InputError(f"{path}, line {number}: an earlier line has its name or colour")
        if row[0].lower() == IGNORED_NAME:
            ignored.append(colour)
        else:
            names.append(row[0])
            colours.append(colour)
    if len(names) < 2:
        raise InputError(f"{path} has {len(names)} classes: two or more are needed; {_FORM}")
    return Palette(tuple(names), tuple(colours), tuple(ignored))


def with_palettes(data: Data, given: Sequence[str] = ()) -> Data:
    """Return `data` with the palettes of its domains' folders and those in `given`.

    Each of `given` is NAME=FILE or NAME=cityscapes, where NAME is a domain. It replaces the
    palette of that domain's folder. A domain's palette is the `palette.csv` in its folder of
    training images, or beside its train folder.

    Raises:
        InputError: a palette cannot be read, or NAME is not a domain of the data.
    """
    found = _found(data)
    if not found and not given:
        return data
    palettes = dict(data.palettes) | found
    for text in given:
        name, _, table = text.partition("=")
        name = nfc(name)
        if name not in data.domains or not table:
            raise InputError(
                f"{option('palette')} {text}: expected DOMAIN=FILE.csv or"
                f" DOMAIN={'|'.join(PALETTES)}, where DOMAIN is one of {', '.join(data.domains)}"
            )
        palettes[name] = PALETTES[table] if table in PALETTES else read_palette(table)
    return dataclasses.replace(data, palettes=palettes)


def _found(data: Data) -> dict[str, Palette]:
    """Read the palette.csv of each domain that has its own folder."""
    found = {}
    for name, images in zip(data.domains, data.train.domains, strict=True):
        if isinstance(images, FileImages):
            folder = Path(images.folder)
            is_part = folder.name.lower() in _PART_FOLDERS
            for place in (folder, folder.parent) if is_part else (folder,):
                if (place / PALETTE_FILE).is_file():
                    found[name] = read_palette(place / PALETTE_FILE)
                    break
    return found


def _colour(row: Sequence[str]) -> tuple[int, int, int] | None:
    """Return the colour in a line name,r,g,b; None if the line has another form."""
    if len(row) != 4 or not row[0]:
        return None
    if not all(cell.isdecimal() and int(cell) <= 255 for cell in row[1:]):
        return None
    red, green, blue = map(int, row[1:])
    return red, green, blue
