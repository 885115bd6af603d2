from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from diptych.data import formats
from diptych.data.formats import pillow
from diptych.data.images import decode_image
from diptych.data.pixels import GREY, GREY8, RGB, RGB8, PixelFormat
from diptych.errors import InputError

RNG = np.random.default_rng(0)
COLOURS = RNG.integers(0, 256, (60, 90, 3), dtype=np.uint8)
FRAMES = [np.full((20, 30, 3), level, np.uint8) for level in (10, 100, 200)]


def _chunk(kind: bytes, body: bytes) -> bytes:
    checked = kind + body
    return struct.pack(">I", len(body)) + checked + struct.pack(">I", zlib.crc32(checked))


def _animation(path: Path) -> None:
    images = [Image.fromarray(frame) for frame in FRAMES]
    options = {"lossless": True} if path.suffix == ".webp" else {}
    images[0].save(
        path, save_all=True, append_images=images[1:], duration=[100, 200, 300], loop=2, **options
    )


def _fails(path: Path, what: str, **options: int) -> None:
    for function in (formats.header, formats.read) if not options else (formats.read,):
        with pytest.raises(InputError) as caught:
            function(path, **options)
        message = str(caught.value)
        assert what in message
        assert path.name in message
        assert "\n" not in message


@pytest.mark.parametrize("suffix", [".jpg", ".jfif", ".png", ".webp", ".bmp"])
@pytest.mark.parametrize("mode", ["RGB", "L", "1", "P", "RGBA", "LA", "CMYK"])
def test_eight_bit_images_are_decoded_bit_for_bit_as_photos(
    tmp_path: Path, suffix: str, mode: str
) -> None:
    image = Image.fromarray(COLOURS)
    if mode in ("RGBA", "LA"):
        image.putalpha(Image.fromarray(COLOURS[..., 0]))
    image = image.convert(mode)
    path = tmp_path / f"a{suffix}"
    checked = 0
    for turn in (1, 3, 6, 8):
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = turn
        try:
            image.save(path, exif=exif)
        except OSError:
            continue  # the format does not hold this mode
        for at_least in (None, 10, 5):
            photo = decode_image(path, at_least=at_least)
            frame = formats.read(path, at_least=at_least)
            is_grey = mode in ("L", "LA", "1") and suffix != ".webp"
            assert frame.channels == (GREY if is_grey else RGB)
            assert np.array_equal(
                np.broadcast_to(frame.values, (*frame.values.shape[:2], 3)), photo.image
            )
            assert (frame.alpha is None) == (photo.alpha is None)
            assert photo.alpha is None or np.array_equal(frame.alpha, photo.alpha)
            checked += 1
        found = formats.header(path)
        assert found.size == formats.read(path).values.shape[1::-1]
        assert (found.channels, found.dtype, found.images) == (frame.channels, "uint8", 1)
        assert found.has_alpha == (frame.alpha is not None)
    assert checked in (0, 12)


def test_large_jpegs_are_reduced_but_keep_twice_what_is_needed(tmp_path: Path) -> None:
    Image.new("RGB", (1600, 800)).save(tmp_path / "a.jpg")
    assert formats.read(tmp_path / "a.jpg", at_least=100).values.shape == (200, 400, 3)
    assert formats.read(tmp_path / "a.jpg", at_least=101).values.shape == (400, 800, 3)
    assert formats.header(tmp_path / "a.jpg").size == (1600, 800)


def test_16_bit_grey_keeps_its_values_and_goes_back_with_them(tmp_path: Path) -> None:
    values = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    Image.fromarray(values).save(tmp_path / "a.png")
    assert formats.header(tmp_path / "a.png").dtype == "uint16"
    frame = formats.read(tmp_path / "a.png")
    assert frame.values.dtype == np.uint16
    assert np.array_equal(frame.values[..., 0], values)
    pixels = PixelFormat(GREY, "uint16", 0, 4095)
    formats.write(tmp_path / "b.png", [frame.values], pixels, tmp_path / "a.png")
    assert np.array_equal(formats.read(tmp_path / "b.png").values, frame.values)


