"""TIFF files, by tifffile: any number of bands, every type, pages, BigTIFF, tiles, compression.

Eight-bit grey, colour, palettes and CMYK are read by Pillow. A band is alpha only if the file
says so (ExtraSamples 1 or 2) of no other band; every other one is a band. Pages are images,
unless ImageJ's or OME's metadata say that they are the channels of images. Reduced copies and
masks are not counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import tifffile
from numpy.typing import NDArray

from diptych.data.formats import MAX_PIXELS, Frame, Header, deep_png, pillow
from diptych.data.formats.checks import (
    broken,
    check_index,
    check_is_file,
    check_size,
    needs,
    one_line,
    quiet_logger,
)
from diptych.data.formats.kept import Kept
from diptych.data.pixels import DTYPES, GREY, RGB, PixelFormat, channel_names
from diptych.errors import InputError

PHOTO, COMPRESSION = tifffile.PHOTOMETRIC, tifffile.COMPRESSION
GDAL_METADATA, GDAL_NODATA = 42112, 42113
_ORIENTATION = 274
_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
ERRORS = (*pillow.DECODING_ERRORS, tifffile.TiffFileError, MemoryError, ArithmeticError)
_NAMES: dict[int, tuple[str, ...]] = {
    PHOTO.RGB: RGB,
    PHOTO.SEPARATED: ("cyan", "magenta", "yellow", "black"),
}


@dataclass(frozen=True)
class _Stack:
    file: tifffile.TiffFile
    pages: tuple[tuple[int, ...], ...]
    """The places of each image's pages: several where each is a channel."""


_kept: Kept[_Stack] = Kept(lambda stack: stack.file.close())


def header(path: str) -> Header:
    """Return what the file says of its images, without decoding them."""
    if not is_tiff(path):
        return pillow.header(path)  # another format by the name of TIFF
    with opened(path) as stack, _parsing(path):
        page = page_of(path, stack, 0)
        check_size(path, (page.imagewidth, page.imagelength), MAX_PIXELS)
        bands = len(stack.pages[0])
        if bands == 1 and _is_for_pillow(page):
            with pillow.opened(path) as image:
                own = pillow.header_of(image, path)
            return Header(own.size, own.channels, own.dtype, len(stack.pages), own.has_alpha)
        dtype = _dtype(path, page)
        size = page.imagewidth, page.imagelength
        size = size if orientation_of(page) < 5 else (size[1], size[0])
        channels = _channels(page) if bands == 1 else channel_names(bands)
        alpha = _alpha_band(page)
        held = len(stack.pages), alpha is not None, _nodata(page)
        return Header(size, channels, dtype, *held, _window(page))


def read(
    path: str, index: int = 0, at_least: int | None = None, max_pixels: int = MAX_PIXELS
) -> Frame:
    """Read page `index` of the file, upright."""
    if not is_tiff(path):
        return pillow.read(path, index, at_least, max_pixels)
    with opened(path) as stack, _parsing(path):
        check_index(path, index, len(stack.pages))
        page = page_of(path, stack, index)
        check_size(path, (page.imagewidth, page.imagelength), max_pixels)
        places = stack.pages[index]
        if len(places) == 1 and _is_for_pillow(page):
            with pillow.opened(path) as image:
                return pillow.decoded(image, path, places[0])
        if len(places) == 1:
            return _decoded(path, page)
        frames = [_decoded(path, page_of(path, stack, index, band)) for band in range(len(places))]
        values = np.concatenate([frame.values for frame in frames], axis=2)
        return Frame(values, channel_names(len(places)), nodata=frames[0].nodata)


def _decoded(path: str, page: tifffile.TiffPage) -> Frame:
    dtype = _dtype(path, page)
    values = page.asarray(maxworkers=1)
    return _frame(page, _in_order(page, values.astype(dtype, copy=False)))


def _frame(page: tifffile.TiffPage, values: NDArray[Any]) -> Frame:
    if page.photometric == PHOTO.MINISWHITE and values.dtype.kind == "u":
        values = np.asarray(2 ** int(page.bitspersample) - 1 - values, values.dtype)
    place, alpha = _alpha_band(page), None
    if place is not None:
        alpha = values[..., place]
        is_multiplied = page.extrasamples[place - _base(page)] == 1
        values = np.delete(values, place, axis=2)
        if is_multiplied:
            values = _divided(values, alpha)
    return Frame(values, _channels(page), alpha, _nodata(page))


