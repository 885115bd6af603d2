"""A dataclass's fields as options: names, values, defaults, help."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from diptych.cli.fields import Positional, attribute_docstrings, default_text, options_of
from diptych.cli.train import Choices
from diptych.errors import InputError
from diptych.methods import config_class, own_methods
from diptych.training.settings import SETTING_NAMES, Settings


@dataclass(frozen=True, kw_only=True)
class Inner:
    """Options of the inside."""

    width: int = 64
    """Channels of the
    first layer."""
    undocumented: float = 0.5


@dataclass(frozen=True, kw_only=True)
class Derived(Inner):
    """Options of the inside, and one more."""

    depth: int = 2
    """Layers."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What it is for."""

    run: Positional[Path]
    """A run."""
    files: Positional[tuple[str, ...]]
    """Files."""
    keep_every: int | None = None
    """Iterations."""
    kind: Literal["a", "b"] | None = None
    """One of two."""
    to: tuple[str, ...] = ("x", "y")
    """Domains."""
    is_quick: bool = False
    """A flag."""
    is_careful: bool = True
    """Another."""
    rate: float = 2e-4
    """A rate."""
    table: dict[str, int] = field(default_factory=dict)
    """No text stands for it."""


def test_options_are_shown_as_they_are_typed_with_a_word_for_their_values() -> None:
    shown = {option.name: option.usage for option in options_of(Options)}
    assert shown == {
        "run": "RUN",
        "files": "FILE...",
        "keep_every": "--keep-every N",
        "kind": "--kind {a,b}",
        "to": "--to DOMAIN...",
        "is_quick": "--is-quick",
        "is_careful": "--is-careful, --no-is-careful",
        "rate": "--rate NUMBER",
    }
    assert [o.name for o in options_of(Options) if o.is_required] == ["run", "files"]


def test_help_ends_with_the_default_unless_it_is_nothing() -> None:
    shown = {option.name: option.described for option in options_of(Options)}
    assert shown["rate"] == "A rate. (default: 0.0002)"
    assert shown["to"] == "Domains. (default: x y)"
    assert shown["is_careful"] == "Another. (default: on)"
    for name in ("run", "files", "keep_every", "kind", "is_quick"):
        assert "default" not in shown[name]
    assert default_text(10.0) == "10"


def test_defaults_are_those_of_an_instance_if_there_is_one() -> None:
    (width, other) = options_of(Inner, Inner(width=8))
    assert (width.default, other.default) == (8, 0.5)
    assert width.described == "Channels of the first layer. (default: 8)"


def test_docstrings_are_those_below_the_fields_of_a_class_and_of_its_bases() -> None:
    assert attribute_docstrings(Inner) == {"width": "Channels of the first layer."}
    assert attribute_docstrings(Derived) == {
        "width": "Channels of the first layer.",
        "depth": "Layers.",
    }


def test_a_value_of_another_type_is_refused() -> None:
    by_name = {option.name: option for option in options_of(Options)}
    assert by_name["kind"].read("b") == "b"
    assert by_name["keep_every"].read("12") == 12
    with pytest.raises(InputError, match="--kind is 'c': it must be one of a, b"):
        by_name["kind"].read("c")


@pytest.mark.parametrize("method", own_methods())
def test_every_option_of_a_method_can_be_typed_is_explained_and_has_a_name_of_its_own(method):
    kind: Any = config_class(method)
    options = options_of(kind)
    assert [option.name for option in options] == list(kind.__dataclass_fields__)
    assert [option.name for option in options if not option.help] == []
    shared = {option.name for one in (Settings, Choices) for option in options_of(one)}
    assert {option.name for option in options}.isdisjoint(shared)
    assert {option.name for option in options_of(Settings)} == set(SETTING_NAMES)
