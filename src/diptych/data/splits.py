"""What is trained on, what is held out, and what belongs together, by file names alone."""

from __future__ import annotations

import hashlib
import heapq
import os
from dataclasses import dataclass
from pathlib import Path

from diptych.data.collections import Data, FileImages, HalfImages, Images, Split
from diptych.errors import InputError

HELD_OUT_SHARE = 0.05
HELD_OUT_MOST = 200
"""Where the data have no test images: 5% of each domain, at least 1, at most 200."""

_PROBED_SIZES = 256


@dataclass(frozen=True)
class Listing:
    """The images below one folder, by relative name, in code-point order."""

    folder: Path
    names: list[str]


@dataclass(frozen=True)
class Found:
    """What a layout amounts to before splits are made."""

    domains: tuple[str, ...]
    parts: dict[str, list[Listing]]
    """By train, validation, test: one listing a domain, or a single one of pairs."""
    is_side_by_side: bool = False


def spread(count: int, most: int) -> list[int]:
    """Up to `most` indices below `count`, evenly spread, first and last among them."""
    if count <= most:
        return list(range(count))
    return [i * (count - 1) // (most - 1) for i in range(most)]


def make_data(found: Found, source: str) -> Data:
    """Splits, pairs and the fingerprint of what a layout holds.

    Raises:
        InputError: a domain has only one image to train on.
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
        notes.append("no test images: those for validation serve as such")
    elif "test" not in parts:
        parts["train"], parts["test"] = _held_out(parts["train"])
        counts = ", ".join(str(len(listing.names)) for listing in parts["test"])
        notes.append(f"no test images: {counts} of the training images are held out as such")
    splits = {part: _split(listings, found) for part, listings in parts.items()}
    with_pairs = [part for part, split in splits.items() if split.pairs]
    if with_pairs and not found.is_side_by_side:
        notes.append(f"file names agree across domains: taken as pairs ({', '.join(with_pairs)})")
    return Data(
        source=source,
        domains=found.domains,
        train=splits["train"],
        validation=splits.get("validation"),
        test=splits["test"],
        fingerprint=_fingerprint(found),
        notes=tuple(notes),
    )


def _split(listings: list[Listing], found: Found) -> Split:
    files = [FileImages(listing.folder, listing.names) for listing in listings]
    if found.is_side_by_side:
        halves: tuple[Images, ...] = tuple(
            HalfImages(files[0], is_right=is_right) for is_right in (False, True)
        )
        return Split(halves, halves)
    keys = _pair_keys(listings)
    by_key = [
        dict(zip(own, item.names, strict=True)) for own, item in zip(keys, listings, strict=True)
    ]
    if any(len(own) != len(named) for own, named in zip(keys, by_key, strict=True)):
        return Split(tuple(files))  # two files of one stem: nobody could say which is meant
    if any(named.keys() != by_key[0].keys() for named in by_key):
        return Split(tuple(files))
    order = sorted(by_key[0])
    pairs = tuple(
        FileImages(item.folder, [named[key] for key in order])
        for item, named in zip(listings, by_key, strict=True)
    )
    return Split(tuple(files), pairs)


def _pair_keys(listings: list[Listing]) -> list[list[str]]:
    """What must agree for files to be a pair: the name without its suffix.

    The authors' paired sets call them 1_A.jpg and 1_B.jpg: those letters go too.
    """
    stems = [[name.rpartition(".")[0] for name in listing.names] for listing in listings]
    if len(stems) == 2 and all(
        stem.endswith(end) for own, end in zip(stems, ("_A", "_B"), strict=True) for stem in own
    ):
        return [[stem[:-2] for stem in own] for own in stems]
    return stems


def _held_out(listings: list[Listing]) -> tuple[list[Listing], list[Listing]]:
    """(training, test): by a hash of the name, so that pairs stay together, and so that
    files added later move few others."""
    kept: list[Listing] = []
    held: list[Listing] = []
    for listing, keys in zip(listings, _pair_keys(listings), strict=True):
        count = min(max(round(len(keys) * HELD_OUT_SHARE), 1), HELD_OUT_MOST)
        digests = (
            (hashlib.blake2b(os.fsencode(key), digest_size=8).digest(), index)
            for index, key in enumerate(keys)
        )
        chosen = {index for _, index in heapq.nsmallest(count, digests)}
        for part, is_held in ((kept, False), (held, True)):
            names = [name for i, name in enumerate(listing.names) if (i in chosen) == is_held]
            part.append(Listing(listing.folder, names))
    return kept, held


def _fingerprint(found: Found) -> str:
    """Over all names and the sizes of up to 256 files a folder.

    Asking for every size would take minutes for a million files on a network
    drive; contents, hours. A change inside a file of which neither name nor
    length changes goes unnoticed.
    """
    digest = hashlib.sha256(b"side by side" if found.is_side_by_side else b"folders")
    for part, listings in sorted(found.parts.items()):
        for position, listing in enumerate(listings):
            digest.update(f"\0{part} {position} {len(listing.names)}\0".encode())
            digest.update(os.fsencode("\0".join(listing.names)))
            for index in spread(len(listing.names), _PROBED_SIZES):
                size = (listing.folder / listing.names[index]).stat().st_size
                digest.update(f"\0{size}".encode())
    return digest.hexdigest()[:32]
