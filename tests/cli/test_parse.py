"""Options become dataclasses; what is wrong with them becomes one line."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from diptych.cli.parse import about, complain, parse, run_command
from diptych.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Options:
    """Two options."""

    count: int = 3
    """How many."""
    keep_every: int | None = None
    """How often."""


def test_options_are_the_dataclass_with_dashes() -> None:
    assert parse(Options, ["--keep-every", "5"], "program", "") == Options(keep_every=5)
    assert parse(Options, [], "program", "") == Options()


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_what_is_wrong_is_one_line_that_names_the_help(monkeypatch, encoding) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    with pytest.raises(InputError) as caught:
        parse(Options, ["--count", "three"], "program", "")
    line = str(caught.value)
    assert "\n" not in line
    assert "--count" in line
    assert "three" in line
    assert line.endswith("(see program --help)")


def test_help_goes_out_and_ends_with_0(capsys) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(Options, ["--help"], "program", "What it is about.")
    assert caught.value.code == 0
    assert "What it is about." in capsys.readouterr().out


def test_a_command_is_found_by_its_module_and_name(capsys) -> None:
    assert run_command("lists.samples_command", []) == 0
    assert "sample:emoji" in capsys.readouterr().out


def test_a_complaint_is_one_line_on_standard_error_with_its_exit_code(capsys) -> None:
    assert complain("no such thing", code=7) == 7
    assert capsys.readouterr().err == "diptych: no such thing\n"
    assert about("cyclegan").startswith("CycleGAN (Zhu")
