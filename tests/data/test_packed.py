"""The usual files of MNIST, USPS and SVHN: made here, with numbers that are known."""

from __future__ import annotations

import bz2
import gzip
import struct
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from diptych.data import open_data
from diptych.data.packed import PackedImages, packed_domain, read_packed
from diptych.errors import InputError

Array = np.ndarray[Any, Any]
PARTS = ("train", "test")


def idx(array: Array) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def digits(count: int, side: int, seed: int = 0) -> tuple[Array, Array]:
    draws = np.random.default_rng(seed)
    image = draws.integers(0, 256, (count, side, side), dtype=np.uint8)
    return image, (np.arange(count) % 10).astype(np.uint8)


def write_mnist(folder: Path, *, zipped: bool = False, dots: bool = False) -> Path:
    """30 training and 20 test images of 28 pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, count in (("train", 30), ("t10k", 20)):
        for kind, array in zip(("images-idx3", "labels-idx1"), digits(count, 28), strict=True):
            name = f"{part}-{kind.replace('-', '.') if dots else kind}-ubyte"
            if zipped:
                (folder / f"{name}.gz").write_bytes(gzip.compress(idx(array)))
            else:
                (folder / name).write_bytes(idx(array))
    return folder


def write_usps(folder: Path) -> tuple[Array, Array]:
    """20 training and 10 test images as LIBSVM has them; what is -1 is left out of no line."""
    folder.mkdir(parents=True, exist_ok=True)
    image, label = digits(20, 16, seed=1)
    for name, count in (("usps.bz2", 20), ("usps.t.bz2", 10)):
        lines = [
            f"{digit + 1} " + " ".join(f"{i + 1}:{v / 127.5 - 1:.6f}" for i, v in enumerate(pixels))
            for pixels, digit in zip(image[:count].reshape(count, -1), label, strict=False)
        ]
        (folder / name).write_bytes(bz2.compress("\n".join(lines).encode()))
    return image, label


def write_svhn(folder: Path, *parts: str) -> tuple[Array, Array]:
    savemat = pytest.importorskip("scipy.io", reason="scipy is not installed").savemat
    folder.mkdir(parents=True, exist_ok=True)
    image = np.random.default_rng(2).integers(0, 256, (12, 32, 32, 3), dtype=np.uint8)
    label = np.array([10, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 1], np.uint8)
    for part in parts:
        held = {"X": image.transpose(1, 2, 3, 0), "y": label[:, None]}
        savemat(folder / f"{part}_32x32.mat", held, do_compression=True)
    return image, label


@pytest.mark.parametrize("form", [{}, {"zipped": True}, {"dots": True}])
def test_idx_files_give_the_very_bytes_plain_or_zipped(tmp_path: Path, form: dict[str, bool]):
    found = read_packed(write_mnist(tmp_path, **form))
    assert found is not None
    for part, count in (("train", 30), ("test", 20)):
        image, label = digits(count, 28)
        assert np.array_equal(found[part].image_uint8, image)
        assert found[part].label.dtype == np.int64
        assert np.array_equal(found[part].label, label)


def test_usps_lines_give_levels_from_0_to_255_and_digits_from_0(tmp_path: Path):
    image, label = write_usps(tmp_path)
    found = read_packed(tmp_path)
    assert found is not None
    assert np.array_equal(found["train"].image_uint8, image)
    assert np.array_equal(found["test"].label, label[:10])


def test_a_pixel_that_a_line_leaves_out_is_0_of_minus_1_to_1(tmp_path: Path):
    for name in ("usps", "usps.t"):
        (tmp_path / name).write_text("3 1:-1 256:1\n")
    found = read_packed(tmp_path)
    assert found is not None
    image = found["train"].image_uint8[0]
    assert (image[0, 0], image[15, 15], image[7, 7]) == (0, 255, 128)
    assert found["train"].label.tolist() == [2]


def test_svhn_comes_upright_in_rgb_with_10_for_0_and_trains_on_extra_where_it_is(tmp_path: Path):
    image, label = write_svhn(tmp_path / "svhn", "train", "test")
    found = read_packed(tmp_path / "svhn")
    assert found is not None
    assert np.array_equal(found["train"].image_uint8, image)
    assert found["train"].label.tolist() == (label % 10).tolist()
    assert not packed_domain(tmp_path / "svhn", "svhn", 32).notes  # type: ignore[union-attr]
    write_svhn(tmp_path / "svhn", "extra")
    data = packed_domain(tmp_path / "svhn", "svhn", 32)
    assert data is not None
    assert data.notes == ("svhn: SVHN's extra images are used for training, as in the paper",)


def test_svhn_asks_for_scipy_where_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for part in ("train", "test"):
        (tmp_path / f"{part}_32x32.mat").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(InputError, match=r"^reading .*train_32x32\.mat needs scipy: pip install"):
        read_packed(tmp_path)


def test_an_npz_is_read_by_its_own_path_and_never_unpickled(tmp_path: Path):
    image, label = digits(10, 16)
    path = tmp_path / "usps.npz"
    np.savez(path, train_x=image, train_y=label, test_x=image[:4], test_y=label[:4])
    found = read_packed(path)
    assert found is not None
    assert np.array_equal(found["test"].image_uint8, image[:4])
    np.savez(path, train_x=image, train_y=np.array([{}] * 10), test_x=image, test_y=label)
    with pytest.raises(InputError, match=r"usps\.npz cannot be read"):
        read_packed(path)


def test_a_folder_without_known_files_is_none(tmp_path: Path):
    (tmp_path / "a.png").write_bytes(b"")
    assert read_packed(tmp_path) is None


def test_images_are_scaled_to_the_size_in_rgb():
    image = np.zeros((2, 28, 28), np.uint8)
    image[1] = 200
    made = PackedImages(image, 32).read(1).picture()
    assert (made.size, made.mode, made.getpixel((5, 5))) == ((32, 32), "RGB", (200, 200, 200))


def test_two_packed_folders_are_labelled_tiles_that_are_not_mirrored(tmp_path: Path):
    write_usps(tmp_path / "usps")
    x, y = write_mnist(tmp_path / "mnist"), tmp_path / "usps"
    data = open_data(x=str(x), y=str(y), size=32)
    assert data.domains == ("mnist", "usps")
    assert data.classes == tuple("0123456789")
    assert data.is_tiled
    assert not data.may_mirror
    assert [len(images) for images in data.train.domains] == [30, 20]
    assert data.test is not None
    assert [len(images) for images in data.test.domains] == [20, 10]
    assert data.test.labels[1] is not None
    assert data.test.labels[1].tolist() == list(range(10))
    other = open_data(x=str(y), y=str(x), size=32)
    assert other.domains == ("usps", "mnist")
    assert other.fingerprint != data.fingerprint
    assert open_data(str(tmp_path), size=32).fingerprint == data.fingerprint


def test_packed_files_go_with_a_folder_of_images(tmp_path: Path):
    write_mnist(tmp_path / "mnist")
    for digit in range(10):
        folder = tmp_path / "mine" / str(digit)
        folder.mkdir(parents=True)
        for number in range(3):
            Image.new("RGB", (40, 40)).save(folder / f"{number}.png")
    data = open_data(x=str(tmp_path / "mnist"), y=str(tmp_path / "mine"), size=32)
    assert not data.is_tiled
    assert data.classes == tuple("0123456789")
    assert data.train.labels[1] is not None
    assert len(data.train.labels[1]) == len(data.train.domains[1])
    assert data.test is not None
    assert len(data.train.domains[1]) + len(data.test.domains[1]) == 30


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (lambda f: (f / "t10k-labels-idx1-ubyte").unlink(), "but no t10k-labels-idx1-ubyte"),
        (lambda f: (f / "train-images-idx3-ubyte").write_bytes(b"no"), "train-images.*cannot be"),
        (
            lambda f: (f / "train-labels-idx1-ubyte").write_bytes(idx(np.zeros(3, np.uint8))),
            "it has 30 images and 3 labels",
        ),
        (
            lambda f: (f / "train-labels-idx1-ubyte").write_bytes(idx(np.full(30, 77, np.uint8))),
            "its labels go from 77 to 77, not 0 to 9",
        ),
    ],
)
def test_damaged_files_are_named_in_one_line(tmp_path: Path, damage: Any, named: str):
    damage(write_mnist(tmp_path))
    with pytest.raises(InputError, match=named) as caught:
        read_packed(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_torn_mat_or_bz2_file_is_named_in_one_line(tmp_path: Path):
    write_svhn(tmp_path, "train", "test")
    path = tmp_path / "train_32x32.mat"
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(InputError, match=r"train_32x32\.mat cannot be read") as caught:
        read_packed(tmp_path)
    assert "\n" not in str(caught.value)
    write_usps(tmp_path / "usps")
    (tmp_path / "usps" / "usps.bz2").write_bytes(b"BZh9 no")
    with pytest.raises(InputError, match=r"usps\.bz2 cannot be read"):
        read_packed(tmp_path / "usps")


class _H5(dict[str, Any]):
    """Stands for an open h5py.File."""

    def __enter__(self) -> _H5:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def test_usps_h5_holds_values_from_0_to_1_and_asks_for_h5py_where_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "usps.h5").write_bytes(b"\x89HDF")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(InputError, match=r"needs h5py: pip install h5py, or give usps\.bz2"):
        read_packed(tmp_path)
    image, label = digits(6, 16)
    sets = {part: {"data": image.reshape(6, 256) / 255, "target": label} for part in PARTS}
    module = types.ModuleType("h5py")
    module.File = lambda path, mode: _H5(sets)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "h5py", module)
    found = read_packed(tmp_path / "usps.h5")
    assert found is not None
    assert np.array_equal(found["test"].image_uint8, image)
    sets["train"]["data"] = image.reshape(6, 256) / 100
    with pytest.raises(InputError, match=r"usps\.h5 cannot be read \(its values go from 0 to 2"):
        read_packed(tmp_path)
