"""Open folders as data: find the layout, name the domains and list the images.

docs/reference/data.md shows the layouts. No image is decoded. File sizes are read for at most
10,000 files in each folder, so that a million files open in seconds.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence

from diptych.data.attributes import attribute_data, find_table
from diptych.data.collections import Data
from diptych.data.label_maps import with_label_maps
from diptych.data.layouts import (
    find_in_one,
    find_in_two,
    folder_of,
    packed_in_one,
    packed_in_two,
    parts_of_domain,
)
from diptych.data.listing import none_in
from diptych.data.names import selected
from diptych.data.palettes import with_palettes
from diptych.data.pixel_choice import PixelOptions, with_pixel_formats
from diptych.data.pixels import PixelFormat
from diptych.data.splits import join, make_data, rearranged
from diptych.errors import InputError, check_whole, option


def open_data(
    data: str | os.PathLike[str] | None = None,
    *,
    x: str | os.PathLike[str] | None = None,
    y: str | os.PathLike[str] | None = None,
    names: Sequence[str] | None = None,
    attributes: str | os.PathLike[str] | None = None,
    palettes: Sequence[str] = (),
    options: PixelOptions | None = None,
    pixels: Sequence[PixelFormat] | None = None,
    paired: bool | None = None,
    size: int,
) -> Data:
    """Open the data set in a folder, in two folders `x` and `y`, or of a sample (`sample:NAME`).

    `names` selects domains of the data, in this order, or replaces all their names.
    `attributes` is a table of each image's attributes; then `names` selects its columns, all by
    default. `palettes` gives the meaning of the colours of label domains, each as NAME=FILE.csv
    or NAME=cityscapes. A palette.csv in a domain's folder does the same. `options` says what the
    pixels are, which is otherwise decided from a few images of each domain. `pixels` are the
    formats of an earlier run; then nothing is decided. `paired` says whether images of equal file
    names in different domains show the same scenes; None leaves it to the names, and False makes
    no pairs of any data. `size` is the side of the square training images in pixels. Samples and
    files of many images are made in that size. Folders of images do not depend on it.

    Raises:
        InputError: a folder does not exist, has no images or too few, or has an unknown
            layout; `names` do not fit; the table is damaged or has no row for an image;
            a palette or the label images cannot be used; the images of a domain are of several
            kinds, or `options` or `pixels` do not fit them; `paired` is True and no pairs can
            be made.
    """
    opened = _with_pairs(_open(data, x, y, names, attributes, paired, size), paired)
    return with_pixel_formats(with_palettes(opened, palettes), options or PixelOptions(), pixels)


def _open(
    data: str | os.PathLike[str] | None,
    x: str | os.PathLike[str] | None,
    y: str | os.PathLike[str] | None,
    names: Sequence[str] | None,
    attributes: str | os.PathLike[str] | None,
    paired: bool | None,
    size: int,
) -> Data:
    """Do what `open_data` does, except for palettes and pairs that were not found by names."""
    check_whole("size", size, 1)
    if data is not None and (x is not None or y is not None):
        raise InputError(
            f"give the data as one folder or as {option('x')} and {option('y')}, not both"
        )
    if attributes is not None:
        return _open_attributes(data, os.fspath(attributes), names)
    if data is not None:
        return _open_one(os.fspath(data), names, paired, size)
    if x is not None and y is not None:
        source = f"{os.fspath(x)} {os.fspath(y)}"
        folders = folder_of(os.fspath(x)), folder_of(os.fspath(y))
        packed = packed_in_two(*folders, names, size)
        if packed is not None:
            return join(packed, source)
        return make_data(find_in_two(*folders, names, paired), source)
    both = f"{option('x')} and {option('y')}"
    missing = f"no data: give a folder, sample:NAME, or {both}, a folder each"
    raise InputError(
        missing if x is None and y is None else f"only one of {both} was given: give both"
    )


def _open_one(source: str, names: Sequence[str] | None, paired: bool | None, size: int) -> Data:
    if source.startswith("sample:"):
        from diptych.data.samples import open_sample

        return _named(open_sample(source.removeprefix("sample:"), size), names)
    folder = folder_of(source)
    packed = packed_in_one(folder, size)
    if packed is not None:
        return _named(join(packed, source), names)
    return with_label_maps(make_data(find_in_one(folder, names, paired), source), folder)


def _open_attributes(
    data: str | os.PathLike[str] | None, table: str, names: Sequence[str] | None
) -> Data:
    source = "" if data is None else os.fspath(data)
    if not source or source.startswith("sample:"):
        raise InputError(
            f"{option('attributes', table)} needs a folder of images: give the folder as"
            f" {option('data')}"
        )
    folder = folder_of(source)
    parts = parts_of_domain(folder)
    if not parts["train"].names:
        raise InputError(f"{none_in(parts['train'])}: expected images there or in train/")
    listed = {part: own for part, own in parts.items() if own.names}
    return attribute_data(listed, find_table(table, folder), names, source)


def _named(data: Data, names: Sequence[str] | None) -> Data:
    """Return the data with the domains that `names` selects, or with their names replaced."""
    if names is None:
        return data
    places, called = selected(names, data.domains)
    chosen = rearranged(data, places)
    return called_as(chosen, called)


def called_as(data: Data, names: tuple[str, ...]) -> Data:
    """Return the data with other names of its domains."""
    renamed = dict(zip(data.domains, names, strict=True))
    palettes = {renamed[name]: palette for name, palette in data.palettes.items()}
    return dataclasses.replace(data, domains=names, palettes=palettes)


def _with_pairs(data: Data, paired: bool | None) -> Data:
    """Return the data without pairs if `paired` is False; check that there are some if True."""
    splits = [split for split in (data.train, data.validation, data.test) if split is not None]
    if paired and all(split.pairs is None for split in splits):
        raise InputError(
            f"{option('paired', True)}: no pairs can be made of {data.source}, since no file name"
            f" is in each of {', '.join(data.domains)}: give both files of a pair the same name,"
            " or leave it out"
        )
    if paired is not False:
        return data
    return dataclasses.replace(
        data,
        train=dataclasses.replace(data.train, pairs=None),
        validation=data.validation and dataclasses.replace(data.validation, pairs=None),
        test=data.test and dataclasses.replace(data.test, pairs=None),
    )