def test_16_bit_grey_with_one_transparent_level_has_alpha(tmp_path: Path) -> None:
    rows = b"\0" + struct.pack(">3H", 7, 300, 300)
    header = struct.pack(">IIBBBBB", 3, 1, 16, 0, 0, 0, 0)
    (tmp_path / "a.png").write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + _chunk(b"tRNS", struct.pack(">H", 300))
        + _chunk(b"IDAT", zlib.compress(rows))
        + _chunk(b"IEND", b"")
    )
    frame = formats.read(tmp_path / "a.png")
    assert frame.values[0, :, 0].tolist() == [7, 300, 300]
    assert frame.alpha is not None
    assert frame.alpha.tolist() == [[65535, 0, 0]]


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png", ".apng", ".avif"])
def test_animations_are_read_frame_by_frame_and_written_with_their_times(
    tmp_path: Path, suffix: str
) -> None:
    path, result = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    _animation(path)
    assert formats.header(path).images == 3
    frames = [formats.read(path, index).values for index in range(3)]
    assert [round(float(frame.mean())) for frame in frames] == [10, 100, 200]
    assert formats.read(path, 1).values.mean() == pytest.approx(100, abs=1)  # and back again
    formats.write(result, [255 - frame for frame in frames], RGB8, path)
    with Image.open(result) as written:
        assert written.n_frames == 3
        times = []
        for index in range(3):
            written.seek(index)
            written.load()
            times.append(written.info["duration"])
        assert times == [100, 200, 300]
        assert written.info.get("loop") == (None if suffix == ".avif" else 2)
    inverse = [float(formats.read(result, index).values.mean()) for index in range(3)]
    assert inverse == pytest.approx([245, 155, 55], abs=3)


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp", ".avif"])
def test_transparent_frames_stay_transparent(tmp_path: Path, suffix: str) -> None:
    images = []
    for i in range(3):
        image = Image.new("RGBA", (30, 20), (200, 10 * i, 0, 255))
        image.paste((0, 0, 0, 0), (0, 0, 5 + 10 * i, 20))
        images.append(image)
    images[0].save(tmp_path / "a.gif", save_all=True, append_images=images[1:], disposal=2)
    frames = [formats.read(tmp_path / "a.gif", i).values for i in range(3)]
    formats.write(tmp_path / f"b{suffix}", [255 - f for f in frames], RGB8, tmp_path / "a.gif")
    hidden = []
    for i in range(3):
        alpha = formats.read(tmp_path / f"b{suffix}", i).alpha
        hidden.append(0 if alpha is None else int((alpha == 0).sum()))
    assert hidden == [100, 300, 500]


def test_an_image_that_is_not_there_is_named(tmp_path: Path) -> None:
    _animation(tmp_path / "a.gif")
    with pytest.raises(InputError, match=r"a\.gif has no image 3: it holds 3, counted from 0"):
        formats.read(tmp_path / "a.gif", 3)


def test_a_file_that_changes_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    _animation(path)
    assert formats.read(path, 2).values[0, 0, 0] == 200
    images = [Image.fromarray(255 - frame) for frame in FRAMES]
    images[0].save(path, save_all=True, append_images=images[1:])
    os.utime(path, (1, 1))
    assert formats.read(path, 2).values[0, 0, 0] == 55


@pytest.mark.parametrize("suffix", [".heic", ".jxl"])
def test_plugins_read_and_write_their_formats(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    formats.write(path, [np.full((32, 48, 3), 90, np.uint8)], RGB8)
    assert formats.header(path).size == (48, 32)
    assert np.abs(formats.read(path).values.astype(int) - 90).max() <= 2


@pytest.mark.parametrize(
    ("suffix", "module", "package"),
    [(".heic", "pillow_heif", "pillow-heif"), (".jxl", "pillow_jxl", "pillow-jxl-plugin")],
)
def test_a_missing_plugin_is_named_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, module: str, package: str
) -> None:
    monkeypatch.setitem(__import__("sys").modules, module, None)
    (tmp_path / f"a{suffix}").write_bytes(b"x")
    _fails(tmp_path / f"a{suffix}", f"needs {package}: pip install 'diptych[codecs]'")


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".avif"])
def test_exif_profile_and_xmp_of_the_source_are_kept(tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.Artist] = "someone"
    profile = b"\0" * 16 + b"RGB " + b"\0" * 108
    xmp = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"
    source, result = tmp_path / "a.jpg", tmp_path / f"b{suffix}"
    Image.new("RGB", (30, 20)).save(source, exif=exif, icc_profile=profile, xmp=xmp)
    frame = formats.read(source)
    assert frame.values.shape == (30, 20, 3)  # upright
    formats.write(result, [frame.values], RGB8, source)
    with Image.open(result) as written:
        assert written.size == (20, 30)
        assert ExifTags.Base.Orientation not in written.getexif()
        assert written.getexif()[ExifTags.Base.Artist] == "someone"
        assert written.info["icc_profile"] == profile
        held = written.info["xmp"]
        assert (held.encode() if isinstance(held, str) else held) == xmp