def _divided(values: NDArray[Any], alpha: NDArray[Any]) -> NDArray[Any]:
    """Undo the multiplication of the values by alpha ("associated" alpha)."""
    full = np.iinfo(alpha.dtype).max if alpha.dtype.kind in "ui" else 1.0
    share = np.where(alpha > 0, alpha, full).astype(np.float64)[..., None] / full
    wide = values / share
    if values.dtype.kind in "ui":
        info = np.iinfo(values.dtype)
        wide = np.clip(np.rint(wide), info.min, info.max)
    return wide.astype(values.dtype)


def _in_order(page: tifffile.TiffPage, values: NDArray[Any]) -> NDArray[Any]:
    """Return (H, W, C), upright."""
    values = values.reshape(page.shape)
    values = np.moveaxis(values, 0, 2) if page.axes.startswith("S") else np.atleast_3d(values)
    return deep_png.turned(values, orientation_of(page))


# --- what a page is ----------------------------------------------------------------------


def is_tiff(path: str) -> bool:
    check_is_file(path)
    try:
        with open(path, "rb") as file:  # noqa: PTH123  # hot
            return file.read(4) in _MAGIC
    except OSError as error:
        raise InputError(f"{path} cannot be opened ({one_line(error)})") from error


@contextmanager
def _parsing(path: str) -> Iterator[None]:
    """Turn errors of a damaged file into InputError. Its tags may hold anything."""
    try:
        with quiet_logger("tifffile"), np.errstate(all="ignore"):
            yield
    except InputError:
        raise
    except ERRORS as error:
        if "imagecodecs" in str(error):
            raise needs(path, "imagecodecs", "codecs") from error
        raise broken(path, error) from error


@contextmanager
def opened(path: str) -> Iterator[_Stack]:
    """Open a file. Files of several pages stay open for the next call."""
    with ExitStack() as closing:
        with _parsing(path):
            stack = _kept.find(path)
            if stack is None:
                file = tifffile.TiffFile(path, _multifile=False)
                closing.callback(file.close)
                stack = _Stack(file, _image_pages(file))
                if len(stack.pages) > 1:
                    file.pages.cache = True
                    _kept.keep(path, stack)
                    closing.pop_all()
        yield stack


def _image_pages(file: tifffile.TiffFile) -> tuple[tuple[int, ...], ...]:
    pages = [p for p in file.pages if isinstance(p, tifffile.TiffPage)]
    own = [i for i, page in enumerate(pages) if not (page.is_reduced or page.is_mask)]
    own = own or list(range(len(pages)))
    if (file.is_imagej or file.is_ome) and pages[own[0]].samplesperpixel == 1:
        series = file.series[0]
        lead = {a: n for a, n in zip(series.axes, series.shape, strict=True) if a not in "YX"}
        if "C" in lead and int(np.prod([*lead.values()])) == len(own):
            places = np.array(own).reshape(*lead.values())
            places = np.moveaxis(places, [*lead].index("C"), -1).reshape(-1, lead["C"])
            return tuple(tuple(row) for row in places.tolist())
    return tuple((place,) for place in own)


def page_of(path: str, stack: _Stack, index: int, band: int = 0) -> tifffile.TiffPage:
    """Return a page of image `index`: that of channel `band` where each channel has its own."""
    with _parsing(path):
        page = stack.file.pages[stack.pages[index][band]].aspage()
    if page.imagedepth > 1 or len(page.shape) > 3:
        raise InputError(f"{path} has pages of {page.imagedepth} planes: save each as a page")
    metadata = stack.file.imagej_metadata if stack.file.is_imagej else None
    if metadata and metadata.get("images", 1) > len(stack.file.pages):
        raise InputError(
            f"{path} holds {metadata['images']} images without pages: save it as TIFF with pages"
        )
    return page


