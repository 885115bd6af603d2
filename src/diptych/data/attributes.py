"""Images that belong to several domains at once, by a table of attributes such as CelebA's.

A table is a CSV file with a header and one line per image: the file's name, then for each
attribute 1 if the image has it and 0 or -1 if not. CelebA's own list format is read too. It
starts with the number of images and separates values by spaces.
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
"""Two attributes exclude each other if they occur together less often than this share of the
count expected by chance."""

_VALUES = {"1": 1, "0": 0, "-1": 0}
Values = NDArray[np.uint8]


@dataclass(frozen=True)
class AttributeTable:
    """The contents of a table of attributes."""

    path: Path
    names: tuple[str, ...]
    """Names of the attributes."""
    rows: dict[str, int]
    """The row of each file name."""
    values: Values
    """(N, K) in {0, 1}: whether the image in row i has attribute k."""


def find_table(given: str, folder: Path) -> Path:
    """Return the path `given`, or the file of that name in the data's folder.

    Raises:
        InputError: neither file exists.
    """
    path = Path(given).expanduser()
    inside = folder / given
    for one in (path, inside):
        if one.is_file():
            return one
    raise InputError(f"no table of attributes {given}: no such file, and none in {folder}")


def attribute_data(
    parts: dict[str, Listing], table: Path, names: Sequence[str] | None, source: str
) -> Data:
    """Return the images of `parts` as data with one domain per attribute.

    `parts` has "train", and may have "validation" and "test". `names` are the attributes to
    use, all by default. `source` is what messages call the data.

    Raises:
        InputError: the table cannot be used or has no row for an image, or an attribute
            is true for all training images or for none.
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
    """Return `data` as a method with this type of batch sees it.

    For `Labelled` batches, the attributes of a table are the labels. For all other types, the
    images that have an attribute are an ordinary domain.
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
    """Return (K, K) bool: which attributes exclude each other.

    Two attributes exclude each other if images rarely have both: see `HARDLY_EVER`. An example
    is CelebA's hair colours. No method is asked for an image with two of them.
    """
    counts = values.sum(0, dtype=np.float64)
    together = values.astype(np.float32).T @ values.astype(np.float32)
    by_chance = np.outer(counts, counts) / len(values)
    excluded: NDArray[np.bool_] = together < HARDLY_EVER * by_chance
    return excluded


def changed(row: Values, attribute: int, excluded: NDArray[np.bool_]) -> Values:
    """Return the label (K,) `row` with one attribute changed.

    An attribute that was not set is set, and the attributes it excludes are cleared. An
    attribute that was set is cleared, unless it excludes others. Then it stays, because
    nothing says which of the others should replace it.
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
        InputError: the file cannot be read, a column is missing, a row has the wrong number
            of fields, a file has two rows, or a value is not 1, 0 or -1. Where a row is
            wrong, the message names its line.
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
                f"{path}, line {number} has {len(row)} fields: expected a file name and"
                f" {len(columns)} values"
            )
        name = row[0].strip().replace("\\", "/").removeprefix("./")
        if name in rows:
            raise InputError(f"{path}, line {number}: {name} already has a row")
        rows[name] = len(values)
        try:
            values.append([_VALUES[row[place].strip()] for place in places])
        except KeyError as error:
            place = next(p for p in places if row[p].strip() not in _VALUES)
            raise InputError(
                f"{path}, line {number}: {columns[place - 1]} is {error.args[0]!r} for {name}:"
                " expected 1, 0 or -1"
            ) from None
    if not values:
        raise InputError(f"{path} has no rows: expected one for each image")
    return AttributeTable(path, chosen, rows, np.array(values, np.uint8))


def _columns(path: Path, lines: list[str]) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """Return the attribute names, and the rows with their line numbers."""
    if lines and lines[0].strip().isdigit():  # CelebA's format: the count, the names, the rows
        columns = lines[1].split() if len(lines) > 1 else []
        rows = ((i, line.split()) for i, line in enumerate(lines[2:], 3) if line.strip())
    else:
        reader = csv.reader(lines)
        columns = [name.strip() for name in next(reader, [])[1:]]
        rows = ((reader.line_num, row) for row in reader if row)
    if not columns:
        raise InputError(
            f"{path} is not a table of attributes: expected a header such as file,Smiling,Young"
            " and one line per image, separated by commas"
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
                f"{how_many} of the {len(values):,} training images has {name}, according to"
                f" {table.path}: leave it out of {option('names')}"
            )
