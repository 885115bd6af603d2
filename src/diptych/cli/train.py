"""`diptych train`: a method's options beside those that all runs share."""

from __future__ import annotations

import logging
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from diptych.cli.evaluate import show_scores
from diptych.cli.fields import options_of
from diptych.cli.parse import Part, complain, given_method, is_flag, parse, parse_parts
from diptych.errors import InputError, dataclass_from
from diptych.methods import about, give, list_methods, make_config, named_method
from diptych.scoring import evaluate
from diptych.training.changes import Changes
from diptych.training.loop import DivergedError
from diptych.training.presets import chosen
from diptych.training.ranks import LostProcessError, is_first_process
from diptych.training.run import Outcome, outcome_line, resume, train
from diptych.training.settings import RENAMED, SETTING_NAMES, Settings, read_toml, renamed
from diptych.training.summary import SCORES_FILE

_log = logging.getLogger("diptych")

_SECTIONS = {
    "Data": ("data", "x", "y", "names", "attributes", "palette", "paired"),
    "Pixels": ("channels", "range", "nodata", "show"),
    "Budget": ("steps", "epochs", "minutes"),
    "Run": ("out", "seed", "checkpoint_every", "keep_every", "preview_every", "logger"),
    "Machine": ("device", "precision", "threads", "workers", "compile", "recompute"),
}
"""The options of `Settings` by title, as --help shows them; the others follow."""


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

    resume: Path
    """The run's folder."""
    device: str | None = None
    """Another device than the run began on."""
    workers: int | None = None
    """Another number of processes that decode images."""
    data: str | None = None
    """Where the run's data are now. They must be the same files."""
    x: str | None = None
    """Where the data of domain X are now, with --y in place of --data."""
    y: str | None = None
    """Where the data of domain Y are now."""
    steps: int | None = None
    """A new budget, of which the steps done are a part. Learning rates follow it, as if it had
    been so from the start."""
    method: str | None = None
    """The module of its method, if it is your own: my_package.my_method or my_method.py."""
    evaluate: bool = True
    """Score the finished run on its test images."""


_HELP = """\
usage: diptych train METHOD --data DATA [OPTIONS]
       diptych train --resume RUN

Train a method, or go on with a run that was stopped. For example:

  diptych train cyclegan --data horse2zebra/ --preset fast --minutes 30

{methods}

diptych methods says what each method is; diptych train METHOD --help lists its
options.
"""


def train_command(arguments: list[str]) -> int:
    if any(word.partition("=")[0] == "--resume" for word in arguments):
        return _resume(arguments)
    if not arguments or arguments[0] in ("--help", "-h"):
        named = textwrap.fill(f"METHOD is one of {', '.join(list_methods())}; or a module of your"
                              " own, such as my_package.my_method or my_method.py.", 80,
                              break_on_hyphens=False)  # fmt: skip
        print(_HELP.format(methods=named), end="")
        return 0 if arguments else 2
    if is_flag(arguments[0]):
        raise InputError(
            f"name a method before {arguments[0]}: diptych train METHOD {arguments[0]} ..."
            " (see diptych train --help)"
        )
    method, rest = give(named_method(arguments[0])), _renamed(arguments[1:])
    config, run = _defaults(method, rest)
    default_config = make_config(method, config)
    parts = [
        Part("Training", Settings, Settings(**run), sections=_SECTIONS),
        Part("Presets and scoring", Choices),
        Part(f"Options of {method}", type(default_config), default_config),
    ]
    program = f"diptych train {arguments[0]}"
    settings, choices, own = parse_parts(parts, rest, program, _about(method, program))
    outcome = _guarded(lambda: train(method, own, settings, overwrite=choices.overwrite))
    return _finish(outcome, choices.evaluate)


def _about(method: str, program: str) -> str:
    """The first two paragraphs of what a method says of itself, and how to begin."""
    says = about(method).split("\n\n")[:2]
    return "\n\n".join([*says, f"Example: {program} --data FOLDER --preset fast --minutes 30"])


