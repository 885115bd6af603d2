"""Pairs of images by equal file names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from diptych.data import formats
from diptych.data.collections import FileImages, evenly_spaced
from diptych.data.listing import Listing, first_of
from diptych.data.names import nfc
from diptych.errors import InputError, call, option

MOST_ALONE = 0.1
"""Images count as pairs without being asked for if at most this share of a domain's has no
partner."""

_LOOKED_AT = 8  # pairs whose shapes are compared
_OTHER_SHAPE = 1.05  # ratio of two aspect ratios
_NUMBERED = re.compile(r"(\D*)\d+")


@dataclass(frozen=True)
class Matches:
    """The files that have a file of the same name in each domain."""

    order: tuple[list[int] | None, ...]
    """For each domain, the indices of its paired files, item i of each showing the same scene;
    None if all files are paired in their own order."""
    keys: list[str]
    """The names of the pairs, without suffixes."""
    alone: tuple[list[int], ...]
    """For each domain, the indices of the files without a partner."""
    doubled: tuple[str, str] | None
    """Two files of one domain that share a name, which is ambiguous."""

    @property
    def count(self) -> int:
        return len(self.keys)

    @property
    def is_numbered(self) -> bool:
        """Whether the names are numbers after a common beginning, as img_0001 and img_0002."""
        starts = set()
        for key in self.keys:
            found = _NUMBERED.fullmatch(key)
            if found is None:
                return False
            starts.add(found[1])
        return len(starts) == 1

    @property
    def is_complete(self) -> bool:
        return self.doubled is None and self.count > 0 and not any(self.alone)

    @property
    def are_likely_pairs(self) -> bool:
        """Whether the names alone make the files pairs.

        Unrelated folders share running numbers up to the shorter one's end. So numbers make
        pairs only if none is left over.
        """
        if self.is_complete:
            return True
        if self.doubled is not None or not self.count or self.is_numbered:
            return False
        return all(len(own) <= MOST_ALONE * (self.count + len(own)) for own in self.alone)


def matches(listings: Sequence[Listing]) -> Matches:
    """Match the files of several domains by their names."""
    keys = pair_keys(listings)
    doubled = _doubled(listings, keys)
    if all(own == keys[0] for own in keys[1:]):
        order: tuple[list[int] | None, ...] = (None,) * len(keys)
        return Matches(order, keys[0], tuple([] for _ in keys), doubled)
    where = [{key: index for index, key in enumerate(own)} for own in keys]
    shared = [key for key in keys[0] if all(key in own for own in where)]
    known = set(shared)
    orders = [
        None if own_keys == shared else [own[key] for key in shared]
        for own, own_keys in zip(where, keys, strict=True)
    ]
    alone = [[i for i, key in enumerate(own) if key not in known] for own in keys]
    return Matches(tuple(orders), shared, tuple(alone), doubled)


def paired_files(listings: Sequence[Listing]) -> tuple[FileImages, ...] | None:
    """Return the files that have a partner in each domain, in the same order; None if none has."""
    found = matches(listings)
    if not found.count:
        return None
    return tuple(
        FileImages(one.folder, one.names if order is None else [one.names[i] for i in order])
        for one, order in zip(listings, found.order, strict=True)
    )


def without_alone(listings: Sequence[Listing]) -> list[Listing]:
    """Return the listings without the files that have no partner."""
    alone = matches(listings).alone
    left_out = [set(own) for own in alone]
    return [
        replace(one, names=[name for i, name in enumerate(one.names) if i not in out])
        for one, out in zip(listings, left_out, strict=True)
    ]


def pair_keys(listings: Sequence[Listing]) -> list[list[str]]:
    """Return the keys that pairs of files share: the names in NFC without their suffixes.

    The authors' paired sets use the names 1_A.jpg and 1_B.jpg, so _A and _B are dropped too.
    """
    stems = [[stem(name) for name in listing.names] for listing in listings]
    if len(stems) == 2 and all(
        one.endswith(end) for own, end in zip(stems, ("_A", "_B"), strict=True) for one in own
    ):
        return [[one[:-2] for one in own] for own in stems]
    return stems


def stem(name: str) -> str:
    """Return a file's name in NFC without its suffix; an image of several keeps its number."""
    file, mark, number = nfc(name).rpartition("#")
    if mark and number.isdecimal():
        return f"{_without_suffix(file)}#{number}"
    return _without_suffix(nfc(name))


