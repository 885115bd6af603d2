"""The command line. Each command is one dataclass and one function."""

from __future__ import annotations

import contextlib
import errno
import io
import logging
import os
import re
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, make_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from rich.console import Console
from rich.table import Table

from diptych import __version__
from diptych.errors import InputError

if TYPE_CHECKING:
    from diptych.train.run import Outcome

_HELP = """\
usage: diptych COMMAND ...

Translate images between domains that nobody has paired.

  train METHOD    learn to translate, such as: diptych train cyclegan --data horse2zebra/
  translate RUN   turn images into another domain's
  evaluate RUN    score a run on held-out images
  report RUN      write the page of a run anew
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
        return _complain(str(error))
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
            raise
        return _complain(f"cannot write {error.filename or 'a file'}: {error.strerror}")
    except KeyboardInterrupt:
        return _complain("stopped", code=130)


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


# --- train -------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What sets several options at once, and what happens around the training."""

    preset: str | None = None
    """paper (each method's own settings, the default) or fast."""
    recipe: str | None = None
    """The paper's settings for one of its experiments: see diptych methods."""
    config: Path | None = None
    """A config.toml whose [config] and [run] to take over, such as another run's."""
    overwrite: bool = False
    """Replace the run that --out already holds."""
    evaluate: bool = True
    """Score the finished run on its test images."""


@dataclass(frozen=True, kw_only=True)
class Resume:
    """Go on with a run from its last checkpoint, to the same bits."""

    resume: Annotated[Path, tyro.conf.arg(metavar="RUN")]
    """The run's folder."""
    device: str | None = None
    """Another device than the run began on."""
    workers: int | None = None
    """Another number of processes that decode images."""
    evaluate: bool = True
    """Score the finished run on its test images."""


def _train(arguments: list[str]) -> int:
    if any(a == "--resume" or a.startswith("--resume=") for a in arguments):
        return _resume([a for a in arguments[:1] if a.startswith("-")] + arguments[1:])
    if not arguments or arguments[0].startswith("-"):
        from diptych.registry import method_names

        print(f"usage: diptych train METHOD ...\n       diptych train --resume RUN\n\n"
              f"METHOD is one of: {', '.join(method_names())}")  # fmt: skip
        return 0 if arguments in (["--help"], ["-h"]) else 2
    from diptych.registry import make_config
    from diptych.train.run import train
    from diptych.train.settings import Settings

    method, rest = arguments[0], arguments[1:]
    config, run = _defaults(method, rest)
    default_config = make_config(method, config)
    command = make_dataclass(
        "Train",
        [
            ("config", type(default_config), field(default=default_config)),
            ("run", Settings, field(default=Settings(**run))),
            ("choices", Choices, field(default=Choices())),
        ],
    )
    options = _parse(command, rest, f"diptych train {method}", _about(method))
    choices: Choices = options.choices
    outcome = _guarded(
        lambda: train(method, options.config, options.run, overwrite=choices.overwrite)
    )
    return _finish(outcome, choices.evaluate)


def _resume(arguments: list[str]) -> int:
    from diptych.train.run import resume

    options = _parse(Resume, arguments, "diptych train", "")
    outcome = _guarded(
        lambda: resume(options.resume, device=options.device, workers=options.workers)
    )
    return _finish(outcome, options.evaluate)


def _guarded(run: Callable[[], Outcome]) -> Outcome | str:
    from diptych.train.loop import DivergedError

    try:
        return run()
    except DivergedError as error:
        return str(error)


def _finish(outcome: Outcome | str, evaluates: bool) -> int:
    if isinstance(outcome, str):
        return _complain(outcome, code=1)
    from diptych.api import evaluate, outcome_line

    print(outcome_line(outcome))
    if outcome.was_finished:
        return 0
    if not outcome.is_finished:
        return 130
    if evaluates:
        from diptych.evaluate import scores_table

        try:
            Console().print(scores_table(evaluate(outcome.folder)))
        except InputError as error:  # the run itself is sound and saved
            _log.warning("not scored: %s", error)
    print(f"see {outcome.folder / 'report.html'}")
    return 0


