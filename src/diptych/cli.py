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
from typing import TYPE_CHECKING, Literal

import tyro
from rich.console import Console
from rich.table import Table

from diptych import __version__
from diptych.cli_bench import bench_command
from diptych.cli_parse import about, complain, parse
from diptych.cli_study import study_command
from diptych.cli_train import show_scores, train_command
from diptych.cli_translate import generate_command, interpolate_command, translate_command
from diptych.errors import InputError

if TYPE_CHECKING:
    pass

_HELP = """\
usage: diptych COMMAND ...

Translate images between domains that nobody has paired.

  train METHOD    learn to translate, such as: diptych train cyclegan --data horse2zebra/
  translate RUN   turn images into another domain's
  generate RUN    make new images from noise
  interpolate RUN A B    draw what lies between two images
  evaluate RUN    score a run on held-out images
  report RUN      write the page of a run anew
  study           let people tell real images from generated ones
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


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Score a run on held-out images; its report shows the scores from then on."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """The run's folder; several, of one training with other seeds, are scored and averaged."""
    data: str | None = None
    """Other data than the run's own."""
    split: Literal["test", "validation", "train"] = "test"
    """Which images."""
    features: Literal["efficientnet-lite0", "inception"] | None = None
    """The network whose features KID and FID compare; by default the one that is installed."""
    weights: Path | None = None
    """Its weights, for inception."""
    vgg16: Path | None = None
    """torchvision's weights of VGG-16, for LPIPS and DISTS where there are true pairs."""
    choose: bool = False
    """Score the best of the checkpoints that --keep-every kept, by KID on validation images."""
    palette: tuple[str, ...] = ()
    """What a domain's colours mean: DOMAIN=FILE.csv, with lines of name,r,g,b, or
    DOMAIN=cityscapes; by default as the run was told, or palette.csv in the domain's folder."""
    fcn: bool = False
    """Also the FCN score of labels → photos: trains a segmentation network on the real
    training pairs, in minutes, and keeps it for the next time."""
    adaptation: bool = False
    """Also how well segmentation networks of the second domain do, trained on images of the
    first as they are, translated, and on the second's own."""
    json: Path | None = None
    """Also write the scores to this file."""
    device: str = "auto"
    """cpu, cuda, mps; auto takes the fastest there is."""


def _evaluate(arguments: list[str]) -> int:
    options = parse(Evaluate, arguments, "diptych evaluate", "")
    if not options.runs:
        raise InputError("nothing to evaluate: name a run's folder")
    from functools import partial

    from diptych.api import evaluate, evaluate_seeds
    from diptych.files import atomic_write_text, check_can_write

    check_can_write(options.json)
    score = partial(evaluate, options.runs[0]) if len(options.runs) == 1 else None
    scores = (score or partial(evaluate_seeds, options.runs))(
        data=options.data,
        split=options.split,
        features=options.features,
        weights=options.weights,
        vgg16=options.vgg16,
        choose=options.choose,
        palette=options.palette,
        fcn=options.fcn,
        adaptation=options.adaptation,
        device=options.device,
    )
    if options.json is not None:
        import json

        atomic_write_text(options.json, json.dumps(scores, indent=1) + "\n")
    show_scores(scores)
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
        module = vars(find_method(name))
        console.print(f"  {module['SUMMARY']}", highlight=False)
        console.print(f"  takes {_takes(name)}", style="dim", highlight=False)
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 2), style="dim")
        for recipe, what in module.get("RECIPES", {}).items():
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
    "translate": translate_command,
    "generate": generate_command,
    "interpolate": interpolate_command,
    "evaluate": _evaluate,
    "report": _report,
    "study": study_command,
    "bench": bench_command,
    "methods": _methods,
    "samples": _samples,
}


def _takes(method: str) -> str:
    """What a method's batches are, in the first words of their own docstring."""
    from diptych.registry import method_class

    text = str(vars(method_class(method))["batch_type"].__doc__).splitlines()[0].rstrip(".")
    return text[:1].lower() + text[1:]


_log = logging.getLogger("diptych")


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
