"""Images of several domains at once, by a table of their attributes, as CelebA has them.

A table is a CSV file: a header, and a line an image with the file's name and, for each
attribute, 1 where the image has it and 0 or -1 where not. CelebA's own list, with the
number of images first and spaces between, is read as well.
"""

from __future__ import annotations

import csv
import difflib
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diptych.data.collections import Attributes, Data, FileImages, Split
from diptych.data.splits import HELD_OUT_MOST, Found, Listing, fingerprint_of, held_out
from diptych.errors import InputError, option
from diptych.types import Labelled

HARDLY_EVER = 0.05
"""Attributes that occur together less often than this share of what chance would give are
taken to exclude each other."""

_VALUES = {"1": 1, "0": 0, "-1": 0}
Values = NDArray[np.uint8]


@dataclass(frozen=True)
class AttributeTable:
    """What a file says of images."""

    path: Path
    names: tuple[str, ...]
    """Names of the attributes."""
    rows: dict[str, int]
    """The row of each file name."""
    values: Values
    """(N, K) in {0, 1}."""


def find_table(given: str, folder: Path) -> Path:
    """The file `given`, or the one of that name in the data's folder. Raises InputError."""
    path = Path(given).expanduser()
    inside = folder / given
    for one in (path, inside):
        if one.is_file():
            return one
    raise InputError(f"no table of attributes {given}, neither here nor in {folder}")


def attribute_data(
    parts: dict[str, Listing], table: Path, names: Sequence[str] | None, source: str
) -> Data:
    """The images of `parts` (train and perhaps validation, test) with a domain an attribute.

    `names` are the attributes to take, all by default.

    Raises:
        InputError: the table cannot be used, or says nothing of an image; an attribute
            that every image to train on has, or none.
    """
    found = read_table(table, names)
    notes: list[str] = []
    parts = dict(parts)
    everything = Found(found.names, {part: [listing] for part, listing in parts.items()})
    if "test" not in parts and "validation" in parts:
        parts["test"] = parts.pop("validation")
        notes.append("no test images: the validation images are used for testing too")
    elif "test" not in parts:
        kept, held = held_out([parts["train"]], HELD_OUT_MOST * len(found.names))
        parts["train"], parts["test"] = kept[0], held[0]
        notes.append(
            f"no test images: {len(held[0].names)} training images are held out for testing"
        )
    splits = {part: _split(listing, found) for part, listing in parts.items()}
    images = sum(len(listing.names) for listing in parts.values())
    if images < len(found.rows):
        notes.append(f"{table.name} has {len(found.rows):,} rows for {images:,} images")
    train = splits["train"]
    assert train.attributes is not None
    _check_train(found, train.attributes.values)
    digest = hashlib.sha256(fingerprint_of(everything).encode())
    digest.update("\0".join(found.names).encode())
    for _, split in sorted(splits.items()):
        assert split.attributes is not None
        digest.update(split.attributes.values.tobytes())
    return Data(
        source=source,
        domains=found.names,
        train=train,
        validation=splits.get("validation"),
        test=splits["test"],
        fingerprint=digest.hexdigest()[:32],
        notes=tuple(notes),
    )


def for_batches(data: Data, batch_type: type[Any]) -> Data:
    """`data` as a method of these batches sees it.

    Of `Labelled` ones a table's attributes are the labels. For all others those who
    have an attribute are a domain like any other.
    """
    if batch_type is Labelled:
        return data
    return replace(
        data,
        train=replace(data.train, attributes=None),
        validation=data.validation and replace(data.validation, attributes=None),
        test=data.test and replace(data.test, attributes=None),
    )


def exclusions(values: Values) -> NDArray[np.bool_]:
    """(K, K): which attributes exclude each other, by how often images have both.

    CelebA's colours of hair do, for one: there a label with two of them is asked of no
    method.
    """
    counts = values.sum(0, dtype=np.float64)
    together = values.astype(np.float32).T @ values.astype(np.float32)
    by_chance = np.outer(counts, counts) / len(values)
    excluded: NDArray[np.bool_] = together < HARDLY_EVER * by_chance
    return excluded


def changed(row: Values, attribute: int, excluded: NDArray[np.bool_]) -> Values:
    """The label (K,) `row` with one attribute changed.

    It is set where it was not, and those that it excludes are unset. Where it was, it is
    unset, unless it is one of several that exclude each other: then it stays, since
    nothing says which other one to take.
    """
    label = row.copy()
    if not row[attribute]:
        label[excluded[attribute]] = 0
        label[attribute] = 1
    elif not excluded[attribute].any():
        label[attribute] = 0
    return label


