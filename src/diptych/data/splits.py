"""Splits, pairs and fingerprints, from file names and sizes alone."""

from __future__ import annotations

import heapq
import itertools
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b, sha256

from diptych.data.classes import class_names, labels_by_folder, translated
from diptych.data.collections import (
    Data,
    FileImages,
    HalfImages,
    Images,
    Labels,
    Split,
    file_and_image,
)
from diptych.data.listing import Listing, passed_over_note
from diptych.data.names import nfc
from diptych.data.pairing import (
    are_pairs,
    found_note,
    matches,
    pair_keys,
    paired_files,
    without_alone,
)
from diptych.data.slices import are_of_one_file, of_images
from diptych.data.slices import note as slices_note
from diptych.errors import InputError, option

HELD_OUT_SHARE = 0.05
HELD_OUT_MOST = 200
"""Without test images, 5% of each domain are held out for testing: at least 1, at most 200."""

_PROBED_SIZES = 10_000


@dataclass(frozen=True)
class Found:
    """The images found in a layout, before splits are made."""

    domains: tuple[str, ...]
    parts: dict[str, list[Listing]]
    """By train, validation and test: one listing per domain, or a single listing of pairs."""
    is_side_by_side: bool = False
    notes: tuple[str, ...] = ()
    """What was decided while the layout was found, one line each."""
    beside: Counter[str] = field(default_factory=Counter)
    """The numbers of files beside the domains' folders that were passed over, by kind."""
    paired: bool | None = None
    """Whether files of equal names are pairs; None leaves it to the names."""


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
    parts = dict(found.parts)
    listings = itertools.chain(*parts.values())
    passed_over = (found.beside, *(listing.passed_over for listing in listings))
    notes = [*found.notes, *passed_over_note(passed_over)]
    counted = found.domains[:1] if found.is_side_by_side else found.domains
    parts["train"] = [of_images(one) if len(one.names) == 1 else one for one in parts["train"]]
    for name, listing in zip(counted, parts["train"], strict=True):
        if len(listing.names) < 2:
            raise InputError(
                f"only one image of {name} in {listing.folder}: training needs two or more"
            )
    with_pairs, pair_notes = _parts_with_pairs(found)
    if "test" not in parts and "validation" in parts:
        parts["test"] = parts.pop("validation")
        with_pairs = ["test" if part == "validation" else part for part in with_pairs]
        notes.append("no test images: the validation images are used for testing too")
    elif "test" not in parts:
        together = without_alone(parts["train"]) if found.paired and with_pairs else None
        parts["train"], parts["test"] = held_out(parts["train"], among=together)
        with_pairs += ["test"] * ("train" in with_pairs)
        counts = " and ".join(str(len(listing.names)) for listing in parts["test"])
        notes.append(f"no test images: {counts} training images are held out for testing")
    parts = {part: [of_images(one) for one in listings] for part, listings in parts.items()}
    notes += _several(counted, parts)
    classes, labels = _labels(parts, notes, found)
    splits = {
        part: replace(
            _split(listings, found, is_paired=part in with_pairs), labels=labels.get(part, ())
        )
        for part, listings in parts.items()
    }
    if not found.is_side_by_side:
        notes += [*_found_pairs(splits, parts, found.paired), *pair_notes]
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


def _several(domains: Sequence[str], parts: dict[str, list[Listing]]) -> list[str]:
    """Return lines on domains whose files hold several images, and on what is held out of one."""
    notes = []
    for index, name in enumerate(domains):
        train, test = parts["train"][index].names, parts["test"][index].names
        files = {file_and_image(one)[0] for one in train}
        if files == {*train}:
            continue
        notes.append(slices_note(name, len(files), len(train)))
        if are_of_one_file([*train, *test]):
            notes.append(
                f"{name} is one file, so the last {len(test)} of its images are held out: they are"
                " like those trained on; scores need a file of their own"
            )
    return notes


def _parts_with_pairs(found: Found) -> tuple[list[str], list[str]]:
    """Return the parts whose files of equal names are pairs, and lines on what has no partner."""
    if found.is_side_by_side or len(found.domains) < 2:
        return [], []
    with_pairs: list[str] = []
    notes: list[str] = []
    for part, listings in found.parts.items():
        is_paired, own = are_pairs(found.domains, listings, part, found.paired)
        with_pairs += [part] if is_paired else []
        notes += own
    return with_pairs, notes


