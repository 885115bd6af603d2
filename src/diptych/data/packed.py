"""Files that hold many labelled images, as MNIST, USPS and SVHN are distributed.

A folder with these files is a domain, like a folder of images:

- idx: train-images-idx3-ubyte, train-labels-idx1-ubyte and t10k-..., plain or .gz (MNIST);
- LIBSVM: usps and usps.t, plain or .bz2, values from -1 to 1, labels 1 to 10;
- usps.h5: train/data, train/target and test/..., values from 0 to 1 (needs h5py);
- MATLAB: train_32x32.mat, test_32x32.mat, extra_32x32.mat (SVHN's cropped digits; needs scipy);
- one .npz: train_x, train_y, test_x, test_y as integers, values from 0 to 255.

Nothing is unpickled.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diptych.data.collections import Data, Labels, Split
from diptych.data.pixels import RGB8, PixelFormat
from diptych.data.raster import Raster
from diptych.errors import InputError

DIGITS = tuple(str(digit) for digit in range(10))
_IDX_TYPES = {0x08: np.uint8}
_DAMAGE = (OSError, EOFError, ValueError, KeyError, TypeError, IndexError, zlib.error,
           struct.error, zipfile.BadZipFile, NotImplementedError)  # fmt: skip


@dataclass(frozen=True)
class Packed:
    """A set of labelled images."""

    image_uint8: NDArray[np.uint8]
    """(N, H, W) grey or (N, H, W, 3) RGB."""
    label: Labels
    """(N,), the digits 0 to 9."""

    def __post_init__(self) -> None:
        image, label = self.image_uint8, self.label
        if image.ndim not in (3, 4) or image.shape[3:] not in ((), (3,)) or not image.size:
            raise ValueError(f"its images have the shape {image.shape}")
        if label.shape != image.shape[:1]:
            raise ValueError(f"it has {len(image)} images and {label.size} labels")
        if label.min() < 0 or label.max() > 9:
            raise ValueError(f"its labels go from {label.min()} to {label.max()}, not 0 to 9")


class PackedImages:
    """Images in memory, scaled to squares of `size` pixels when they are read, in RGB."""

    pixels: PixelFormat = RGB8

    def __init__(self, image_uint8: NDArray[np.uint8], size: int) -> None:
        """`image_uint8` is (N, H, W) grey or (N, H, W, 3) RGB."""
        self.image_uint8, self.size = image_uint8, size

    def __len__(self) -> int:
        return len(self.image_uint8)

    def name(self, index: int) -> str:
        return f"{index:06d}.png"

    def read(self, index: int) -> Raster:
        return Raster.from_image(scaled(Image.fromarray(self.image_uint8[index]), self.size))


def scaled(image: Image.Image, size: int) -> Image.Image:
    """Scale `image`, L or RGB, to an RGB square of `size` pixels; bicubic, antialiased."""
    if image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.BICUBIC)
    return image.convert("RGB")


def packed_domain(path: Path, name: str, size: int) -> Data | None:
    """Open the known files of a folder, or one such file, as a domain called `name`.

    Return None if there are none.

    Raises:
        InputError: a file is damaged or missing, or reading it needs a package that is not
            installed.
    """
    found = read_packed(path)
    if found is None:
        return None
    notes = (f"{name}: SVHN's extra images are used for training, as in the paper",) * (
        "extra" in found
    )
    train = found["extra" if "extra" in found else "train"]
    return domain_data(name, train, found["test"], size, str(path), notes)


def domain_data(
    name: str, train: Packed, test: Packed, size: int, source: str, notes: tuple[str, ...] = ()
) -> Data:
    """Return digits as data with one domain, in `size` x `size` pixels."""
    digest = hashlib.sha256(str(size).encode())
    for part in (train, test):
        digest.update(part.image_uint8.tobytes())
        digest.update(part.label.tobytes())
    return Data(
        source=source,
        domains=(name,),
        train=Split((PackedImages(train.image_uint8, size),), labels=(train.label,)),
        test=Split((PackedImages(test.image_uint8, size),), labels=(test.label,)),
        classes=DIGITS,
        is_tiled=True,
        may_mirror=False,
        fingerprint=digest.hexdigest()[:32],
        notes=notes,
    )


def read_packed(path: Path) -> dict[str, Packed] | None:
    """Read a folder's known files, or one such file; return None if there are none.

    The keys are "train" (or "extra" for SVHN's extra images) and "test".

    Raises:
        InputError: a file is damaged, a file that belongs to it is missing, or reading it
            needs a package that is not installed.
    """
    folder = path if path.is_dir() else path.parent
    for matches, read in _KINDS:
        files = {part: _first(folder, names) for part, names in matches.items()}
        if path.is_file() and path not in files.values():
            continue
        if not any(files.values()) or files.get("extra", path) is None:
            continue
        missing = [matches[part][0] for part, file in files.items() if file is None]
        if missing:
            there = next(file for file in files.values() if file is not None)
            raise InputError(f"{folder} has {there.name} but no {missing[0]}: put it there")
        return read({part: file for part, file in files.items() if file is not None})
    if path.suffix == ".npz" and path.is_file():
        return _read_npz(path)
    return None


def _first(folder: Path, names: tuple[str, ...]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _guarded(path: Path, read: Callable[..., Packed], *arguments: Any) -> Packed:
    try:
        return read(*arguments)
    except InputError:
        raise
    except _DAMAGE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path} cannot be read ({reason}): download it again") from error


# --- idx -----------------------------------------------------------------------


def _read_idx_set(files: Mapping[str, Path]) -> dict[str, Packed]:
    def read(part: str) -> Packed:
        image, label = files[part], files[f"{part} labels"]
        return _guarded(image, lambda: Packed(_read_idx(image), _read_idx(label).astype(np.int64)))

    return {part: read(part) for part in ("train", "test")}


def _read_idx(path: Path) -> NDArray[np.uint8]:
    """Read an idx array: two zero bytes, the type, the number of dimensions, their lengths."""
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    zeros, kind, dimensions = struct.unpack(">HBB", raw[:4])
    if zeros or kind not in _IDX_TYPES:
        raise ValueError(f"{path.name} is not an idx file of bytes")
    shape = struct.unpack(f">{dimensions}I", raw[4 : 4 + 4 * dimensions])
    return np.frombuffer(raw, _IDX_TYPES[kind], offset=4 + 4 * dimensions).reshape(shape)


# --- USPS ----------------------------------------------------------------------


def _read_libsvm_set(files: Mapping[str, Path]) -> dict[str, Packed]:
    return {part: _guarded(file, _read_libsvm, file) for part, file in files.items()}


def _read_libsvm(path: Path) -> Packed:
    """Read lines of a label and index:value pairs. A value that is left out is 0."""
    raw = bz2.decompress(path.read_bytes()) if path.suffix == ".bz2" else path.read_bytes()
    rows = [line.split() for line in raw.decode("ascii").splitlines() if line.strip()]
    pixels = np.zeros((len(rows), 256))
    for pixel, row in zip(pixels, rows, strict=True):
        for pair in row[1:]:
            index, _, value = pair.partition(":")
            pixel[int(index) - 1] = float(value)
    label = np.array([int(float(row[0])) - 1 for row in rows], np.int64)
    return Packed(_levels((pixels + 1) / 2), label)


def _read_h5_set(files: Mapping[str, Path]) -> dict[str, Packed]:
    path = files["train"]
    try:
        import h5py
    except ImportError as error:
        raise InputError(
            f"reading {path} needs h5py: pip install h5py, or give usps.bz2 and usps.t.bz2"
        ) from error

    def read(part: str) -> Packed:
        with h5py.File(path, "r") as file:
            pixels, label = np.asarray(file[part]["data"]), np.asarray(file[part]["target"])
        return Packed(_levels(pixels), label.astype(np.int64))

    return {part: _guarded(path, read, part) for part in ("train", "test")}


def _levels(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Convert (N, 256) in [0, 1] to (N, 16, 16) uint8 in [0, 255]."""
    if not (pixels.min() >= 0 and pixels.max() <= 1):  # also false for NaN
        raise ValueError(f"its values go from {pixels.min():g} to {pixels.max():g}, not 0 to 1")
    return np.round(pixels * 255).astype(np.uint8).reshape(-1, 16, 16)


# --- the rest ------------------------------------------------------------------


def _read_svhn_set(files: Mapping[str, Path]) -> dict[str, Packed]:
    return {part: _guarded(file, _read_svhn, file) for part, file in files.items()}


def _read_svhn(path: Path) -> Packed:
    """Read X, (32, 32, 3, N) bytes, and y, (N, 1), where 10 stands for the digit 0."""
    try:
        from scipy.io import loadmat, matlab
    except ImportError as error:
        raise InputError(f"reading {path} needs scipy: pip install 'diptych[samples]'") from error
    try:
        held = loadmat(path, variable_names=("X", "y"))
    except matlab.MatReadError as error:
        raise ValueError(str(error)) from error
    image = np.ascontiguousarray(held["X"].transpose(3, 0, 1, 2))
    if image.dtype != np.uint8:
        raise ValueError(f"its images are {image.dtype}, not bytes")
    return Packed(image, held["y"].reshape(-1).astype(np.int64) % 10)


def _read_npz(path: Path) -> dict[str, Packed]:
    def read(part: str) -> Packed:
        with np.load(path, allow_pickle=False) as held:
            image, label = held[f"{part}_x"], held[f"{part}_y"]
        if image.dtype != np.uint8:
            raise ValueError(f"{part}_x is {image.dtype}, not uint8")
        return Packed(image, label.astype(np.int64))

    return {part: _guarded(path, read, part) for part in ("train", "test")}


def _idx_names(part: str, kind: str) -> tuple[str, ...]:
    stems = (f"{part}-{kind}-ubyte", f"{part}-{kind.replace('-', '.')}-ubyte")
    return tuple(stem + end for stem in stems for end in ("", ".gz"))


_Names = Mapping[str, tuple[str, ...]]
_KINDS: tuple[tuple[_Names, Callable[[Mapping[str, Path]], dict[str, Packed]]], ...] = (
    (
        {
            "train": _idx_names("train", "images-idx3"),
            "train labels": _idx_names("train", "labels-idx1"),
            "test": _idx_names("t10k", "images-idx3"),
            "test labels": _idx_names("t10k", "labels-idx1"),
        },
        _read_idx_set,
    ),
    ({"train": ("usps.bz2", "usps"), "test": ("usps.t.bz2", "usps.t")}, _read_libsvm_set),
    ({"train": ("usps.h5",)}, _read_h5_set),
    ({"extra": ("extra_32x32.mat",), "test": ("test_32x32.mat",)}, _read_svhn_set),
    ({"train": ("train_32x32.mat",), "test": ("test_32x32.mat",)}, _read_svhn_set),
)
