"""Previews: pictures of how far a training is, and when they are drawn.

A preview is a grid of held-out inputs with their translations, reconstructions and, in pairs,
the true image; or of new images. Each is a file in the run's folder, previews/STEP.png.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn

from diptych.data import Data, Split, evaluation_images, evaluation_pairs
from diptych.data.attributes import Values, changed, exclusions
from diptych.data.collections import evenly_spaced
from diptych.data.raster import view
from diptych.errors import InputError
from diptych.evaluation.collapse import Collapse, CollapseSums, Verdict
from diptych.report.grids import picture_grid, write_grid
from diptych.types import Encodes, Generates, Translates

PREVIEWS_FOLDER = "previews"
_EARLIER_FOLDER = "samples"
"""Where runs of version 0.1.0 have them."""
PREVIEW_FOLDERS = (_EARLIER_FOLDER, PREVIEWS_FOLDER)
PER_RUN = 12
"""How many previews a run draws, besides the one before its first step."""
ROWS = 6
_SLOW_ROWS = 2
"""The number of rows for methods that optimise when they translate, which takes seconds an
image."""
_COLUMNS = 8
"""The number of columns of real and new images, for all domains together; two a domain if they are
many."""
_SEED = 0
"""The seed of the noise, which is the same in every picture."""
_MOST_ATTRIBUTES = 10
"""So many columns can be told apart on a screen."""


@dataclass(frozen=True)
class Preview:
    """What a method makes of the held-out images at one moment of its training."""

    grid: Image.Image
    collapses: Mapping[str, Collapse]
    """How much the outputs differ, beside their inputs and real images, by direction or domain."""


class Previews:
    """The same held-out images, translated again and again as training goes on.

    Of methods that do not translate, what they make of the same noise.

    They are of the validation split where there is one, else of the test
    split, else of the training images.
    """

    def __init__(self, data: Data, size: int, rows: int = ROWS) -> None:
        self._domains, self._pixels = data.domains, data.pixels
        self._attributed: list[tuple[Tensor, Values]] | None = None
        """Where domains are attributes, images and what each has."""
        if data.train.attributes is not None:
            self._excluded = exclusions(data.train.attributes.values)
            self._attributed = _with_attributes(data, size, rows)
        split, self._images = _usable(data, size, rows)
        # With two domains, the pair's other half is the true translation.
        self._has_truth = split.pairs is not None and len(data.domains) == 2

    def draw(self, method: nn.Module, device: torch.device) -> Preview | None:
        """What the method makes of them; None if it makes no images."""
        if not isinstance(method, Translates | Generates):
            return None
        was_training = method.training
        # no_grad rather than inference_mode: some methods optimise while translating.
        forked = [device] if device.type == "cuda" else []
        with torch.random.fork_rng(devices=forked), torch.no_grad():
            method.eval()
            if not isinstance(method, Translates):
                preview = self._new(method, device)
            elif self._attributed is not None:
                preview = self._by_attribute(method, device, self._attributed)
            elif len(self._domains) == 2:
                preview = self._both_directions(method, device)
            else:
                preview = self._everywhere(method, device)
        method.train(was_training)
        return preview

    def _both_directions(self, method: Translates, device: torch.device) -> Preview:
        count = min(map(len, self._images))
        if not method.exportable:
            count = min(count, _SLOW_ROWS)
        rows: list[list[Tensor]] = [[] for _ in range(count)]
        columns: list[str] = []
        collapses = {}
        for source, target in ((0, 1), (1, 0)):
            x, y = self._domains[source], self._domains[target]
            images = self._images[source][:count].to(device)
            fakes = method.translate(images, (target,))
            collapses[f"{x}→{y}"] = _collapse([(fakes, images)], self._images[target])
            shown = [images, fakes]
            columns += [x, f"→ {y}"]
            if method.exportable:
                shown.append(method.translate(fakes, (source,)))
                columns.append(f"→ {x} again")
            if self._has_truth:
                shown.append(self._images[target])
                columns.append(f"true {y}")
            domains = (source, target, source) if method.exportable else (source, target)
            pictures = self._shown(shown, (*domains, target)[: len(shown)])
            for row, own in zip(rows, zip(*pictures, strict=False), strict=False):
                row.extend(own)
        return Preview(picture_grid(rows, columns, groups=[len(columns) // 2] * 2), collapses)

    def _everywhere(self, method: Translates, device: torch.device) -> Preview:
        """A row an input, a few of each domain; a column a domain that it is translated to."""
        each = max(1, ROWS // len(self._domains))
        rows: list[tuple[Tensor, ...]] = []
        made: list[list[tuple[Tensor, Tensor]]] = [[] for _ in self._domains]
        for source, images in enumerate(self._images):
            inputs = images[:each].to(device)
            targets = range(len(self._domains))
            shown = [inputs, *(method.translate(inputs, (target,)) for target in targets)]
            rows += zip(*self._shown(shown, (source, *targets)), strict=True)
            for target in targets:
                if target != source:
                    made[target].append((shown[1 + target], inputs))
        collapses = {
            f"→{name}": _collapse(outputs, real)
            for name, outputs, real in zip(self._domains, made, self._images, strict=True)
        }
        grid = picture_grid(rows, ["input", *(f"→ {name}" for name in self._domains)])
        return Preview(grid, collapses)

    def _new(self, method: Generates, device: torch.device) -> Preview:
        """A group of columns a domain: real images, their reconstructions, then new ones."""
        rows: list[list[Tensor]] = [[] for _ in range(min(map(len, self._images)))]
        columns: list[str] = []
        collapses = {}
        each = max(2, _COLUMNS // len(self._domains))
        for domain, (name, images) in enumerate(zip(self._domains, self._images, strict=True)):
            real = images[: len(rows)].to(device)
            shown, heads = [real], [name]
            if isinstance(method, Encodes):
                shown.append(method.decode(method.encode(real, domain), domain))
                heads.append(f"{name} again")
            more = max(1, each - len(shown))
            rng = torch.Generator().manual_seed(_SEED)
            fakes = method.generate(more * len(rows), domain, rng)
            collapses[name] = _collapse([(fakes, None)], images)
            shown += fakes.chunk(more)
            columns += [*heads, *[f"new {name}"] * more]
            pictures = self._shown(shown, [domain] * len(shown))
            for row, own in zip(rows, zip(*pictures, strict=True), strict=True):
                row.extend(own)
        groups = [len(columns) // len(self._domains)] * len(self._domains)
        return Preview(picture_grid(rows, columns, groups=groups), collapses)

    def _shown(self, columns: Sequence[Tensor], domains: Sequence[int]) -> list[Tensor]:
        """(B, 3, H, W) each, of (B, C, H, W) images of the domains at these places."""
        return [
            view(images.float().cpu(), self._pixels[domain])
            for images, domain in zip(columns, domains, strict=True)
        ]

    def _by_attribute(
        self, method: Translates, device: torch.device, attributed: list[tuple[Tensor, Values]]
    ) -> Preview:
        """A row an input, a column an attribute that is changed in it, all others as they are."""
        shown = range(min(len(self._domains), _MOST_ATTRIBUTES))
        rows = []
        made: list[list[tuple[Tensor, Tensor]]] = [[] for _ in shown]
        for image, label in attributed:
            one, pictures = image.to(device), [view(image[0], self._pixels[0])]
            for attribute in shown:
                target = changed(label, attribute, self._excluded).nonzero()[0].tolist()
                fake = method.translate(one, tuple(target))
                pictures.append(view(fake[0].float().cpu(), self._pixels[0]))
                made[attribute].append((fake, image))
            rows.append(pictures)
        marks = ["→" if self._excluded[attribute].any() else "+/-" for attribute in shown]
        names = [f"{mark} {name}" for mark, name in zip(marks, self._domains, strict=False)]
        real = torch.cat([image for image, _ in attributed])
        collapses = {name: _collapse(pairs, real) for name, pairs in zip(names, made, strict=True)}
        return Preview(picture_grid(rows, ["input", *names]), collapses)


class CollapseWatch:
    """Names a collapse when it begins, in one line for each kind.

    The first weights of some methods give one colour (UNIT). So a direction that has not been
    sound yet is named when two previews after the first step have shown the collapse.
    """

    def __init__(self) -> None:
        self._told: set[Verdict] = set()
        self._due: set[str] = set()
        """Directions that were sound before, or that had collapsed in the preview before."""

    def after_preview(self, step: int, collapses: Mapping[str, Collapse]) -> list[str]:
        """Return what to print after the preview of `step`."""
        lines = []
        for direction, found in collapses.items():
            verdict, sentence = found.verdict, found.sentence(direction)
            is_due = direction in self._due or verdict == "not finite"
            if step and is_due and verdict is not None and verdict not in self._told:
                self._told.add(verdict)
                lines.append(f"warning: at step {step:,}, {sentence}")
            if step or verdict is None:
                self._due.add(direction)
        return lines


def _collapse(made: Iterable[tuple[Tensor, Tensor | None]], real: Tensor) -> Collapse:
    """Return the figures of outputs with their inputs, beside real images of the target."""
    sums = CollapseSums()
    for outputs, inputs in made:
        sums.add(outputs, inputs)
    sums.targets.add(real)
    return sums.collapse


def steps_between(steps: int, every: int | None) -> int:
    """Steps from one preview to the next in a run of `steps`; `every` if it is given."""
    return every or math.ceil(steps / PER_RUN)


def write_preview(folder: Path, step: int, grid: Image.Image) -> None:
    """Keep the grid of `step` in the run's `folder`."""
    (folder / PREVIEWS_FOLDER).mkdir(exist_ok=True)
    write_grid(folder / PREVIEWS_FOLDER / f"{step:08d}.png", grid)


