"""Examine data before a long training: what is there, and what speaks against training on it.

Every finding is about the images as they are: broken files, doubled images, images of one colour,
unlike sizes, labels whose colours are blended. At most `MOST` images are looked at, evenly spread.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diptych.data import formats
from diptych.data.collections import Data, Images, Palette, Reinterpretable, evenly_spaced
from diptych.data.doubles import Double, find_doubles, thumbnail
from diptych.data.pixels import RGB
from diptych.data.raster import Raster
from diptych.data.transforms import read_for_training
from diptych.errors import InputError, counted, option

MOST = 5000
"""Up to this many images are looked at, over all domains and splits."""
FEW = 100
"""A domain with fewer training images is small."""
UNBALANCED = 10.0
"""Classes are unbalanced if the largest has this many times as many images as the smallest."""
BLENDED = 0.01
"""Labels are blended if more than this share of their pixels has no colour of the palette."""

_SIDE = 64  # pixels of the shorter side that images are decoded at, at least
_SHOWN = 3
Kind = Literal[
    "broken", "doubled", "nearly doubled", "labels", "one colour", "small", "grey", "classes", "few"
]
_ORDER = get_args(Kind)
Progress = Callable[[int, int], None]
"""Images done, images in all."""


@dataclass(frozen=True)
class Finding:
    """One thing that speaks against training on the data as they are, or that is good to know."""

    kind: Kind
    text: str
    """A sentence, with the way out."""
    images: tuple[str, ...] = ()
    """All images that it is about, as domain/split/name."""


@dataclass(frozen=True)
class DomainFacts:
    """What is in one domain."""

    name: str
    images: dict[str, int]
    """By split."""
    kinds: dict[str, int]
    """By suffix, of the images looked at."""
    pixels: str
    """Channels, type and range."""
    sizes: tuple[tuple[int, int], tuple[int, int], tuple[int, int]] | None
    """(width, height) of the smallest, the median and the largest image by pixels looked at."""
    sides: tuple[int, ...]
    """The shorter sides of all images looked at, rising."""
    mean: tuple[float, ...]
    """Mean of each channel, as a share of the range: 0 is its least value, 1 its greatest."""
    spread: tuple[float, ...]
    """The standard deviation of each channel over all pixels, in the same unit."""

    def sides_at_least(self, size: int) -> float:
        """Return the share of images whose shorter side is at least `size`."""
        return sum(side >= size for side in self.sides) / max(1, len(self.sides))


@dataclass(frozen=True)
class Examination:
    """What `examine` found."""

    source: str
    domains: tuple[DomainFacts, ...]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    """What was decided when the data were opened."""
    looked_at: int
    images: int
    """How many there are."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them."""
        return asdict(self)


