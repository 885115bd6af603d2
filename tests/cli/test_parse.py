"""Options become dataclasses; what is wrong with them becomes one line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from diptych.cli.fields import Positional, Repeated
from diptych.cli.parse import Part, complain, is_flag, parse, parse_parts, run_command
from diptych.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Options:
    """Two options."""

    count: int = 3
    """How many."""
    keep_every: int | None = None
    """How often."""


@dataclass(frozen=True, kw_only=True)
class Places:
    """Things to give, some by their place."""

    run: Positional[Path]
    """The run's folder."""
    inputs: Positional[tuple[str, ...]]
    """VGG or other images."""
    source: str
    """The domain."""
    to: Repeated[tuple[str, ...]] = ()
    """One or more."""
    names: tuple[str, ...] = ()
    """Any number."""
    kind: Literal["a", "b"] = "a"
    """One of two."""
    check: bool = True
    """Look first."""
    scale: float = 1.0
    """How much."""


def _refusal(kind: type, *words: str) -> str:
    with pytest.raises(InputError) as caught:
        parse(kind, words, "program")
    (line,) = str(caught.value).splitlines()
    assert line.endswith(" (see program --help)")
    return line.removesuffix(" (see program --help)")


def test_options_are_the_dataclass_with_dashes() -> None:
    assert parse(Options, ["--keep-every", "5"], "program") == Options(keep_every=5)
    assert parse(Options, ["--keep_every=5"], "program") == Options(keep_every=5)
    assert parse(Options, [], "program") == Options()
    assert parse(Options, ["--count", "1", "--count", "-2"], "program") == Options(count=-2)


def test_places_flags_switches_and_lists_are_told_apart_in_any_order() -> None:
    made = Places(
        run=Path("r"),
        inputs=("a.jpg", "-.jpg", "--b.jpg"),
        source="x",
        to=("p", "q"),
        names=("n", "m", "o"),
        kind="b",
        check=False,
        scale=-1e-3,
    )
    words = ["r", "--to", "p", "a.jpg", "--names", "n", "m", "--no-check", "-.jpg", "--kind=b"]
    words += ["--to", "q", "--scale", "-1e-3", "--names", "o", "--source", "x", "--", "--b.jpg"]
    assert parse(Places, words, "program") == made


def test_what_is_wrong_is_one_line_that_names_the_option_and_the_way_out() -> None:
    assert _refusal(Options, "--count", "three") == "--count is 'three': it must be a whole number"
    assert _refusal(Options, "--count", "1.5") == "--count is '1.5': it must be a whole number"
    assert _refusal(Options, "--count") == "--count needs a value: --count N"
    assert _refusal(Options, "--cuont", "3") == "no option --cuont: did you mean --count?"
    assert _refusal(Options, "-c", "3") == "no option -c"
    assert _refusal(Options, "more") == "unexpected 'more': nothing more is expected there"
    given = ("r", "a.jpg", "--source", "x")
    assert _refusal(Places, *given, "--scale", "x") == "--scale is 'x': it must be a number"
    assert _refusal(Places, *given, "--kind", "c") == "--kind is 'c': it must be one of a, b"
    switch = _refusal(Places, *given, "--check=yes")
    assert switch == "--check takes no value: give --check or --no-check"


def test_what_is_missing_is_named_with_what_it_is() -> None:
    assert _refusal(Places, "r", "--source", "x") == "INPUT is missing: VGG or other images"
    assert _refusal(Places, "r", "a.jpg") == "--source is missing: the domain"
    assert _refusal(Places) == "RUN, INPUT and --source are missing"


def test_parts_share_a_command_line_and_keep_their_own_defaults() -> None:
    parts = [Part("One", Options, Options(count=7)), Part("Other", Inner)]
    one, other = parse_parts(parts, ["--keep-every", "2", "--width", "8"], "program", "")
    assert (one, other) == (Options(count=7, keep_every=2), Inner(width=8))


@dataclass(frozen=True)
class Inner:
    """One more."""

    width: int = 64
    """Channels."""


@dataclass(frozen=True)
class Taken:
    """It has an option of the name of another's."""

    count: int = 1
    """Again."""


def test_two_parts_with_an_option_of_one_name_are_refused() -> None:
    with pytest.raises(InputError, match="'count' of Taken is an option of Options too: rename it"):
        parse_parts([Part("One", Options), Part("Other", Taken)], [], "program", "")


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["--count", "--help"], ["x", "--no", "-h"]])
def test_help_goes_out_and_ends_with_0_whatever_else_is_typed(words, capsys) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(Options, words, "program")
    assert caught.value.code == 0
    assert "Two options." in capsys.readouterr().out


def test_negative_numbers_and_a_dash_are_no_flags() -> None:
    assert [is_flag(word) for word in ("--x", "-x", "-1", "-.5", "-", "x")] == [True] * 2 + [
        False
    ] * 4


def test_a_command_is_found_by_its_module_and_name(capsys) -> None:
    assert run_command("lists.samples_command", []) == 0
    assert "sample:emoji" in capsys.readouterr().out


def test_a_complaint_is_one_line_on_standard_error_with_its_exit_code(capsys) -> None:
    assert complain("no such thing", code=7) == 7
    assert capsys.readouterr().err == "diptych: no such thing\n"
