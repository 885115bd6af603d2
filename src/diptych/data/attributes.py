"""Images that belong to several domains at once, by a table of attributes such as CelebA's.

A table is a CSV file with a header and one line per image: the file's name, then for each
attribute 1 if the image has it and 0 or -1 if not. CelebA's own list format is read too. It
starts with the number of images and separates values by spaces.
"""

from __future__ import annotations

import csv
import difflib
import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diptych.data.collections import Attributes, Data, FileImages, Split
from diptych.data.listing import Listing, first_of, passed_over_note, suffix_of
from diptych.data.names import nfc
from diptych.data.pairing import stem
from diptych.data.splits import HELD_OUT_MOST, Found, fingerprint_of, held_out
from diptych.errors import InputError, option
from diptych.types import Labelled

HARDLY_EVER = 0.05
"""Two attributes exclude each other if they occur together less often than this share of the
count expected by chance."""
LEAST_EXPECTED = 7.0
"""Two attributes can exclude each other only if chance would bring them together in at least this
many images. Independent attributes then never meet with a probability of e^-7, which is 0.0009.
Of rare attributes in few images, no count tells whether they exclude each other."""

_VALUES = {"1": 1, "0": 0, "-1": 0}
Values = NDArray[np.uint8]


@dataclass(frozen=True)
class AttributeTable:
    """The contents of a table of attributes."""

    path: Path
    names: tuple[str, ...]
    """Names of the attributes."""
    rows: dict[str, int]
    """The row of each file name, in NFC."""
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
    parts = dict(parts)
    passed_over = sum((listing.passed_over for listing in parts.values()), Counter[str]())
    if any(table.is_relative_to(listing.folder) for listing in parts.values()):
        passed_over -= Counter([suffix_of(table.name)])  # the table itself
    notes = [*passed_over_note([passed_over])]
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
    rows, by_stem = _rows(list(parts.values()), found)
    splits = {
        part: _split(listing, found, own)
        for (part, listing), own in zip(parts.items(), rows, strict=True)
    }
    notes += by_stem
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

    Two attributes exclude each other if images rarely have both, although each is frequent: see
    `HARDLY_EVER` and `LEAST_EXPECTED`. An example is CelebA's hair colours. No method is asked
    for an image with two of them.
    """
    counts = values.sum(0, dtype=np.float64)
    together = values.astype(np.float32).T @ values.astype(np.float32)
    by_chance = np.outer(counts, counts) / len(values)
    excluded: NDArray[np.bool_] = together < HARDLY_EVER * by_chance
    return excluded & (by_chance >= LEAST_EXPECTED)


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
        name = nfc(row[0].strip().replace("\\", "/").removeprefix("./"))
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
        columns = [nfc(name) for name in lines[1].split()] if len(lines) > 1 else []
        rows = ((i, line.split()) for i, line in enumerate(lines[2:], 3) if line.strip())
    else:
        reader = csv.reader(lines)
        columns = [nfc(name.strip()) for name in next(reader, [])[1:]]
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
    names = None if names is None else [nfc(name) for name in names]
    for name in names or ():
        if name not in columns:
            close = difflib.get_close_matches(name, columns, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(columns)}"
            raise InputError(f"{path} has no column {name!r}: {hint}")
    if names is not None and len(set(names)) < len(names):
        raise InputError(f"{option('names')} {' '.join(names)} names an attribute twice")
    return tuple(columns if names is None else names)


def _split(listing: Listing, table: AttributeTable, rows: Sequence[int]) -> Split:
    values = table.values[np.array(rows, np.int64)]
    having = [
        FileImages(listing.folder, [listing.names[i] for i in np.flatnonzero(values[:, k])])
        for k in range(len(table.names))
    ]
    images = FileImages(listing.folder, listing.names)
    return Split(tuple(having), attributes=Attributes(images, values))


def _rows(listings: Sequence[Listing], table: AttributeTable) -> tuple[list[list[int]], list[str]]:
    """Return the row of each image of each listing, and a line on those found by stem.

    Raises:
        InputError: an image has no row, or it is not clear which.
    """
    by_stem: dict[str, list[str]] = {}
    for name in table.rows:
        by_stem.setdefault(stem(name), []).append(name)
    found: list[list[int]] = []
    others: list[tuple[str, str]] = []
    for listing in listings:
        own: list[int] = []
        missing: list[str] = []
        for name in listing.names:
            key = _key(listing, name, table.rows)
            if key is None and (alike := _by_stem(listing, name, by_stem, table.path)) is not None:
                others.append((name, alike))
                key = alike
            if key is None:
                missing.append(name)
            else:
                own.append(table.rows[key])
        if missing:
            raise InputError(
                f"{table.path} has no row for {first_of(missing[:1], len(missing))} of the"
                f" {len(listing.names):,} images in {listing.folder}: add rows, or move the images"
                " elsewhere"
            )
        found.append(own)
    if not others:
        return found, []
    _check_taken_once(listings, found, table)
    image, row = others[0]
    are = "image is" if len(others) == 1 else "images are"
    return found, [
        f"{len(others):,} {are} in {table.path.name} under another suffix ({image} as {row}):"
        " matched by the names without suffixes"
    ]


def _key(listing: Listing, name: str, rows: Mapping[str, Any]) -> str | None:
    """By the name below the folder, that with the folder's own, or the file's alone."""
    name = nfc(name)
    for key in (name, f"{nfc(listing.folder.name)}/{name}", name.rpartition("/")[2]):
        if key in rows:
            return key
    return None


def _by_stem(
    listing: Listing, name: str, by_stem: Mapping[str, list[str]], table: Path
) -> str | None:
    """Return the row of the same name with another suffix."""
    key = _key(listing, stem(name), by_stem)
    if key is None:
        return None
    if len(by_stem[key]) > 1:
        raise InputError(
            f"{table} has no row for {name} of {listing.folder}, but"
            f" {' and '.join(by_stem[key][:2])}: give it a row of its own"
        )
    return by_stem[key][0]


def _check_taken_once(
    listings: Sequence[Listing], rows: Sequence[Sequence[int]], table: AttributeTable
) -> None:
    """Raises InputError if two images that differ in their suffix alone share a row."""
    taken: dict[int, Path] = {}
    for listing, own in zip(listings, rows, strict=True):
        for name, row in zip(listing.names, own, strict=True):
            path = listing.folder / name
            first = taken.setdefault(row, path)
            if first != path and stem(first.name) == stem(path.name):
                raise InputError(
                    f"{table.path} has one row for {first} and {path}, which differ in their"
                    " suffixes: give each its own row, or remove one"
                )


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
