"""Options as their user writes them, and the checks that name them."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from diptych.errors import (
    InputError,
    call,
    check_bounds,
    check_size,
    command_line,
    did_you_mean,
    option,
)


def test_an_option_has_dashes_on_the_command_line_alone():
    assert option("keep_every") == "keep_every"
    assert option("ema", 0.5) == "ema=0.5"
    assert option("memory_gib", 3.1, flag="memory") == "memory_gib=3.1"
    with command_line():
        assert option("keep_every") == "--keep-every"
        assert option("ema", 0.5) == "--ema 0.5"
        assert option("memory_gib", 3.1, flag="memory") == "--memory 3.1"
        assert option("overwrite", True) == "--overwrite"
    assert option("keep_every") == "keep_every"


def test_the_command_line_ends_with_its_block_whatever_happens_in_it():
    with pytest.raises(KeyError), command_line():
        raise KeyError
    assert call("diptych methods", "diptych.list_methods()") == "diptych.list_methods()"


def test_bounds_name_the_field_the_value_and_the_bound():
    @dataclass(frozen=True)
    class Config:
        width: int = 0
        share: float = float("nan")

    with pytest.raises(InputError, match=r"^width is 0: it must be at least 1$"):
        check_bounds(Config(), {"width": 1})
    with pytest.raises(InputError, match=r"^width is inf: it must be finite$"):
        check_bounds(Config(width=float("inf")), {"width": 1})  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"^share is nan: it must be from 0 to 1$"):
        check_bounds(Config(), {}, shares=("share",))
    with command_line(), pytest.raises(InputError, match=r"^--width is 0: it must be at least 1$"):
        check_bounds(Config(), {"width": 1})


def test_sizes_that_networks_cannot_halve_are_refused():
    check_size(48, needs_power_of_two=False)
    check_size(64, needs_power_of_two=True)
    with pytest.raises(InputError, match=r"^size is 48: it must be a power of two, such as 64$"):
        check_size(48, needs_power_of_two=True)
    with pytest.raises(InputError, match=r"^size is 50: it must be a multiple of 4$"):
        check_size(50, needs_power_of_two=False)


def test_a_name_that_is_nearly_right_is_offered_and_else_all_are():
    assert did_you_mean("zbra", ["horse", "zebra"]) == ": did you mean 'zebra'?"
    assert did_you_mean("x", ["horse", "zebra"]) == "; there are: horse, zebra"
    assert did_you_mean("x", []) == ""