def _resume(arguments: list[str]) -> int:
    if not is_flag(arguments[0]):  # as in diptych train my_method.py --resume RUN
        if _value_of("method", arguments) is not None:
            raise InputError(f"give {arguments[0]} or --method, not both")
        arguments = [*arguments[1:], "--method", arguments[0]]
    known = [flag for option in options_of(Resume) for flag in (option.flag, option.inverse)]
    typed = [word.partition("=")[0] for word in arguments if is_flag(word)]
    if strange := [flag for flag in typed if flag not in [*known, "-h", "--help"]]:
        takes = ", ".join(option.flag for option in options_of(Resume) if option.name != "resume")
        run = _value_of("resume", arguments) or "RUN"
        raise InputError(
            f"{strange[0]} cannot be changed when a run is resumed, only {takes}; to begin a new"
            f" run from its weights: diptych train METHOD --init {run} {strange[0]} ..."
        )
    options = parse(Resume, arguments, "diptych train")
    outcome = _guarded(
        lambda: resume(
            options.resume,
            changes=Changes(
                device=options.device,
                workers=options.workers,
                data=options.data,
                x=options.x,
                y=options.y,
                steps=options.steps,
            ),
            method=given_method(options.method),
        )
    )
    return _finish(outcome, options.evaluate)


def _guarded(run: Callable[[], Outcome]) -> Outcome | str:
    try:
        return run()
    except (DivergedError, LostProcessError) as error:
        return str(error)


def _finish(outcome: Outcome | str, evaluates: bool) -> int:
    if isinstance(outcome, str):
        return complain(outcome, code=1)
    if not is_first_process():
        return 0 if outcome.is_finished else 130
    print(outcome_line(outcome))
    if outcome.was_finished:
        if evaluates and not (outcome.folder / SCORES_FILE).exists():
            print(f"it has no scores yet: diptych evaluate {outcome.folder}")
        return 0
    if not outcome.is_finished:
        return 130
    if evaluates:
        try:
            show_scores(evaluate(outcome.folder).to_dict())
        except InputError as error:  # the run itself is sound and saved
            _log.warning("not scored: %s", error)
    print(f"see {outcome.folder / 'report.html'}")
    return 0


def _defaults(method: str, arguments: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What --preset, --recipe and --config set, for the options to start from."""
    config, run = chosen(
        method, preset=_value_of("preset", arguments), recipe=_value_of("recipe", arguments)
    )
    file = _value_of("config", arguments)
    if file is not None:
        tables = _tables(Path(file))
        config |= tables["config"]
        settings = renamed(tables["run"])
        run |= {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
        run.pop("out", None)  # another run's folder is no default for this one
    if any(_value_of(name, arguments) for name in ("steps", "epochs", "minutes")):
        for name in ("steps", "epochs", "minutes"):
            run.pop(name, None)  # a budget that is asked for replaces a recipe's
    if any(_value_of(name, arguments) for name in ("data", "x", "y")):
        for name in ("data", "x", "y", "names", "attributes"):
            run.pop(name, None)
    assert "config" not in SETTING_NAMES
    dataclass_from(Settings, run, owner=file or "the recipe")  # names what is unknown
    return config, run


def _tables(path: Path) -> dict[str, dict[str, Any]]:
    """The tables [config] and [run] of a file like config.toml.

    Raises:
        InputError: it cannot be read, or has something else.
    """
    given = read_toml(path)
    for key in given:
        if key not in ("method", "config", "run", "resolved"):
            raise InputError(
                f"{path} has an unknown key {key!r}: options go into [config] or [run]"
            )
    tables = {key: given.get(key, {}) for key in ("config", "run")}
    for key, table in tables.items():
        if not isinstance(table, dict):
            raise InputError(f"{path}: {key} is {table!r}: it must be a table")
    return tables


def _renamed(arguments: list[str]) -> list[str]:
    """The arguments, options of earlier versions and other names by those of now."""
    flags = {_flag(old): _flag(new) for old, new in RENAMED.items()}
    flags["--unpaired"] = "--no-paired"
    parts = [argument.partition("=") for argument in arguments]
    return [flags.get(name, name) + equals + value for name, equals, value in parts]


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _value_of(name: str, arguments: list[str]) -> str | None:
    """The value of --name, the last one, before the command line is parsed in earnest."""
    found = None
    for word, following in zip_longest(arguments, arguments[1:], fillvalue=""):
        flag, equals, value = word.partition("=")
        if flag == f"--{name}" and (equals or not is_flag(following)):
            found = value if equals else following
    return found or None
