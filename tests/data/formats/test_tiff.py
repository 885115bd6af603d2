from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image

from diptych.data import formats
from diptych.data.images import decode_image
from diptych.data.pixels import GREY, RGB, RGB8, PixelFormat
from diptych.errors import InputError

RNG = np.random.default_rng(0)
BANDS = tuple(f"band {i}" for i in range(1, 5))


def _values(dtype: str, channels: int = 1) -> np.ndarray:
    raw = RNG.integers(-100 if dtype[0] in "if" else 0, 100, (50, 60, channels))
    return raw.astype(dtype)


def _save(path: Path, values: np.ndarray, **options: object) -> None:
    tifffile.imwrite(path, values, metadata=None, **options)


@pytest.mark.parametrize(
    "dtype",
    ["uint16", "uint32", "int8", "int16", "int32", "float16", "float32", "float64"],
)
def test_every_type_is_read_and_written_as_it_is(tmp_path: Path, dtype: str) -> None:
    values = _values(dtype)
    _save(tmp_path / "a.tif", values[..., 0], photometric="minisblack")
    found = formats.header(tmp_path / "a.tif")
    assert (found.size, found.channels, found.dtype) == ((60, 50), GREY, dtype)
    frame = formats.read(tmp_path / "a.tif")
    assert frame.values.dtype.name == dtype
    assert np.array_equal(frame.values, values)
    pixels = PixelFormat(GREY, dtype, -100, 100)
    formats.write(tmp_path / "b.tif", [values], pixels, tmp_path / "a.tif")
    assert np.array_equal(tifffile.imread(tmp_path / "b.tif"), values[..., 0])


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("channels", [2, 4, 13])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_bands_are_read_in_either_layout(
    tmp_path: Path, planar: str, channels: int, byteorder: str
) -> None:
    values = _values("uint16", channels)
    stored = values if planar == "contig" else np.moveaxis(values, 2, 0)
    options = {"extrasamples": [0] * (channels - 1), "byteorder": byteorder}
    _save(tmp_path / "a.tif", stored, photometric="minisblack", planarconfig=planar, **options)
    frame = formats.read(tmp_path / "a.tif")
    assert frame.channels == tuple(f"band {i + 1}" for i in range(channels))
    assert frame.alpha is None
    assert frame.values.dtype == np.dtype("=u2")
    assert np.array_equal(frame.values, values)


@pytest.mark.parametrize(
    "options",
    [
        {"bigtiff": True},
        {"tile": (16, 32)},
        {"compression": "zlib", "predictor": True},
        {"compression": "lzw"},
        {"compression": "zstd"},
        {"rowsperstrip": 7},
    ],
    ids=["bigtiff", "tiled", "deflate", "lzw", "zstd", "strips"],
)
def test_every_arrangement_gives_the_same_values(
    tmp_path: Path, options: dict[str, object]
) -> None:
    values = _values("uint16", 4)
    arrangement = {"planarconfig": "contig", "extrasamples": [0] * 3, "photometric": "minisblack"}
    _save(tmp_path / "a.tif", values, **arrangement, **options)
    assert np.array_equal(formats.read(tmp_path / "a.tif").values, values)
    pixels = PixelFormat(BANDS, "uint16", 0, 100)
    formats.write(tmp_path / "b.tif", [values], pixels, tmp_path / "a.tif")
    with tifffile.TiffFile(tmp_path / "b.tif") as written:
        assert np.array_equal(written.pages[0].asarray(), values)
        assert (written.pages[0].compression != 1) == ("compression" in options)


