"""`diptych generate` and `diptych interpolate`: images from a latent space."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from diptych.cli.parse import given_method, parse
from diptych.errors import InputError


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
    method: str | None = None
    """Where its method is, if it is your own: my_package.my_method, or my_method.py."""
    device: str = "auto"
    """cpu, cuda, mps; auto takes the fastest there is."""


def generate_command(arguments: list[str]) -> int:
    options = parse(Generate, arguments, "diptych generate", "")
    from diptych.inference.latent import generate_files
    from diptych.inference.load import load

    paths = generate_files(
        load(options.run, method=given_method(options.method), device=options.device),
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
    method: str | None = None
    """Where its method is, if it is your own: my_package.my_method, or my_method.py."""
    device: str = "auto"
    """cpu, cuda, mps; auto takes the fastest there is."""


def interpolate_command(arguments: list[str]) -> int:
    options = parse(Interpolate, arguments, "diptych interpolate", "")
    if len(options.source) not in (1, 2):
        raise InputError(f"--source names {len(options.source)} domains: expected one or two")
    from diptych.data.images import read_image
    from diptych.inference.latent import interpolate, write_strip
    from diptych.inference.load import load

    strip = interpolate(
        load(options.run, method=given_method(options.method), device=options.device),
        read_image(options.first),
        read_image(options.second),
        sources=(options.source[0], options.source[-1]),
        to=options.to,
        steps=options.steps,
    )
    write_strip(strip, options.out, overwrite=options.overwrite)
    print(f"see {options.out}")
    return 0
