"""`diptych train`: a method's options beside those that all runs share."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, make_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from diptych.cli.evaluate import show_scores
from diptych.cli.parse import about, complain, given_method, parse
from diptych.errors import InputError

if TYPE_CHECKING:
    from diptych.training.run import Outcome

_log = logging.getLogger("diptych")


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


def train_command(arguments: list[str]) -> int:
    if any(a == "--resume" or a.startswith("--resume=") for a in arguments):
        return _resume([a for a in arguments[:1] if a.startswith("-")] + arguments[1:])
    if not arguments or arguments[0].startswith("-"):
        from diptych.methods import list_methods

        print(f"usage: diptych train METHOD ...\n       diptych train --resume RUN\n\n"
              f"METHOD is one of: {', '.join(list_methods())};\n"
              "or a module of your own, such as my_package.my_method or my_method.py")  # fmt: skip
        return 0 if arguments in (["--help"], ["-h"]) else 2
    from diptych.methods import give, make_config, named_method
    from diptych.training.run import train
    from diptych.training.settings import Settings

    method, rest = give(named_method(arguments[0])), _renamed(arguments[1:])
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
    text = "\n\n".join(about(method).split("\n\n")[:2])
    options = parse(command, rest, f"diptych train {arguments[0]}", text)
    choices: Choices = options.choices
    outcome = _guarded(
        lambda: train(method, options.config, options.run, overwrite=choices.overwrite)
    )
    return _finish(outcome, choices.evaluate)


def _resume(arguments: list[str]) -> int:
    from diptych.training.changes import Changes
    from diptych.training.run import resume

    options = parse(Resume, arguments, "diptych train", "")
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
    from diptych.training.loop import DivergedError
    from diptych.training.ranks import LostProcessError

    try:
        return run()
    except (DivergedError, LostProcessError) as error:
        return str(error)


def _finish(outcome: Outcome | str, evaluates: bool) -> int:
    if isinstance(outcome, str):
        return complain(outcome, code=1)
    from diptych.scoring import evaluate
    from diptych.training.ranks import is_first_process
    from diptych.training.run import outcome_line

    if not is_first_process():
        return 0 if outcome.is_finished else 130
    print(outcome_line(outcome))
    if outcome.was_finished:
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
    from diptych.errors import dataclass_from
    from diptych.training.presets import chosen
    from diptych.training.settings import SETTING_NAMES, Settings, read_toml, renamed

    config, run = chosen(
        method, preset=_value_of("preset", arguments), recipe=_value_of("recipe", arguments)
    )
    file = _value_of("config", arguments)
    if file is not None:
        tables = read_toml(Path(file))
        config |= tables.get("config", {})
        settings = renamed(tables.get("run", {}))
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


def _renamed(arguments: list[str]) -> list[str]:
    """The arguments, options of earlier versions by their names of now, flags with values."""
    from diptych.training.settings import RENAMED

    flags = {_flag(old): _flag(new) for old, new in RENAMED.items()}
    whole = {"--paired": "--paired=True", "--unpaired": "--paired=False"}
    parts = [whole.get(argument, argument).partition("=") for argument in arguments]
    return [flags.get(name, name) + equals + value for name, equals, value in parts]


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _value_of(name: str, arguments: list[str]) -> str | None:
    """The value of --name, before the command line is parsed in earnest."""
    for i, argument in enumerate(arguments):
        if argument == f"--{name}" and i + 1 < len(arguments):
            return arguments[i + 1]
        if argument.startswith(f"--{name}="):
            return argument.partition("=")[2]
    return None
