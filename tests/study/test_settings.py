"""Settings of a study are held to their ranges."""

from __future__ import annotations

import pytest

from diptych.errors import InputError
from tests.study.test_draws import settings


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"methods": ()}, "at least one method"),
        ({"methods": ("a", "a")}, "each needs its own name"),
        ({"counted": 0}, "expected at least 0 and 1"),
        ({"practice": -1}, "expected at least 0 and 1"),
        ({"exposure_seconds": 0.0}, "must be above 0"),
        ({"exposure_seconds": float("nan")}, "must be above 0"),
        ({"title": "x" * 501}, "shorten it"),
    ],
)
def test_settings_out_of_range_are_named(options: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        settings(**options)
