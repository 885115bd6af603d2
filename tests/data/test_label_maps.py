"""Label images beside a folder's images, and the squares that are cut of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diptych.data import Images, open_data
from diptych.data.collections import ArrayImages
from diptych.data.label_maps import LabelSquares
from diptych.errors import InputError

COLOURS = np.array([(10, 200, 30), (250, 0, 0)], np.uint8)


def _fill(folder: Path, names: str, colour: int, suffix: str) -> None:
    folder.mkdir(parents=True)
    for k, name in enumerate(names):
        pixels = np.full((8, 8, 3), k, np.uint8) if suffix == "jpg" else COLOURS[[[colour] * 8] * 8]
        Image.fromarray(pixels).save(folder / f"{name}.{suffix}")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two domains, the first labelled with the first colour, the second's test with the second."""
    for place in ("trainA", "trainB", "testA", "testB"):
        _fill(tmp_path / place, "abc", 0, "jpg")
    _fill(tmp_path / "pixel_labels" / "trainA", "abc", 0, "png")
    _fill(tmp_path / "pixel_labels" / "testB", "abc", 1, "png")
    table = "ground,10,200,30\ndisc,250,0,0\n"
    (tmp_path / "pixel_labels" / "palette.csv").write_text(table, encoding="utf-8")
    return tmp_path


def _colours(images: Images | None) -> list[list[int]]:
    assert images is not None
    read = (np.asarray(images.read(i).picture()) for i in range(len(images)))
    return [pixels.reshape(-1, 3).mean(0).astype(int).tolist() for pixels in read]


def test_each_image_has_the_label_image_of_its_name_in_the_same_split_and_domain(root):
    data = open_data(root, size=8)
    assert data.label_palette is not None
    assert data.label_palette.names == ("ground", "disc")
    assert data.palettes == {}
    train, test = data.train.label_maps, data.test.label_maps
    assert (train[1], test[0]) == (None, None)
    assert _colours(train[0]) == [[10, 200, 30]] * 3
    assert _colours(test[1]) == [[250, 0, 0]] * 3
    assert [train[0].name(i) for i in range(3)] == ["a.png", "b.png", "c.png"]


def test_the_labels_folder_is_no_domain(tmp_path):
    for place in ("sim", "real"):
        _fill(tmp_path / place, "abcd", 0, "jpg")
    _fill(tmp_path / "pixel_labels" / "sim", "abcd", 0, "png")
    (tmp_path / "pixel_labels" / "palette.csv").write_text("a,0,0,0\nb,9,9,9\n", encoding="utf-8")
    data = open_data(tmp_path, size=8)
    assert data.domains == ("real", "sim")
    # Held-out images keep their labels, and no label is of another image.
    for split in (data.train, data.test):
        images, labels = split.domains[1], split.label_maps[1]
        assert [labels.name(i)[0] for i in range(len(labels))] == [
            images.name(i)[0] for i in range(len(images))
        ]


def test_missing_labels_and_a_missing_palette_are_named(root):
    (root / "pixel_labels" / "trainA" / "b.png").unlink()
    with pytest.raises(InputError, match=r"no labels for .*b\.jpg: expected them in .*b\.png"):
        open_data(root, size=8)
    (root / "pixel_labels" / "palette.csv").unlink()
    with pytest.raises(InputError, match="cannot read the palette"):
        open_data(root, size=8)


def test_labels_of_no_domain_say_where_they_are_expected(root):
    (root / "pixel_labels" / "trainA").rename(root / "pixel_labels" / "elsewhere")
    with pytest.raises(InputError, match=r"no labels for training images: .*pixel_labels.trainA"):
        open_data(root, size=8)


def test_squares_mix_no_colours_and_show_the_middle():
    """Stripes of one pixel, 12 wide: the middle 8 columns, each colour as it was or not at all."""
    stripes = COLOURS[np.arange(12) % 2][None, None].repeat(8, 1)
    one = LabelSquares(ArrayImages(stripes), size=8, is_tiled=False)
    assert np.array_equal(np.asarray(one.read(0).picture()), stripes[0, :, 2:10])
    smaller = np.asarray(
        LabelSquares(ArrayImages(stripes), size=4, is_tiled=False).read(0).picture()
    )
    assert smaller.shape == (4, 4, 3)
    assert {tuple(c) for c in smaller.reshape(-1, 3).tolist()} <= set(map(tuple, COLOURS.tolist()))
