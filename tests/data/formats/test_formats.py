from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from diptych.data import formats
from diptych.data.pixels import GREY8, RGB8, PixelFormat
from diptych.errors import InputError


@pytest.mark.parametrize("suffix", formats.SUFFIXES)
def test_every_suffix_has_a_module_that_says_what_it_holds(suffix: str) -> None:
    module = formats.format_of(f"a/B{suffix.upper()}")
    assert module is formats.format_of(suffix)
    assert formats.can_hold(suffix, 1, "uint8") == (suffix not in (".ppm", ".pbm"))
    assert not formats.can_hold(suffix, 1, "int64")


def test_an_unknown_suffix_is_named() -> None:
    with pytest.raises(InputError, match=r"notes\.docx is not an image that can be read: \.jpg,"):
        formats.read("notes.docx")


def test_reading_a_photo_imports_no_other_family(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.jpg")
    script = """
import json, sys
from diptych.data import formats
formats.header(sys.argv[1])
formats.read(sys.argv[1])
print(json.dumps(sorted(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "a.jpg")],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(json.loads(done.stdout))
    others = {"tifffile", "imagecodecs", "rasterio", "pydicom", "nibabel", "pillow_heif"}
    assert loaded.isdisjoint(others)


def test_transparency_goes_from_one_family_to_another(tmp_path: Path) -> None:
    Image.new("RGBA", (9, 8), (1, 2, 3, 51)).save(tmp_path / "a.png")
    pixels = PixelFormat(("grey",), "uint16", 0, 4095)
    formats.write(tmp_path / "b.tif", [np.zeros((8, 9, 1), np.uint16)], pixels, tmp_path / "a.png")
    assert np.array_equal(tifffile.imread(tmp_path / "b.tif")[..., 1], np.full((8, 9), 51 * 257))
    formats.write(tmp_path / "c.png", [np.zeros((8, 9, 3), np.uint8)], RGB8, tmp_path / "b.tif")
    assert Image.open(tmp_path / "c.png").getpixel((0, 0)) == (0, 0, 0, 51)


def test_a_deep_stack_becomes_an_animation_of_as_many_frames(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((3, 8, 9), np.uint16), photometric="minisblack")
    frames = [np.full((8, 9, 1), level, np.uint8) for level in (0, 90, 200)]
    formats.write(tmp_path / "b.png", frames, GREY8, tmp_path / "a.tif")
    assert formats.header(tmp_path / "b.png").images == 3
    assert [formats.read(tmp_path / "b.png", i).values.max() for i in range(3)] == [0, 90, 200]


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot write"):
        formats.write(tmp_path / "none" / "a.png", [np.zeros((4, 4, 3), np.uint8)], RGB8)
    assert list(tmp_path.iterdir()) == []
