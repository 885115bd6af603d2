"""Find files that are in two parts of the data, quickly: by their sizes, then their contents."""

from __future__ import annotations

import os
from collections import defaultdict
from hashlib import blake2b
from pathlib import Path

from diptych.data.collections import Data, FileImages, evenly_spaced
from diptych.errors import call

LOOKED_AT = 10_000
"""The sizes of up to this many files of each part are read."""
HASHED = 256
"""The contents of up to this many files are read."""

_Part = tuple[str, str]
"""A domain and a split."""


def shared_files_note(data: Data) -> tuple[str, ...]:
    """Return a line on files that are in training and testing, or in two domains; mostly nothing.

    Only files of one size can be the same. Of many such files, evenly spread ones are read.
    """
    by_size: dict[int, list[tuple[_Part, Path]]] = defaultdict(list)
    for part, images in _parts(data).items():
        for index in evenly_spaced(len(images), LOOKED_AT):
            path = Path(images.path(index))
            try:
                by_size[path.stat().st_size].append((part, path))
            except OSError:  # reading it says so
                continue
    alike = [one for files in by_size.values() if len({p for p, _ in files}) > 1 for one in files]
    by_content: dict[bytes, list[tuple[_Part, Path]]] = defaultdict(list)
    for index in evenly_spaced(len(alike), HASHED):
        part, path = alike[index]
        try:
            by_content[blake2b(path.read_bytes(), digest_size=16).digest()].append((part, path))
        except OSError:
            continue
    shared = [files for files in by_content.values() if len({p for p, _ in files}) > 1]
    if not shared:
        return ()
    first, second = _of_two_parts(shared[0])
    places = " and ".join(f"{os.fspath(path)} ({'/'.join(part)})" for part, path in (first, second))
    doctor = call("diptych doctor", "diptych.doctor")
    count = "1 file is" if len(shared) == 1 else f"{len(shared):,} files are"
    return (f"{count} in two parts of the data, such as {places}: {doctor} names all doubles",)


def _of_two_parts(files: list[tuple[_Part, Path]]) -> tuple[tuple[_Part, Path], ...]:
    one = files[0]
    return one, next(other for other in files if other[0] != one[0])


def _parts(data: Data) -> dict[_Part, FileImages]:
    splits = {"train": data.train, "validation": data.validation, "test": data.test}
    return {
        (domain, name): images
        for name, split in splits.items()
        if split is not None and split.attributes is None
        for domain, images in zip(data.domains, split.domains, strict=True)
        if isinstance(images, FileImages) and not _is_shared(data, name, images)
    }


def _is_shared(data: Data, name: str, images: FileImages) -> bool:
    """Whether the validation images stand in for the test images, or the other way round."""
    return name == "validation" and data.test is not None and images in data.test.domains
