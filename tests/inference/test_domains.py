"""Domains by the names that a user writes, and the one that goes without saying."""

from __future__ import annotations

import pytest

from diptych.errors import InputError, command_line
from diptych.inference.domains import domain_index, only_target, shown

PAIR = ("horse", "zebra")


def test_a_slip_is_answered_with_the_name_that_was_meant():
    assert domain_index(PAIR, "zebra", owner="translator") == 1
    for slip in ("Zebra", "ZEBRA", "zebras", "zbra"):
        with pytest.raises(InputError, match=f"^no domain '{slip}': did you mean 'zebra'\\?$"):
            domain_index(PAIR, slip, owner="translator")
    for other in ("lion", 1, None):
        with pytest.raises(InputError, match=f"^no domain {other!r}: this net knows horse, zebra"):
            domain_index(PAIR, other, owner="net")


def test_the_target_goes_without_saying_where_there_is_one_choice():
    assert only_target(("style",), None) == "style"
    assert only_target(PAIR, "horse") == "zebra"
    assert only_target(PAIR, "zebra") == "horse"
    message = r"^which domain\? Give to='horse' or to='zebra'$"
    with pytest.raises(InputError, match=message):
        only_target(PAIR, None)
    with command_line(), pytest.raises(InputError, match=r"Give --to horse or --to zebra$"):
        only_target(PAIR, None)


def test_a_line_shows_all_domains_or_how_many_there_are():
    assert shown(PAIR, " ↔ ") == "horse ↔ zebra"
    assert shown(("a", "b", "c"), " ↔ ") == "a, b, c"
    assert shown([str(i) for i in range(40)], ", ") == "0, 1, 2, 3, 4, … (40 domains)"