def read_table(path: Path, names: Sequence[str] | None = None) -> AttributeTable:
    """The attributes `names` of a table, all by default, in that order.

    Raises:
        InputError: it cannot be read, has no such column, an uneven row, two rows of one
            file, or a value that is not 1, 0 or -1; the message names the line.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    columns, numbered = _columns(path, lines)
    chosen = _chosen(path, columns, names)
    places = [columns.index(name) + 1 for name in chosen]
    rows: dict[str, int] = {}
    values: list[list[int]] = []
    for number, row in numbered:
        if len(row) != len(columns) + 1:
            raise InputError(
                f"{path}, line {number} has {len(row)} fields: expected a file's name and"
                f" {len(columns)} values"
            )
        name = row[0].strip().replace("\\", "/").removeprefix("./")
        if name in rows:
            raise InputError(f"{path}, line {number}: {name} has a row already")
        rows[name] = len(values)
        try:
            values.append([_VALUES[row[place].strip()] for place in places])
        except KeyError as error:
            place = next(p for p in places if row[p].strip() not in _VALUES)
            raise InputError(
                f"{path}, line {number}: {columns[place - 1]} is {error.args[0]!r} for {name}:"
                " expected 1, or 0 or -1"
            ) from None
    if not values:
        raise InputError(f"{path} has no rows: expected one for each image")
    return AttributeTable(path, chosen, rows, np.array(values, np.uint8))


def _columns(path: Path, lines: list[str]) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """The attributes' names, and the rows with the numbers of their lines."""
    if lines and lines[0].strip().isdigit():  # CelebA's own: how many, the names, the rows
        columns = lines[1].split() if len(lines) > 1 else []
        rows = ((i, line.split()) for i, line in enumerate(lines[2:], 3) if line.strip())
    else:
        reader = csv.reader(lines)
        columns = [name.strip() for name in next(reader, [])[1:]]
        rows = ((reader.line_num, row) for row in reader if row)
    if not columns:
        raise InputError(
            f"{path} is no table of attributes: expected a header such as file,Smiling,Young and"
            " a line an image, with commas between"
        )
    double = next((name for name in columns if columns.count(name) > 1), None)
    if double is not None:
        raise InputError(f"{path} has two columns {double!r}: rename one")
    return columns, rows


def _chosen(path: Path, columns: list[str], names: Sequence[str] | None) -> tuple[str, ...]:
    for name in names or ():
        if name not in columns:
            close = difflib.get_close_matches(name, columns, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(columns)}"
            raise InputError(f"{path} has no column {name!r}: {hint}")
    if names is not None and len(set(names)) < len(names):
        raise InputError(f"{option('names')} {' '.join(names)} names an attribute twice")
    return tuple(columns if names is None else names)


def _split(listing: Listing, table: AttributeTable) -> Split:
    rows = [_row(listing, name, table) for name in listing.names]
    missing = [name for name, row in zip(listing.names, rows, strict=True) if row is None]
    if missing:
        count = f" and {len(missing) - 1:,} more" if len(missing) > 1 else ""
        raise InputError(
            f"{table.path} has no row for {missing[0]}{count} of the {len(rows):,} images in"
            f" {listing.folder}: add rows, or move the images elsewhere"
        )
    values = table.values[np.array(rows, np.int64)]
    having = [
        FileImages(listing.folder, [listing.names[i] for i in np.flatnonzero(values[:, k])])
        for k in range(len(table.names))
    ]
    images = FileImages(listing.folder, listing.names)
    return Split(tuple(having), attributes=Attributes(images, values))


def _row(listing: Listing, name: str, table: AttributeTable) -> int | None:
    """By the name below the folder, that with the folder's own, or the file's alone."""
    for key in (name, f"{listing.folder.name}/{name}", name.rpartition("/")[2]):
        if key in table.rows:
            return table.rows[key]
    return None


def _check_train(table: AttributeTable, values: Values) -> None:
    if len(values) < 2:
        raise InputError(f"only {len(values)} image to train on: training needs two or more")
    for name, count in zip(table.names, values.sum(0, dtype=np.int64).tolist(), strict=True):
        if count in (0, len(values)):
            how_many = "none" if count == 0 else "each"
            raise InputError(
                f"{how_many} of the {len(values):,} images to train on has {name}, by"
                f" {table.path}: leave it out of {option('names')}"
            )
