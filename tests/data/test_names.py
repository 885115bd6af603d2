from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from diptych.data.names import names_from, nfc, selected
from diptych.errors import InputError


@pytest.mark.parametrize(
    ("folder", "names"),
    [
        ("horse2zebra", ("horse", "zebra")),
        ("photos2024", ("x", "y")),
        ("T2flair", ("x", "y")),
        ("t1_2_t2", ("x", "y")),
        ("2zebra", ("x", "y")),
        ("été2hiver", ("été", "hiver")),
        ("same2same", ("x", "y")),
    ],
)
def test_names_are_guessed_only_from_letters_on_both_sides(
    folder: str, names: tuple[str, str]
) -> None:
    assert names_from(Path("/data") / folder)[0] == names


def test_names_in_both_forms_of_unicode_are_one_name() -> None:
    composed, decomposed = (unicodedata.normalize(form, "é") for form in ("NFC", "NFD"))
    assert composed != decomposed
    assert nfc(decomposed) == composed
    assert selected([decomposed, "b"], (composed, "b")) == ([0, 1], (composed, "b"))


def test_names_select_domains_in_their_order_or_replace_all() -> None:
    known = ("cat", "dog", "fox")
    assert selected(["fox", "cat"], known) == ([2, 0], ("fox", "cat"))
    assert selected(["a", "b", "c"], known) == ([0, 1, 2], ("a", "b", "c"))
    with pytest.raises(
        InputError, match=r"names cat wolf: cat is one of the domains and wolf is not"
    ):
        selected(["cat", "wolf"], known)
