"""Write a new study's folder, with every image under a random name and in one format.

The same encoder writes real and generated images, without metadata. Their names and their order
in the folder do not reveal which are real.
"""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from diptych.data.images import save_image
from diptych.errors import InputError, option
from diptych.study.draws import Candidate, possible_trials
from diptych.study.settings import StudySettings
from diptych.study.store import IMAGES, StoredImage, create_study


@dataclass(frozen=True)
class Item:
    """One image of a study."""

    scene: str
    """What it shows. A real image and each method's translation of it have the same scene."""
    image: Image.Image
    """RGB."""


def as_text(name: str) -> str:
    """Return a file name, which may hold any bytes, as text that can be stored and printed."""
    return name.encode("utf-8", "backslashreplace").decode()


def make_study(
    out: Path,
    real: Iterable[Item],
    fakes: Mapping[str, Iterable[Item]],
    settings: StudySettings,
) -> None:
    """Write a study to the folder `out`, whole or not at all.

    `real` are the real images, and `fakes` are those of each of the settings' methods.

    Raises:
        InputError: `out` already exists, images differ in size or are too few for a session,
            two images of a method share a scene, or the folder cannot be written.
    """
    if out.exists():
        raise InputError(f"{out} already exists: give another {option('out')}, or remove it")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
    except OSError as error:
        raise InputError(f"cannot make a folder in {out.parent}: {error.strerror}") from error
    try:
        unfinished.chmod(0o755)  # only the owner can read a temporary folder
        (unfinished / IMAGES).mkdir()
        stored: list[StoredImage] = []
        sizes: dict[tuple[int, int], str] = {}
        for method, items in [(None, real), *((m, fakes[m]) for m in settings.methods)]:
            for item in items:
                _check_size(sizes, item, method)
                file = f"{secrets.token_hex(12)}.png"
                save_image(item.image, unfinished / IMAGES / file)
                stored.append(StoredImage(file, method, as_text(item.scene)))
        _check_enough(settings, stored)
        create_study(unfinished, settings, stored)
        unfinished.rename(out)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def _check_size(sizes: dict[tuple[int, int], str], item: Item, method: str | None) -> None:
    """Check that all images have one size, since another size would reveal the method."""
    name = f"{item.scene} of {method or 'the real images'}"
    sizes.setdefault(item.image.size, name)
    if len(sizes) > 1:
        (first, one), (second, other) = sizes.items()
        raise InputError(
            f"{one} is {first[0]}x{first[1]} but {other} is {second[0]}x{second[1]}: all must have"
            f" one size; give {option('size')} to scale and crop them, or runs of one size"
        )


def _check_enough(settings: StudySettings, stored: Iterable[StoredImage]) -> None:
    candidates: dict[str | None, list[Candidate]] = {}
    for i, image in enumerate(stored):
        known = candidates.setdefault(image.method, [])
        known.append(Candidate(i, image.scene))
    for method, images in candidates.items():
        if len({c.scene for c in images}) < len(images):
            raise InputError(f"two of {method or 'the real'} images have the same name: rename one")
    for method in settings.methods:
        real, fake = candidates.get(None, []), candidates.get(method, [])
        possible = possible_trials(settings.pairing, real, fake)
        if possible < settings.total:
            scenes = " of the same scenes" if settings.pairing == "same" else ""
            raise InputError(
                f"{len(real)} real images and {len(fake)} of {method} give {possible}"
                f" pairs{scenes}, but a session of {settings.practice} + {settings.counted} trials"
                f" needs {settings.total}: give more images, or fewer"
                f" {option('practice')} and {option('trials')}"
            )
