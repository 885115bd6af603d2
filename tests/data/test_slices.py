from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import tifffile
from PIL import Image

from diptych.data import open_data
from diptych.data.collections import Images


def _volume(path: Path, slices: int, first: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.zeros((16, 16, slices), np.int16)
    values[:] = np.arange(first, first + slices) * 10
    values[0, 0] = 999
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), path)


def _names(images: Images) -> list[str]:
    return [images.name(i) for i in range(len(images))]


def test_slices_of_volumes_are_images_and_whole_volumes_are_held_out(tmp_path: Path) -> None:
    for domain in ("ct", "mr"):
        for number in range(4):
            _volume(tmp_path / "d" / domain / f"{number}.nii.gz", 5, 5 * number)
    data = open_data(tmp_path / "d", paired=False, size=16)
    assert data.test is not None
    train, test = _names(data.train.domains[0]), _names(data.test.domains[0])
    assert (len(train), len(test)) == (15, 5)
    assert not {name.split("#")[0] for name in train} & {name.split("#")[0] for name in test}
    assert any(n.startswith("ct: 3 files hold 15 images") for n in data.notes)
    pixels, images = data.pixels[0], data.train.domains[0]
    for index, name in enumerate(train):
        file, number = name.split("#")
        expected = (5 * int(file[0]) + int(number)) * 10
        value = pixels.from_tensor(images.read(index).tensor())[8, 8, 0]
        assert abs(int(value) - expected) <= 1


def test_slices_of_equal_volumes_are_pairs(tmp_path: Path) -> None:
    for domain in ("ct", "mr"):
        for number in range(3):
            _volume(tmp_path / "d" / domain / f"p{number}.nii", 4)
    data = open_data(tmp_path / "d", size=16)
    assert data.train.pairs is not None
    x, y = map(_names, data.train.pairs)
    assert x == y
    assert len(x) == 8


def test_of_one_file_the_last_images_are_held_out_and_it_is_said(tmp_path: Path) -> None:
    for domain in ("a", "b"):
        (tmp_path / "d" / domain).mkdir(parents=True)
        pages = np.arange(40, dtype=np.uint16)[:, None, None] * 100 + np.eye(16, dtype=np.uint16)
        path = tmp_path / "d" / domain / f"{domain}.tif"
        tifffile.imwrite(path, pages.astype(np.uint16), photometric="minisblack")
    data = open_data(tmp_path / "d", size=16)
    assert data.test is not None
    assert _names(data.test.domains[0]) == ["a.tif#38", "a.tif#39"]
    assert _names(data.train.domains[0])[-1] == "a.tif#37"
    assert any("a is one file, so the last 2 of its images are held out" in n for n in data.notes)


def test_every_frame_of_an_animation_is_an_image_and_plain_files_stay_one(tmp_path: Path) -> None:
    for domain in ("a", "b"):
        folder = tmp_path / "d" / domain
        folder.mkdir(parents=True)
        frames = [Image.new("RGB", (16, 16), (60 * i, 255 - i, 9)) for i in range(4)]
        frames[0].save(folder / "move.webp", save_all=True, append_images=frames[1:], lossless=True)
        for number in range(3):
            frames[0].save(folder / f"{domain}#{number}.png")
    data = open_data(tmp_path / "d", paired=False, size=16)
    everything = _names(data.train.domains[0]) + _names(data.test.domains[0])  # type: ignore[union-attr]
    assert len([name for name in everything if name.startswith("move.webp#")]) in (0, 4)
    assert {name for name in everything if name.startswith("a#")} == {
        f"a#{i}.png" for i in range(3)
    }
