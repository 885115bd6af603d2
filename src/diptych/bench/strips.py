"""The pictures of the grid, a file for each of its columns: few rows below each other, as PNG.

The page shows the files as they are, so it can be put together anew anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from diptych.bench.place import Place, section_of
from diptych.data import Data, evaluation_images, evaluation_pairs
from diptych.data.collections import evenly_spaced
from diptych.data.images import to_image
from diptych.files import atomic_write
from diptych.inference.translator import Translator

ROWS = 6
_ROWS_OF_MANY = 3
"""Where there are three domains or more, and so six directions or more."""
_TILE = 64
"""Smaller pictures are enlarged to about this, by a whole factor."""
_GAP = 4
_SEED = 0
"""Of new images."""


def write_strips(
    place: Place,
    translator: Translator,
    data: Data,
    facts: Mapping[str, Any],
    *,
    row: str,
    seed: int,
) -> list[str]:
    """Draw what the run makes of the first test images, and these; returns the parts drawn.

    `facts` are those of the data that its result holds. Parts are directions, such as
    "climate→aerial", or domains where new images are made. Data with attributes have no grid.
    """
    real = _real(data, facts["size"])
    if real is None:
        return []
    section = section_of(facts)
    for name, images in zip(data.domains, real, strict=True):
        _write(place.real(section, name), images)
    parts = []
    for target in data.domains:
        if not translator.translates:
            made = translator.generate_batch(len(real[0]), target, _SEED)
            _write(place.strip(row, seed, target), made)
            parts.append(target)
            continue
        for source, images in zip(data.domains, real, strict=True):
            if source != target:
                part = f"{source}→{target}"
                _write(place.strip(row, seed, part), translator.translate_batch(images, target))
                parts.append(part)
    return parts


def _real(data: Data, size: int) -> tuple[Tensor, ...] | None:
    """Test images at even distances, (N, 3, size, size) a domain: the same scenes, where known."""
    split = data.test or data.train
    if split.attributes is not None:
        return None
    most = ROWS if len(data.domains) <= 2 else _ROWS_OF_MANY
    images = split.pairs if split.pairs is not None else split.domains
    count = min(most, *(len(one) for one in images))
    if split.pairs is not None:
        return evaluation_pairs(
            split.pairs,
            evenly_spaced(len(split.pairs[0]), count),
            size=size,
            is_tiled=data.is_tiled,
        )
    return tuple(
        evaluation_images(one, evenly_spaced(len(one), count), size=size, is_tiled=data.is_tiled)
        for one in images
    )


def _write(path: Path, images: Tensor) -> None:
    scale = max(1, _TILE // images.shape[-1])
    tiles = [to_image(image) for image in images]
    width, height = (side * scale for side in tiles[0].size)
    strip = Image.new("RGBA", (width, len(tiles) * (height + _GAP) - _GAP), (0, 0, 0, 0))
    for i, tile in enumerate(tiles):
        enlarged = tile.resize((width, height), Image.Resampling.NEAREST)
        strip.paste(enlarged, (0, i * (height + _GAP)))
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file:
        strip.save(file, "PNG", optimize=True)
