from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.transform import Affine

from diptych.data import formats
from diptych.data.pixels import RGB, RGB8, PixelFormat
from diptych.errors import InputError

CRS_33 = CRS.from_epsg(32633)
PLACE = Affine(10, 0, 500_000, 0, -10, 5_000_000)
VALUES = np.random.default_rng(0).integers(0, 4096, (4, 50, 60)).astype(np.uint16)
NAMES = ("blue", "green", "red", "nir")


def _source(path: Path, **options: object) -> None:
    place = {"crs": CRS_33, "transform": PLACE} | options
    with rasterio.open(
        path, "w", driver="GTiff", width=60, height=50, count=4, dtype="uint16", **place
    ) as file:
        file.write(VALUES)
        for band, name in enumerate(NAMES, 1):
            file.set_band_description(band, name)
        file.update_tags(AREA_OR_POINT="Point", SCENE="S2A")


def test_bands_names_and_nodata_are_read_without_rasterio(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _source(tmp_path / "a.tif", nodata=0)
    monkeypatch.setitem(sys.modules, "rasterio", None)
    found, frame = formats.header(tmp_path / "a.tif"), formats.read(tmp_path / "a.tif")
    assert found.channels == frame.channels == NAMES
    assert found.nodata == frame.nodata == 0
    assert np.array_equal(frame.values, np.moveaxis(VALUES, 0, 2))


@pytest.mark.parametrize(
    ("pixels", "count"),
    [
        (RGB8, 3),
        (PixelFormat(("nir", "swir"), "float32", 0, 1, nodata=-9999.0), 2),
        (PixelFormat((*RGB, "nir"), "int16", 0, 4095), 4),
    ],
    ids=["rgb", "two floats", "four"],
)
@pytest.mark.parametrize("options", [{}, {"tiled": True, "blockxsize": 16, "blockysize": 16},
                                     {"compress": "lzw"}], ids=str)  # fmt: skip
def test_four_bands_become_others_at_the_same_place(
    tmp_path: Path, pixels: PixelFormat, count: int, options: dict[str, object]
) -> None:
    _source(tmp_path / "a.tif", **options)
    values = np.random.default_rng(1).integers(0, 200, (50, 60, count)).astype(pixels.dtype)
    formats.write(tmp_path / "b.tif", [values], pixels, tmp_path / "a.tif")
    with rasterio.open(tmp_path / "b.tif") as written:
        assert written.crs == CRS_33
        assert written.transform == PLACE
        assert written.nodata == pixels.nodata
        assert written.tags()["SCENE"] == "S2A"
        assert written.tags()["AREA_OR_POINT"] == "Point"
        assert np.array_equal(written.read(), np.moveaxis(values, 2, 0))
        assert bool(written.profile.get("compress")) == ("compress" in options)
        if pixels.channels[0] == "nir":
            assert written.descriptions == ("nir", "swir")
    frame = formats.read(tmp_path / "b.tif")
    assert frame.channels == pixels.channels
    assert frame.alpha is None


def test_another_size_covers_the_same_ground(tmp_path: Path) -> None:
    _source(tmp_path / "a.tif")
    formats.write(tmp_path / "b.tif", [np.zeros((25, 30, 3), np.uint8)], RGB8, tmp_path / "a.tif")
    with rasterio.open(tmp_path / "b.tif") as written, rasterio.open(tmp_path / "a.tif") as source:
        assert written.bounds == source.bounds
        assert written.res == (20, 20)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_control_points_are_kept(tmp_path: Path) -> None:
    _source(tmp_path / "a.tif", crs=None, transform=None)
    points = [
        GroundControlPoint(row, col, col * 2.0, row * 3.0) for row in (0, 9) for col in (0, 9)
    ]
    with rasterio.open(tmp_path / "a.tif", "r+") as file:
        file.gcps = points, CRS_33
    formats.write(tmp_path / "b.tif", [np.zeros((50, 60, 3), np.uint8)], RGB8, tmp_path / "a.tif")
    found = []
    for name in ("a.tif", "b.tif"):
        with rasterio.open(tmp_path / name) as file:
            held, crs = file.gcps
            assert crs == CRS_33
            found.append([(p.row, p.col, p.x, p.y) for p in held])
    assert len(found[0]) == 4
    assert found[0] == found[1]


def test_without_rasterio_the_tags_are_copied_and_other_sizes_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _source(tmp_path / "a.tif")
    with monkeypatch.context() as hidden:
        hidden.setitem(sys.modules, "rasterio", None)
        same, other = np.zeros((50, 60, 3), np.uint8), np.zeros((25, 30, 3), np.uint8)
        pixels = PixelFormat(("nir", "band 2", "a < b"))
        formats.write(tmp_path / "b.tif", [same], pixels, tmp_path / "a.tif")
        with pytest.raises(InputError, match=r"writing .*c\.tif needs rasterio: pip install 'dip"):
            formats.write(tmp_path / "c.tif", [other], RGB8, tmp_path / "a.tif")
    with rasterio.open(tmp_path / "b.tif") as written:
        assert written.crs == CRS_33
        assert written.transform == PLACE
        assert written.descriptions == ("nir", None, "a < b")
    assert formats.read(tmp_path / "b.tif").channels == ("nir", "band 2", "a < b")
