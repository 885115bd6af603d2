from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from diptych.data import Data, open_data
from diptych.data.pixel_choice import PixelOptions
from diptych.data.pixels import GREY, RGB, RGB8, PixelFormat
from diptych.errors import InputError


def _write(folder: Path, images: list[NDArray[np.generic]], suffix: str = "png") -> Path:
    folder.mkdir(parents=True)
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{number:02d}.{suffix}")
    return folder


def _noise(dtype: str, high: int, shape: tuple[int, ...] = (16, 16)) -> NDArray[np.generic]:
    return np.random.default_rng(high).integers(0, high + 1, shape).astype(dtype)


def _open(x: Path, y: Path, **options: tuple[str, ...]) -> Data:
    return open_data(x=x, y=y, options=PixelOptions(**options), size=16)


@pytest.fixture
def colour(tmp_path: Path) -> Path:
    return _write(tmp_path / "colour", [_noise("uint8", 255, (16, 16, 3))] * 4)


@pytest.fixture
def microscope(tmp_path: Path) -> Path:
    """12 bits in 16, of which the lowest and the highest values are few."""
    return _write(tmp_path / "micro", [_noise("uint16", 4095)] * 4)


def test_colour_photos_are_taken_as_they_are_without_a_word(colour: Path, tmp_path: Path) -> None:
    other = _write(tmp_path / "other", [_noise("uint8", 255, (16, 16, 3))] * 4)
    data = _open(colour, other)
    assert data.pixels == (RGB8, RGB8)
    assert not any("colour:" in note or "other:" in note for note in data.notes)
    assert data.train.domains[0].read(0).array().dtype == np.uint8


def test_grey_images_have_one_channel_and_the_way_to_colour_is_said(
    colour: Path, tmp_path: Path
) -> None:
    grey = _write(tmp_path / "grey", [_noise("uint8", 255)] * 4)
    data = _open(grey, colour)
    assert data.pixels == (PixelFormat(GREY), RGB8)
    assert any("channels='grey=3' reads it as colour" in note for note in data.notes)
    assert data.train.domains[0].read(0).channels == 1
    as_colour = _open(grey, colour, channels=("grey=3",))
    assert as_colour.pixels == (RGB8, RGB8)
    image = as_colour.train.domains[0].read(0).array()
    assert (image[0] == image[2]).all()


def test_grey_among_colour_is_read_as_colour_and_counted(colour: Path, tmp_path: Path) -> None:
    mixed = _write(tmp_path / "mixed", [_noise("uint8", 255, (16, 16, 3))] * 3)
    Image.fromarray(_noise("uint8", 255)).save(mixed / "grey.png")
    data = _open(mixed, colour)
    assert data.pixels[0] == RGB8
    assert sum("1 of 3 images looked at are grey" in note for note in data.notes) == 1


def test_twelve_bits_in_sixteen_fill_the_range_and_the_range_is_said(
    colour: Path, microscope: Path
) -> None:
    data = _open(microscope, colour)
    pixels = data.pixels[0]
    assert (pixels.channels, pixels.dtype) == (GREY, "uint16")
    seen = _noise("uint16", 4095)
    assert (pixels.low, pixels.high) == (seen.min(), seen.max())
    assert any(
        "(all values in 3 training images; range='micro=LOW,HIGH' sets another range)" in note
        for note in data.notes
    )
    levels = np.unique(data.train.domains[0].read(0).array())
    original = np.unique(_noise("uint16", 4095))
    assert len(levels) > 0.95 * len(original)


def test_outliers_do_not_set_the_range(colour: Path, tmp_path: Path) -> None:
    image = _noise("uint16", 1000, (64, 64))
    image[0, 0] = 60000
    data = _open(_write(tmp_path / "hot", [image] * 4), colour)
    assert 990 <= data.pixels[0].high <= 1000
    assert any("percentiles 0.1 to 99.9 of values, of 0 to 60000" in n for n in data.notes)


