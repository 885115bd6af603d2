from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from diptych.data import open_data
from diptych.data.listing import list_folder, passed_over_note
from diptych.errors import InputError


def _images(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        image = Image.new("RGB", (8, 8), (200, 10, 20))
        image.putpixel((0, 0), (0, 255, 255))
        image.save(folder / name, "PNG" if name.endswith(".png") else "JPEG")
    return folder


def test_files_of_other_kinds_are_counted_by_kind(tmp_path: Path) -> None:
    folder = _images(tmp_path / "a", "1.png", "2.jfif")
    for name in ("x.gz", "y.gz", "z.psd", "palette.csv", "Thumbs.db", "README.md"):
        (folder / name).write_bytes(b"?")
    listing = list_folder(folder)
    assert listing.names == ["1.png", "2.jfif"]
    assert dict(listing.passed_over) == {".gz": 2, ".psd": 1}
    assert passed_over_note([listing.passed_over]) == ("3 files were passed over: 2 .gz, 1 .psd",)
    assert passed_over_note([]) == ()


def test_what_is_passed_over_is_said_when_data_are_opened(tmp_path: Path) -> None:
    a = _images(tmp_path / "d" / "a", "1.png", "2.png", "3.png")
    _images(tmp_path / "d" / "b", "4.png", "5.png", "6.png")
    (a / "raw.cr2").write_bytes(b"?")
    data = open_data(tmp_path / "d", size=8)
    assert "1 file was passed over: 1 .cr2" in data.notes


def test_folders_of_unreadable_kinds_are_named_with_what_they_hold(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "d" / name).mkdir(parents=True)
        (tmp_path / "d" / name / "1.cr2").write_bytes(b"?")
    with pytest.raises(InputError, match=r"a has 1 \.cr2; .*b has 1 \.cr2, and no image of a kind"):
        open_data(tmp_path / "d", size=8)


def test_what_belongs_to_no_domain_is_named(tmp_path: Path) -> None:
    for part in ("trainA", "trainB"):
        _images(tmp_path / "d" / part, "1.png", "2.png", "3.png")
    _images(tmp_path / "d" / "extra", "9.png")
    _images(tmp_path / "d", "stray.png")
    (note,) = [n for n in open_data(tmp_path / "d", size=8).notes if n.startswith("not used")]
    assert "the folder extra/" in note
    assert "1 image beside the domains' folders (stray.png)" in note
