"""Splits, pairs and fingerprints, from file names and sizes alone."""

from __future__ import annotations

import heapq
import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b, sha256
from pathlib import Path

from diptych.data.classes import class_names, labels_by_folder, translated
from diptych.data.collections import Data, FileImages, HalfImages, Images, Labels, Split
from diptych.errors import InputError

HELD_OUT_SHARE = 0.05
HELD_OUT_MOST = 200
"""Without test images, 5% of each domain are held out for testing: at least 1, at most 200."""

_PROBED_SIZES = 10_000


@dataclass(frozen=True)
class Listing:
    """The relative names of the images below one folder, in code-point order."""

    folder: Path
    names: list[str]


@dataclass(frozen=True)
class Found:
    """The images found in a layout, before splits are made."""

    domains: tuple[str, ...]
    parts: dict[str, list[Listing]]
    """By train, validation and test: one listing per domain, or a single listing of pairs."""
    is_side_by_side: bool = False


def probe_indices(count: int, most: int) -> list[int]:
    """Return up to `most` indices below `count`, evenly spaced, with the first and the last."""
    if count <= most:
        return list(range(count))
    return [i * (count - 1) // (most - 1) for i in range(most)]


def make_data(found: Found, source: str) -> Data:
    """Make data with splits, pairs, labels and a fingerprint from the images of a layout.

    Raises:
        InputError: a domain has only one training image.
    """
    parts, notes = dict(found.parts), []
    counted = found.domains[:1] if found.is_side_by_side else found.domains
    for name, listing in zip(counted, parts["train"], strict=True):
        if len(listing.names) < 2:
            raise InputError(
                f"only one image of {name} in {listing.folder}: training needs two or more"
            )
    if "test" not in parts and "validation" in parts:
        parts["test"] = parts.pop("validation")
        notes.append("no test images: the validation images are used for testing too")
    elif "test" not in parts:
        parts["train"], parts["test"] = held_out(parts["train"])
        counts = " and ".join(str(len(listing.names)) for listing in parts["test"])
        notes.append(f"no test images: {counts} training images are held out for testing")
    classes, labels = _labels(parts, notes, found)
    splits = {
        part: replace(_split(listings, found), labels=labels.get(part, ()))
        for part, listings in parts.items()
    }
    with_pairs = [part for part, split in splits.items() if split.pairs]
    if with_pairs and not found.is_side_by_side:
        notes.append(
            "file names match across the domains: images with the same name are pairs"
            f" ({', '.join(with_pairs)})"
        )
    return Data(
        source=source,
        domains=found.domains,
        train=splits["train"],
        validation=splits.get("validation"),
        test=splits["test"],
        classes=classes,
        fingerprint=fingerprint_of(found),
        notes=tuple(notes),
    )


def join(sides: Sequence[Data], source: str) -> Data:
    """Join data sets of one domain each into one data set, without pairs.

    The classes are those of the first labelled domain. A domain with other classes counts as
    unlabelled.
    """
    names = tuple(name for side in sides for name in side.domains)
    classes = next((side.classes for side in sides if side.classes), ())

    def joined(part: str) -> Split | None:
        splits: list[Split | None] = [vars(side)[part] for side in sides]
        there = [split for split in splits if split is not None]
        if len(there) < len(splits):
            return None
        labels = [
            translated(own, side.classes, classes) if own is not None else None
            for side, split in zip(sides, there, strict=True)
            for own in split.labels or (None,)
        ]
        return Split(tuple(split.domains[0] for split in there), labels=tuple(labels))

    train = joined("train")
    assert train is not None
    digest = sha256("\0".join(side.fingerprint for side in sides).encode())
    return Data(
        source=source,
        domains=names,
        train=train,
        validation=joined("validation"),
        test=joined("test"),
        classes=classes,
        is_tiled=all(side.is_tiled for side in sides),
        may_mirror=all(side.may_mirror for side in sides),
        fingerprint=digest.hexdigest()[:32],
        notes=tuple(note for side in sides for note in side.notes),
    )


def _labels(
    parts: dict[str, list[Listing]], notes: list[str], found: Found
) -> tuple[tuple[str, ...], dict[str, tuple[Labels | None, ...]]]:
    """Return the first labelled domain's classes, and every domain's labels in them by part."""
    if found.is_side_by_side:
        return (), {}
    own = [class_names(listing.names) for listing in parts["train"]]
    classes = next((names for names in own if len(names) > 1), ())
    if not classes:
        return (), {}
    for name, names in zip(found.domains, own, strict=True):
        if names and not set(names) <= set(classes):
            odd = sorted(set(names) - set(classes))[0]
            notes.append(f"{name} is treated as unlabelled: no other domain has its class {odd!r}")
    labels = {
        part: tuple(labels_by_folder(listing.names, classes) for listing in listings)
        for part, listings in parts.items()
    }
    return classes, labels


def _split(listings: list[Listing], found: Found) -> Split:
    files = [FileImages(listing.folder, listing.names) for listing in listings]
    if found.is_side_by_side:
        halves: tuple[Images, ...] = tuple(
            HalfImages(files[0], is_right=is_right) for is_right in (False, True)
        )
        return Split(halves, halves)
    order = _pairing(_pair_keys(listings))
    if order is None:
        return Split(tuple(files))
    pairs = tuple(
        own if indices is None else FileImages(item.folder, [item.names[i] for i in indices])
        for own, item, indices in zip(files, listings, order, strict=True)
    )
    return Split(tuple(files), pairs)


def _pairing(keys: list[list[str]]) -> list[list[int] | None] | None:
    """Return, for each domain, the order in which its files match the first domain's.

    An entry of None means that the files match in their own order. The result is None if the
    domains are not pairs, or if two files of a domain share a key, which is ambiguous.
    """
    first = keys[0]
    known = set(first)
    if len(known) != len(first) or any(len(own) != len(first) for own in keys):
        return None
    order: list[list[int] | None] = []
    for own in keys:
        if own == first:
            order.append(None)
            continue
        where = {key: index for index, key in enumerate(own)}
        if where.keys() != known:
            return None
        order.append([where[key] for key in first])
    return order


def _pair_keys(listings: list[Listing]) -> list[list[str]]:
    """Return the keys that pairs of files share: the names without their suffixes.

    The authors' paired sets use the names 1_A.jpg and 1_B.jpg, so _A and _B are dropped too.
    """
    stems = [[name.rpartition(".")[0] for name in listing.names] for listing in listings]
    if len(stems) == 2 and all(
        stem.endswith(end) for own, end in zip(stems, ("_A", "_B"), strict=True) for stem in own
    ):
        return [[stem[:-2] for stem in own] for own in stems]
    return stems


def held_out(
    listings: list[Listing], most: int = HELD_OUT_MOST
) -> tuple[list[Listing], list[Listing]]:
    """Divide listings into (training, test), with at most `most` test images of each.

    A hash of the name decides. So pairs stay together, and files that are added later move few
    others.
    """
    kept: list[Listing] = []
    held: list[Listing] = []
    for listing, keys in zip(listings, _pair_keys(listings), strict=True):
        count = min(max(round(len(keys) * HELD_OUT_SHARE), 1), most)
        names = (key.encode("utf-8", "surrogatepass") for key in keys)
        digests = [blake2b(name, digest_size=8).digest() for name in names]
        chosen = {index for _, index in heapq.nsmallest(count, zip(digests, itertools.count()))}
        for part, is_held in ((kept, False), (held, True)):
            own = [name for i, name in enumerate(listing.names) if (i in chosen) == is_held]
            part.append(Listing(listing.folder, own))
    return kept, held


def fingerprint_of(found: Found) -> str:
    """Return a digest of all names, and of the sizes of up to 10,000 files in each folder.

    For a million files on a network drive, reading every size would take minutes, and reading
    the contents would take hours. A change inside a file that keeps its name and length is not
    noticed.
    """
    digest = sha256(b"side by side" if found.is_side_by_side else b"folders")
    for part, listings in sorted(found.parts.items()):
        for position, listing in enumerate(listings):
            digest.update(f"\0{part} {position} {len(listing.names)}\0".encode())
            digest.update(os.fsencode("\0".join(listing.names)))
            for index in probe_indices(len(listing.names), _PROBED_SIZES):
                size = (listing.folder / listing.names[index]).stat().st_size
                digest.update(f"\0{size}".encode())
    return digest.hexdigest()[:32]
