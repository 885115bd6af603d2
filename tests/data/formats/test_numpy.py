from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from diptych.data import formats
from diptych.data.formats import numpy as numpy_format
from diptych.data.pixels import PixelFormat, channel_names
from diptych.errors import InputError

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
@pytest.mark.parametrize(
    ("shape", "images", "channels"),
    [
        ((20, 30), 1, 1),
        ((3, 20, 30), 1, 3),
        ((20, 30, 4), 1, 4),
        ((1, 20, 30), 1, 1),
        ((5, 20, 30, 2), 5, 2),
        ((5, 2, 20, 30), 5, 2),
    ],
)
def test_axes_are_found_and_written_as_in_the_source(
    tmp_path: Path, suffix: str, shape: tuple[int, ...], images: int, channels: int
) -> None:
    source, result = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    values = RNG.normal(size=shape).astype(np.float32)
    if suffix == ".npy":
        np.save(source, values)
    else:
        np.savez(source, scan=values)
    found = formats.header(source)
    assert (found.size, len(found.channels), found.images) == ((30, 20), channels, images)
    assert found.dtype == "float32"
    frames = [formats.read(source, index).values for index in range(images)]
    assert all(frame.shape == (20, 30, channels) for frame in frames)
    band = frames[-1][..., -1]
    where = {(3, 20, 30): (2,), (5, 2, 20, 30): (4, 1), (5, 20, 30, 2): (4, ..., 1)}
    where |= {(20, 30): (), (20, 30, 4): (..., 3), (1, 20, 30): (0,)}
    assert np.array_equal(band, values[where[shape]])
    formats.write(result, frames, PixelFormat(channel_names(channels), "float32", 0, 1), source)
    written = np.load(result) if suffix == ".npy" else np.load(result)["scan"]
    assert np.array_equal(written, values)


def test_npy_is_mapped_and_not_read_whole(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((50, 20, 30, 3), np.uint8))
    formats.read(tmp_path / "a.npy", 3)
    assert isinstance(numpy_format._arrays.get(str(tmp_path / "a.npy")), np.memmap)


@pytest.mark.parametrize("shape", [(20, 30, 40), (3, 4, 5)])
def test_ambiguous_axes_are_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    np.save(tmp_path / "a.npy", np.zeros(shape, np.uint8))
    with pytest.raises(InputError, match=r"either the first or the last axis .* save it as TIFF"):
        formats.header(tmp_path / "a.npy")


def test_byte_order_and_fortran_order_do_not_matter(tmp_path: Path) -> None:
    values = RNG.integers(0, 999, (20, 30)).astype(">i2")
    np.save(tmp_path / "a.npy", np.asfortranarray(values))
    frame = formats.read(tmp_path / "a.npy")
    assert frame.values.dtype == np.dtype("=i2")
    assert np.array_equal(frame.values[..., 0], values)


@pytest.mark.parametrize(
    ("array", "what"),
    [
        (np.array([[{}]], dtype=object), "values of type object"),
        (np.zeros((4, 4), np.int64), "values of type int64: expected uint8"),
        (np.zeros((4, 4), bool), "values of type bool"),
        (np.zeros(4, np.uint8), r"is an array \(4,\): expected \(H, W\)"),
    ],
)
def test_arrays_that_are_no_images_are_refused_and_nothing_is_unpickled(
    tmp_path: Path, array: np.ndarray, what: str
) -> None:
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    for function in (formats.header, formats.read):
        with pytest.raises(InputError, match=what):
            function(tmp_path / "a.npy")


def test_broken_files_and_archives_of_several_arrays_are_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "two.npz", a=np.zeros((4, 4)), b=np.zeros((4, 4)))
    with pytest.raises(InputError, match=r"two\.npz has 2 arrays \(a, b\): expected one"):
        formats.read(tmp_path / "two.npz")
    np.save(tmp_path / "a.npy", np.zeros((50, 60)))
    content = (tmp_path / "a.npy").read_bytes()
    for name in ("part.npy", "part.npz"):
        for length in (3, 40, 1000):
            (tmp_path / name).write_bytes(content[:length])
            with pytest.raises(InputError, match=rf"{name} is broken"):
                formats.read(tmp_path / name)
    with pytest.raises(InputError, match=r"more than the limit of 0\.0"):
        formats.read(tmp_path / "a.npy", max_pixels=2999)


def test_what_numpys_files_can_hold() -> None:
    assert formats.can_hold(".npy", 13, "float64", 3)
    assert not formats.can_hold(".npy", 17, "float64")
