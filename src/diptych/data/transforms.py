"""Transforms of an image between the file and the batch.

Training scales the shorter side to `load_size` (0: no scaling), crops a random square of `size`
and mirrors an image with probability 1/2. Evaluation scales the shorter side to `size` and
crops the middle. Tiles already have the right size and are at most mirrored.

Deviation: the aspect ratio is kept, while the code of Zhu et al. 2017 squashes every image to a
square. Both treat square images alike, and all of the authors' sets have square images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from diptych.data.collections import Images, ReadsReduced
from diptych.data.raster import Raster
from diptych.errors import InputError, counted, option

LOAD_SHARE = 286 / 256
"""Load size divided by size, from the authors' code."""

_ASPECT_TOLERANCE = 0.02
_MARGIN = 4
_MASK_ROUNDING = 1e-3
_AS_VALUES = "name another nodata value to take them as values"
_FILTER = Image.Resampling.BICUBIC
"""Pillow antialiases it when an image shrinks."""


@dataclass(frozen=True)
class Augmentation:
    """The random part of a training transform. The members of a pair share it."""

    left: float
    """Position of the crop from leftmost to rightmost, in [0, 1)."""
    top: float
    """Position of the crop from topmost to bottommost, in [0, 1)."""
    is_mirrored: bool


def draw_augmentation(*key: int) -> Augmentation:
    """Return the augmentation for `key`, non-negative integers. It is the same on any machine."""
    left, top, mirror = (int(word) for word in random_words(3, *key))
    return Augmentation((left >> 11) * 2.0**-53, (top >> 11) * 2.0**-53, bool(mirror >> 63))


def random_words(count: int, *key: int) -> NDArray[np.uint64]:
    """Return `count` random 64-bit words for `key`.

    Unlike NumPy's distributions, they stay the same in every version of NumPy.
    """
    words: NDArray[np.uint64] = np.random.Philox(np.random.SeedSequence(key)).random_raw(count)
    return words


def default_load_size(size: int) -> int:
    """Return 286/256 of `size`, rounded."""
    return round(size * LOAD_SHARE)


def read_for_training(images: Images, index: int, load_size: int) -> Raster:
    """Read an image, reduced where that is faster, but no smaller than training needs.

    Raises:
        InputError: the image cannot be used.
    """
    if load_size and isinstance(images, ReadsReduced):
        return images.read_reduced(index, load_size)
    return images.read(index)


def training_images(
    images: Sequence[Raster],
    names: Sequence[str],
    augmentation: Augmentation,
    *,
    size: int,
    load_size: int,
    is_tiled: bool,
) -> list[Raster]:
    """Cut one image, or all members of a pair at the same place, to `size` x `size` squares.

    Squares that hold pixels without data are never cut. Messages call the images by `names`.

    Raises:
        InputError: an image is smaller than the crop, is not a tile although `is_tiled`, or
            the members of a pair differ in aspect ratio; there are no data in any square.
    """
    for image, name in zip(images, names, strict=True):
        _check_size(image, name, size, is_tiled)
        if is_tiled:
            _check_data(image, name)
    if not is_tiled:
        scaled = _scaled_size(images[0], load_size) if load_size else images[0].size
        for image, name in zip(images[1:], names[1:], strict=True):
            _check_aspect(images[0], names[0], image, name)
        left, top = _place_of_crop(images, names, augmentation, scaled, size)
        box = (left, top, left + size, top + size)
        images = [_resized_part(image, scaled, box) for image in images]
    if augmentation.is_mirrored:
        return [image.mirrored() for image in images]
    return list(images)


def evaluation_image(
    image: Raster, name: str, *, size: int, is_tiled: bool, has_labels: bool = False
) -> Raster:
    """Return the middle of the image as a `size` x `size` square.

    With `has_labels`, each pixel takes the colour of one source pixel. A mixture of two
    classes' colours could be the colour of a third class.

    Raises:
        InputError: the image is smaller than `size`, or is not a tile although `is_tiled`; the
            square holds pixels without data.
    """
    _check_size(image, name, size, is_tiled)
    if not is_tiled:
        width, height = _scaled_size(image, size)
        left, top = (width - size) // 2, (height - size) // 2
        filter_ = Image.Resampling.NEAREST if has_labels else _FILTER
        scaled = _resized(image, (width, height), filter_)
        image = scaled.crop((left, top, left + size, top + size))
    _check_data(image, name)
    return image


def evaluation_images(
    images: Images, indices: Sequence[int], *, size: int, is_tiled: bool
) -> Tensor:
    """Return the images at `indices` as (N, C, size, size) in [-1, 1], without unusable ones.

    Raises:
        InputError: none of them can be used.
    """
    return evaluation_pairs((images,), indices, size=size, is_tiled=is_tiled)[0]


