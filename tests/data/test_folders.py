from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diptych.data import Data, Palette, Split, open_data
from diptych.data import samples as samples_module
from diptych.data.collections import ArrayImages
from diptych.data.listing import list_images
from diptych.errors import InputError


def _fill(folder: Path, names: list[str], size: tuple[int, int] = (8, 8), value: int = 0) -> Path:
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image = Image.new("RGB", size, (value, number % 256, 0))
        image.putpixel((size[0] - 1, size[1] - 1), (255, 255, 255))  # the range is used
        image.save(path)
    return folder


def _numbered(count: int, prefix: str = "") -> list[str]:
    return [f"{prefix}{i:03d}.png" for i in range(count)]


def _sizes(split: Split | None) -> tuple[int, ...] | None:
    return None if split is None else tuple(len(images) for images in split.domains)


def _open(*args: Path, **options: object) -> Data:
    return open_data(*args, size=8, **options)  # type: ignore[arg-type]


def test_the_authors_layout_takes_names_from_the_folder_and_splits_from_the_folders(
    tmp_path: Path,
) -> None:
    root = tmp_path / "horse2zebra"
    for part, count in {
        "trainA": 5,
        "trainB": 4,
        "testA": 3,
        "testB": 2,
        "valA": 2,
        "valB": 2,
    }.items():
        _fill(root / part, _numbered(count, part))
    data = _open(root)
    assert data.domains == ("horse", "zebra")
    assert _sizes(data.train) == (5, 4)
    assert _sizes(data.test) == (3, 2)
    assert _sizes(data.validation) == (2, 2)
    assert data.train.pairs is None
    assert data.notes == (
        "trainA and trainB are called horse and zebra, after the folder's name: names changes that",
    )
    assert data.train.domains[1].name(0) == "trainB000.png"
    assert data.train.domains[1].read(2).picture().getpixel((0, 0)) == (0, 2, 0)


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("horse2zebra", ("horse", "zebra")),
        ("iphone2dslr_flower", ("iphone", "dslr_flower")),
        ("maps", ("x", "y")),
        ("2nd", ("x", "y")),
        ("cat2cat", ("x", "y")),
    ],
)
def test_domains_are_named_after_the_folder_where_it_is_called_name2name(
    tmp_path: Path, folder: str, expected: tuple[str, str]
) -> None:
    _fill(tmp_path / folder / "trainA", _numbered(3, "a"))
    _fill(tmp_path / folder / "trainB", _numbered(3, "b"))
    assert _open(tmp_path / folder).domains == expected
    assert _open(tmp_path / folder, names=["p", "q"]).domains == ("p", "q")


def test_two_folders_are_two_domains_called_after_them(tmp_path: Path) -> None:
    x = _fill(tmp_path / "photos", _numbered(4, "p"))
    y = _fill(tmp_path / "art", _numbered(3, "q"))
    data = open_data(x=x, y=str(y), size=8)
    assert data.domains == ("photos", "art")
    assert data.source == f"{x} {y}"
    assert _sizes(data.train) == (3, 2)
    assert _sizes(data.test) == (1, 1)
    same_name = _fill(tmp_path / "other" / "photos", _numbered(4, "r"))
    assert open_data(x=x, y=same_name, size=8).domains == ("x", "y")


def test_domain_folders_may_hold_train_and_test_folders(tmp_path: Path) -> None:
    for domain in ("cat", "dog"):
        _fill(tmp_path / "d" / domain / "train", _numbered(4, domain))
        _fill(tmp_path / "d" / domain / "Test", _numbered(2, domain))
    for data in (
        _open(tmp_path / "d"),
        open_data(x=tmp_path / "d/cat", y=tmp_path / "d/dog", size=8),
    ):
        assert data.domains == ("cat", "dog")
        assert _sizes(data.train) == (4, 4)
        assert _sizes(data.test) == (2, 2)
        assert data.notes == ()


def test_train_and_test_folders_may_hold_domain_folders(tmp_path: Path) -> None:
    for part, count in (("train", 4), ("test", 2)):
        for domain in ("cat", "dog", "fox"):
            _fill(tmp_path / part / domain, _numbered(count, domain))
    data = _open(tmp_path)
    assert data.domains == ("cat", "dog", "fox")
    assert _sizes(data.train) == (4, 4, 4)
    assert _sizes(data.test) == (2, 2, 2)


def test_any_folders_of_images_are_domains_and_other_files_are_passed_over(tmp_path: Path) -> None:
    for number, domain in enumerate(("autumn", "Spring", "winter")):
        _fill(tmp_path / domain, ["b.JPG", "a.png", "deep/er/c.webp", "é.tiff"], value=number)
        (tmp_path / domain / "Thumbs.db").write_bytes(b"x")
        (tmp_path / domain / "notes.txt").write_text("x")
        (tmp_path / domain / ".hidden.png").write_bytes(b"x")
    _fill(tmp_path / "__MACOSX", ["a.png", "b.png"])
    _fill(tmp_path / ".cache", ["a.png", "b.png"])
    (tmp_path / "docs").mkdir()
    data = _open(tmp_path)
    assert data.domains == ("Spring", "autumn", "winter")
    assert list_images(tmp_path / "Spring") == ["a.png", "b.JPG", "deep/er/c.webp", "é.tiff"]
    assert [_sizes(data.train), _sizes(data.test)] == [(3, 3, 3), (1, 1, 1)]


