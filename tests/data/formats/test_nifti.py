from __future__ import annotations

import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
from nibabel.testing import data_path

from diptych.data import formats
from diptych.data.formats import nifti
from diptych.data.pixels import GREY, RGB, RGB8, PixelFormat
from diptych.errors import InputError

AFFINE = np.array([[-2.0, 0, 0, 90], [0, 2, 0.1, -126], [0, 0, 3, -72], [0, 0, 0, 1]])
VOXELS = np.random.default_rng(0).integers(-1000, 3000, (7, 6, 5)).astype(np.int16)  # X, Y, Z


def _save(path: Path, voxels: np.ndarray, affine: np.ndarray = AFFINE, **fields: object) -> None:
    image = nibabel.Nifti1Image(voxels, affine)
    for name, value in fields.items():
        image.header[name] = value
    nibabel.save(image, path)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_slices_of_the_third_axis_are_images_with_the_front_on_top(
    tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"a{suffix}"
    _save(path, VOXELS, cal_min=-100, cal_max=300)
    found = formats.header(path)
    assert (found.size, found.channels, found.dtype, found.images) == ((7, 6), GREY, "int16", 5)
    assert found.window == (-100, 300)
    for index in (4, 0, 2):
        values = formats.read(path, index).values
        assert np.array_equal(values[..., 0], VOXELS[:, ::-1, index].T)
    with pytest.raises(InputError, match="has no image 5: it holds 5"):
        formats.read(path, 5)


def test_rows_that_run_to_the_back_are_not_turned(tmp_path: Path) -> None:
    _save(tmp_path / "a.nii", VOXELS, np.diag([-2.0, -2, 3, 1]))
    assert np.array_equal(formats.read(tmp_path / "a.nii").values[..., 0], VOXELS[:, :, 0].T)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float32", "float64"])
def test_a_volume_comes_back_with_its_affine_and_header(
    tmp_path: Path, suffix: str, dtype: str
) -> None:
    source, result = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    _save(source, VOXELS, descrip=b"made by a scanner", qform_code=1, xyzt_units=10)
    slices = [np.clip(formats.read(source, i).values, 0, 200).astype(dtype) for i in range(5)]
    formats.write(result, slices, PixelFormat(GREY, dtype, 0, 200), source)
    old, new = nibabel.load(source), nibabel.load(result)
    assert new.get_data_dtype() == np.dtype(dtype)
    assert np.array_equal(new.affine, old.affine)
    assert new.header["descrip"] == old.header["descrip"]
    assert new.header["xyzt_units"] == 10
    assert (new.header["cal_min"], new.header["cal_max"]) == (0, 200)
    assert np.array_equal(np.asarray(new.dataobj), np.clip(VOXELS, 0, 200))


def test_slope_and_intercept_are_applied(tmp_path: Path) -> None:
    stored = np.array([[[0]], [[100]]], np.int16)
    for slope, intercept, dtype, values in (
        (1, -1024, "int32", [-1024, -924]),
        (0.5, 3, "float32", [3, 53]),
        (1, 0, "int16", [0, 100]),
    ):
        image = nibabel.Nifti1Image(stored, AFFINE)
        image.header.set_slope_inter(slope, intercept)
        image.header.set_data_dtype(np.int16)
        content = bytearray(image.to_bytes())
        content[112:120] = np.array([slope, intercept], "<f4").tobytes()
        content[-4:] = stored.tobytes()
        (tmp_path / "a.nii").write_bytes(bytes(content))
        found, frame = formats.header(tmp_path / "a.nii"), formats.read(tmp_path / "a.nii")
        assert found.dtype == frame.values.dtype.name == dtype
        assert frame.values.ravel().tolist() == values


def test_slices_count_on_through_a_series_of_volumes_and_come_back(tmp_path: Path) -> None:
    voxels = np.arange(3 * 4 * 5 * 2, dtype=np.int16).reshape(3, 4, 5, 2)
    _save(tmp_path / "a.nii.gz", voxels)
    assert formats.header(tmp_path / "a.nii.gz").images == 10
    frames = [formats.read(tmp_path / "a.nii.gz", i).values for i in range(10)]
    assert np.array_equal(frames[7][..., 0], voxels[:, ::-1, 2, 1].T)
    formats.write(
        tmp_path / "b.nii.gz", frames, PixelFormat(GREY, "int16", 0, 200), tmp_path / "a.nii.gz"
    )
    assert np.array_equal(np.asarray(nibabel.load(tmp_path / "b.nii.gz").dataobj), voxels)


@pytest.mark.parametrize("pixels", [RGB8, PixelFormat(("t1", "t2"), "float32", 0, 1)], ids=str)
def test_several_channels_are_colours_or_vectors(tmp_path: Path, pixels: PixelFormat) -> None:
    _save(tmp_path / "a.nii", VOXELS)
    shape = (6, 7, len(pixels.channels))
    values = [
        np.random.default_rng(i).integers(0, 255, shape).astype(pixels.dtype) for i in range(5)
    ]
    formats.write(tmp_path / "b.nii", values, pixels, tmp_path / "a.nii")
    found = formats.header(tmp_path / "b.nii")
    assert (len(found.channels), found.dtype) == (len(pixels.channels), pixels.dtype)
    assert (found.channels == RGB) == (pixels == RGB8)
    assert found.images == 5
    for index in range(5):
        assert np.array_equal(formats.read(tmp_path / "b.nii", index).values, values[index])
    old, new = nibabel.load(tmp_path / "a.nii"), nibabel.load(tmp_path / "b.nii")
    assert np.array_equal(new.affine, old.affine)


def test_another_size_of_slice_fills_the_same_space(tmp_path: Path) -> None:
    _save(tmp_path / "a.nii", np.zeros((8, 6, 5), np.int16))
    slices = [np.zeros((3, 4, 1), np.int16)] * 5
    formats.write(tmp_path / "b.nii", slices, PixelFormat(GREY, "int16", 0, 9), tmp_path / "a.nii")
    new = nibabel.load(tmp_path / "b.nii")
    assert new.header.get_zooms()[:2] == (4, 4)
    corners = np.array([[-0.5, -0.5, 0, 1], [3.5, 2.5, 4, 1]])
    old_corners = np.array([[-0.5, -0.5, 0, 1], [7.5, 5.5, 4, 1]])
    assert np.allclose(corners @ new.affine.T, old_corners @ AFFINE.T)


def test_a_packed_volume_of_100_slices_is_unpacked_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.nii.gz"
    _save(path, np.zeros((8, 9, 100), np.int16))
    loaded = []
    original = nibabel.load
    monkeypatch.setattr(nibabel, "load", lambda name: loaded.append(name) or original(name))
    for index in np.random.default_rng(0).permutation(100).tolist():
        assert formats.read(path, index).values.shape == (9, 8, 1)
    assert len(loaded) == 1


def test_an_unpacked_volume_is_mapped_and_takes_no_memory(tmp_path: Path) -> None:
    _save(tmp_path / "a.nii", VOXELS)
    formats.read(tmp_path / "a.nii", 1)
    volume = nifti._volumes.get(str(tmp_path / "a.nii"))
    assert isinstance(volume.stored, np.memmap)
    assert nifti._bytes(volume) == 0


@pytest.mark.parametrize(
    ("name", "size", "dtype", "images", "first"),
    [
        ("anatomical.nii", (33, 41), "int16", 25, (2304, 7920)),
        ("functional.nii", (17, 21), "float32", 60, None),
        ("example4d.nii.gz", (128, 96), "int16", 48, None),
        ("example_nifti2.nii.gz", (32, 20), "int16", 24, None),
    ],
)
def test_files_of_nibabel_agree_with_nibabel(
    name: str, size: tuple[int, int], dtype: str, images: int, first: tuple[int, int] | None
) -> None:
    path = Path(data_path) / name
    found = formats.header(path)
    assert (found.size, found.dtype, found.images) == (size, dtype, images)
    voxels = nibabel.load(path).get_fdata(dtype=np.float32)
    voxels = voxels.reshape(*voxels.shape[:2], -1, order="F")
    for index in (0, images - 1):
        values = formats.read(path, index).values[..., 0]
        assert np.allclose(np.sort(values.ravel()), np.sort(voxels[..., index].ravel()))


def test_what_is_no_volume_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _save(tmp_path / "a.nii", VOXELS)
    content = (tmp_path / "a.nii").read_bytes()
    for name, part in (("part.nii", content[:400]), ("text.nii", b"hello"), ("zero.nii.gz", b"x")):
        (tmp_path / name).write_bytes(part)
        with pytest.raises(InputError, match=rf"{name} is broken \(.*\): replace it or remove it"):
            formats.read(tmp_path / name)
    nibabel.save(nibabel.Nifti1Image(VOXELS.astype(np.int64), AFFINE, dtype="int64"),
                 tmp_path / "long.nii")  # fmt: skip
    with pytest.raises(InputError, match=r"long\.nii has values of type int64: expected uint8"):
        formats.header(tmp_path / "long.nii")
    with pytest.raises(InputError, match=r"more than the limit of 0\.0"):
        formats.read(tmp_path / "a.nii", max_pixels=41)
    monkeypatch.setitem(sys.modules, "nibabel", None)
    with pytest.raises(
        InputError, match=r"reading .*a\.nii needs nibabel: pip install 'diptych\[m"
    ):
        formats.header(tmp_path / "a.nii")