def _without_suffix(name: str) -> str:
    return name.removesuffix(".gz").rpartition(".")[0]


def are_pairs(
    domains: Sequence[str], listings: Sequence[Listing], part: str, paired: bool | None
) -> tuple[bool, tuple[str, ...]]:
    """Decide whether files of equal names are pairs, and say why some or all are not.

    `paired` is the user's word; None leaves it to the names. `part` is train, validation or
    test.

    Raises:
        InputError: the user asks for pairs, and two files of a domain share a name.
    """
    if paired is False:
        return False, ()
    found = matches(listings)
    if paired and found.doubled is not None:
        one, other = found.doubled
        raise InputError(
            f"{option('paired', True)}: {one} and {other} have the same name, so their partner is"
            " not clear: rename or remove one"
        )
    if paired or found.are_likely_pairs:
        alone = list(_alone(domains, listings, found))
        if not alone or not found.count:
            return found.count > 0, ()
        has, is_are = ("image has", "is") if len(alone) == 1 else ("images have", "are")
        return True, (
            f"{len(alone):,} {part} {has} no partner of the same name and {is_are} in no pair:"
            f" {first_of(alone, len(alone))}",
        )
    return False, _why_not(domains, listings, part, found)


def _why_not(
    domains: Sequence[str], listings: Sequence[Listing], part: str, found: Matches
) -> tuple[str, ...]:
    """Return why names that agree in large part make no pairs; nothing if few agree."""
    if 2 * found.count < min(len(listing.names) for listing in listings) or not found.count:
        return ()
    if found.doubled is not None:
        one, other = found.doubled
        why = f"{one} and {other} have the same name"
        way_out = "rename one if they are pairs"
    else:
        alone = list(_alone(domains, listings, found))
        why = f"{len(alone):,} have no partner ({first_of(alone, len(alone))})"
        asked = call("--paired", "paired=True")
        way_out = f"give {asked} if the others are pairs"
    return (
        f"{found.count:,} {part} images of each domain have equal file names, but {why}, so no"
        f" pairs are made: {way_out}",
    )


def _alone(domains: Sequence[str], listings: Sequence[Listing], found: Matches) -> Iterator[str]:
    for domain, listing, own in zip(domains, listings, found.alone, strict=True):
        for index in own:
            yield f"{domain}/{listing.names[index]}"


def found_note(counts: dict[str, int], pairs: Sequence[FileImages], is_numbered: bool) -> str:
    """Return the line on pairs that were found by equal names, and on what speaks against them.

    `counts` are their numbers by part, and `pairs` those of one part.
    """
    shown = ", ".join(f"{count:,} {part}" for part, count in counts.items())
    doubts = []
    if is_numbered:
        doubts.append("their names are only numbers, which unrelated images share too")
    if (other := _other_shapes(pairs)) is not None:
        doubts.append(other)
    unpaired = call("--unpaired", "paired=False")
    return (
        f"{sum(counts.values()):,} pairs were found by equal file names ({shown}), such as"
        f" {pairs[0].name(0)}; {''.join(f'{doubt}; ' for doubt in doubts)}give {unpaired} if they"
        " do not show the same scenes"
    )


def _other_shapes(pairs: Sequence[FileImages]) -> str | None:
    """Return a line if the images of some pairs differ in their aspect ratio."""
    odd = []
    looked_at = evenly_spaced(len(pairs[0]), _LOOKED_AT)
    for index in looked_at:
        try:
            sizes = [formats.header(images.path(index)).size for images in pairs]
        except InputError:
            continue  # a broken file does not show its shape; training will report it
        ratios = [max(size) / min(size) for size in sizes]  # an EXIF tag may turn an image
        if max(ratios) > _OTHER_SHAPE * min(ratios):
            odd.append((pairs[0].name(index), sizes))
    if not odd:
        return None
    name, sizes = odd[0]
    shapes = " and ".join(f"{width}x{height}" for width, height in sizes)
    return f"of {len(looked_at)} looked at, {len(odd)} differ in shape ({name} is {shapes})"


def _doubled(listings: Sequence[Listing], keys: Sequence[list[str]]) -> tuple[str, str] | None:
    for listing, own in zip(listings, keys, strict=True):
        if len(set(own)) == len(own):
            continue
        first: dict[str, int] = {}
        for index, key in enumerate(own):
            if key in first:
                one, other = listing.names[first[key]], listing.names[index]
                return str(listing.folder / one), str(listing.folder / other)
            first[key] = index
    return None