def evaluation_pairs(
    pairs: Sequence[Images], indices: Sequence[int], *, size: int, is_tiled: bool
) -> tuple[Tensor, ...]:
    """Return the pairs at `indices`, one (N, C, size, size) tensor in [-1, 1] per domain.

    Row i of each tensor shows the same pair. A pair is left out if one of its members cannot be
    used.

    Raises:
        InputError: no pair can be used.
    """
    rows: list[list[Tensor]] = []
    reasons: list[str] = []
    for index in indices:
        try:
            rows.append(
                [
                    evaluation_image(
                        images.read(index), images.name(index), size=size, is_tiled=is_tiled
                    ).tensor()
                    for images in pairs
                ]
            )
        except InputError as error:
            reasons.append(str(error))
    if not rows:
        why = f"; the first: {reasons[0]}" if reasons else ""
        raise InputError(
            f"none of {counted(len(reasons), 'image')} to evaluate on can be used{why}"
        )
    return tuple(torch.stack(column) for column in zip(*rows, strict=True))


def _place_of_crop(
    images: Sequence[Raster],
    names: Sequence[str],
    augmentation: Augmentation,
    scaled: tuple[int, int],
    size: int,
) -> tuple[int, int]:
    """Return left and top of the crop: anywhere, or where every pixel of every image has data."""
    if all(image.valid is None for image in images):
        return (
            int(augmentation.left * (scaled[0] - size + 1)),
            int(augmentation.top * (scaled[1] - size + 1)),
        )
    has_data = np.logical_and.reduce([_has_data(_resized(image, scaled)) for image in images])
    sums = np.pad(np.cumsum(np.cumsum(has_data, axis=0), axis=1), ((1, 0), (1, 0)))
    inside = sums[size:, size:] - sums[:-size, size:] - sums[size:, :-size] + sums[:-size, :-size]
    tops, lefts = np.nonzero(inside == size * size)
    if not len(tops):
        whole = f"{size}x{size} pixels of {scaled[0]}x{scaled[1]}"
        raise InputError(
            f"{' with '.join(names)} has no part of {whole} in which every pixel has data (some"
            f" are NaN, infinite or the nodata value): remove it, or {_AS_VALUES}"
        )
    chosen = int(augmentation.left * len(tops))
    return int(lefts[chosen]), int(tops[chosen])


def _has_data(image: Raster) -> NDArray[np.bool_]:
    """Return (H, W): whether a pixel is made only of pixels that have data.

    The mask was resampled with the image. Where it is not 1, the filter reached a pixel without.
    """
    if image.valid is None:
        return np.ones((image.height, image.width), bool)
    return np.asarray(np.abs(np.asarray(image.valid) - 1) < _MASK_ROUNDING)


def _check_data(image: Raster, name: str) -> None:
    if image.valid is not None and not _has_data(image).all():
        raise InputError(
            f"{name} has pixels without data (NaN, infinite or the nodata value): remove it, or"
            f" {_AS_VALUES}"
        )


def _check_size(image: Raster, name: str, size: int, is_tiled: bool) -> None:
    width, height = image.size
    if is_tiled and (width, height) != (size, size):
        raise InputError(f"{name} is {width}x{height}: expected tiles of {size}x{size}")
    if min(width, height) < size:
        raise InputError(
            f"{name} is {width}x{height}, smaller than the crop of {size}: "
            f"pass {option('size', _largest_round_size(min(width, height)))} or remove it"
        )


def _largest_round_size(shorter: int) -> int:
    """Return a size that fits and that networks can halve a few times."""
    for multiple in (64, 32, 16, 4):
        if shorter >= multiple:
            return shorter // multiple * multiple
    return shorter


def _check_aspect(first: Raster, name: str, other: Raster, other_name: str) -> None:
    ratio = (first.width * other.height) / (first.height * other.width)
    if abs(ratio - 1) > _ASPECT_TOLERANCE:
        raise InputError(
            f"{name} is {first.width}x{first.height} but its pair {other_name} is "
            f"{other.width}x{other.height}: expected the same shape"
        )


def _scaled_size(image: Raster, shorter: int) -> tuple[int, int]:
    width, height = image.size
    if width <= height:
        return shorter, max(shorter, round(height * shorter / width))
    return max(shorter, round(width * shorter / height)), shorter


def _resized(image: Raster, size: tuple[int, int], filter_: Image.Resampling = _FILTER) -> Raster:
    return image if image.size == size else image.resize(size, filter_)


def _resized_part(image: Raster, size: tuple[int, int], box: tuple[int, int, int, int]) -> Raster:
    """Return `_resized(image, size).crop(box)`, computing little more than the crop.

    The margin covers the filter's reach, which is 2 pixels of the result when shrinking.
    Enlarging is cheap, so it is done for the whole image.
    """
    if image.width < size[0] or image.height < size[1]:
        return _resized(image, size).crop(box)
    left, top = max(box[0] - _MARGIN, 0), max(box[1] - _MARGIN, 0)
    right, bottom = min(box[2] + _MARGIN, size[0]), min(box[3] + _MARGIN, size[1])
    x_scale, y_scale = image.width / size[0], image.height / size[1]
    part = image.resize(
        (right - left, bottom - top),
        _FILTER,
        box=(
            left * x_scale,
            top * y_scale,
            min(right * x_scale, image.width),
            min(bottom * y_scale, image.height),
        ),
    )
    return part.crop((box[0] - left, box[1] - top, box[2] - left, box[3] - top))
