"""Writing GeoTIFF files, by rasterio (an extra)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diptych.data.formats import header
from diptych.data.formats.checks import needs, one_line, quiet
from diptych.data.pixels import RGB, PixelFormat
from diptych.errors import InputError
from diptych.files import atomic_write


def write(
    path: Path,
    values: NDArray[Any],
    pixels: PixelFormat,
    source: str,
    alpha: NDArray[Any] | None,
) -> bool:
    """Write one image with the georeference of `source`: CRS, transform, points and tags.

    The bands are named by `pixels`. If the size differs from the source's, the pixels of the
    transform are larger or smaller. If it is the same, returns False where the tags had better
    be copied: without rasterio, and for control points, which GDAL moves by a pixel if they
    are the middles of pixels.

    Raises:
        InputError: rasterio is not installed and the sizes differ, or it cannot write.
    """
    try:
        import rasterio
        from rasterio.errors import RasterioError
    except ImportError as error:
        if header(source).size == (values.shape[1], values.shape[0]):
            return False
        raise needs(str(path), "rasterio", "geo", "writing") from error
    try:
        with quiet(), rasterio.MemoryFile() as memory:
            with rasterio.open(source) as old:
                if _is_copied(old, values):
                    return False
                profile = _profile(old, values, pixels, has_alpha=alpha is not None)
                with memory.open(**profile) as new:
                    _fill(new, old, values, pixels, alpha)
            memory.seek(0)
            with atomic_write(path) as file:
                file.write(memory.read())
    except (RasterioError, OSError, ValueError, TypeError) as error:
        raise InputError(f"cannot write {path}: {one_line(error)}") from error
    return True


def _is_copied(old: Any, values: NDArray[Any]) -> bool:
    """Whether the tags are copied although rasterio is there. It has no float16 either."""
    is_same_size = (old.height, old.width) == values.shape[:2]
    return is_same_size and (bool(old.gcps[0]) or values.dtype == np.float16)


def _profile(
    old: Any, values: NDArray[Any], pixels: PixelFormat, *, has_alpha: bool
) -> dict[str, Any]:
    height, width, count = values.shape
    scale = old.transform.scale(old.width / width, old.height / height)
    if old.gcps[0]:
        raise ValueError("control points are only for the source's own size")
    profile = {
        "driver": "GTiff",
        "width": width,
        "height": height,
        "count": count + has_alpha,
        "dtype": values.dtype.name,
        "nodata": pixels.nodata,
        "photometric": "RGB" if pixels.channels[:3] == RGB else "MINISBLACK",
        "ALPHA": "YES" if has_alpha else "NO",
        "BIGTIFF": "IF_SAFER",
        "crs": old.crs,
        "transform": old.transform * scale,
    }
    if old.profile.get("compress"):
        profile |= {"compress": "deflate"}
    if old.profile.get("tiled"):
        names = ("tiled", "blockxsize", "blockysize")
        profile |= {name: old.profile[name] for name in names}
    return profile


def _fill(
    new: Any, old: Any, values: NDArray[Any], pixels: PixelFormat, alpha: NDArray[Any] | None
) -> None:
    new.update_tags(**old.tags())
    bands = np.moveaxis(values, 2, 0)
    new.write(bands if alpha is None else np.concatenate([bands, alpha[None]]))
    for band, name in enumerate(pixels.channels, 1):
        if not name.startswith("band ") and pixels.channels != RGB:
            new.set_band_description(band, name)
    if old.rpcs is not None:
        new.rpcs = old.rpcs