def test_the_types_own_range_is_taken_where_it_is_asked_for_and_too_little_of_it_said(
    colour: Path, microscope: Path
) -> None:
    data = _open(microscope, colour, range=("micro=own",))
    assert (data.pixels[0].low, data.pixels[0].high) == (0.0, 65535.0)
    assert any("6% of the range from 0 to 65535: range='micro=auto'" in n for n in data.notes)


def test_a_given_range_is_taken(colour: Path, microscope: Path) -> None:
    data = _open(microscope, colour, range=("micro=0,4095",))
    assert (data.pixels[0].low, data.pixels[0].high) == (0.0, 4095.0)
    image = data.train.domains[0].read(0).array()
    expected = _noise("uint16", 4095).astype(float) * 2 / 4095 - 1
    assert np.abs(image[0] - expected).max() < 1e-6


def test_one_range_holds_for_all_images_of_a_domain(colour: Path, tmp_path: Path) -> None:
    values = [np.full((16, 16), 100, np.uint16), np.full((16, 16), 200, np.uint16)] * 2
    data = _open(_write(tmp_path / "a", values), colour, range=("a=0,400",))
    levels = {float(data.train.domains[0].read(i).array()[0, 0, 0]) for i in range(3)}
    assert levels == {-0.5, 0.0}


def test_values_that_look_like_no_data_are_named(colour: Path, tmp_path: Path) -> None:
    image = np.linspace(0, 100, 256, dtype=np.float32).reshape(16, 16)
    image[0] = -9999
    folder = _write(tmp_path / "dem", [image] * 4, "tif")
    data = _open(folder, colour)
    assert any("give nodata='dem=-9999'" in note for note in data.notes)
    masked = _open(folder, colour, nodata=("dem=-9999",))
    assert masked.pixels[0].nodata == -9999
    assert masked.pixels[0].low >= 0
    assert any("3 of 3 images looked at have pixels without data" in n for n in masked.notes)


def test_transparency_is_said(colour: Path, tmp_path: Path) -> None:
    image = np.full((16, 16, 4), 255, np.uint8)
    image[:4, :, 3], image[..., 0] = 100, 0
    data = _open(_write(tmp_path / "cut", [image] * 4), colour)
    assert data.pixels[0].channels == RGB
    assert any("cut: 3 of 3 images looked at have transparent pixels" in n for n in data.notes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"range": ("nope=0,1",)}, r"range='nope=0,1' names no domain: there are micro, colour"),
        ({"range": ("micro=1",)}, r"range='1': expected LOW,HIGH, auto or own"),
        ({"range": ("micro=5,5",)}, r"range='5,5': expected LOW below HIGH"),
        ({"nodata": ("micro=x",)}, r"nodata='x': expected a number, or none"),
        ({"channels": ("colour=1",)}, r"channels='1': the images of colour have 3; expected that"),
        ({"channels": ("micro=2",)}, r"channels='2': .* 3 to read grey images as colour"),
        ({"show": ("colour=4",)}, r"cannot show the channels 4 of 3: give one or three of them"),
        ({"show": ("colour=a,b,c",)}, r"show='a,b,c': expected one channel, or three"),
    ],
)
def test_options_that_do_not_fit_are_one_clear_line(
    colour: Path, microscope: Path, options: dict[str, tuple[str, ...]], message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        _open(microscope, colour, **options)
    assert "\n" not in str(caught.value)


def test_several_types_in_one_domain_are_refused_by_name(colour: Path, tmp_path: Path) -> None:
    mixed = _write(tmp_path / "mixed", [_noise("uint8", 255)] * 3)
    Image.fromarray(_noise("uint16", 65535)).save(mixed / "deep.png")
    with pytest.raises(InputError, match=r"mixed have several types: 01\.png has uint8, deep"):
        _open(mixed, colour)


def test_stored_formats_are_taken_and_nothing_is_decided(colour: Path, microscope: Path) -> None:
    stored = (PixelFormat(GREY, "uint16", 0, 1000), RGB8)
    data = open_data(x=microscope, y=colour, pixels=stored, size=16)
    assert data.pixels == stored
    assert not any("percentile" in note for note in data.notes)
    with pytest.raises(InputError, match=r"2 domains .* but pixel formats of 1"):
        open_data(x=microscope, y=colour, pixels=stored[:1], size=16)
