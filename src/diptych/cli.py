"""The command line. Each command is one dataclass and one function."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console
from rich.table import Table

from diptych import __version__
from diptych.cli_bench import bench_command
from diptych.cli_parse import about, complain, parse
from diptych.cli_train import train_command
from diptych.errors import InputError

_HELP = """\
usage: diptych COMMAND ...

Translate images between domains that nobody has paired.

  train METHOD    learn to translate, such as: diptych train cyclegan --data horse2zebra/
  translate RUN   turn images into another domain's
  generate RUN    make new images from noise
  interpolate RUN A B    draw what lies between two images
  evaluate RUN    score a run on held-out images
  report RUN      write the page of a run anew
  bench DATA      train many methods alike, and print the papers' tables
  methods         what there is to train
  samples         data to try it on, with no files of your own

diptych COMMAND --help lists a command's options; diptych --version the version.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, 2 for input that cannot be used,
    1 for training that diverged, 130 for an interrupt."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with _messages():
            return _dispatch(arguments)
    except InputError as error:
        return complain(str(error))
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
            raise
        return complain(f"cannot write {error.filename or 'a file'}: {error.strerror}")
    except KeyboardInterrupt:
        return complain("stopped", code=130)


def _dispatch(arguments: list[str]) -> int:
    command, rest = (arguments[0], arguments[1:]) if arguments else ("--help", [])
    if command in ("--help", "-h"):
        print(_HELP, end="")
        return 0
    if command == "--version":
        print(f"diptych {__version__}")
        return 0
    if command not in _COMMANDS:
        raise InputError(f"no command {command!r}; there are: {', '.join(_COMMANDS)}")
    return _COMMANDS[command](rest)


# --- translate ---------------------------------------------------------------


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


def _translate(arguments: list[str]) -> int:
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
    result = translate_files(
        translator,
        options.inputs,
        options.out,
        to=to,
        overwrite=options.overwrite,
        format=options.format,
        seed=options.seed,
        samples=options.samples,
    )
    print(f"{result}\nsee {options.out}")
    return 0


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
    """Folder for the results, and for grid.png, where the first stand side by side."""
    overwrite: bool = False
    """Replace results that are already there."""
    device: str = "auto"
    """cpu, cuda, mps; auto takes the fastest there is."""


def _generate(arguments: list[str]) -> int:
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


def _interpolate(arguments: list[str]) -> int:
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


# --- the rest ----------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Score a run on held-out images; its report shows the scores from then on."""

    run: tyro.conf.Positional[Path]
    """The run's folder."""
    data: str | None = None
    """Other data than the run's own."""
    split: Literal["test", "validation", "train"] = "test"
    """Which images."""
    features: Literal["efficientnet-lite0", "inception"] | None = None
    """The network whose features KID and FID compare; by default the one that is installed."""
    weights: Path | None = None
    """Its weights, for inception."""
    json: Path | None = None
    """Also write the scores to this file."""
    device: str = "auto"
    """cpu, cuda, mps; auto takes the fastest there is."""


def _evaluate(arguments: list[str]) -> int:
    options = parse(Evaluate, arguments, "diptych evaluate", "")
    from diptych.api import evaluate
    from diptych.evaluation import scores_table

    scores = evaluate(
        options.run,
        data=options.data,
        split=options.split,
        features=options.features,
        weights=options.weights,
        device=options.device,
    )
    if options.json is not None:
        import json

        from diptych.files import atomic_write_text

        atomic_write_text(options.json, json.dumps(scores, indent=1) + "\n")
    Console().print(scores_table(scores))
    return 0


@dataclass(frozen=True, kw_only=True)
class Report:
    """Write a run's report.html anew, at any time."""

    run: tyro.conf.Positional[Path]
    """The run's folder."""


def _report(arguments: list[str]) -> int:
    from diptych.training.summary import summarise

    options = parse(Report, arguments, "diptych report", "")
    print(summarise(options.run))
    return 0


def _methods(arguments: list[str]) -> int:
    from diptych.registry import find_method, method_names

    console = Console()
    for name in method_names():
        console.print(f"[bold]{name}[/]  {about(name).splitlines()[0]}", highlight=False)
        console.print(f"  takes {_takes(name)}", style="dim", highlight=False)
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 2), style="dim")
        for recipe, what in vars(find_method(name)).get("RECIPES", {}).items():
            table.add_row(f"--recipe {recipe}", what.summary)
        console.print(table)
    return 0


def _samples(arguments: list[str]) -> int:
    from diptych.data.samples import SAMPLES

    table = Table(box=None, pad_edge=False)
    for column in ("--data", "what it is"):
        table.add_column(column)
    for name, what in SAMPLES.items():
        table.add_row(f"sample:{name}", what)
    Console().print(table)
    return 0


_COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "train": train_command,
    "translate": _translate,
    "generate": _generate,
    "interpolate": _interpolate,
    "evaluate": _evaluate,
    "report": _report,
    "bench": bench_command,
    "methods": _methods,
    "samples": _samples,
}
_log = logging.getLogger("diptych")


def _takes(method: str) -> str:
    """What a method's batches are, in the first words of their own docstring."""
    from diptych.registry import method_class

    text = str(vars(method_class(method))["batch_type"].__doc__).splitlines()[0].rstrip(".")
    return text[:1].lower() + text[1:]


@contextlib.contextmanager
def _messages() -> Iterator[None]:
    """The library's own messages on standard error, as plain lines."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    _log.addHandler(handler)
    _log.setLevel(logging.INFO)
    try:
        yield
    finally:
        _log.removeHandler(handler)
