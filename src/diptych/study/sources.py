"""Sources of a study's images: runs that translate held-out images, or plain folders."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from diptych.data import Data, Images, formats
from diptych.data.collections import evenly_spaced
from diptych.data.images import read_image
from diptych.data.pixels import PixelFormat
from diptych.data.raster import Raster, to_picture
from diptych.data.transforms import evaluation_image
from diptych.errors import InputError, option
from diptych.evaluation.scores import choose_split
from diptych.study.items import Item, as_text

Translate = Callable[[Tensor, str], Tensor]
"""Takes (B, 3, H, W) images in [-1, 1] and a domain's name; returns images of that domain."""

_BATCH = 8


@dataclass(frozen=True)
class HeldOut:
    """The held-out images of one direction. They are read and scaled when they are needed.

    Raises:
        InputError: a domain does not exist, or source and target are the same.
    """

    data: Data
    source: str
    to: str
    split: str
    size: int
    most: int

    def __post_init__(self) -> None:
        for name in (self.source, self.to):
            if name not in self.data.domains:
                raise InputError(
                    f"no domain {name!r} in {self.data.source}: it has"
                    f" {' and '.join(self.data.domains)}"
                )
        if self.source == self.to:
            raise InputError(f"{self.to} is already the source domain: give another {option('to')}")

    @property
    def direction(self) -> str:
        """The direction of translation, such as "map→photo"."""
        return f"{self.source}→{self.to}"

    def real(self) -> Iterator[Item]:
        """Yield real images of the target domain."""
        return self._items(self.to)

    def translated(self, translate: Translate) -> Iterator[Item]:
        """Yield translations of the source domain's images."""
        waiting: list[tuple[str, Raster]] = []
        for one in self._squares(self.source):
            waiting.append(one)
            if len(waiting) == _BATCH:
                yield from self._translated(waiting, translate)
                waiting = []
        if waiting:
            yield from self._translated(waiting, translate)

    def _translated(
        self, squares: Sequence[tuple[str, Raster]], translate: Translate
    ) -> Iterator[Item]:
        outputs = translate(torch.stack([image.tensor() for _, image in squares]), self.to)
        pixels = self._pixels(self.to)
        for (scene, _), output in zip(squares, outputs, strict=True):
            yield Item(scene, to_picture(output, pixels))

    def _items(self, domain: str) -> Iterator[Item]:
        for scene, image in self._squares(domain):
            yield Item(scene, image.picture(self._pixels(domain)))

    def _pixels(self, domain: str) -> PixelFormat:
        return self.data.pixels[self.data.domains.index(domain)]

    def _squares(self, domain: str) -> Iterator[tuple[str, Raster]]:
        """Yield scenes and at most `most` images, evenly spread, without unusable ones."""
        chosen = choose_split(self.data, self.split)
        sides = chosen.domains if chosen.pairs is None else chosen.pairs
        images: Images = sides[self.data.domains.index(domain)]
        for index in evenly_spaced(len(images), self.most):
            # Without pairs, images of different domains show different scenes.
            scene = str(index) if chosen.pairs is not None else f"{domain}/{images.name(index)}"
            try:
                image = evaluation_image(
                    images.read(index),
                    images.name(index),
                    size=self.size,
                    is_tiled=self.data.is_tiled,
                )
            except InputError:
                continue
            yield scene, image


def folder_items(folder: Path, *, size: int | None) -> Iterator[Item]:
    """Yield all images below a folder. A scene is a file's relative name without its suffix.

    With `size`, the middle square of each image is scaled to that many pixels. Without it,
    images stay as they are.

    Raises:
        InputError: the folder does not exist or has no images, or an image cannot be used.
    """
    if not folder.is_dir():
        raise InputError(f"no such folder: {folder}")
    files = sorted(f for f in folder.rglob("*") if formats.suffix_of(f) in formats.PILLOW_SUFFIXES)
    if not files:
        raise InputError(f"no images in {folder}: expected {', '.join(formats.PILLOW_SUFFIXES)}")
    for file in files:
        image = read_image(file)
        if size is not None:
            square = evaluation_image(
                Raster.from_image(image), str(file), size=size, is_tiled=False
            )
            image = square.picture()
        yield Item(file.relative_to(folder).with_suffix("").as_posix(), image)


def named_paths(texts: Sequence[str], default: Callable[[Path], str]) -> Mapping[str, Path]:
    """Return paths by name, in the order given, from texts NAME=PATH or PATH.

    `default` gives the name of a path without a name.

    Raises:
        InputError: two paths have the same name, or a name is empty.
    """
    paths: dict[str, Path] = {}
    for text in texts:
        name, sign, rest = text.partition("=")
        path = Path(rest) if sign and not Path(text).exists() else Path(text)
        name = as_text(name if path != Path(text) else default(path))
        if not name or name in paths:
            raise InputError(f"{text} is called {name!r}, as another is: name it, NAME={path}")
        paths[name] = path
    return paths
