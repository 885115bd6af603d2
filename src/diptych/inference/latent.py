"""Pictures from the latent space: new images from noise, and what lies between two images."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from diptych.data import formats
from diptych.data.pixels import PixelFormat
from diptych.data.raster import view
from diptych.data.transforms import evaluation_image
from diptych.errors import InputError, check_seed, check_whole, option
from diptych.inference.kinds import as_raster, take
from diptych.inference.translator import Translator
from diptych.report.grids import picture_grid, write_grid

GRID_FILE = "grid.png"
_GRID_COLUMNS = 8


def generate_files(
    translator: Translator,
    out: str | os.PathLike[str],
    *,
    to: str | Sequence[str] = (),
    count: int = 16,
    seed: int = 0,
    overwrite: bool = False,
) -> list[Path]:
    """`count` new images of each domain of `to` (all of them by default) as PNG files.

    A domain has a folder in `out`; files of one name come from the same noise. The
    first of them stand in grid.png, a row a domain.

    Raises:
        InputError: an unknown domain, a method that makes nothing from noise, or
            files that are there already (unless `overwrite`).
    """
    check_whole("count", count, 1)
    check_seed(seed)
    domains = _names(to) or translator.domains
    for domain in domains:
        translator.domain_index(domain)
    digits = max(3, len(str(count)))
    folder = Path(out)
    formats_of = [translator.pixel_formats[translator.domain_index(name)] for name in domains]
    paths = [
        [folder / domain / f"{i + 1:0{digits}}{suffix_for(pixels)}" for i in range(count)]
        for domain, pixels in zip(domains, formats_of, strict=True)
    ]
    _check_free([folder / GRID_FILE, *(path for row in paths for path in row)], overwrite)
    made = [translator.generate_batch(count, domain, seed) for domain in domains]
    for images, pixels, own in zip(made, formats_of, paths, strict=True):
        _make(own[0].parent)
        for image, path in zip(images, own, strict=True):
            formats.write(path, [pixels.from_tensor(image)], pixels)
    rows = [
        [view(image, pixels) for image in images[:_GRID_COLUMNS]]
        for images, pixels in zip(made, formats_of, strict=True)
    ]
    grid = picture_grid(rows, [""] * len(rows[0]), row_names=domains)
    write_grid(folder / GRID_FILE, grid)
    return [path for row in paths for path in row]


def suffix_for(pixels: PixelFormat) -> str:
    """Return the suffix of files of new images: .png where PNG can hold them, else .tif."""
    return ".png" if formats.can_hold(".png", len(pixels.channels), pixels.dtype) else ".tif"


def interpolate(
    translator: Translator,
    first: Any,
    second: Any,
    *,
    sources: tuple[str, str],
    to: str | Sequence[str] = (),
    steps: int = 8,
) -> Image.Image:
    """A strip from `first` to `second`, evenly through the latent space, a row a domain of `to`.

    The images are of any kind that a translator takes and of the domains `sources`; they are
    scaled and cropped to the size that was trained on. Without `to`, all domains are shown.

    Raises:
        InputError: an unknown domain, a method without codes, fewer than 2 steps.
    """
    if steps < 2:
        told = f"{option('steps')} is {steps}"
        raise InputError(f"{told}: it takes 2 or more to get from one to the other")
    domains = _names(to) or translator.domains
    ends = [
        translator.encode(_square(image, translator, source), source=source)
        for image, source in zip((first, second), sources, strict=True)
    ]
    codes = [torch.lerp(ends[0], ends[1], i / (steps - 1)) for i in range(steps)]
    rows: list[list[Tensor]] = []
    for domain in domains:
        pixels = translator.pixel_formats[translator.domain_index(domain)]
        rows.append([view(translator.decode_batch(z, to=domain)[0], pixels) for z in codes])
    columns = [sources[0], *[""] * (steps - 2), sources[1]]
    return picture_grid(rows, columns, row_names=[f"as {domain}" for domain in domains])


def write_strip(strip: Image.Image, path: Path, *, overwrite: bool = False) -> None:
    """Save what `interpolate` drew. Raises InputError if `path` is there already."""
    _check_free([path], overwrite)
    _make(path.parent)
    write_grid(path, strip)


def _names(to: str | Sequence[str]) -> tuple[str, ...]:
    return (to,) if isinstance(to, str) else tuple(to)


def _square(given: Any, translator: Translator, source: str) -> Tensor:
    pixels = translator.pixel_formats[translator.domain_index(source)]
    image = as_raster(take(given, pixels, over_white=True).images[0], pixels)
    square = evaluation_image(image, "the image", size=translator.size, is_tiled=False)
    return square.tensor().clamp(-1, 1)


def _check_free(paths: Sequence[Path], overwrite: bool) -> None:
    taken = [path for path in paths if path.exists()]
    if taken and not overwrite:
        way_out = option("overwrite", True)
        raise InputError(f"{taken[0]} exists: give {way_out} or another place")


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {folder}: {error.strerror}") from error
