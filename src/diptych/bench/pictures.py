"""The pictures of the grid, a file a row: few test images below each other, a column a direction.

The page shows the files as they are, so it can be put together anew anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from diptych.bench.place import Place, section_of
from diptych.data import Data, evaluation_images, evaluation_pairs
from diptych.data.collections import evenly_spaced
from diptych.data.images import to_image
from diptych.data.raster import view
from diptych.files import atomic_write
from diptych.inference.translator import Translator

ROWS = 6
_ROWS_OF_MANY = 3
"""Where there are three domains or more, and so six directions or more."""
_TILE = 64
"""Smaller pictures are enlarged to about this, by a whole factor."""
_GAP = 4
_SEED = 0
"""The seed of new images."""


def write_pictures(
    place: Place, translator: Translator, data: Data, facts: Mapping[str, Any], *, row: str
) -> list[str]:
    """Draw what the run makes of the first test images, and these; returns the columns' parts.

    `facts` are those of the data that its result holds. Parts are directions, such as
    "climate→aerial", or domains where new images are made. Data with attributes have no grid.
    """
    real = _real(data, facts["size"])
    if real is None:
        return []
    shown = [view(images, own) for images, own in zip(real, data.pixels, strict=True)]
    _write(place.real(section_of(facts)), shown)
    pixels = dict(zip(data.domains, data.pixels, strict=True))
    made: dict[str, Tensor] = {}
    for source, images in zip(data.domains, real, strict=True):
        if not translator.translates:
            new = translator.generate_batch(len(images), source, _SEED)
            made[source] = view(new, pixels[source])
            continue
        for target in data.domains:
            if target != source:
                images_made = translator.translate_batch(images, target)
                made[f"{source}→{target}"] = view(images_made, pixels[target])
    _write(place.picture(row), list(made.values()))
    return list(made)


def _real(data: Data, size: int) -> tuple[Tensor, ...] | None:
    """Test images at even distances, (N, C, size, size) a domain: the same scenes, where known."""
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


def _write(path: Path, columns: Sequence[Tensor]) -> None:
    """(N, 3, H, W) images a column, without loss, and with clear gaps between them."""
    tiles = [[to_image(image) for image in column] for column in columns]
    scale = max(1, _TILE // tiles[0][0].width)
    width, height = (side * scale for side in tiles[0][0].size)
    whole = (len(tiles) * (width + _GAP) - _GAP, len(tiles[0]) * (height + _GAP) - _GAP)
    picture = Image.new("RGBA", whole, (0, 0, 0, 0))
    for i, column in enumerate(tiles):
        for j, tile in enumerate(column):
            enlarged = tile.resize((width, height), Image.Resampling.NEAREST)
            picture.paste(enlarged, (i * (width + _GAP), j * (height + _GAP)))
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file:
        picture.save(file, "WEBP", lossless=True, method=6)
