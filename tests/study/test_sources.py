"""Where the images of a study come from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from diptych.data import open_data
from diptych.errors import InputError
from diptych.study.items import Item
from diptych.study.sources import HeldOut, named_paths
from tests.cli.test_study_make import folder_of


def test_names_stand_before_paths(tmp_path) -> None:
    tricky = tmp_path / "a=b"
    tricky.mkdir()
    found = named_paths([f"x={tmp_path}", str(tricky), str(tmp_path)], lambda path: path.name)
    assert found == {"x": tmp_path, "a=b": tricky, tmp_path.name: tmp_path}
    with pytest.raises(InputError, match="as another is: name it"):
        named_paths([f"x={tmp_path}", f"x={tricky}"], lambda path: path.name)


def negatives(folder: Path, names_y: str) -> tuple[HeldOut, list[Item], list[Item]]:
    """Real images and translations, where the domain X has the names a to h."""
    for side, level, names in (("A", 10, "abcdefgh"), ("B", 90, names_y)):
        for part in ("train", "test"):
            folder_of(folder / f"{part}{side}", level, names)
    data = open_data(str(folder), size=16)
    x, y = data.domains
    held_out = HeldOut(data, x, y, "test", 16, most=4)
    assert held_out.direction == f"{x}→{y}"
    return held_out, list(held_out.real()), list(held_out.translated(lambda images, to: -images))


def channel(items: list[Item], index: int) -> list[int]:
    return [np.asarray(item.image)[0, 0, index].item() for item in items]


def test_translations_and_real_images_of_one_pair_are_of_one_scene(tmp_path) -> None:
    held_out, real, fake = negatives(tmp_path / "maps", "abcdefgh")
    assert (channel(real, 0), channel(fake, 0)) == ([90] * 4, [245] * 4)
    assert [255 - level for level in channel(fake, 1)] == channel(real, 1) == [1, 3, 5, 7]
    assert [item.scene for item in real] == [item.scene for item in fake]
    with pytest.raises(InputError, match="no domain 'mars'"):
        replace(held_out, source="mars")


def test_translations_and_real_images_without_pairs_are_of_no_common_scene(tmp_path) -> None:
    # Some names agree: without pairs that means nothing.
    _, real, fake = negatives(tmp_path / "maps", "abcdefghi")
    assert (channel(real, 0), channel(fake, 0)) == ([90] * 4, [245] * 4)
    assert [item.scene for item in fake] == [f"x/{name}.png" for name in "bdfh"]
    assert {item.scene for item in real}.isdisjoint(item.scene for item in fake)