@dataclass
class _Seen:
    """What the images of one domain looked like."""

    name: str
    sizes: list[tuple[int, int]] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    broken: list[tuple[str, str]] = field(default_factory=list)
    plain: list[str] = field(default_factory=list)
    grey: list[str] = field(default_factory=list)
    blended: list[str] = field(default_factory=list)
    pixels: int = 0
    sums: NDArray[np.float64] | None = None
    squares: NDArray[np.float64] | None = None

    def add(self, values: NDArray[np.float64]) -> None:
        """Add the (C, H, W) values of an image, in [0, 1]."""
        flat = values.reshape(len(values), -1)
        total, squares = flat.sum(1), np.square(flat).sum(1)
        self.pixels += flat.shape[1]
        self.sums = total if self.sums is None else self.sums + total
        self.squares = squares if self.squares is None else self.squares + squares

    @property
    def moments(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        if self.sums is None or self.squares is None:
            return (), ()
        mean = self.sums / self.pixels
        spread = np.sqrt(np.maximum(self.squares / self.pixels - np.square(mean), 0))
        return tuple(map(float, mean)), tuple(map(float, spread))


def examine(
    data: Data, *, size: int | None = None, most: int = MOST, progress: Progress | None = None
) -> Examination:
    """Look at the images of all domains and splits.

    With `size`, images too small for training at that many pixels are counted.
    """
    parts = _parts(data)
    total = sum(len(images) for _, _, images in parts)
    chosen = [
        evenly_spaced(len(images), max(1, len(images) * min(most, total) // total))
        for _, _, images in parts
    ]
    looked_at = sum(map(len, chosen))
    seen = [_Seen(name) for name in data.domains]
    doubles: list[Double] = []
    done = 0
    for (domain, split, images), indices in zip(parts, chosen, strict=True):
        palette = data.palettes.get(data.domains[domain])
        for index in indices:
            place = f"{data.domains[domain]}/{split}/{images.name(index)}"
            double = _look(images, index, place, seen[domain], palette)
            if double is not None:
                doubles.append(double)
            done += 1
            if progress is not None:
                progress(done, looked_at)
    findings = [*_of_doubles(doubles), *_of_domains(seen, size), *_of_numbers(data)]
    findings.sort(key=lambda one: _ORDER.index(one.kind))
    return Examination(
        data.source, _facts(data, parts, seen), tuple(findings), data.notes, looked_at, total
    )


def _parts(data: Data) -> list[tuple[int, str, Images]]:
    """Return (domain, split, images) of everything that is there."""
    splits = {"train": data.train, "validation": data.validation, "test": data.test}
    return [
        (domain, name, images)
        for name, split in splits.items()
        if split is not None
        for domain, images in enumerate(split.domains)
    ]


def _look(
    images: Images, index: int, place: str, seen: _Seen, palette: Palette | None
) -> Double | None:
    """Look at one image; return what it takes to find its double, if it is not of one colour."""
    try:
        size = images.header(index).size if isinstance(images, Reinterpretable) else None
        raster = images.read(index) if palette else read_for_training(images, index, _SIDE)
    except InputError as error:
        seen.broken.append((place, str(error)))
        return None
    seen.sizes.append(size or raster.size)
    seen.kinds[formats.suffix_of(images.name(index).partition("#")[0]) or "array"] += 1
    array = raster.array()
    small = _small(raster)
    values = (small.array() / 255.0) if array.dtype == np.uint8 else (small.array() + 1.0) / 2
    seen.add(values.astype(np.float64))
    if all((channel == channel.flat[0]).all() for channel in array):
        seen.plain.append(place)
        return None
    if images.pixels.channels == RGB and (array == array[:1]).all():
        seen.grey.append(place)
    if palette is not None and _blended_share(array, palette) > BLENDED:
        seen.blended.append(place)
    digest = blake2b(array.tobytes(), digest_size=16).digest()
    return Double(place, digest, thumbnail(small.picture(images.pixels)))


def _small(raster: Raster) -> Raster:
    """Return a likeness of 64 pixels a side."""
    return raster.resize((_SIDE, _SIDE), Image.Resampling.BOX)


def _blended_share(array: NDArray[Any], palette: Palette) -> float:
    known = np.array([*palette.colours, *palette.ignored], np.int64) @ np.array([65536, 256, 1])
    codes = np.tensordot(np.array([65536, 256, 1]), array[:3].astype(np.int64), 1)
    return float(1 - np.isin(codes, known).mean())


def _facts(
    data: Data, parts: Sequence[tuple[int, str, Images]], seen: Sequence[_Seen]
) -> tuple[DomainFacts, ...]:
    facts = []
    for domain, (name, own) in enumerate(zip(data.domains, seen, strict=True)):
        by_pixels = sorted(own.sizes, key=lambda size: size[0] * size[1])
        places = (0, len(by_pixels) // 2, -1)
        sizes = tuple(by_pixels[i] for i in places) if by_pixels else None
        facts.append(
            DomainFacts(
                name=name,
                images={split: len(images) for where, split, images in parts if where == domain},
                kinds=dict(own.kinds.most_common()),
                pixels=data.pixels[domain].describe(),
                sizes=sizes,  # type: ignore[arg-type]
                sides=tuple(sorted(map(min, own.sizes))),
                mean=own.moments[0],
                spread=own.moments[1],
            )
        )
    return tuple(facts)


# --- findings ------------------------------------------------------------------------


def _of_domains(seen: Sequence[_Seen], size: int | None) -> Iterable[Finding]:
    for own in seen:
        if own.broken:
            first, reason = own.broken[0]
            count = counted(len(own.broken), "image")
            text = f"{count} of {own.name} cannot be read; {first}: {reason}"
            yield Finding("broken", text, tuple(place for place, _ in own.broken))
        if own.plain:
            text = f"{own.name}: {_named(own.plain)} of one colour: remove what shows nothing"
            yield Finding("one colour", text, tuple(own.plain))
        if own.grey and len(own.grey) < len(own.sizes):
            text = (
                f"{own.name}: {_named(own.grey)} grey among colour: remove them, or translations"
                " lose their colour at random"
            )
            yield Finding("grey", text, tuple(own.grey))
        if own.blended:
            text = (
                f"{own.name}: {_named(own.blended)} of colours that no class of the palette has:"
                " save labels without loss (PNG) and scale them by the nearest pixel"
            )
            yield Finding("labels", text, tuple(own.blended))
        sides = sorted(min(one) for one in own.sizes)
        if size is not None and (small := sum(side < size for side in sides)):
            verbs = ("has", "is") if small == 1 else ("have", "are")
            text = (
                f"{counted(small, 'image')} of {own.name} {verbs[0]} a shorter side below {size}"
                f" pixels and {verbs[1]} passed over; half have at least {sides[len(sides) // 2]}"
            )
            yield Finding("small", text)


def _named(places: Sequence[str]) -> str:
    are = "is" if len(places) == 1 else "are"
    shown = ", ".join(place.split("/", 1)[1] for place in places[:_SHOWN])
    more = ", ..." if len(places) > _SHOWN else ""
    return f"{counted(len(places), 'image')} ({shown}{more}) {are}"


def _of_doubles(looked: Sequence[Double]) -> Iterable[Finding]:
    kinds: tuple[Kind, Kind] = ("doubled", "nearly doubled")
    for kind, pairs in zip(kinds, find_doubles(looked), strict=True):
        groups: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for one, other in pairs:
            a, b = _part(one), _part(other)
            groups.setdefault((a, b), []).append((one, other))
        # Between two parts of the data first: there they spoil scores.
        for (a, b), found in sorted(groups.items(), key=lambda item: item[0][0] == item[0][1]):
            yield Finding(kind, _said(kind, a, b, found), tuple(p for pair in found for p in pair))


def _part(place: str) -> str:
    """Return the domain/split of a domain/split/name."""
    return "/".join(place.split("/")[:2])


def _said(kind: Kind, a: str, b: str, pairs: Sequence[tuple[str, str]]) -> str:
    one, other = pairs[0]
    what = "the same" if kind == "doubled" else "nearly the same"
    such = f", such as {one} and {other}"
    if a == b:
        pairs_of = f"{counted(len(pairs), 'pair')} of images of {a}"
        return f"{pairs_of} show {what}{such}: remove one of each"
    if a.split("/")[0] == b.split("/")[0]:
        return (
            f"{counted(len(pairs), 'image')} of {a} and {b} show {what}{such}: scores on what was"
            " trained on are too good; remove them from one of the two"
        )
    return (
        f"{counted(len(pairs), 'image')} of {a} and {b} show {what}{such}: an image belongs to one"
        " domain"
    )


def _of_numbers(data: Data) -> Iterable[Finding]:
    for name, images in zip(data.domains, data.train.domains, strict=True):
        if len(images) < FEW:
            yield Finding(
                "few",
                f"{name} has {counted(len(images), 'training image')}: networks learn so few by"
                f" heart; add images, or stop early by {option('keep_every')} and"
                f" {option('choose', True)} of evaluate",
            )
    for name, labels in zip(data.domains, data.train.labels, strict=False):
        if labels is None or not data.classes:
            continue
        counts = np.bincount(labels, minlength=len(data.classes))
        least, most = int(counts.argmin()), int(counts.argmax())
        if counts[most] >= UNBALANCED * max(1, counts[least]):
            yield Finding(
                "classes",
                f"{name} has {counts[most]:,} images of {data.classes[most]} and"
                f" {counts[least]:,} of {data.classes[least]}: rare classes are learnt last",
            )