def _found_pairs(
    splits: dict[str, Split], parts: dict[str, list[Listing]], paired: bool | None
) -> list[str]:
    """Return the line on the pairs that were found by equal names, if there are any."""
    pairs = {part: split.pairs for part, split in splits.items() if split.pairs is not None}
    if not pairs:
        return []
    counts = {part: len(own[0]) for part, own in pairs.items()}
    if paired:
        shown = ", ".join(f"{count:,} {part}" for part, count in counts.items())
        return [f"images of equal file names are pairs, as {option('paired', True)} says ({shown})"]
    part, first = next(iter(pairs.items()))
    files = [images for images in first if isinstance(images, FileImages)]
    return [found_note(counts, files, matches(parts[part]).is_numbered)]


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


def ordered_as(data: Data, domains: Sequence[str]) -> Data:
    """Return `data` with its domains in the order of `domains`, if these are their names."""
    own = [nfc(name) for name in data.domains]
    wanted = [nfc(name) for name in domains]
    if sorted(own) != sorted(wanted):
        return data
    return rearranged(data, [own.index(name) for name in wanted])


def rearranged(data: Data, places: Sequence[int]) -> Data:
    """Return `data` with the domains at `places` only, in that order."""
    if list(places) == list(range(len(data.domains))):
        return data

    def arranged(split: Split | None) -> Split | None:
        if split is None:
            return None
        known = split.attributes
        return replace(
            split,
            domains=tuple(split.domains[i] for i in places),
            attributes=known and replace(known, values=known.values[:, list(places)]),
            pairs=split.pairs and tuple(split.pairs[i] for i in places),
            labels=split.labels and tuple(split.labels[i] for i in places),
            label_maps=split.label_maps and tuple(split.label_maps[i] for i in places),
        )

    domains = tuple(data.domains[i] for i in places)
    train = arranged(data.train)
    assert train is not None
    digest = sha256(f"{data.fingerprint}\0{','.join(map(str, places))}".encode())
    return replace(
        data,
        domains=domains,
        train=train,
        validation=arranged(data.validation),
        test=arranged(data.test),
        palettes={name: data.palettes[name] for name in domains if name in data.palettes},
        fingerprint=digest.hexdigest()[:32],
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


def _split(listings: list[Listing], found: Found, *, is_paired: bool) -> Split:
    files = tuple(FileImages(listing.folder, listing.names) for listing in listings)
    if found.is_side_by_side:
        halves: tuple[Images, ...] = tuple(
            HalfImages(files[0], is_right=is_right) for is_right in (False, True)
        )
        return Split(halves, None if found.paired is False else halves)
    return Split(files, paired_files(listings) if is_paired else None)


def held_out(
    listings: list[Listing], most: int = HELD_OUT_MOST, *, among: list[Listing] | None = None
) -> tuple[list[Listing], list[Listing]]:
    """Divide listings into (training, test), with at most `most` test images of each.

    A hash of the name decides. So pairs stay together, and files that are added later move few
    others. Of the images of one file, the last ones are held out. `among` are the files that may
    be held out, all by default.
    """
    kept: list[Listing] = []
    held: list[Listing] = []
    candidates = listings if among is None else among
    for listing, some, keys in zip(listings, candidates, pair_keys(candidates), strict=True):
        count = min(max(round(len(keys) * HELD_OUT_SHARE), 1), most)
        names = (key.encode("utf-8", "surrogatepass") for key in keys)
        digests = [blake2b(name, digest_size=8).digest() for name in names]
        chosen = heapq.nsmallest(count, zip(digests, itertools.count()))
        chosen_names = {some.names[index] for _, index in chosen}
        if are_of_one_file(some.names):  # neighbours are alike
            chosen_names = {*some.names[-count:]}
        for part, is_held in ((kept, False), (held, True)):
            own = [name for name in listing.names if (name in chosen_names) == is_held]
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
            digest.update(os.fsencode(nfc("\0".join(listing.names))))
            for index in probe_indices(len(listing.names), _PROBED_SIZES):
                size = (listing.folder / listing.names[index]).stat().st_size
                digest.update(f"\0{size}".encode())
    return digest.hexdigest()[:32]
