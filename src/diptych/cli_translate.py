"""The commands that make images: translate, generate and interpolate."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from diptych.cli_parse import parse
from diptych.errors import InputError

if TYPE_CHECKING:
    from diptych.evaluation.familiarity import Watch
    from diptych.translator import Translator

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Translate:
    """Turn images into another domain's; each result has its input's size and name."""

    run: tyro.conf.Positional[Path]
    """A run's folder or a translator's .safetensors file."""
    inputs: tyro.conf.Positional[tuple[str, ...]]
    """Images, folders of images, or patterns such as "album/**/*.jpg"."""
    to: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """The domain to translate to, which may be left out where there is one choice; of
    attributes, each that the results are to have, with a --to of its own."""
    style: tuple[Path, ...] = ()
    """Images whose common style to give instead, where a method can: diptych train gatys."""
    out: Path = Path("translated")
    """Folder for the results; subfolders are kept."""
    format: Literal["png", "jpg", "webp", "tiff"] = "png"
    """File format of the results."""
    overwrite: bool = False
    """Replace results that are already there."""
    device: str = "auto"
    """cpu, cuda, mps; auto takes the fastest there is."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Of the computation."""
    memory: float = 2.0
    """GiB that translating may take beyond the images; larger images go in tiles."""
    samples: int | None = None
    """Translations of each image, where a method knows many: photo-1.png, photo-2.png."""
    seed: int = 0
    """Of the methods that draw when they translate; of the first of the samples."""
    check: bool = True
    """Name the inputs that are unlike the training images, where the run has been scored."""


def translate_command(arguments: list[str]) -> int:
    options = parse(Translate, arguments, "diptych translate", "")
    if not options.inputs:
        raise InputError("nothing to translate: name images or folders after the run")
    if options.style and options.to:
        raise InputError(f"give --to {' '.join(options.to)} or --style, not both")
    from diptych.api import load
    from diptych.images import read_image
    from diptych.translate_files import translate_files

    translator = load(
        options.run,
        styles=[read_image(path) for path in options.style],
        device=options.device,
        precision=options.precision,
        memory_gib=options.memory,
        samples=options.samples is not None,
    )
    translator.require_translation()
    to = options.to or (translator.domains if len(translator.domains) == 1 else ())
    if not to:
        raise InputError(
            f"--to which domain? {options.run} knows {' and '.join(translator.domains)}"
        )
    watching = _watch(options.run, translator, to) if options.check else None
    result = translate_files(
        translator,
        options.inputs,
        options.out,
        to=to,
        overwrite=options.overwrite,
        format=options.format,
        seed=options.seed,
        samples=options.samples,
        seen=None if watching is None else watching.see,
    )
    print(f"{result}\nsee {options.out}")
    if watching is not None and (finding := watching.finding()) is not None:
        _log.warning("%s", finding)
    return 0


def _watch(run: Path, translator: Translator, to: Sequence[str]) -> Watch | None:
    """What looks at the inputs, where the run knows what those of its training were like."""
    from diptych.evaluation.familiarity import watch

    folder = run if run.is_dir() else run.parent
    info = translator.info
    sources = info.domains if info.has_attributes else [d for d in info.domains if d not in to]
    try:
        return watch(folder, sources, info.fingerprint)
    except InputError as error:
        _log.warning("%s", error)
        return None


# --- the latent space ---------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Generate:
    """Make new images from noise: one folder a domain; equal names come from the same noise."""

    run: tyro.conf.Positional[Path]
    """A run's folder or a translator's .safetensors file."""
    to: tuple[str, ...] = ()
    """Domains; all of them by default."""
    count: int = 16
    """Images of each domain."""
    seed: int = 0
    """Draws the noise."""
    out: Path = Path("generated")
    """Folder for the results, and for grid.png, where the first of each domain stand in a row."""
    overwrite: bool = False
    """Replace results that are already there."""
    device: str = "auto"
    """cpu, cuda, mps; auto takes the fastest there is."""


def generate_command(arguments: list[str]) -> int:
    options = parse(Generate, arguments, "diptych generate", "")
    from diptych.api import load
    from diptych.latent import generate_files

    paths = generate_files(
        load(options.run, device=options.device),
        options.out,
        to=options.to,
        count=options.count,
        seed=options.seed,
        overwrite=options.overwrite,
    )
    print(f"{len(paths)} images\nsee {options.out}")
    return 0


@dataclass(frozen=True, kw_only=True)
class Interpolate:
    """Draw what lies between two images in the latent space, as a strip for each domain."""

    run: tyro.conf.Positional[Path]
    """A run's folder or a translator's .safetensors file."""
    first: tyro.conf.Positional[Path]
    """The image to start from."""
    second: tyro.conf.Positional[Path]
    """The image to end at."""
    source: tuple[str, ...]
    """The domain of both images, or of each."""
    to: tuple[str, ...] = ()
    """Domains to draw; all of them by default."""
    steps: int = 8
    """Images in a strip, both ends among them."""
    out: Path = Path("interpolation.png")
    """The picture."""
    overwrite: bool = False
    """Replace a picture that is already there."""
    device: str = "auto"
    """cpu, cuda, mps; auto takes the fastest there is."""


def interpolate_command(arguments: list[str]) -> int:
    options = parse(Interpolate, arguments, "diptych interpolate", "")
    if len(options.source) not in (1, 2):
        raise InputError(f"--source names {len(options.source)} domains: expected one or two")
    from diptych.api import load
    from diptych.images import read_image
    from diptych.latent import interpolate, write_strip

    strip = interpolate(
        load(options.run, device=options.device),
        read_image(options.first),
        read_image(options.second),
        sources=(options.source[0], options.source[-1]),
        to=options.to,
        steps=options.steps,
    )
    write_strip(strip, options.out, overwrite=options.overwrite)
    print(f"see {options.out}")
    return 0
