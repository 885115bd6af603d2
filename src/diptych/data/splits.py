"""What is trained on, what is held out, and what belongs together, by file names alone."""

from __future__ import annotations

import heapq
import itertools
import os
from dataclasses import dataclass
from hashlib import blake2b, sha256
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
    order = _pairing(_pair_keys(listings))
    if order is None:
        return Split(tuple(files))
    pairs = tuple(
        own if indices is None else FileImages(item.folder, [item.names[i] for i in indices])
        for own, item, indices in zip(files, listings, order, strict=True)
    )
    return Split(tuple(files), pairs)


def _pairing(keys: list[list[str]]) -> list[list[int] | None] | None:
    """For each domain the order in which its files match the first one's; None where it is
    its own. None of all: they are no pairs, or two files of one domain have one key, so
    that nobody could say which is meant."""
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
        names = (key.encode("utf-8", "surrogatepass") for key in keys)
        digests = [blake2b(name, digest_size=8).digest() for name in names]
        chosen = {index for _, index in heapq.nsmallest(count, zip(digests, itertools.count()))}
        for part, is_held in ((kept, False), (held, True)):
            own = [name for i, name in enumerate(listing.names) if (i in chosen) == is_held]
            part.append(Listing(listing.folder, own))
    return kept, held


def _fingerprint(found: Found) -> str:
    """Over all names and the sizes of up to 256 files a folder.

    Asking for every size would take minutes for a million files on a network
    drive; contents, hours. A change inside a file of which neither name nor
    length changes goes unnoticed.
    """
    digest = sha256(b"side by side" if found.is_side_by_side else b"folders")
    for part, listings in sorted(found.parts.items()):
        for position, listing in enumerate(listings):
            digest.update(f"\0{part} {position} {len(listing.names)}\0".encode())
            digest.update(os.fsencode("\0".join(listing.names)))
            for index in spread(len(listing.names), _PROBED_SIZES):
                size = (listing.folder / listing.names[index]).stat().st_size
                digest.update(f"\0{size}".encode())
    return digest.hexdigest()[:32]
