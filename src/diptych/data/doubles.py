"""Find images that are there twice: to the pixel, or nearly.

Near doubles have nearly the same perceptual hash: 64 signs of low frequencies of the discrete
cosine transform of a small grey likeness (as pHash, Zauner 2010). Likenesses whose hashes agree
are then compared themselves, so that smooth images, whose signs are chance, are not taken for
doubles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

NEAR_BITS = 6
"""Hashes of near doubles differ in at most this many of 64 bits."""
NEAR_CORRELATION = 0.97
"""Their likenesses correlate at least as much."""

_SIDE, _LOW = 32, 8
_ROWS = 512


@dataclass(frozen=True)
class Double:
    """What it takes to find an image's double."""

    place: str
    digest: bytes
    """Of its pixels."""
    likeness: NDArray[np.float32]
    """(32, 32) of brightness."""


def thumbnail(picture: Image.Image) -> NDArray[np.float32]:
    """Return the likeness of a picture."""
    grey = picture.convert("L").resize((_SIDE, _SIDE), Image.Resampling.BOX)
    return np.asarray(grey, np.float32)


def find_doubles(
    images: Sequence[Double],
) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Return the pairs of places that have the same pixels, and those that nearly do.

    An image has one exact double at most, the first with its pixels, and takes part in near
    doubles only if it is the first.
    """
    first: dict[bytes, str] = {}
    same: list[tuple[str, str]] = []
    unique: list[Double] = []
    for image in images:
        if image.digest in first:
            same.append((first[image.digest], image.place))
        else:
            first[image.digest] = image.place
            unique.append(image)
    return same, _near(unique)


def _near(images: Sequence[Double]) -> list[tuple[str, str]]:
    if len(images) < 2:
        return []
    likenesses = np.stack([image.likeness for image in images])
    hashes = perceptual_hashes(likenesses)
    flat = likenesses.reshape(len(images), -1)
    flat = flat - flat.mean(1, keepdims=True)
    flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-9)
    pairs = []
    for start in range(0, len(images), _ROWS):
        rows = hashes[start : start + _ROWS, None]
        bits = np.bitwise_count(rows ^ hashes[None])
        for row, column in np.argwhere(bits <= NEAR_BITS):
            i, j = start + int(row), int(column)
            if i < j and float(flat[i] @ flat[j]) >= NEAR_CORRELATION:
                pairs.append((images[i].place, images[j].place))
    return pairs


def perceptual_hashes(likenesses: NDArray[np.float32]) -> NDArray[np.uint64]:
    """Return (N,) hashes of (N, 32, 32) likenesses."""
    places = np.arange(_SIDE)
    basis = np.cos(np.pi * (2 * places[None] + 1) * np.arange(1, _LOW + 1)[:, None] / (2 * _SIDE))
    low = np.einsum("ux,nxy,vy->nuv", basis, likenesses.astype(np.float64), basis, optimize=True)
    signs = (low > 0).reshape(len(likenesses), -1)
    return np.packbits(signs, axis=1).view(">u8").ravel().astype(np.uint64)
