"""Decide the pixel format of each domain: from its files' headers, a few images and options.

It is decided once, for the whole domain. What was decided is said in the data's notes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from diptych.data.collections import Data, Images, Reinterpretable, Split, evenly_spaced
from diptych.data.formats import Frame, Header
from diptych.data.pixels import GREY, GREY8, RGB, RGB8, PixelFormat, own_range
from diptych.data.reading import valid_pixels
from diptych.errors import InputError, option

HEADERS = 64
"""Up to this many files of a domain have their headers read."""
LOOKED_AT = 64
"""Up to this many images of a domain are read to find the range of its values."""
PERCENTILES = (0.1, 99.9)
"""The percentiles of the values that become -1 and 1 where the range is `auto` and some values
lie far outside of them. Otherwise the least and the greatest value do."""

_LOOKED_AT_8 = 16  # 8-bit images are read only to warn
_REDUCED = 64  # pixels of the shorter side that are enough to warn
_VALUES_AN_IMAGE = 2**16
_WITHOUT_OUTLIERS = 1.25
_LITTLE = 1 / 4
_LIKE_NODATA = (-9999.0, -99999.0, -32768.0, -3000.0, -2000.0)
_LIKE_NODATA_SHARE = 1e-3
T = TypeVar("T")


@dataclass(frozen=True)
class PixelOptions:
    """What the user says of the pixels. Each text is VALUE for all domains, or NAME=VALUE."""

    channels: Sequence[str] = ()
    """VALUE is a number of channels. Only grey images can have another than their own: 3."""
    range: Sequence[str] = ()
    """VALUE is LOW,HIGH, `auto` (percentiles of training images) or `own` (the type's range)."""
    nodata: Sequence[str] = ()
    """VALUE is the value of pixels without data, or `none` to take the files' as values."""
    show: Sequence[str] = ()
    """VALUE is one channel that pictures show, or three such as 4,3,2, counted from 1."""

    def of(self, names: Sequence[str]) -> tuple[Mapping[str, str], ...]:
        """Return the texts for each of the domains `names`, by field.

        Raises:
            InputError: a text names no domain.
        """
        chosen: list[dict[str, str]] = [{} for _ in names]
        for field in fields(self):
            for text in _texts(getattr(self, field.name)):
                for place in _places(field.name, text, names):
                    chosen[place][field.name] = text.removeprefix(f"{names[place]}=")
        return tuple(chosen)


def _texts(given: str | Sequence[str]) -> Sequence[str]:
    return (given,) if isinstance(given, str) else given


def _places(what: str, text: str, names: Sequence[str]) -> Sequence[int]:
    for place, name in enumerate(names):
        if text.startswith(f"{name}="):
            return (place,)
    if "=" in text:
        raise InputError(
            f"{option(what, text)} names no domain: there are {', '.join(names)}; without a name"
            " it holds for all"
        )
    return range(len(names))


def with_pixel_formats(
    data: Data, options: PixelOptions, stored: Sequence[PixelFormat] | None = None
) -> Data:
    """Return the data with a pixel format for each domain.

    `stored` are the formats of an earlier run; nothing is decided then.

    Raises:
        InputError: the images of a domain have several types or numbers of channels; an option
            names no domain or does not fit; `stored` is of another number of domains.
    """
    asked = options.of(data.domains)
    if stored is not None:
        if len(stored) != len(data.domains):
            raise InputError(
                f"{len(data.domains)} domains ({', '.join(data.domains)}), but pixel formats of"
                f" {len(stored)}: give the run's own data"
            )
        stored_notes = [
            f"{name}: {one.describe()}{_as_shown(one)}"
            for name, one in zip(data.domains, stored, strict=True)
            if one not in (RGB8, GREY8)
        ]
        noted = replace(data, notes=(*data.notes, *stored_notes)) if stored_notes else data
        return _replaced(noted, stored)
    attributes = data.train.attributes
    if attributes is not None:  # the domains share their images
        chosen, notes = _decided(", ".join(data.domains), attributes.images, asked[0])
        if any(own != asked[0] for own in asked):
            raise InputError("images with attributes have one pixel format: leave out the names")
        decided = replace(data, notes=(*data.notes, *notes))
        return _replaced(decided, [chosen] * len(data.domains))
    formats: list[PixelFormat] = []
    notes = []
    for name, images, own in zip(data.domains, data.train.domains, asked, strict=True):
        if name in data.palettes and isinstance(images, Reinterpretable):
            own = {"channels": "3", **own}  # the colours are a code
        pixels, own_notes = _decided(name, images, own)
        formats.append(pixels)
        notes += own_notes
    noted = replace(data, notes=(*data.notes, *notes)) if notes else data
    return _replaced(noted, formats)


# --- putting formats in ------------------------------------------------------------


def _replaced(data: Data, formats: Sequence[PixelFormat]) -> Data:
    if tuple(formats) == data.pixels:
        return data

    def of_split(split: Split | None) -> Split | None:
        if split is None:
            return None
        attributes = split.attributes
        if attributes is not None:
            images = _read_as(attributes.images, formats[0])
            attributes = dataclasses.replace(attributes, images=images)
        return replace(
            split,
            domains=_all_read_as(split.domains, formats),
            pairs=split.pairs and _all_read_as(split.pairs, formats),
            attributes=attributes,
        )

    train = of_split(data.train)
    assert train is not None
    return replace(
        data, train=train, validation=of_split(data.validation), test=of_split(data.test)
    )


def _all_read_as(
    collections: Iterable[Images], formats: Sequence[PixelFormat]
) -> tuple[Images, ...]:
    return tuple(_read_as(one, pixels) for one, pixels in zip(collections, formats, strict=True))


def _read_as(images: Images, pixels: PixelFormat) -> Images:
    return images.with_pixels(pixels) if isinstance(images, Reinterpretable) else images


# --- deciding ----------------------------------------------------------------------


def _decided(name: str, images: Images, asked: Mapping[str, str]) -> tuple[PixelFormat, list[str]]:
    if not isinstance(images, Reinterpretable):
        if wanted := set(asked) - {"show"}:
            what = option(sorted(wanted)[0])
            raise InputError(f"{what} is for images in files, which {name} does not have")
        show = _shown(asked, images.pixels)
        return replace(images.pixels, show=show), []
    headers = _headers(images)
    if not headers:
        return images.pixels, []  # no file can be read; training says so of each
    channels, notes = _channels(name, headers, asked)
    dtype = _one([(where, header.dtype) for where, header in headers], name, "type", "types")
    pixels = PixelFormat(channels, dtype, *own_range(dtype), nodata=_nodata(headers, asked))
    pixels = replace(pixels, show=_shown(asked, pixels))
    frames = _frames(images, pixels)
    pixels, said = _with_range(name, pixels, frames, asked)
    if pixels.channels != RGB or not pixels.is_eight_bit or pixels.nodata is not None:
        notes.append(f"{name}: {pixels.describe()}{said}{_as_shown(pixels)}")
    notes += _warnings(name, pixels, frames)
    return pixels, notes


def _as_shown(pixels: PixelFormat) -> str:
    """Return what to say of pictures of images that screens do not show as they are."""
    if pixels.is_eight_bit and pixels.channels in (GREY, RGB) and not pixels.show:
        return ""
    return f"; pictures show {pixels.shown_as} in 8 bits"


def _headers(images: Reinterpretable) -> list[tuple[str, Header]]:
    """Return the headers of a few files, with the files' names. Broken ones are left out."""
    found = []
    for index in evenly_spaced(len(images), HEADERS):
        try:
            found.append((images.name(index), images.header(index)))
        except InputError:
            continue  # training reports it
    return found


def _one(values: Sequence[tuple[str, T]], name: str, what: str, many: str) -> T:
    """Return the one value that all have, or raise InputError with the first two."""
    first, value = values[0]
    for where, other in values[1:]:
        if other != value:
            raise InputError(
                f"the images of {name} have several {many}: {first} has {value}, {where} has"
                f" {other}; convert them to one {what}"
            )
    return value


def _channels(
    name: str, headers: Sequence[tuple[str, Header]], asked: Mapping[str, str]
) -> tuple[tuple[str, ...], list[str]]:
    counts = {len(header.channels) for _, header in headers}
    is_mixed = counts == {1, 3}
    most = max((header.channels for _, header in headers), key=len)
    if not is_mixed:
        _one([(where, len(h.channels)) for where, h in headers], name, "number", "channel counts")
    notes = []
    if is_mixed:
        grey = sum(len(header.channels) == 1 for _, header in headers)
        notes.append(
            f"{name}: {grey} of {len(headers)} images looked at are grey among colour ones: they"
            " are read as colour"
        )
    text = asked.get("channels")
    if text is not None and text != str(len(most)):
        if len(most) != 1 or text != "3":
            raise InputError(
                f"{option('channels', text)}: the images of {name} have {len(most)}; expected that"
                f" number{', or 3 to read grey images as colour' if len(most) == 1 else ''}"
            )
        return RGB, notes
    if most == GREY and text is None:
        notes.append(
            f"{name} is grey, so its networks have 1 channel;"
            f" {option('channels', f'{name}=3')} reads it as colour"
        )
    return most, notes


def _nodata(headers: Sequence[tuple[str, Header]], asked: Mapping[str, str]) -> float | None:
    text = asked.get("nodata")
    if text == "none":
        return None
    if text is not None:
        return _numbers("nodata", text, 1)[0]
    return next((header.nodata for _, header in headers if header.nodata is not None), None)


def _shown(asked: Mapping[str, str], pixels: PixelFormat) -> tuple[int, ...]:
    text = asked.get("show")
    if text is None:
        return ()
    parts = text.split(",")
    if len(parts) not in (1, 3) or not all(part.strip().isdecimal() for part in parts):
        raise InputError(f"{option('show', text)}: expected one channel, or three such as 4,3,2")
    chosen = tuple(int(part) - 1 for part in parts)
    return PixelFormat(pixels.channels, show=chosen).show  # checks them


def _numbers(what: str, text: str, count: int) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != count or not np.isfinite(numbers).all():
        form = {1: "a number, or none", 2: "LOW,HIGH, auto or own"}[count]
        raise InputError(f"{option(what, text)}: expected {form}")
    return numbers


# --- the range of values -------------------------------------------------------------


@dataclass(frozen=True)
class _Looked:
    """A sample of the values of a few images."""

    values: NDArray[Any]
    """(N,), without those that are nodata, NaN or infinite."""
    images: int
    with_gaps: int
    """Images with pixels that are nodata, NaN or infinite."""
    gaps: float
    """Their share of all pixels."""
    transparent: int
    """Images with transparent pixels."""


def _frames(images: Reinterpretable, pixels: PixelFormat) -> _Looked:
    is_eight = pixels.is_eight_bit
    samples: list[NDArray[Any]] = []
    pixels_seen = gaps = with_gaps = transparent = count = 0
    for index in evenly_spaced(len(images), _LOOKED_AT_8 if is_eight else LOOKED_AT):
        try:
            frame = images.frame(index, _REDUCED if is_eight else None)
        except InputError:
            continue
        count += 1
        transparent += _is_transparent(frame)
        valid = valid_pixels(frame.values, pixels.nodata)
        pixels_seen += frame.values.shape[0] * frame.values.shape[1]
        kept = frame.values if valid is None else frame.values[valid]
        if valid is not None:
            with_gaps += 1
            gaps += int((~valid).sum())
        flat = kept.reshape(-1)
        samples.append(flat[:: max(1, len(flat) // _VALUES_AN_IMAGE)])
    values = np.concatenate(samples) if samples else np.zeros(0, pixels.dtype)
    return _Looked(values, count, with_gaps, gaps / max(pixels_seen, 1), transparent)


def _is_transparent(frame: Frame) -> bool:
    if frame.alpha is None:
        return False
    opaque = np.iinfo(frame.alpha.dtype).max if frame.alpha.dtype.kind in "ui" else 1.0
    return bool((frame.alpha < opaque).any())


def _with_range(
    name: str, pixels: PixelFormat, looked: _Looked, asked: Mapping[str, str]
) -> tuple[PixelFormat, str]:
    """Return the format with its range, and what to say of where the range came from."""
    text = asked.get("range") or ("own" if pixels.dtype == "uint8" else "auto")
    if text == "own":
        return pixels, ""
    if text != "auto":
        low, high = _numbers("range", text, 2)
        if not low < high:
            raise InputError(f"{option('range', text)}: expected LOW below HIGH")
        return replace(pixels, low=low, high=high), ""
    if not len(looked.values):
        raise InputError(
            f"none of {looked.images} images of {name} looked at has data, so there is no range:"
            f" give {option('range', f'{name}=LOW,HIGH')}"
        )
    low, high = (float(v) for v in np.percentile(looked.values.astype(np.float64), PERCENTILES))
    least, most = float(looked.values.min()), float(looked.values.max())
    has_outliers = most - least > _WITHOUT_OUTLIERS * (high - low)
    if not has_outliers:
        low, high = least, most
    if np.dtype(pixels.dtype).kind in "ui":
        low, high = float(np.floor(low)), float(np.ceil(high))
    low, high = float(f"{low:.6g}"), float(f"{high:.6g}")
    if not low < high:
        high = low + 1
    found = "all values"
    if has_outliers:
        found = f"percentiles {PERCENTILES[0]:g} to {PERCENTILES[1]:g} of values, of {least:g} to"
        found += f" {most:g},"
    said = (
        f" ({found} in {looked.images} training images;"
        f" {option('range', f'{name}=LOW,HIGH')} sets another range)"
    )
    return replace(pixels, low=low, high=high), said


def _warnings(name: str, pixels: PixelFormat, looked: _Looked) -> list[str]:
    notes = []
    if looked.transparent:
        notes.append(
            f"{name}: {looked.transparent} of {looked.images} images looked at have transparent"
            " pixels, which are shown on white; what lies under them is not used"
        )
    if looked.with_gaps:
        notes.append(
            f"{name}: {looked.with_gaps} of {looked.images} images looked at have pixels without"
            f" data (nodata, NaN or infinite), {looked.gaps:.2%} of all pixels: training takes"
            " crops without them"
        )
    if not len(looked.values):
        return notes
    least, most = float(looked.values.min()), float(looked.values.max())
    used = (min(most, pixels.high) - max(least, pixels.low)) / (pixels.high - pixels.low)
    if used < _LITTLE:
        notes.append(
            f"{name}: the values of {looked.images} images looked at reach from {least:g} to"
            f" {most:g}, {max(used, 0):.0%} of the range from {pixels.low:g} to {pixels.high:g}:"
            f" {option('range', f'{name}=auto')} uses all of it"
        )
    for value in _LIKE_NODATA:
        share = float((looked.values == value).mean())
        if value == least and share >= _LIKE_NODATA_SHARE:
            notes.append(
                f"{name}: {share:.1%} of the values looked at are {value:g}, the least of all: if"
                f" they stand for no data, give {option('nodata', f'{name}={value:g}')}"
            )
    return notes
