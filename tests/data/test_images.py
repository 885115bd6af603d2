from __future__ import annotations

import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from diptych.data.images import (
    decode_image,
    from_pil,
    image_size,
    read_image,
    save_image,
)
from diptych.errors import InputError

# Four corners that no turn or mirroring maps to itself.
CORNERS = np.array(
    [[[255, 0, 0], [0, 255, 0], [9, 9, 9]], [[0, 0, 255], [90, 60, 30], [200, 100, 50]]],
    dtype=np.uint8,
)


def _write_png(path: Path, *, bits: int, colour: int, rows: list[bytes], width: int) -> None:
    """A PNG by hand: Pillow writes no 16-bit colours."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        checked = kind + body
        return struct.pack(">I", len(body)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", width, len(rows), bits, colour, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row for row in rows))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )


def _pixels(path: Path) -> list[tuple[int, ...]]:
    image = read_image(path)
    assert image.mode == "RGB"
    return [tuple(pixel) for pixel in np.asarray(image).reshape(-1, 3).tolist()]


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tiff", ".tif", ".bmp", ".PNG"])
def test_lossless_formats_give_the_pixels_that_were_written(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    options = {"lossless": True} if suffix == ".webp" else {}
    Image.fromarray(CORNERS).save(path, **options)
    assert np.array_equal(np.asarray(read_image(path)), CORNERS)
    assert image_size(path) == (3, 2)


def test_jpeg_gives_the_colour_that_was_written(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.new("RGB", (32, 16), (200, 100, 50)).save(path, quality=95)
    image = read_image(path)
    assert image.size == (32, 16)
    assert np.abs(np.asarray(image).astype(int) - [200, 100, 50]).max() <= 2


def test_grey_becomes_three_equal_channels(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 77, 255]], dtype=np.uint8)).save(tmp_path / "a.png")
    assert _pixels(tmp_path / "a.png") == [(0, 0, 0), (77, 77, 77), (255, 255, 255)]


def test_bilevel_becomes_black_and_white(tmp_path: Path) -> None:
    Image.fromarray(np.array([[False, True]])).save(tmp_path / "a.png")
    assert _pixels(tmp_path / "a.png") == [(0, 0, 0), (255, 255, 255)]


def test_palette_gives_its_colours_and_white_where_transparent(tmp_path: Path) -> None:
    image = Image.new("P", (3, 1))
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    image.putdata([0, 1, 2])
    image.save(tmp_path / "opaque.png")
    image.save(tmp_path / "one.png", transparency=1)
    image.save(tmp_path / "bytes.png", transparency=bytes([255, 0, 255]))
    assert _pixels(tmp_path / "opaque.png") == [(10, 20, 30), (40, 50, 60), (70, 80, 90)]
    for name in ("one.png", "bytes.png"):
        assert _pixels(tmp_path / name) == [(10, 20, 30), (255, 255, 255), (70, 80, 90)]


def test_alpha_is_composited_over_white_for_training_and_kept_for_translating(
    tmp_path: Path,
) -> None:
    rgba = np.array([[[200, 0, 0, 255], [200, 0, 0, 0], [200, 0, 0, 51]]], dtype=np.uint8)
    Image.fromarray(rgba).save(tmp_path / "a.png")
    assert _pixels(tmp_path / "a.png") == [(200, 0, 0), (255, 255, 255), (244, 204, 204)]
    decoded = decode_image(tmp_path / "a.png")
    assert decoded.image.mode == "RGB"
    assert decoded.alpha is not None
    assert np.asarray(decoded.alpha).tolist() == [[255, 0, 51]]
    assert decoded.image.getpixel((1, 0)) == (200, 0, 0)


def test_grey_with_alpha_is_composited_over_white(tmp_path: Path) -> None:
    la = Image.merge("LA", [Image.new("L", (1, 1), 100), Image.new("L", (1, 1), 51)])
    la.save(tmp_path / "a.png")
    assert _pixels(tmp_path / "a.png") == [(224, 224, 224)]  # 100 · 0.2 + 255 · 0.8


def test_grey_with_one_transparent_level_is_white_there(tmp_path: Path) -> None:
    Image.fromarray(np.array([[7, 8]], dtype=np.uint8)).save(tmp_path / "a.png", transparency=8)
    assert _pixels(tmp_path / "a.png") == [(7, 7, 7), (255, 255, 255)]


def test_cmyk_jpeg_with_adobes_inverted_values_is_not_a_negative(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(path, quality=95)
    assert b"Adobe" in path.read_bytes()[:200]
    image = np.asarray(read_image(path)).astype(int)
    assert np.abs(image - [255, 0, 0]).max() <= 4


def test_cmyk_tiff_is_converted(tmp_path: Path) -> None:
    Image.new("CMYK", (1, 1), (255, 0, 0, 0)).save(tmp_path / "a.tif")
    assert _pixels(tmp_path / "a.tif") == [(0, 255, 255)]


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bit_grey_is_scaled_by_its_full_range(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    Image.fromarray(np.array([[0, 257, 32768, 65535]], dtype=np.uint16)).save(path)
    assert [pixel[0] for pixel in _pixels(path)] == [0, 1, 128, 255]


def test_big_endian_16_bit_grey_tiff_is_scaled_by_its_full_range(tmp_path: Path) -> None:
    image = Image.frombytes("I;16B", (3, 1), struct.pack(">3H", 256, 32768, 65535))
    image.save(tmp_path / "a.tif")
    with Image.open(tmp_path / "a.tif") as opened:
        assert opened.mode == "I;16B"
    assert [pixel[0] for pixel in _pixels(tmp_path / "a.tif")] == [1, 128, 255]


def test_32_bit_integers_within_16_bits_are_scaled_and_others_refused(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 65535]], dtype=np.int32)).save(tmp_path / "a.tif")
    assert [pixel[0] for pixel in _pixels(tmp_path / "a.tif")] == [0, 255]
    Image.fromarray(np.array([[0, 65536]], dtype=np.int32)).save(tmp_path / "b.tif")
    with pytest.raises(InputError, match=r"b\.tif has 32-bit values from 0 to 65536"):
        read_image(tmp_path / "b.tif")


def test_16_bit_colour_png_keeps_its_upper_8_bits(tmp_path: Path) -> None:
    row = struct.pack(">6H", 0, 0x8000, 0xFFFF, 0x1234, 0x00FF, 0xFF00)
    _write_png(tmp_path / "a.png", bits=16, colour=2, rows=[row], width=2)
    assert _pixels(tmp_path / "a.png") == [(0, 128, 255), (0x12, 0, 255)]


def test_float_tiff_is_read_in_0_to_1_and_refused_beyond(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0.0, 0.5, 1.0]], dtype=np.float32)).save(tmp_path / "a.tif")
    assert [pixel[0] for pixel in _pixels(tmp_path / "a.tif")] == [0, 128, 255]
    for bad in (255.0, float("nan"), -0.1):
        Image.fromarray(np.array([[0.0, bad]], dtype=np.float32)).save(tmp_path / "b.tif")
        with pytest.raises(InputError, match=r"b\.tif has float values .* expected \[0, 1\]"):
            read_image(tmp_path / "b.tif")


# What the camera's sensor saw is `stored`; turned as the tag says it is CORNERS.
TURNED = {
    1: CORNERS,
    2: CORNERS[:, ::-1],
    3: CORNERS[::-1, ::-1],
    4: CORNERS[::-1],
    5: CORNERS.transpose(1, 0, 2),
    6: CORNERS.transpose(1, 0, 2)[::-1],
    7: CORNERS[::-1, ::-1].transpose(1, 0, 2),
    8: CORNERS.transpose(1, 0, 2)[:, ::-1],
}


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_and_gone(
    tmp_path: Path, orientation: int, suffix: str
) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    exif[ExifTags.Base.Artist] = "someone"
    stored = Image.fromarray(np.ascontiguousarray(TURNED[orientation]))
    options = {"lossless": True} if suffix == ".webp" else {}
    stored.save(tmp_path / f"a{suffix}", exif=exif, **options)
    decoded = decode_image(tmp_path / f"a{suffix}")
    assert np.array_equal(np.asarray(decoded.image), CORNERS)
    assert ExifTags.Base.Orientation not in decoded.image.getexif()
    save_image(decoded.image, tmp_path / "out.png", like=decoded)
    with Image.open(tmp_path / "out.png") as written:
        kept = written.getexif()
        assert ExifTags.Base.Orientation not in kept
        assert kept.get(ExifTags.Base.Artist) == (None if suffix == ".tif" else "someone")
    assert np.array_equal(np.asarray(read_image(tmp_path / "out.png")), CORNERS)


def _ifd(entries: list[tuple[int, int, int, int]], following: int) -> bytes:
    packed = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return struct.pack("<H", len(entries)) + packed + struct.pack("<I", following)


def test_exif_of_a_photo_survives_with_its_exposure_and_without_its_thumbnail(
    tmp_path: Path,
) -> None:
    first = _ifd([(0x0112, 3, 1, 6), (0x8769, 4, 1, 38)], 56)  # orientation, Exif at 38
    exposure = _ifd([(0x8827, 3, 1, 400)], 0)  # ISO
    thumbnail = _ifd([(0x0201, 4, 1, 86), (0x0202, 4, 1, 4)], 0) + b"\xff\xd8\xff\xd9"
    content = struct.pack("<2sHI", b"II", 42, 8) + first + exposure + thumbnail
    image = Image.new("RGB", (32, 16), (1, 2, 3))
    image.save(tmp_path / "a.jpg", exif=b"Exif\0\0" + content)
    with Image.open(tmp_path / "a.jpg") as written:
        assert written.getexif().get_ifd(ExifTags.IFD.IFD1)
    decoded = decode_image(tmp_path / "a.jpg")
    assert decoded.image.size == (16, 32)
    save_image(decoded.image, tmp_path / "b.jpg", like=decoded)
    with Image.open(tmp_path / "b.jpg") as written:
        assert dict(written.getexif().get_ifd(ExifTags.IFD.Exif)) == {
            ExifTags.Base.ISOSpeedRatings: 400
        }
        assert not written.getexif().get_ifd(ExifTags.IFD.IFD1)


def test_corrupt_exif_neither_warns_nor_refuses_the_pixels(tmp_path: Path) -> None:
    for garbage in (b"Exif\0\0garbage!", b"Exif\0\0II*\0\x08\0\0\0\xff\xff12"):
        Image.new("RGB", (8, 8), (50, 50, 50)).save(tmp_path / "a.jpg", exif=garbage)
        assert read_image(tmp_path / "a.jpg").size == (8, 8)


def test_only_rgb_colour_profiles_are_kept(tmp_path: Path) -> None:
    profile = b"\0" * 16 + b"RGB " + b"\0" * 108
    Image.new("RGB", (2, 2)).save(tmp_path / "a.png", icc_profile=profile)
    Image.new("L", (2, 2)).save(tmp_path / "b.png", icc_profile=profile.replace(b"RGB ", b"GRAY"))
    decoded = decode_image(tmp_path / "a.png")
    assert decoded.icc_profile == profile
    assert decode_image(tmp_path / "b.png").icc_profile is None
    save_image(decoded.image, tmp_path / "c.png", like=decoded)
    assert decode_image(tmp_path / "c.png").icc_profile == profile


def test_large_jpegs_may_be_decoded_smaller_but_never_below_twice_what_is_needed(
    tmp_path: Path,
) -> None:
    ramp = np.broadcast_to(
        np.linspace(0, 255, 1600).astype(np.uint8)[None, :, None], (800, 1600, 3)
    )
    Image.fromarray(np.ascontiguousarray(ramp)).save(tmp_path / "a.jpg", quality=95)
    assert read_image(tmp_path / "a.jpg", at_least=100).size == (400, 200)
    assert read_image(tmp_path / "a.jpg", at_least=101).size == (800, 400)
    assert read_image(tmp_path / "a.jpg", at_least=500).size == (1600, 800)
    full = read_image(tmp_path / "a.jpg").resize((200, 100), Image.Resampling.BICUBIC)
    fast = read_image(tmp_path / "a.jpg", at_least=100).resize((200, 100), Image.Resampling.BICUBIC)
    difference = np.abs(np.asarray(full).astype(int) - np.asarray(fast).astype(int))
    assert difference.max() <= 2


def test_a_file_of_several_images_gives_the_first(tmp_path: Path) -> None:
    first, second = Image.new("RGB", (4, 4), (1, 2, 3)), Image.new("RGB", (4, 4), (9, 9, 9))
    first.save(tmp_path / "a.tif", save_all=True, append_images=[second])
    assert _pixels(tmp_path / "a.tif")[0] == (1, 2, 3)


def _one_line_error(path: Path, **options: int) -> str:
    with pytest.raises(InputError) as caught:
        read_image(path, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert path.name in message
    return message


def test_errors_name_the_file_and_what_is_wrong_with_it(tmp_path: Path) -> None:
    assert "no such file" in _one_line_error(tmp_path / "none.png")
    assert "is a folder" in _one_line_error(tmp_path)
    (tmp_path / "empty.png").write_bytes(b"")
    assert "is empty" in _one_line_error(tmp_path / "empty.png")
    (tmp_path / "text.jpg").write_text("hello")
    assert "expected JPEG, PNG, WebP, TIFF or BMP" in _one_line_error(tmp_path / "text.jpg")
    Image.new("RGB", (8, 8)).save(tmp_path / "a.gif")
    (tmp_path / "a.gif").rename(tmp_path / "gif.png")
    assert "not an image that can be read" in _one_line_error(tmp_path / "gif.png")


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".bmp"])
def test_truncated_files_are_refused_at_every_length(tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    whole, part = tmp_path / f"whole{suffix}", tmp_path / f"part{suffix}"
    Image.fromarray(noise).save(whole)
    content = whole.read_bytes()
    for share in (0.02, 0.3, 0.6, 0.9):
        part.write_bytes(content[: int(len(content) * share)])
        _one_line_error(part)


def test_damaged_bytes_give_an_image_or_an_input_error_and_nothing_else(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 256, (24, 24, 3), dtype=np.uint8))
    refused = 0
    for suffix in (".jpg", ".png", ".webp", ".tif", ".bmp"):
        noise.save(tmp_path / f"a{suffix}")
        content = np.frombuffer((tmp_path / f"a{suffix}").read_bytes(), dtype=np.uint8)
        for _ in range(60):
            damaged = content.copy()
            places = rng.integers(0, min(len(damaged), 400), 6)
            damaged[places] = rng.integers(0, 256, 6)
            (tmp_path / f"b{suffix}").write_bytes(damaged.tobytes())
            try:
                assert read_image(tmp_path / f"b{suffix}", max_pixels=10_000_000).mode == "RGB"
            except InputError:
                refused += 1
    assert 30 < refused < 300


def test_a_decompression_bomb_is_refused_by_its_header_with_the_figures(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    _write_png(path, bits=8, colour=0, rows=[b"\0"], width=1)
    content = bytearray(path.read_bytes())
    content[16:24] = struct.pack(">II", 60_000, 50_000)
    content[29:33] = struct.pack(">I", zlib.crc32(bytes(content[12:29])))
    path.write_bytes(content)
    message = _one_line_error(path)
    assert "3000.0 megapixels (60000x50000), more than the limit of 179.0" in message


def test_the_limit_of_pixels_is_ours_to_set_and_pillows_own_setting_stays(tmp_path: Path) -> None:
    Image.new("RGB", (100, 50)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png", max_pixels=5000).size == (100, 50)
    assert "the limit of 0.0" in _one_line_error(tmp_path / "a.png", max_pixels=4999)
    before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, 100
    try:
        assert read_image(tmp_path / "a.png").size == (100, 50)
        assert Image.MAX_IMAGE_PIXELS == 100
    finally:
        Image.MAX_IMAGE_PIXELS = before


def test_reading_leaves_warning_filters_alone(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    before = list(warnings.filters)
    read_image(tmp_path / "a.png")
    assert list(warnings.filters) == before


def test_a_pillow_image_of_any_mode_is_decoded_without_being_changed() -> None:
    image = Image.new("LA", (2, 1), (100, 51))
    decoded = from_pil(image)
    assert image.mode == "LA"
    assert decoded.format is None
    assert decoded.image.getpixel((0, 0)) == (100, 100, 100)
    assert decoded.alpha is not None
    assert decoded.alpha.getpixel((0, 0)) == 51


def test_saving_keeps_alpha_where_the_format_can_and_is_over_white_where_not(
    tmp_path: Path,
) -> None:
    Image.new("RGBA", (16, 16), (0, 0, 0, 0)).save(tmp_path / "a.png")
    decoded = decode_image(tmp_path / "a.png")
    translated = Image.new("RGB", (16, 16), (10, 20, 30))
    for suffix in (".png", ".webp", ".tif"):
        save_image(translated, tmp_path / f"b{suffix}", like=decoded)
        alpha = decode_image(tmp_path / f"b{suffix}").alpha
        assert alpha is not None
        assert alpha.getextrema() == (0, 0)
    for suffix in (".jpg", ".bmp"):
        save_image(translated, tmp_path / f"b{suffix}", like=decoded)
        assert read_image(tmp_path / f"b{suffix}").getpixel((3, 3)) == (255, 255, 255)
    assert translated.mode == "RGB"


def test_saving_refuses_unknown_suffixes_and_missing_folders(tmp_path: Path) -> None:
    image = Image.new("RGB", (2, 2))
    with pytest.raises(InputError, match=r"cannot write .*a\.xyz: its name must end in \.bmp"):
        save_image(image, tmp_path / "a.xyz")
    with pytest.raises(InputError, match=r"cannot write .*a\.png: .*No such file"):
        save_image(image, tmp_path / "none" / "a.png")
