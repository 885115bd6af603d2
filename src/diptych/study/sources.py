"""Where a study's images come from: runs that translate held-out images, or plain folders."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from diptych.data import Data, Images
from diptych.data.collections import evenly_spaced
from diptych.data.images import IMAGE_SUFFIXES, read_image, to_image, to_tensor
from diptych.data.transforms import evaluation_image
from diptych.errors import InputError, option
from diptych.evaluation.scores import choose_split
from diptych.study.items import Item, as_text

Translate = Callable[[Tensor, str], Tensor]
"""(B, 3, H, W) images in [-1, 1] and a domain's name to images of that domain."""

_BATCH = 8


@dataclass(frozen=True)
class HeldOut:
    """The images of one direction, read and scaled when they are asked for."""

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
            raise InputError(
                f"{self.to} is where the images come from: name another {option('to')}"
            )

    @property
    def direction(self) -> str:
        """Such as "map→photo"."""
        return f"{self.source}→{self.to}"

    def real(self) -> Iterator[Item]:
        """Real images of the target domain."""
        return self._items(self.to)

    def translated(self, translate: Translate) -> Iterator[Item]:
        """Images of the source domain, translated."""
        waiting: list[Item] = []
        for item in self._items(self.source):
            waiting.append(item)
            if len(waiting) == _BATCH:
                yield from self._translated(waiting, translate)
                waiting = []
        if waiting:
            yield from self._translated(waiting, translate)

    def _translated(self, items: Sequence[Item], translate: Translate) -> Iterator[Item]:
        outputs = translate(torch.stack([to_tensor(item.image) for item in items]), self.to)
        for item, output in zip(items, outputs, strict=True):
            yield Item(item.scene, to_image(output))

    def _items(self, domain: str) -> Iterator[Item]:
        """At most `most`, evenly spread; those that cannot be used are left out."""
        chosen = choose_split(self.data, self.split)
        sides = chosen.domains if chosen.pairs is None else chosen.pairs
        images: Images = sides[self.data.domains.index(domain)]
        for index in evenly_spaced(len(images), self.most):
            # Without pairs no image of one domain shows what one of the other shows.
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
            yield Item(scene, image)


def folder_items(folder: Path, *, size: int | None) -> Iterator[Item]:
    """All images of a folder; a scene is a file's name without its suffix.

    With `size`, the middle square of each, scaled to so many pixels; else each as it is.

    Raises:
        InputError: no such folder, no images in it, or one that cannot be used.
    """
    if not folder.is_dir():
        raise InputError(f"no such folder: {folder}")
    files = sorted(f for f in folder.rglob("*") if f.suffix.lower() in IMAGE_SUFFIXES)
    if not files:
        raise InputError(f"no images in {folder}: expected {', '.join(IMAGE_SUFFIXES)}")
    for file in files:
        image = read_image(file)
        if size is not None:
            image = evaluation_image(image, str(file), size=size, is_tiled=False)
        yield Item(file.relative_to(folder).with_suffix("").as_posix(), image)


def named_paths(texts: Sequence[str], default: Callable[[Path], str]) -> Mapping[str, Path]:
    """NAME=PATH, or a path alone, whose name `default` knows; in the order given.

    Raises:
        InputError: two of one name.
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