def previews_of(folder: Path) -> list[tuple[int, Path]]:
    """The previews of the run in `folder`, as (step, file), oldest first."""
    files = [f for name in PREVIEW_FOLDERS for f in (folder / name).glob("*.png")]
    found = {int(file.stem): file for file in files if file.stem.isdigit()}
    return sorted(found.items())


def latest_preview(folder: Path) -> Path | None:
    """The newest preview of the run in `folder`, if it has any."""
    found = previews_of(folder)
    return found[-1][1] if found else None


def _usable(data: Data, size: int, rows: int) -> tuple[Split, list[Tensor]]:
    """The first split that has images to show: of a few held out, all may be broken."""
    splits = [split for split in (data.validation, data.test) if split is not None]
    for split in splits:
        with suppress(InputError):
            return split, _images(split, size, rows, data.is_tiled)
    return data.train, _images(data.train, size, rows, data.is_tiled)


def _images(split: Split, size: int, rows: int, is_tiled: bool) -> list[Tensor]:
    """A (N, 3, size, size) a domain; pairs, where there are any, row by row."""
    if split.pairs is not None:
        indices = evenly_spaced(len(split.pairs[0]), rows)
        return list(evaluation_pairs(split.pairs, indices, size=size, is_tiled=is_tiled))
    return [
        evaluation_images(images, evenly_spaced(len(images), rows), size=size, is_tiled=is_tiled)
        for images in split.domains
    ]


def _with_attributes(data: Data, size: int, rows: int) -> list[tuple[Tensor, Values]]:
    """(1, 3, size, size) images, held-out ones if any can be used, and what each has."""
    for split in (data.validation, data.test, data.train):
        if split is None or split.attributes is None:
            continue
        known, found = split.attributes, []
        for index in evenly_spaced(len(known.images), rows):
            with suppress(InputError):
                image = evaluation_images(known.images, [index], size=size, is_tiled=False)
                found.append((image, known.values[index]))
        if found:
            return found
    raise InputError(f"none of the images tried in {data.source} can be used")
