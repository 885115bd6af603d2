"""Pairs by name, what is held out, and the fingerprint."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from diptych.data import Images, open_data
from diptych.data.splits import probe_indices
from tests.data.test_folders import _fill, _numbered, _open, _sizes


def _names(images: Images) -> list[str]:
    return [images.name(i) for i in range(len(images))]


def test_equal_stems_make_pairs_and_are_held_out_together(tmp_path: Path) -> None:
    _fill(tmp_path / "x", [f"{i:03d}.png" for i in range(60)])
    _fill(tmp_path / "y", [f"{i:03d}.bmp" for i in range(60)])
    data = open_data(x=tmp_path / "x", y=tmp_path / "y", size=8)
    for split, count in ((data.train, 57), (data.test, 3)):
        assert split is not None
        assert split.pairs is not None
        left, right = map(_names, split.pairs)
        assert len(left) == count
        assert [Path(name).stem for name in left] == [Path(name).stem for name in right]
    assert data.notes == (
        "no test images: 3 and 3 training images are held out for testing",
        "60 pairs were found by equal file names (57 train, 3 test), such as 000.png; their names"
        " are only numbers, which unrelated images share too; give paired=False if they do not"
        " show the same scenes",
    )


def test_pairs_match_by_stem_even_where_suffixes_change_the_order(tmp_path: Path) -> None:
    _fill(tmp_path / "x", ["a.png", "a.q.png", "c.png"])
    _fill(tmp_path / "y", ["a.tif", "a.q.png", "c.bmp"])  # "t" sorts after "q"
    for name in ("x", "y"):
        _fill(tmp_path / name / "test", ["t.png"])
        for file in list((tmp_path / name).glob("*.*")):
            (tmp_path / name / "train").mkdir(exist_ok=True)
            file.rename(tmp_path / name / "train" / file.name)
    pairs = open_data(x=tmp_path / "x", y=tmp_path / "y", size=8).train.pairs
    assert pairs is not None
    assert [_names(images) for images in pairs] == [
        ["a.png", "a.q.png", "c.png"],
        ["a.tif", "a.q.png", "c.bmp"],
    ]


def test_the_authors_letters_at_the_end_of_paired_names_are_understood(tmp_path: Path) -> None:
    for part in ("train", "test"):
        for letter in "AB":
            _fill(
                tmp_path / "maps" / f"{part}{letter}", [f"{i}_{letter}.png" for i in range(1, 12)]
            )
    pairs = _open(tmp_path / "maps").test.pairs  # type: ignore[union-attr]
    assert pairs is not None
    assert [name.split("_")[0] for name in _names(pairs[0])] == [
        name.split("_")[0] for name in _names(pairs[1])
    ]


@pytest.mark.parametrize("extra", ["z.png", "000.bmp"])
def test_one_name_without_its_like_or_twice_means_no_pairs(tmp_path: Path, extra: str) -> None:
    _fill(tmp_path / "x" / "train", _numbered(4))
    _fill(tmp_path / "y" / "train", [*_numbered(4), extra])
    _fill(tmp_path / "x" / "test", _numbered(2, "t"))
    _fill(tmp_path / "y" / "test", _numbered(2, "t"))
    data = open_data(x=tmp_path / "x", y=tmp_path / "y", size=8)
    assert data.train.pairs is None
    assert data.test is not None
    assert data.test.pairs is not None


def test_what_is_held_out_is_5_percent_at_least_1_and_at_most_200_by_a_hash_of_the_stem(
    tmp_path: Path,
) -> None:
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
    for i in range(40):
        (tmp_path / "x" / f"{i}.png").write_bytes(b"not read here")
    for i in range(4100):
        (tmp_path / "y" / f"y{i}.png").write_bytes(b"")
    data = open_data(x=tmp_path / "x", y=tmp_path / "y", size=8)
    assert _sizes(data.test) == (2, 200)
    assert _sizes(data.train) == (38, 3900)
    assert data.test is not None
    by_hash = sorted(
        map(str, range(40)), key=lambda s: hashlib.blake2b(s.encode(), digest_size=8).digest()
    )
    assert _names(data.test.domains[0]) == sorted(f"{stem}.png" for stem in by_hash[:2])
    together = _names(data.train.domains[0]) + _names(data.test.domains[0])
    assert sorted(together) == sorted(f"{i}.png" for i in range(40))


def test_the_fingerprint_sees_each_of_a_thousand_files(tmp_path: Path) -> None:
    for side in ("x", "y"):
        _fill(tmp_path / side, _numbered(1000 if side == "x" else 2, side))
    before = open_data(x=tmp_path / "x", y=tmp_path / "y", size=8).fingerprint
    for file in sorted((tmp_path / "x").iterdir())[::37]:
        long = file.stat().st_size
        with file.open("ab") as more:
            more.write(b"x")
        assert open_data(x=tmp_path / "x", y=tmp_path / "y", size=8).fingerprint != before
        os.truncate(file, long)


def test_the_fingerprint_follows_names_and_sizes_and_not_the_place(tmp_path: Path) -> None:
    def fingerprint(root: Path) -> str:
        return open_data(x=root / "x", y=root / "y", size=8).fingerprint

    for place in ("here", "there"):
        _fill(tmp_path / place / "x", _numbered(4, "a"))
        _fill(tmp_path / place / "y", _numbered(4, "b"))
    first = fingerprint(tmp_path / "here")
    assert first == fingerprint(tmp_path / "there")
    assert len(first) == 32
    _fill(tmp_path / "here" / "x", ["more.png"])
    more = fingerprint(tmp_path / "here")
    assert more != first
    (tmp_path / "here" / "x" / "more.png").rename(tmp_path / "here" / "x" / "mors.png")
    renamed = fingerprint(tmp_path / "here")
    assert renamed != more
    with (tmp_path / "here" / "x" / "mors.png").open("ab") as file:
        file.write(b"x")
    assert fingerprint(tmp_path / "here") != renamed


def test_probes_are_the_first_the_last_and_what_lies_evenly_between() -> None:
    assert probe_indices(3, 16) == [0, 1, 2]
    assert probe_indices(101, 5) == [0, 25, 50, 75, 100]