def test_links_are_followed_and_circles_of_links_end(tmp_path: Path) -> None:
    _fill(tmp_path / "real", ["a.png"])
    _fill(tmp_path / "x", ["b.png"])
    try:
        (tmp_path / "x" / "linked").symlink_to(tmp_path / "real", target_is_directory=True)
        (tmp_path / "x" / "circle").symlink_to(tmp_path / "x", target_is_directory=True)
        (tmp_path / "x" / "dangling.png").symlink_to(tmp_path / "none.png")
    except OSError:
        pytest.skip("this system lets ordinary users make no links")
    assert list_images(tmp_path / "x") == ["b.png", "linked/a.png"]


def test_side_by_side_images_are_pairs_of_their_halves(tmp_path: Path) -> None:
    picture = np.zeros((8, 16, 3), dtype=np.uint8)
    picture[:, :8], picture[:, 8:] = (10, 20, 90), (40, 50, 60)
    for part, count in (("train", 4), ("val", 2)):
        _fill(tmp_path / "edges2shoes" / part, _numbered(count), (16, 8))
        Image.fromarray(picture).save(tmp_path / "edges2shoes" / part / "000.png")
    data = _open(tmp_path / "edges2shoes")
    assert data.domains == ("edges", "shoes")
    assert data.train.pairs is not None
    left, right = (images.read(0).picture() for images in data.train.pairs)
    assert left.size == right.size == (8, 8)
    assert left.getcolors() == [(64, (10, 20, 90))]
    assert right.getcolors() == [(64, (40, 50, 60))]
    assert _sizes(data.train) == (4, 4)
    assert _sizes(data.test) == (2, 2)
    assert data.validation is None
    assert data.notes == (
        "images are pairs side by side: left and right halves are called edges and shoes, after"
        " the folder's name: names changes that",
        "no test images: the validation images are used for testing too",
    )


def _error(*args: object, **options: object) -> str:
    with pytest.raises(InputError) as caught:
        open_data(*args, **{"size": 8} | options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_errors_of_what_was_typed(tmp_path: Path) -> None:
    x = _fill(tmp_path / "x", _numbered(3, "a"))
    y = _fill(tmp_path / "y", _numbered(3, "b"))
    assert "no data: give a folder" in _error()
    assert "only one of x and y was given" in _error(x=x)
    assert "not both" in _error(tmp_path, x=x)
    assert "no such folder: nowhere" in _error("nowhere")
    assert "000.png is a file: expected a folder" in _error(x / "a000.png")
    assert "same folder" in _error(x=x, y=tmp_path / "y" / ".." / "x")
    assert "size is 0" in _error(x=x, y=y, size=0)
    assert "3 names (a, b, c) for 2 domains (x, y)" in _error(x=x, y=y, names=["a", "b", "c"])
    assert "cannot call a domain 'a'" in _error(x=x, y=y, names=["a", "a"])
    assert "cannot call a domain 'a/b'" in _error(x=x, y=y, names=["a/b", "c"])


def test_errors_of_what_is_in_the_folders(tmp_path: Path) -> None:
    x = _fill(tmp_path / "one" / "x", _numbered(3, "a"))
    assert "holds 0 images and the folders x/: expected trainA/" in _error(tmp_path / "one")
    assert "holds 3 images and no folders" in _error(x)
    (tmp_path / "empty").mkdir()
    assert f"no images in {tmp_path / 'empty'}" in _error(x=x, y=tmp_path / "empty")
    single = _fill(tmp_path / "single", ["a.png"])
    assert f"only one image of single in {single}" in _error(x=x, y=single)
    _fill(tmp_path / "half" / "trainA", _numbered(3))
    assert "has no trainB/" in _error(tmp_path / "half")
    _fill(tmp_path / "half" / "trainB", _numbered(3))
    _fill(tmp_path / "half" / "testA", _numbered(3))
    assert "no images for test beside" in _error(tmp_path / "half")
    (tmp_path / "half" / "testB").mkdir()
    assert f"no images in {tmp_path / 'half' / 'testB'}" in _error(tmp_path / "half")
    _fill(tmp_path / "wide" / "train", _numbered(3), (10, 8))
    assert "train holds single images (000.png is 10x8)" in _error(tmp_path / "wide")
    _fill(tmp_path / "late" / "test", _numbered(3))
    assert "has test/ but no train/" in _error(x=x, y=tmp_path / "late")
    (tmp_path / "void" / "train").mkdir(parents=True)
    assert "no images in" in _error(tmp_path / "void")


def test_samples_are_opened_by_name_and_may_be_renamed(monkeypatch: pytest.MonkeyPatch) -> None:
    images = ArrayImages(np.zeros((2, 8, 8, 3), dtype=np.uint8))
    palette = Palette(("sea",), ((0, 0, 1),))
    made = Data("sample:s", ("a", "b"), Split((images, images)), palettes={"a": palette})
    asked: list[tuple[str, int]] = []

    def open_sample(name: str, size: int) -> Data:
        asked.append((name, size))
        return made

    monkeypatch.setattr(samples_module, "open_sample", open_sample)
    assert open_data("sample:s", size=64) is made
    renamed = open_data("sample:s", names=("p", "q"), size=32)
    assert asked == [("s", 64), ("s", 32)]
    assert renamed.domains == ("p", "q")
    assert renamed.palettes == {"p": palette}