@pytest.mark.parametrize(
    ("extra", "alpha", "channels"),
    [
        ([0], None, (*RGB, "band 4")),
        ([1], 3, RGB),
        ([2], 3, RGB),
        ([0, 2], 4, (*RGB, "band 4")),
        ([2, 0], 3, (*RGB, "band 5")),
        ([2, 2], None, (*RGB, "band 4", "band 5")),
    ],
)
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_band_is_alpha_only_where_the_file_says_so_once(
    tmp_path: Path, extra: list[int], alpha: int | None, channels: tuple[str, ...], dtype: str
) -> None:
    full = np.iinfo(dtype).max
    values = np.full((8, 9, 3 + len(extra)), full // 5, dtype)
    values[..., 3:] = full  # opaque
    values[0, 0, 3:] = 31
    options = {"planarconfig": "contig", "extrasamples": extra}
    _save(tmp_path / "a.tif", values, photometric="rgb", **options)
    found, frame = formats.header(tmp_path / "a.tif"), formats.read(tmp_path / "a.tif")
    assert frame.channels == found.channels == channels
    assert found.has_alpha == (alpha is not None)
    bands = [band for band in range(3 + len(extra)) if band != alpha]
    expected = values[..., bands]
    if extra == [1]:
        expected[0, 0] = min(full, round(full // 5 / 31 * full))  # was multiplied by alpha
    assert np.array_equal(frame.values, expected)
    if alpha is None:
        assert frame.alpha is None
    else:
        assert np.array_equal(frame.alpha, values[..., alpha])


@pytest.mark.parametrize("mode", ["RGB", "L", "1", "P", "RGBA", "LA", "CMYK"])
def test_eight_bit_tiffs_are_decoded_bit_for_bit_as_photos(tmp_path: Path, mode: str) -> None:
    image = (
        Image.fromarray(RNG.integers(0, 256, (20, 30, 4), dtype=np.uint8))
        .convert(mode if mode != "CMYK" else "RGB")
        .convert(mode)
    )
    turned = Image.Exif()
    turned[ExifTags.Base.Orientation] = 6
    packings = [{}, *({"compression": name} for name in ("tiff_lzw", "tiff_deflate", "packbits"))]
    # Pillow does not turn some images that are not packed.
    for options in (*packings, *({"exif": turned, **options} for options in packings[1:])):
        image.save(tmp_path / "a.tif", **options)
        photo, frame = decode_image(tmp_path / "a.tif"), formats.read(tmp_path / "a.tif")
        assert np.array_equal(
            np.broadcast_to(frame.values, (*photo.image.size[::-1], 3)), photo.image
        )
        assert (frame.alpha is None) == (photo.alpha is None)
        assert photo.alpha is None or np.array_equal(frame.alpha, photo.alpha)
        found = formats.header(tmp_path / "a.tif")
        assert (found.channels, found.size) == (frame.channels, photo.image.size)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_unpacked_eight_bit_images_are_turned_upright(tmp_path: Path, mode: str) -> None:
    image = Image.fromarray(RNG.integers(0, 256, (20, 30, 4), dtype=np.uint8)).convert(mode)
    turned = Image.Exif()
    turned[ExifTags.Base.Orientation] = 6
    image.save(tmp_path / "a.tif", exif=turned)
    frame = formats.read(tmp_path / "a.tif")
    assert formats.header(tmp_path / "a.tif").size == (20, 30)
    upright = np.atleast_3d(np.rot90(np.asarray(image), -1))
    assert np.array_equal(frame.values, upright[..., : frame.values.shape[2]])


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_pages_are_images_in_order_and_thumbnails_are_not(tmp_path: Path, dtype: str) -> None:
    pages = [np.full((20, 30), level, dtype) for level in range(5)]
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for page in pages:
            writer.write(page, contiguous=False, metadata=None, photometric="minisblack")
        writer.write(pages[0][::2, ::2], subfiletype=1, metadata=None, photometric="minisblack")
    assert formats.header(tmp_path / "a.tif").images == 5
    for index in (4, 0, 2):
        assert (formats.read(tmp_path / "a.tif", index).values == index).all()
    with pytest.raises(InputError, match=r"a\.tif has no image 5: it holds 5"):
        formats.read(tmp_path / "a.tif", 5)
    results = [page[..., None] + 1 for page in pages]
    pixels = PixelFormat(GREY, dtype, 0, 255)
    formats.write(tmp_path / "b.tif", results, pixels, tmp_path / "a.tif")
    assert np.array_equal(tifffile.imread(tmp_path / "b.tif", key=range(5)), np.stack(pages) + 1)


def test_a_stack_is_opened_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((40, 8, 9), np.uint16))
    opened = []
    original = tifffile.TiffFile
    monkeypatch.setattr(tifffile, "TiffFile", lambda path, **_: opened.append(1) or original(path))
    for index in range(40):
        formats.read(tmp_path / "a.tif", index)
    assert len(opened) == 1


@pytest.mark.parametrize(
    ("options", "axes", "suffix"),
    [
        ({"imagej": True}, "TZCYX", ".tif"),
        ({"ome": True}, "TCZYX", ".ome.tif"),
        ({"ome": True}, "CTZYX", ".ome.tif"),
    ],
)
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_pages_that_microscopes_call_channels_are_the_channels_of_one_image(
    tmp_path: Path, options: dict[str, object], axes: str, suffix: str, dtype: str
) -> None:
    values = np.arange(2 * 3 * 4).reshape(2, 3, 4)  # T, Z, C
    values = np.broadcast_to(values[..., None, None], (2, 3, 4, 8, 9)).astype(dtype)
    stored = np.einsum("TZCYX->" + axes, values)
    path = tmp_path / f"a{suffix}"
    tifffile.imwrite(path, stored, photometric="minisblack", metadata={"axes": axes}, **options)
    found = formats.header(path)
    assert (found.images, found.channels, found.dtype) == (6, BANDS, dtype)
    for index in (5, 0, 3):
        frame = formats.read(path, index)
        assert frame.channels == BANDS
        assert np.array_equal(frame.values, np.moveaxis(values[index // 3, index % 3], 0, 2))


def test_white_is_zero_is_inverted_within_its_bits(tmp_path: Path) -> None:
    values = np.array([[0, 1000, 65535]], np.uint16)
    _save(tmp_path / "a.tif", values, photometric="miniswhite")
    assert formats.read(tmp_path / "a.tif").values[0, :, 0].tolist() == [65535, 64535, 0]


def test_orientation_is_applied_to_deep_images(tmp_path: Path) -> None:
    values = np.arange(6, dtype=np.uint16).reshape(2, 3)
    _save(tmp_path / "a.tif", values, photometric="minisblack", extratags=[(274, 3, 1, 6, True)])
    assert formats.header(tmp_path / "a.tif").size == (2, 3)
    assert formats.read(tmp_path / "a.tif").values[..., 0].tolist() == [[3, 0], [4, 1], [5, 2]]


def test_nodata_and_range_of_the_file_are_told(tmp_path: Path) -> None:
    tags = [(42113, 2, 0, "-9999", True), (280, 3, 1, 10, True), (281, 3, 1, 4095, True)]
    _save(tmp_path / "a.tif", _values("int16")[..., 0], photometric="minisblack", extratags=tags)
    assert formats.header(tmp_path / "a.tif").nodata == -9999
    assert formats.header(tmp_path / "a.tif").window == (10, 4095)
    assert formats.read(tmp_path / "a.tif").nodata == -9999
    pixels = PixelFormat(GREY, "int16", 0, 10, nodata=-9999)
    formats.write(tmp_path / "b.tif", [_values("int16")], pixels, tmp_path / "a.tif")
    assert formats.header(tmp_path / "b.tif").nodata == -9999


def test_profile_resolution_xmp_and_transparency_are_kept(tmp_path: Path) -> None:
    profile = b"\0" * 16 + b"RGB " + b"\0" * 108
    values = _values("uint16", 4)
    options = {"planarconfig": "contig", "extrasamples": [2], "photometric": "rgb"}
    tags = [(700, 1, 5, b"<x/>\n", True)]
    _save(
        tmp_path / "a.tif", values, iccprofile=profile, resolution=(300, 200), resolutionunit=2,
        extratags=tags, **options,
    )  # fmt: skip
    pixels = PixelFormat(RGB, "uint16", 0, 100)
    formats.write(tmp_path / "b.tif", [values[..., :3] + 1], pixels, tmp_path / "a.tif")
    with tifffile.TiffFile(tmp_path / "b.tif") as written:
        page = written.pages[0]
        assert page.tags[34675].value == profile
        assert page.get_resolution() == (300, 200)
        assert bytes(page.tags[700].value) == b"<x/>\n"
        assert page.extrasamples == (2,)
        assert np.array_equal(page.asarray()[..., 3], values[..., 3])
        assert np.array_equal(page.asarray()[..., :3], values[..., :3] + 1)


def test_a_photo_becomes_a_tiff_with_its_profile(tmp_path: Path) -> None:
    profile = b"\0" * 16 + b"RGB " + b"\0" * 108
    Image.new("RGBA", (9, 8), (1, 2, 3, 51)).save(tmp_path / "a.png", icc_profile=profile)
    formats.write(tmp_path / "b.tif", [np.full((8, 9, 3), 7, np.uint8)], RGB8, tmp_path / "a.png")
    with Image.open(tmp_path / "b.tif") as written:
        assert written.info["icc_profile"] == profile
        assert written.getpixel((0, 0)) == (7, 7, 7, 51)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_truncated_files_are_refused_at_every_length(
    tmp_path: Path, dtype: str, compression: str | None
) -> None:
    _save(tmp_path / "whole.tif", _values(dtype)[..., 0], compression=compression, photometric=1)
    content = (tmp_path / "whole.tif").read_bytes()
    for share in (0.001, 0.02, 0.3, 0.6, 0.9, 0.99):
        (tmp_path / "part.tif").write_bytes(content[: int(len(content) * share)])
        with pytest.raises(InputError, match=r"part\.tif"):
            formats.read(tmp_path / "part.tif")


def test_damaged_bytes_give_an_image_or_an_input_error_and_log_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    refused, rng = 0, np.random.default_rng(0)
    for number, options in enumerate(
        ({}, {"compression": "zlib"}, {"tile": (16, 16)}, {"bigtiff": True})
    ):
        _save(tmp_path / "a.tif", _values("uint16", 4), planarconfig="contig",
              photometric="minisblack", extrasamples=[0] * 3, **options)  # fmt: skip
        content = np.frombuffer((tmp_path / "a.tif").read_bytes(), np.uint8)
        for i in range(60):
            damaged = content.copy()
            places = rng.integers(0, 400, 6)
            damaged[places] = rng.integers(0, 256, 6)
            path = tmp_path / f"{number}-{i}.tif"
            path.write_bytes(damaged.tobytes())
            for function in (formats.header, lambda p: formats.read(p, max_pixels=10_000_000)):
                try:
                    function(path)
                except InputError as error:
                    refused += "\n" not in str(error)
    assert 60 < refused < 480
    assert caplog.records == []


def test_types_that_networks_do_not_take_are_named(tmp_path: Path) -> None:
    _save(tmp_path / "a.tif", np.zeros((4, 4), np.complex64), photometric="minisblack")
    with pytest.raises(InputError, match=r"a\.tif has values of type complex64: expected uint8"):
        formats.read(tmp_path / "a.tif")


def test_a_png_by_the_name_of_tiff_is_read(tmp_path: Path) -> None:
    Image.new("RGB", (4, 3), (1, 2, 3)).save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a.tif")
    assert formats.header(tmp_path / "a.tif").size == (4, 3)
    assert formats.read(tmp_path / "a.tif").values[0, 0].tolist() == [1, 2, 3]


def test_large_files_are_refused_by_their_header(tmp_path: Path) -> None:
    _save(tmp_path / "a.tif", np.zeros((50, 100), np.uint16), photometric="minisblack")
    with pytest.raises(InputError, match=r"\(100x50\), more than the limit of 0\.0"):
        formats.read(tmp_path / "a.tif", max_pixels=4999)
    assert formats.read(tmp_path / "a.tif", max_pixels=5000).values.shape == (50, 100, 1)


def test_a_compression_that_needs_imagecodecs_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _save(tmp_path / "a.tif", np.zeros((50, 60), np.uint16), photometric=1, compression="zstd")

    def fail(*_: object, **__: object) -> None:
        raise ValueError("<COMPRESSION.ZSTD: 50000> requires the 'imagecodecs' package")

    monkeypatch.setattr(tifffile.TiffPage, "asarray", fail)
    with pytest.raises(InputError, match=r"a\.tif needs imagecodecs: pip install 'diptych\[codecs"):
        formats.read(tmp_path / "a.tif")


def test_reading_tiffs_imports_no_optional_package() -> None:
    assert "rasterio" not in vars(sys.modules["diptych.data.formats.tiff"])