def _defaults(method: str, arguments: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What --preset, --recipe and --config set, for the options to start from."""
    from diptych.api import chosen
    from diptych.registry import dataclass_from
    from diptych.train.settings import SETTING_NAMES, Settings, read_toml

    config, run = chosen(
        method, preset=_value_of("preset", arguments), recipe=_value_of("recipe", arguments)
    )
    file = _value_of("config", arguments)
    if file is not None:
        tables = read_toml(Path(file))
        config |= tables.get("config", {})
        run |= {k: tuple(v) if isinstance(v, list) else v for k, v in tables.get("run", {}).items()}
        run.pop("out", None)  # another run's folder is no default for this one
    if any(_value_of(name, arguments) for name in ("steps", "epochs", "minutes")):
        for name in ("steps", "epochs", "minutes"):
            run.pop(name, None)  # a budget that is asked for replaces a recipe's
    if any(_value_of(name, arguments) for name in ("data", "x", "y")):
        for name in ("data", "x", "y", "names"):
            run.pop(name, None)
    assert "config" not in SETTING_NAMES
    dataclass_from(Settings, run, owner=file or "the recipe")  # names what is unknown
    return config, run


def _value_of(name: str, arguments: list[str]) -> str | None:
    """The value of --name, before the command line is parsed in earnest."""
    for i, argument in enumerate(arguments):
        if argument == f"--{name}" and i + 1 < len(arguments):
            return arguments[i + 1]
        if argument.startswith(f"--{name}="):
            return argument.partition("=")[2]
    return None


# --- translate ---------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Translate:
    """Turn images into another domain's; each result has its input's size and name."""

    run: tyro.conf.Positional[Path]
    """A run's folder or a translator's .safetensors file."""
    inputs: tyro.conf.Positional[tuple[str, ...]]
    """Images, folders of images, or patterns such as "album/**/*.jpg"."""
    to: str | None = None
    """The domain to translate to; may be left out where there is one choice."""
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
    seed: int = 0
    """Of the methods that draw when they translate."""


def _translate(arguments: list[str]) -> int:
    options = _parse(Translate, arguments, "diptych translate", "")
    if not options.inputs:
        raise InputError("nothing to translate: name images or folders after the run")
    from diptych.api import load
    from diptych.translate_files import translate_files

    translator = load(
        options.run,
        device=options.device,
        precision=options.precision,
        memory_gib=options.memory,
    )
    if options.to is None:
        raise InputError(
            f"--to which domain? {options.run} knows {' and '.join(translator.domains)}"
        )
    result = translate_files(
        translator,
        options.inputs,
        options.out,
        to=options.to,
        overwrite=options.overwrite,
        format=options.format,
        seed=options.seed,
    )
    print(f"{result}\nsee {options.out}")
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
    options = _parse(Evaluate, arguments, "diptych evaluate", "")
    from diptych.api import evaluate
    from diptych.evaluate import scores_table

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
    from diptych.train.summary import summarise

    options = _parse(Report, arguments, "diptych report", "")
    print(summarise(options.run))
    return 0


def _methods(arguments: list[str]) -> int:
    from diptych.registry import find_method, method_names

    table = Table(box=None, pad_edge=False)
    for column in ("method", "needs", "what it is"):
        table.add_column(column)
    for name in method_names():
        table.add_row(name, _needs(name), _about(name).splitlines()[0])
        for recipe, what in vars(find_method(name)).get("RECIPES", {}).items():
            table.add_row(f"  --recipe {recipe}", "", what.summary, style="dim")
    Console().print(table)
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
    "train": _train,
    "translate": _translate,
    "evaluate": _evaluate,
    "report": _report,
    "methods": _methods,
    "samples": _samples,
}
_log = logging.getLogger("diptych")


def _parse(kind: Any, arguments: list[str], program: str, about: str) -> Any:
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.cli(
                kind,
                config=(tyro.conf.OmitArgPrefixes,),
                args=arguments,
                prog=program,
                description=about or textwrap.dedent(kind.__doc__ or ""),
            )
    except SystemExit as stop:
        if not stop.code:  # --help
            raise
        raise InputError(f"{_unboxed(complaint.getvalue())} (see {program} --help)") from None


def _unboxed(text: str) -> str:
    """The first paragraph of what tyro says in a box, as one line.

    The box is drawn in lines or, where the encoding has none, in ASCII.
    """
    lines: list[str] = []
    for line in text.splitlines()[1:]:  # the first holds the box's title
        if set(line) - set("│╰╯─- "):
            lines.append(line.strip("│ "))
        elif lines:  # the rule below the paragraph, or the end of the box
            break
    return re.sub(r"^Error parsing (config|run|choices): ", "", " ".join(lines))


def _about(method: str) -> str:
    from diptych.registry import find_method

    return textwrap.dedent(find_method(method).__doc__ or "").strip()


def _needs(method: str) -> str:
    from diptych.registry import method_class

    return str(vars(method_class(method))["batch_type"].__name__).lower()


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


def _complain(message: str, code: int = 2) -> int:
    print(f"diptych: {message}", file=sys.stderr)
    return code
