from __future__ import annotations

import logging
import warnings
from pathlib import Path

import pytest

from diptych.data.formats.checks import (
    broken,
    check_index,
    check_is_file,
    check_size,
    one_line,
    quiet,
    quiet_logger,
)
from diptych.errors import InputError


def test_sizes_and_places_that_are_impossible_are_refused() -> None:
    check_size("a.tif", (10, 20), 200)
    with pytest.raises(InputError, match=r"a\.tif has 0\.0 megapixels \(10x21\), more than"):
        check_size("a.tif", (10, 21), 200)
    with pytest.raises(InputError, match=r"a\.tif is broken \(it is 0x5\)"):
        check_size("a.tif", (0, 5), 200)
    check_index("a.tif", 2, 3)
    for index in (-1, 3):
        with pytest.raises(InputError, match=rf"a\.tif has no image {index}: it holds 3"):
            check_index("a.tif", index, 3)


def test_names_that_no_system_allows_are_refused_too(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be opened"):
        check_is_file(str(tmp_path / "a\0b.png"))


def test_messages_of_several_lines_become_one() -> None:
    assert one_line(ValueError("one\n  two")) == "one two"
    assert one_line(KeyError()) == "KeyError"
    assert str(broken("a.tif", "cut off")) == "a.tif is broken (cut off): replace it or remove it"


def test_a_library_is_quiet_only_inside(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("some.library")
    with quiet_logger("some.library"), quiet():
        logger.error("inside")
        warnings.warn("inside", stacklevel=1)
    logger.error("outside")
    assert [record.message for record in caplog.records] == ["outside"]
    with pytest.warns(UserWarning, match="outside"):
        warnings.warn("outside", stacklevel=1)
