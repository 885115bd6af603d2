from __future__ import annotations

import sys
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import ExifTags, Image

from diptych.data import formats
from diptych.data.formats import deep_png
from diptych.data.pixels import RGB, PixelFormat
from diptych.errors import InputError

VALUES = (np.arange(20 * 30 * 3) * 36).reshape(20, 30, 3).astype(np.uint16)
DEEP = PixelFormat(RGB, "uint16", 0, 65535)


def test_16_bit_colours_are_read_whole(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(VALUES))
    found = formats.header(tmp_path / "a.png")
    assert (found.size, found.channels, found.dtype) == ((30, 20), RGB, "uint16")
    assert np.array_equal(formats.read(tmp_path / "a.png").values, VALUES)


def test_16_bit_alpha_is_apart_from_the_colours(tmp_path: Path) -> None:
    four = np.concatenate([VALUES, VALUES[..., :1] // 2], axis=2)
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(four))
    frame = formats.read(tmp_path / "a.png")
    assert np.array_equal(frame.values, VALUES)
    assert frame.alpha is not None
    assert np.array_equal(frame.alpha, four[..., 3])
    formats.write(tmp_path / "b.png", [VALUES], DEEP, tmp_path / "a.png")
    assert np.array_equal(imagecodecs.png_decode((tmp_path / "b.png").read_bytes()), four)


def test_profile_and_exif_lie_in_what_is_written(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "someone"
    profile = b"\0" * 16 + b"RGB " + b"\0" * 108
    Image.new("RGB", (30, 20)).save(tmp_path / "a.jpg", exif=exif, icc_profile=profile)
    formats.write(tmp_path / "b.png", [VALUES], DEEP, tmp_path / "a.jpg")
    assert np.array_equal(formats.read(tmp_path / "b.png").values, VALUES)
    with Image.open(tmp_path / "b.png") as written:
        assert written.info["icc_profile"] == profile
        assert written.getexif()[ExifTags.Base.Artist] == "someone"


# What lies first in the file, for each orientation, of an image whose corners are 1 2 / 3 4.
STORED = {
    1: [[1, 2], [3, 4]],
    2: [[2, 1], [4, 3]],
    3: [[4, 3], [2, 1]],
    4: [[3, 4], [1, 2]],
    5: [[1, 3], [2, 4]],
    6: [[2, 4], [1, 3]],
    7: [[4, 2], [3, 1]],
    8: [[3, 1], [4, 2]],
}


@pytest.mark.parametrize("turn", STORED)
def test_images_are_turned_upright(turn: int) -> None:
    stored = np.array(STORED[turn])[..., None]
    assert deep_png.turned(stored, turn)[..., 0].tolist() == [[1, 2], [3, 4]]


def test_without_imagecodecs_16_bit_colours_are_refused_and_not_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(VALUES))
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    with pytest.raises(InputError, match=r"a\.png needs imagecodecs: pip install 'diptych\[cod"):
        formats.read(tmp_path / "a.png")