def _is_for_pillow(page: tifffile.TiffPage) -> bool:
    """Whether the page is one of the kinds that Pillow converts to 8-bit grey or RGB.

    Bytes that need no conversion are left to tifffile, since Pillow's libtiff writes what is
    wrong with a broken file to the terminal.
    """
    if page.sampleformat != 1 or np.max(page.bitspersample) > 8:
        return False
    if page.photometric == PHOTO.SEPARATED:
        return page.samplesperpixel == 4
    one_alpha = len(page.extrasamples) == 1 and _alpha_band(page) is not None
    bands = page.samplesperpixel - one_alpha
    if page.photometric in (PHOTO.RGB, PHOTO.MINISBLACK):
        is_as_stored = np.min(page.bitspersample) == 8 and 1 not in page.extrasamples
        if GDAL_NODATA in page.tags or (is_as_stored and _is_unpacked_alike(page)):
            return False
    if page.photometric in (PHOTO.MINISBLACK, PHOTO.MINISWHITE, PHOTO.PALETTE):
        return bands == 1
    return bands == 3


def _is_unpacked_alike(page: tifffile.TiffPage) -> bool:
    """Whether tifffile can decode the page, and to the same bytes as Pillow."""
    if page.compression in (COMPRESSION.NONE, COMPRESSION.ADOBE_DEFLATE, COMPRESSION.DEFLATE):
        return True
    return page.compression == COMPRESSION.LZW and deep_png.is_available()


def _dtype(path: str, page: tifffile.TiffPage) -> str:
    name = str(page.dtype)
    if name not in DTYPES:
        raise InputError(f"{path} has values of type {name}: expected {', '.join(DTYPES)}")
    if page.photometric == PHOTO.PALETTE:
        raise InputError(f"{path} has a palette of 16 bits: save it as RGB")
    return name


def _base(page: tifffile.TiffPage) -> int:
    """Return the number of bands before the extra samples."""
    return int(page.samplesperpixel) - len(page.extrasamples)


def _alpha_band(page: tifffile.TiffPage) -> int | None:
    places = [i for i, kind in enumerate(page.extrasamples) if kind in (1, 2)]
    return _base(page) + places[0] if len(places) == 1 else None


def _channels(page: tifffile.TiffPage) -> tuple[str, ...]:
    count, alpha = int(page.samplesperpixel), _alpha_band(page)
    known = _NAMES.get(page.photometric, ()) if _base(page) >= 3 else ()
    names = [known[i] if i < len(known) else f"band {i + 1}" for i in range(count)]
    tag = page.tags.get(GDAL_METADATA)
    for place, name in _band_names(str(tag.value)) if tag is not None else ():
        if place < count:
            names[place] = name
    if names == ["band 1"]:
        return GREY
    return tuple(name for place, name in enumerate(names) if place != alpha)


@lru_cache(64)
def _band_names(xml: str) -> tuple[tuple[int, str], ...]:
    """Return the bands' places and descriptions in GDAL's metadata."""
    try:
        items = ElementTree.fromstring(xml.rstrip("\0")).iter("Item")
        return tuple(
            (int(item.get("sample", "0")), item.text)
            for item in items
            if item.get("role") == "description" and item.text
        )
    except (ElementTree.ParseError, ValueError):
        return ()


def _nodata(page: tifffile.TiffPage) -> float | None:
    tag = page.tags.get(GDAL_NODATA)
    try:
        value = None if tag is None else float(str(tag.value).strip("\0 "))
    except ValueError:
        return None
    return None if value is None or np.isnan(value) else value


def _window(page: tifffile.TiffPage) -> tuple[float, float] | None:
    for codes in ((280, 281), (340, 341)):  # MinSampleValue, MaxSampleValue; for other types
        ends = [np.min(page.tags[code].value) for code in codes if code in page.tags]
        if len(ends) == 2 and ends[0] < ends[1]:
            return float(ends[0]), float(ends[1])
    return None


def orientation_of(page: tifffile.TiffPage) -> int:
    tag = page.tags.get(_ORIENTATION)
    return int(tag.value) if tag is not None and tag.value in range(1, 9) else 1


def write(
    path: Path, images: Sequence[NDArray[Any]], pixels: PixelFormat, source: str | None
) -> None:
    """Write images as pages, with the colour profile, georeference and resolution of `source`."""
    from diptych.data.formats import tiff_out

    tiff_out.write(path, images, pixels, source)


def can_hold(suffix: str, channels: int, dtype: str, images: int) -> bool:
    """Return whether a file of this suffix can hold such images."""
    return dtype in DTYPES and 1 <= channels < 2**16 and images >= 1
