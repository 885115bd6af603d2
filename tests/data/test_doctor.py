from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diptych.data import open_data
from diptych.data.doctor import Examination, Finding, examine

CLASSES = np.array([(200, 30, 30), (30, 200, 30), (30, 30, 200)], np.uint8)


def _photo(seed: int, side: int = 48) -> Image.Image:
    """Smooth noise: unlike that of any other seed."""
    draws = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    return Image.fromarray(draws).resize((side, side), Image.Resampling.BICUBIC)


def _fill(folder: Path, first: int, count: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(first, first + count):
        _photo(number).save(folder / f"{folder.name}{number:03d}.png")
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for place, first in (("trainA", 0), ("trainB", 20), ("testA", 40), ("testB", 50)):
        _fill(tmp_path / "a2b" / place, first, 8)
    return tmp_path / "a2b"


def _examine(root: Path, **options: int) -> Examination:
    return examine(open_data(root, names=NAMES, size=32), **options)


NAMES = ["a", "b"]


def _of(found: Examination, kind: str) -> list[Finding]:
    return [finding for finding in found.findings if finding.kind == kind]


def test_sound_data_have_their_facts_and_no_finding_but_that_they_are_few(root: Path) -> None:
    found = _examine(root)
    assert (found.looked_at, found.images) == (32, 32)
    assert {finding.kind for finding in found.findings} == {"few"}
    a, b = found.domains
    assert (a.name, a.images) == ("a", {"train": 8, "test": 8})
    assert a.kinds == {".png": 16}
    assert a.sizes == ((48, 48),) * 3
    assert b.pixels == "3 channels of uint8, 0 to 255"
    pixels = np.concatenate(
        [np.asarray(Image.open(p)).reshape(-1, 3) for p in sorted(root.glob("*A/*.png"))]
    )
    assert a.mean == pytest.approx(pixels.mean(0) / 255, abs=0.01)
    assert a.spread == pytest.approx(pixels.std(0) / 255, abs=0.02)


def test_doubles_are_named_by_where_they_are(root: Path) -> None:
    _photo(3).save(root / "testA" / "again.bmp")  # the same pixels in another file
    _photo(21).save(root / "trainA" / "stray.png")
    _photo(5).save(root / "trainA" / "copy.png")
    found = _of(_examine(root), "doubled")
    assert [finding.images for finding in found] == [
        ("a/train/stray.png", "b/train/trainB021.png"),
        ("a/train/trainA003.png", "a/test/again.bmp"),
        ("a/train/copy.png", "a/train/trainA005.png"),
    ]
    texts = " ".join(finding.text for finding in found)
    assert "1 pair of images of a/train show the same" in texts
    assert "1 image of a/train and a/test show the same" in texts
    assert "scores on what was trained on are too good" in texts
    assert "1 image of a/train and b/train show the same" in texts
    assert "an image belongs to one domain" in texts


def test_near_doubles_are_found_and_smooth_unlike_images_are_not(root: Path) -> None:
    _photo(2).save(root / "testA" / "near.jpg", quality=60)
    brighter = Image.eval(_photo(22), lambda v: min(255, v + 6))
    brighter.save(root / "testB" / "brighter.png")
    for number in range(4):  # ramps of several directions
        ramp = np.add.outer(np.arange(48) * (number % 2), np.arange(48) * (1 - number // 2))
        Image.fromarray(np.stack([ramp] * 3, 2).astype(np.uint8)).save(
            root / "trainB" / f"ramp{number}.png"
        )
    found = _of(_examine(root), "nearly doubled")
    pairs = {image for finding in found for image in finding.images}
    assert {"a/train/trainA002.png", "a/test/near.jpg"} <= pairs
    assert {"b/train/trainB022.png", "b/test/brighter.png"} <= pairs
    assert len(pairs) == 4


def test_broken_plain_and_grey_images_are_named(root: Path) -> None:
    (root / "trainA" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno")
    Image.new("RGB", (48, 48), (9, 9, 9)).save(root / "trainB" / "black.png")
    _photo(7).convert("L").convert("RGB").save(root / "testB" / "grey.png")
    found = _examine(root)
    (broken,) = _of(found, "broken")
    assert broken.images == ("a/train/broken.png",)
    assert broken.text.startswith("1 image of a cannot be read; a/train/broken.png: ")
    (plain,) = _of(found, "one colour")
    assert plain.text.startswith("b: 1 image (train/black.png) is of one colour")
    (grey,) = _of(found, "grey")
    assert grey.images == ("b/test/grey.png",)


def test_images_too_small_for_a_size_are_counted(root: Path) -> None:
    _photo(99, 20).save(root / "trainA" / "small.png")
    (small,) = _of(_examine(root, size=32), "small")
    assert small.text.startswith("1 image of a has a shorter side below 32 pixels")


def test_labels_of_blended_colours_are_named(tmp_path: Path) -> None:
    draws = np.random.default_rng(0)
    for name in ("labels", "photos"):
        (tmp_path / "d" / name).mkdir(parents=True)
        for number in range(4):
            cells = CLASSES[draws.integers(0, 3, (6, 6))]
            image = Image.fromarray(np.kron(cells, np.ones((8, 8, 1), np.uint8)))
            if name == "labels" and number == 2:
                image = image.resize((50, 50), Image.Resampling.BICUBIC)
            image.save(tmp_path / "d" / name / f"{name}{number}.png")
    rows = [f"c{i},{','.join(map(str, colour))}" for i, colour in enumerate(CLASSES)]
    (tmp_path / "d" / "labels" / "palette.csv").write_text("\n".join(["name,r,g,b", *rows]))
    (found,) = _of(examine(open_data(tmp_path / "d", size=32)), "labels")
    assert [image.rsplit("/", 1)[1] for image in found.images] == ["labels2.png"]


def test_no_more_images_are_looked_at_than_asked_for(root: Path) -> None:
    done: list[tuple[int, int]] = []
    data = open_data(root, names=NAMES, size=32)
    found = examine(data, most=8, progress=lambda n, total: done.append((n, total)))
    assert (found.looked_at, found.images) == (8, 32)
    assert done == [(i + 1, 8) for i in range(8)]
