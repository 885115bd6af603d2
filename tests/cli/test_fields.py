"""How the fields of dataclasses show in --help."""

from __future__ import annotations

from dataclasses import dataclass, field, make_dataclass
from pathlib import Path
from typing import Annotated, Literal

import pytest
import tyro

from diptych.cli.fields import attribute_docstrings
from diptych.cli.parse import parse


@dataclass(frozen=True, kw_only=True)
class Inner:
    """Options of the inside."""

    width: int = 64
    """Channels of the
    first layer."""
    undocumented: float = 0.5


@dataclass(frozen=True, kw_only=True)
class Options:
    """What it is for."""

    out: Path | None = None
    """A folder whose help goes on
    in a second line."""
    kind: Literal["a", "b"] | None = None
    """One of two."""
    names: tuple[str, ...] = ()
    """Any number."""
    is_quick: bool = False
    """A flag."""
    count: Annotated[int, tyro.conf.arg(metavar="N")] = 3
    """Its own name stays."""


def _help(kind: type, capsys, monkeypatch) -> str:
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit):
        parse(kind, ["--help"], "program", "")
    return capsys.readouterr().out


def test_help_is_one_paragraph_and_silent_on_defaults_of_nothing(capsys, monkeypatch) -> None:
    shown = _help(Options, capsys, monkeypatch)
    assert "A folder whose help goes on in a second line. " in shown
    assert "--out PATH" in shown
    assert "--kind {a,b}" in shown
    assert "--names [TEXT ...]" in shown
    assert "--count N" in shown
    assert "(default: 3)" in shown
    for noise in ("None", "(default: )", "(default: False)"):
        assert noise not in shown


def test_values_are_parsed_as_before() -> None:
    given = ["--out", "x", "--kind", "b", "--names", "p", "q", "--is-quick", "--count", "7"]
    known = Options(out=Path("x"), kind="b", names=("p", "q"), is_quick=True, count=7)
    assert parse(Options, given, "program", "") == known


def test_classes_made_at_run_time_take_the_defaults_of_their_parts(capsys, monkeypatch) -> None:
    both = make_dataclass(
        "Both", [("inner", Inner, field(default=Inner(width=8))), ("n", int, field(default=1))]
    )
    shown = _help(both, capsys, monkeypatch)
    assert "Channels of the first layer. (default: 8)" in shown
    assert parse(both, ["--undocumented", "0.25"], "program", "").inner == Inner(
        width=8, undocumented=0.25
    )


def test_docstrings_are_those_below_the_fields() -> None:
    assert attribute_docstrings(Inner) == {"width": "Channels of the first layer."}
