"""Studies are made whole or not at all, of runs or of folders."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from diptych.errors import InputError
from diptych.study.items import Item, make_study
from diptych.study.settings import StudySettings
from diptych.study.sources import named_paths
from diptych.study.store import Study
from tests.study.conftest import FAKE, REAL, grey_items

SETTINGS = StudySettings(direction="x→y", methods=("a",), practice=1, counted=3)


def test_images_that_differ_in_size_make_no_study(tmp_path) -> None:
    odd = Item("odd", Image.new("RGB", (32, 31)))
    with pytest.raises(InputError, match="images is 32x32 but odd of a is 32x31"):
        make_study(
            tmp_path / "s", grey_items(REAL, 4), {"a": [*grey_items(FAKE, 4), odd]}, SETTINGS
        )
    assert list(tmp_path.iterdir()) == []


def test_too_few_images_make_no_study(tmp_path) -> None:
    with pytest.raises(InputError, match="4 real images and 3 of a give 3 pairs, but a session of"):
        make_study(tmp_path / "s", grey_items(REAL, 4), {"a": grey_items(FAKE, 3)}, SETTINGS)
    same = StudySettings(direction="", methods=("a",), practice=1, counted=3, pairing="same")
    with pytest.raises(InputError, match="give 0 pairs of the same scenes"):
        make_study(tmp_path / "s", grey_items(REAL, 4), {"a": grey_items(FAKE, 4, "no")}, same)
    with pytest.raises(InputError, match="two of the real images have the same name"):
        make_study(tmp_path / "s", grey_items(REAL, 4) * 2, {"a": grey_items(FAKE, 4)}, SETTINGS)
    assert list(tmp_path.iterdir()) == []


def test_a_study_that_is_there_is_never_written_to(new_study) -> None:
    folder = new_study()
    before = (folder / "study.sqlite").read_bytes()
    with pytest.raises(InputError, match="already exists: give another out"):
        make_study(folder, grey_items(REAL, 4), {"a": grey_items(FAKE, 4)}, SETTINGS)
    assert (folder / "study.sqlite").read_bytes() == before


def test_names_of_any_bytes_make_a_study(tmp_path) -> None:
    """Python reads the byte 0xe9, which is no UTF-8, as \\udce9."""
    real = [*grey_items(REAL, 3), Item("caf\udce9", Image.new("RGB", (32, 32)))]
    ((method, path),) = named_paths(["/x/caf\udce9"], lambda path: path.name).items()
    assert (method, path) == ("caf\\udce9", Path("/x/caf\udce9"))
    settings = replace(SETTINGS, methods=(method,))
    make_study(tmp_path / "s", real, {method: grey_items(FAKE, 4)}, settings)
    study = Study(tmp_path / "s")
    study.join("r1")
    assert {r["method"] for r in study.records()} == {"caf\\udce9"}
    assert "caf\\udce9" in {r["real_scene"] for r in study.records()}