def test_a_profile_for_colour_is_not_given_to_a_grey_result(tmp_path: Path) -> None:
    profile = b"\0" * 16 + b"RGB " + b"\0" * 108
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png", icc_profile=profile)
    formats.write(tmp_path / "b.png", [np.zeros((4, 4, 1), np.uint8)], GREY8, tmp_path / "a.png")
    with Image.open(tmp_path / "b.png") as written:
        assert "icc_profile" not in written.info
        assert written.mode == "L"


def test_transparency_is_kept_where_the_format_has_it_and_white_elsewhere(tmp_path: Path) -> None:
    image = Image.fromarray(COLOURS)
    image.putalpha(
        Image.fromarray(np.where(np.arange(90) < 45, 0, 255)[None].repeat(60, 0).astype(np.uint8))
    )
    image.save(tmp_path / "a.png")
    for suffix in (".png", ".webp"):
        formats.write(tmp_path / f"b{suffix}", [COLOURS], RGB8, tmp_path / "a.png")
        alpha = formats.read(tmp_path / f"b{suffix}").alpha
        assert alpha is not None
        assert alpha[:, :45].max() == 0
        assert alpha[:, 45:].min() == 255
    formats.write(tmp_path / "b.bmp", [COLOURS], RGB8, tmp_path / "a.png")
    written = formats.read(tmp_path / "b.bmp").values
    assert written[:, :45].min() == 255
    assert np.array_equal(written[:, 45:], COLOURS[:, 45:])


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".gif", ".avif", ".bmp"])
def test_truncated_files_are_refused_at_every_length(tmp_path: Path, suffix: str) -> None:
    whole, part = tmp_path / f"whole{suffix}", tmp_path / f"part{suffix}"
    Image.fromarray(COLOURS).save(whole)
    content = whole.read_bytes()
    for share in (0.02, 0.3, 0.6, 0.9):
        part.write_bytes(content[: int(len(content) * share)])
        with pytest.raises(InputError, match="part"):
            formats.read(part)


def test_files_that_cannot_be_read_are_named_with_the_reason(tmp_path: Path) -> None:
    _fails(tmp_path / "none.png", "no such file")
    (tmp_path / "folder.png").mkdir()
    _fails(tmp_path / "folder.png", "is a folder")
    (tmp_path / "empty.png").write_bytes(b"")
    _fails(tmp_path / "empty.png", "is empty")
    (tmp_path / "text.jpg").write_text("hello")
    _fails(tmp_path / "text.jpg", "expected JPEG, PNG, WebP")
    os.mkfifo(tmp_path / "pipe.png")
    _fails(tmp_path / "pipe.png", "is no regular file")
    Image.new("RGB", (100, 50)).save(tmp_path / "large.png")
    _fails(tmp_path / "large.png", "more than the limit of 0.0", max_pixels=4999)
    assert formats.read(tmp_path / "large.png", max_pixels=5000).values.shape == (50, 100, 3)


def test_what_a_format_can_hold() -> None:
    assert formats.can_hold(".PNG", 3, "uint8")
    assert formats.can_hold(".png", 1, "uint16")
    assert formats.can_hold(".gif", 3, "uint8", 12)
    assert not formats.can_hold(".jpg", 3, "uint8", 2)
    assert not formats.can_hold(".jpg", 1, "uint16")
    assert not formats.can_hold(".png", 4, "uint8")
    assert not formats.can_hold(".png", 1, "float32")
    assert not formats.can_hold(".docx", 3, "uint8")


def test_a_result_that_the_format_cannot_hold_is_refused(tmp_path: Path) -> None:
    pixels = PixelFormat(("a", "b"), "float32", 0, 1)
    with pytest.raises(InputError, match=r"\.jpg cannot hold 2 channels of float32; \.tif can"):
        formats.write(tmp_path / "a.jpg", [np.zeros((4, 4, 2), np.float32)], pixels)
    assert list(tmp_path.iterdir()) == []


def test_pillows_own_limit_stays(tmp_path: Path) -> None:
    Image.new("RGB", (100, 50)).save(tmp_path / "a.png")
    before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, 100
    try:
        assert pillow.read(str(tmp_path / "a.png")).values.shape == (50, 100, 3)
        assert Image.MAX_IMAGE_PIXELS == 100
    finally:
        Image.MAX_IMAGE_PIXELS = before
