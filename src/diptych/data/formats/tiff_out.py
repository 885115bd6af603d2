"""Writing TIFF files, with what the source holds beside its pixels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
import tifffile
from numpy.typing import NDArray

from diptych.data import formats
from diptych.data.formats import geotiff, pillow
from diptych.data.formats.checks import one_line
from diptych.data.formats.sources import alpha_of, fits
from diptych.data.formats.tiff import (
    ERRORS,
    GDAL_METADATA,
    GDAL_NODATA,
    is_tiff,
    opened,
    orientation_of,
    page_of,
)
from diptych.data.pixels import GREY, RGB, PixelFormat
from diptych.errors import InputError
from diptych.files import atomic_write

GEO_TAGS = (33550, 33922, 34264, 34735, 34736, 34737)
"""ModelPixelScale, ModelTiepoint, ModelTransformation, GeoKeyDirectory and its two others."""
_ICC, _XMP = 34675, 700
_COMPRESSED = {"compression": "zlib", "predictor": True}  # both need no other package


def write(
    path: Path, images: Sequence[NDArray[Any]], pixels: PixelFormat, source: str | None
) -> None:
    """Write images as pages, with the colour profile, georeference and resolution of `source`.

    They are compressed (Deflate) if the source is.

    Raises:
        InputError: the file cannot be written, or needs rasterio.
    """
    if source is not None and formats.family_of(source) == "tiff" and is_tiff(source):
        with opened(source) as stack:
            pages = [page_of(source, stack, i) for i in range(len(stack.pages))]
            if len(images) == 1 and any(tag in pages[0].tags for tag in GEO_TAGS):
                alpha = alpha_of(source, 0, images[0])
                is_written = geotiff.write(path, images[0], pixels, source, alpha)
            else:
                is_written = False
            if is_written:
                return
            _write_pages(path, images, pixels, source, pages)
    else:
        _write_pages(path, images, pixels, source, ())


def _write_pages(
    path: Path,
    images: Sequence[NDArray[Any]],
    pixels: PixelFormat,
    source: str | None,
    pages: Sequence[tifffile.TiffPage],
) -> None:
    is_big = sum(image.nbytes for image in images) > 2**32 - 2**25
    try:
        with (
            atomic_write(path) as file,
            tifffile.TiffWriter(
                tifffile.FileHandle(file, name=path.name), bigtiff=is_big
            ) as writer,
        ):
            for index, values in enumerate(images):
                page = pages[index] if index < len(pages) else None
                alpha = alpha_of(source, index, values)
                if alpha is not None:
                    values = np.concatenate([values, alpha[..., None]], axis=2)
                options = _layout(pixels, has_alpha=alpha is not None)
                options |= _options_like(page, values, pixels)
                if page is None and source is not None:
                    options |= _profile(source, len(pixels.channels))
                writer.write(
                    values[..., 0] if values.shape[2] == 1 else values,
                    metadata=None,
                    contiguous=False,
                    **options,
                )
    except ERRORS as error:
        raise InputError(f"cannot write {path}: {one_line(error)}") from error


def _layout(pixels: PixelFormat, *, has_alpha: bool) -> dict[str, Any]:
    count = len(pixels.channels)
    is_colour = pixels.channels[:3] == RGB
    extra = [0] * (count - (3 if is_colour else 1)) + [2] * has_alpha
    layout: dict[str, Any] = {"photometric": "rgb" if is_colour else "minisblack"}
    if count + has_alpha > 1:
        layout |= {"planarconfig": "contig", "extrasamples": extra or None}
    return layout


def _options_like(
    page: tifffile.TiffPage | None, values: NDArray[Any], pixels: PixelFormat
) -> dict[str, Any]:
    """Return what `TiffWriter.write` takes to keep the metadata of a page of the source."""
    extra: list[tuple[int, int, int, Any, bool]] = []
    if pixels.nodata is not None:
        extra.append((GDAL_NODATA, 2, 0, f"{pixels.nodata:.17g}", True))
    if names := _names(pixels):
        extra.append((GDAL_METADATA, 2, 0, names, True))
    if page is None:
        return {"extratags": extra}
    options: dict[str, Any] = {}
    if page.compression != 1 and values.dtype != np.float16:
        options |= _COMPRESSED
    is_same_size = (page.imagelength, page.imagewidth) == values.shape[:2]
    kept = (_XMP, *(GEO_TAGS if is_same_size and orientation_of(page) == 1 else ()))
    for code in kept:
        tag = page.tags.get(code)
        if tag is not None:
            extra.append((code, int(tag.dtype), tag.count, tag.value, True))
    profile = page.tags.get(_ICC)
    if profile is not None and fits(profile.value, len(pixels.channels)):
        options["iccprofile"] = profile.value
    if "XResolution" in page.tags and "YResolution" in page.tags:
        options["resolution"] = page.get_resolution()
        options["resolutionunit"] = page.resolutionunit
    return options | {"extratags": extra}


def _names(pixels: PixelFormat) -> str:
    """Return the names of the bands as GDAL's metadata; empty if they say nothing."""
    if pixels.channels in (GREY, RGB):
        return ""
    items = "".join(
        f'<Item name="DESCRIPTION" sample="{i}" role="description">{escape(name)}</Item>'
        for i, name in enumerate(pixels.channels)
        if name != f"band {i + 1}"
    )
    return items and f"<GDALMetadata>{items}</GDALMetadata>"


def _profile(source: str, channels: int) -> dict[str, Any]:
    if formats.family_of(source) != "pillow":
        return {}
    with pillow.opened(source) as image:
        profile = image.info.get("icc_profile")
    return {"iccprofile": profile} if fits(profile, channels) else {}
