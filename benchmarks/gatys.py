"""CycleGAN's Figures 15 and 16: neural style transfer beside CycleGAN's translations.

    python -m benchmarks.gatys --run runs/gatys-earth-map --cyclegan runs/cyclegan-earth-map

A row an image: the input, it in the style of two images of the target domain, which
stand above, in the mean style of the whole domain, and CycleGAN's translation. Inputs
are of the test split, evenly spread, unless --images names some; styles are the
training images of the target domain that are closest to its mean style, unless --styles
names two.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from benchmarks.harness import exit_code
from diptych.checkpoint import load_translator
from diptych.data import Data, evaluation_images, evaluation_pairs, open_data
from diptych.data.collections import evenly_spaced
from diptych.data.images import read_image, to_image
from diptych.data.raster import Raster
from diptych.data.transforms import evaluation_image
from diptych.errors import InputError
from diptych.inference.load import load
from diptych.inference.translator import Translator
from diptych.methods.gatys import Gatys
from diptych.report.grids import picture_grid, write_grid
from diptych.training.settings import read_plan

CANDIDATES = 64
"""Training images, evenly spread, of which two are taken as representative."""
COLUMNS = ("input", "style 1", "style 2", "collection", "CycleGAN")
_PAPER = 1.0
"""White, for the places of the style images' row that hold none."""


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code."""
    return exit_code("gatys", partial(_do, _parse(arguments)))


def _do(options: argparse.Namespace) -> int:
    grid = draw(
        options.run,
        options.cyclegan,
        to=options.to,
        images=options.images,
        styles=options.styles,
        rows=options.rows,
    )
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_grid(options.out, grid)
    print(f"see {options.out}")
    return 0


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gatys",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--run", type=Path, required=True, help="of gatys")
    parser.add_argument("--cyclegan", type=Path, required=True, help="a run on the same data")
    parser.add_argument("--to", nargs="+", default=[], help="target domains; both by default")
    parser.add_argument("--images", type=Path, nargs="+", default=[], help="inputs, with one --to")
    parser.add_argument("--styles", type=Path, nargs=2, default=[], help="with one --to")
    parser.add_argument("--rows", type=int, default=2, help="inputs a target domain")
    parser.add_argument("--out", type=Path, default=Path("runs/gatys.png"))
    return parser.parse_args(arguments)


def draw(
    run: Path,
    cyclegan: Path,
    *,
    to: Sequence[str] = (),
    images: Sequence[Path] = (),
    styles: Sequence[Path] = (),
    rows: int = 2,
) -> Image.Image:
    """The figure.

    Raises:
        InputError: runs that know other domains, or options that do not go together.
    """
    ours, theirs = load(run), load(cyclegan)
    if ours.domains != theirs.domains:
        raise InputError(
            f"{run} knows {', '.join(ours.domains)} and {cyclegan} {', '.join(theirs.domains)}:"
            " give runs on the same data"
        )
    targets = tuple(to) or ours.domains
    if (images or styles) and len(targets) > 1:
        raise InputError("--images and --styles are of one direction: name it by --to")
    plan = read_plan(run)
    settings, size = plan.run, plan.config.size
    data = open_data(settings.data, x=settings.x, y=settings.y, names=settings.names, size=size)
    pictures: list[list[Tensor]] = []
    for target in targets:
        index = ours.domain_index(target)
        inputs = _squares(images, size) if images else _inputs(data, 1 - index, size, rows)
        two = _squares(styles, size) if styles else _representative(run, data, index, size)
        pictures += _direction(run, ours, theirs, target, inputs, two)
    return picture_grid(pictures, COLUMNS)


def _direction(
    run: Path,
    ours: Translator,
    theirs: Translator,
    target: str,
    inputs: Sequence[Tensor],
    styles: Sequence[Tensor],
) -> list[list[Tensor]]:
    """The row of the styles, then one for each input."""
    empty = torch.full_like(inputs[0], _PAPER)
    rows = [[empty, *styles, empty, empty]]
    in_style = [load(run, styles=[to_image(style)]) for style in styles]
    makers: list[Callable[[Tensor], Tensor]] = [
        *(_to(translator, "style") for translator in in_style),
        _to(ours, target),
        _to(theirs, target),
    ]
    for image in inputs:
        rows.append([image, *(make(image) for make in makers)])
        print(f"to {target}: {len(rows) - 1} of {len(inputs)}", file=sys.stderr)
    return rows


def _to(translator: Translator, domain: str) -> Callable[[Tensor], Tensor]:
    return lambda image: translator.translate_batch(image[None], domain)[0]


def _inputs(data: Data, domain: int, size: int, rows: int) -> list[Tensor]:
    split = data.test or data.train
    sides = split.pairs or split.domains
    indices = evenly_spaced(len(sides[domain]), rows)
    if split.pairs is not None:
        batch = evaluation_pairs(split.pairs, indices, size=size, is_tiled=data.is_tiled)[domain]
    else:
        batch = evaluation_images(sides[domain], indices, size=size, is_tiled=data.is_tiled)
    return list(batch)


def _representative(run: Path, data: Data, domain: int, size: int) -> list[Tensor]:
    """The two training images whose style is closest to the domain's mean, of a few."""
    method, info = load_translator(run)
    if not isinstance(method, Gatys):
        raise InputError(f"{run} is a run of {info.method}: give one of gatys as --run")
    collection = data.train.domains[domain]
    indices = evenly_spaced(len(collection), CANDIDATES)
    images = evaluation_images(collection, indices, size=size, is_tiled=data.is_tiled)
    with torch.no_grad():
        far = method.style_distance(images, domain)
    return [images[i] for i in far.argsort()[:2].tolist()]


def _squares(paths: Sequence[Path], size: int) -> list[Tensor]:
    rasters = [(Raster.from_image(read_image(path)), str(path)) for path in paths]
    return [evaluation_image(*one, size=size, is_tiled=False).tensor() for one in rasters]


if __name__ == "__main__":
    sys.exit(main())
