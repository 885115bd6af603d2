"""`diptych generate` and `diptych interpolate`: images from a latent space."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import diptych
from diptych.cli.fields import Positional
from diptych.cli.parse import given_method, parse
from diptych.errors import InputError, counted


@dataclass(frozen=True, kw_only=True)
class Generate:
    """Make new images from noise, in one folder per domain. Equal names share their noise."""

    run: Positional[Path]
    """A run's folder or a translator's .safetensors file."""
    to: tuple[str, ...] = ()
    """The domains to make images of; all by default."""
    count: int = 16
    """Images per domain."""
    seed: int = 0
    """Seed of the noise."""
    out: Path = Path("generated")
    """Folder for the results and for grid.png, which shows the first images of each domain."""
    overwrite: bool = False
    """Replace results that exist."""
    method: str | None = None
    """The module of its method, if it is your own: my_package.my_method or my_method.py."""
    device: str = "auto"
    """cpu, cuda or mps; auto takes the fastest available."""


def generate_command(arguments: list[str]) -> int:
    options = parse(Generate, arguments, "diptych generate")
    from diptych.inference.latent import generate_files

    paths = generate_files(
        diptych.load(options.run, method=given_method(options.method), device=options.device),
        options.out,
        to=options.to,
        count=options.count,
        seed=options.seed,
        overwrite=options.overwrite,
    )
    print(f"{counted(len(paths), 'image')}\nsee {options.out}")
    return 0


@dataclass(frozen=True, kw_only=True)
class Interpolate:
    """Draw the images between two images in the latent space, as one strip per domain."""

    run: Positional[Path]
    """A run's folder or a translator's .safetensors file."""
    first: Positional[Path]
    """The image to start from."""
    second: Positional[Path]
    """The image to end at."""
    source: tuple[str, ...]
    """The domain of both images, or one domain for each."""
    to: tuple[str, ...] = ()
    """The domains to draw; all by default."""
    steps: int = 8
    """Images in a strip, including both ends."""
    out: Path = Path("interpolation.png")
    """File for the picture."""
    overwrite: bool = False
    """Replace a picture that exists."""
    method: str | None = None
    """The module of its method, if it is your own: my_package.my_method or my_method.py."""
    device: str = "auto"
    """cpu, cuda or mps; auto takes the fastest available."""


def interpolate_command(arguments: list[str]) -> int:
    options = parse(Interpolate, arguments, "diptych interpolate")
    if len(options.source) not in (1, 2):
        raise InputError(f"--source names {len(options.source)} domains: expected one or two")
    from diptych.inference.latent import interpolate, write_strip

    strip = interpolate(
        diptych.load(options.run, method=given_method(options.method), device=options.device),
        options.first,
        options.second,
        sources=(options.source[0], options.source[-1]),
        to=options.to,
        steps=options.steps,
    )
    write_strip(strip, options.out, overwrite=options.overwrite)
    print(f"see {options.out}")
    return 0
