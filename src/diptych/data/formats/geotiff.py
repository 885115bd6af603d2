"""Writing GeoTIFF files, by rasterio (an extra)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
    transform are larger or smaller. Returns False where rasterio is not installed but the
    size is the source's, so that the tags can be copied.

    Raises:
        InputError: rasterio is not installed and the sizes differ, or it cannot write.
    """
    try:
        import rasterio
        from rasterio.errors import RasterioError
    except ImportError as error:
        from diptych.data.formats import header

        if header(source).size == (values.shape[1], values.shape[0]):
            return False
        raise needs(str(path), "rasterio", "geo", "writing") from error
    try:
        with quiet(), rasterio.MemoryFile() as memory:
            with rasterio.open(source) as old:
                profile = _profile(old, values, pixels, has_alpha=alpha is not None)
                with memory.open(**profile) as new:
                    _fill(new, old, values, pixels, alpha)
            memory.seek(0)
            with atomic_write(path) as file:
                file.write(memory.read())
    except (RasterioError, OSError, ValueError, TypeError) as error:
        raise InputError(f"cannot write {path}: {one_line(error)}") from error
    return True


def _profile(
    old: Any, values: NDArray[Any], pixels: PixelFormat, *, has_alpha: bool
) -> dict[str, Any]:
    height, width, count = values.shape
    scale = old.transform.scale(old.width / width, old.height / height)
    points, _ = old.gcps
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
    }
    if not points:
        profile |= {"crs": old.crs, "transform": old.transform * scale}
    if old.profile.get("compress"):
        profile |= {"compress": "deflate"}
    if old.profile.get("tiled"):
        names = ("tiled", "blockxsize", "blockysize")
        profile |= {name: old.profile[name] for name in names}
    return profile


def _fill(
    new: Any, old: Any, values: NDArray[Any], pixels: PixelFormat, alpha: NDArray[Any] | None
) -> None:
    bands = np.moveaxis(values, 2, 0)
    new.write(bands if alpha is None else np.concatenate([bands, alpha[None]]))
    for band, name in enumerate(pixels.channels, 1):
        if not name.startswith("band ") and pixels.channels != RGB:
            new.set_band_description(band, name)
    points, crs = old.gcps
    if points:
        new.gcps = points, crs
    if old.rpcs is not None:
        new.rpcs = old.rpcs
    new.update_tags(**old.tags())
