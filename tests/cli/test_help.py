"""What --help prints: usage, the command's own words, options in two columns."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

import pytest

from diptych.cli.fields import Positional, options_of
from diptych.cli.help import help_text, lowered
from diptych.cli.main import main
from diptych.cli.train import _SECTIONS
from diptych.methods import own_methods
from diptych.training.settings import SETTING_NAMES


@dataclass(frozen=True, kw_only=True)
class Options:
    """About."""

    run: Positional[Path]
    """The run's folder."""
    out: Path
    """Where to."""
    keep_every: int | None = None
    """Iterations between translators that are kept, in a folder of their own."""
    a_rather_long_name: float = 0.5
    """A share."""


SHOWN = """\
usage: program RUN --out PATH [OPTIONS]

What it does is told in so many words that they take more
than one line.

From here: diptych report --one --two --three --four --five --six

  RUN                   The run's folder.

Options:
  --out PATH            Where to.
  --keep-every N        Iterations between translators that
                        are kept, in a folder of their own.
  --a-rather-long-name NUMBER
                        A share. (default: 0.5)

  -h, --help            Show this help."""


def test_help_is_wrapped_in_two_columns_and_commands_keep_their_line(monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    about = (
        "What it does is told in so many words that\nthey take more than one line.\n\n"
        "From here: diptych report --one --two --three --four --five --six"
    )
    assert help_text([("Options", options_of(Options))], "program", about) == SHOWN


def test_a_default_is_not_torn_apart(monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "45")  # room for "A share. (default:", and no more
    shown = help_text([("Options", options_of(Options))], "program", "")
    assert "A share.\n                        (default: 0.5)\n" in shown


def test_a_sentence_loses_its_capital_and_an_abbreviation_does_not() -> None:
    assert lowered("Folder for it") == "folder for it"
    assert lowered("A run's folder") == "a run's folder"
    assert lowered("VGG's weights") == "VGG's weights"


COMMANDS = [
    [], ["train"], ["train", "--resume"], ["translate"], ["evaluate"], ["generate"],
    ["interpolate"], ["report"], ["bench"], ["methods"], ["samples"], ["study"], ["study", "make"],
    ["study", "serve"], ["study", "invite"], ["study", "report"],
    *(["train", method] for method in own_methods()),
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_of_every_command_fits_80_columns_and_shows_no_type_of_python(
    command, capsys, monkeypatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with contextlib.suppress(SystemExit):
        assert main([*command, "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"usage: diptych {' '.join(command)}".replace(" --resume", ""))
    assert [line for line in lines if len(line) > 80] == []
    for riddle in ("None", "INT", "FLOAT", "(default: )", "required", "True", "False"):
        assert riddle not in "\n".join(lines)


def test_the_sections_of_train_are_of_settings_and_name_each_once() -> None:
    named = [name for names in _SECTIONS.values() for name in names]
    assert len(named) == len(set(named))
    assert set(named) <= set(SETTING_NAMES)
