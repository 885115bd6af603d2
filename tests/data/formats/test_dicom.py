from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from diptych.data import formats
from diptych.data.pixels import GREY, RGB, PixelFormat
from diptych.errors import InputError

STORED = np.random.default_rng(0).integers(0, 4096, (6, 8)).astype(np.uint16)
HU = PixelFormat(GREY, "int16", -1000, 1000)


def _slice(path: Path, stored: np.ndarray = STORED, **attributes: object) -> None:
    """A CT slice of 12 bits, with the attributes given."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    dataset.SOPInstanceUID = generate_uid()
    dataset.PatientName, dataset.PatientID = "Test^Case", "7"
    dataset.SeriesInstanceUID, dataset.StudyInstanceUID = "1.2.3", "1.2"
    dataset.FrameOfReferenceUID = "1.2.4"
    dataset.Modality = "CT"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.PixelSpacing, dataset.SliceThickness = ["0.5", "0.7"], "2.5"
    dataset.ImagePositionPatient = ["-100", "-90", "12.5"]
    dataset.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    dataset.RescaleSlope, dataset.RescaleIntercept = "1", "-1024"
    dataset.WindowCenter, dataset.WindowWidth = ["40", "-600"], ["400", "1500"]
    dataset.set_pixel_data(stored, "MONOCHROME2", 12 if stored.dtype == np.uint16 else 16)
    for name, value in attributes.items():
        if value is None:
            delattr(dataset, name)
        else:
            setattr(dataset, name, value)
    dataset.save_as(path, enforce_file_format=True)


def test_ct_is_read_in_hounsfield_units_with_its_window(tmp_path: Path) -> None:
    _slice(tmp_path / "a.dcm")
    found = formats.header(tmp_path / "a.dcm")
    assert (found.size, found.channels, found.dtype, found.images) == ((8, 6), GREY, "int16", 1)
    assert (found.units, found.window, found.nodata) == ("HU", (-160, 240), None)
    values = formats.read(tmp_path / "a.dcm").values
    assert values.dtype == np.int16
    assert np.array_equal(values[..., 0], STORED.astype(int) - 1024)


@pytest.mark.parametrize(
    ("attributes", "dtype", "units", "first"),
    [
        ({"RescaleSlope": "2", "Modality": "MR"}, "int16", "", 2 * int(STORED[0, 0]) - 1024),
        ({"RescaleSlope": "0.5", "Modality": "PT"}, "float32", "", STORED[0, 0] / 2 - 1024),
        (
            {"RescaleSlope": None, "RescaleIntercept": None, "Modality": "MR"},
            "uint16", "", STORED[0, 0],
        ),
        (
            {"RescaleSlope": None, "RescaleIntercept": None, "PhotometricInterpretation":
             "MONOCHROME1", "Modality": "CR"},
            "uint16", "", 4095 - STORED[0, 0],
        ),
        ({"RescaleType": "OD", "Modality": "DX"}, "int16", "OD", int(STORED[0, 0]) - 1024),
    ],
    ids=["whole slope", "PET", "MR", "MONOCHROME1", "density"],
)  # fmt: skip
def test_values_are_in_the_units_that_the_file_states(
    tmp_path: Path, attributes: dict[str, object], dtype: str, units: str, first: float
) -> None:
    _slice(tmp_path / "a.dcm", **attributes)
    found, frame = formats.header(tmp_path / "a.dcm"), formats.read(tmp_path / "a.dcm")
    assert (found.dtype, found.units) == (dtype, units)
    assert frame.values.dtype.name == dtype
    assert frame.values[0, 0, 0] == first


def test_padding_is_nodata_in_units(tmp_path: Path) -> None:
    _slice(tmp_path / "a.dcm", STORED.astype(np.int16), PixelPaddingValue=-2000)
    assert formats.header(tmp_path / "a.dcm").nodata == -3024
    assert formats.read(tmp_path / "a.dcm").nodata == -3024


def test_16_signed_bits_are_hounsfield_units_of_the_same_type(tmp_path: Path) -> None:
    stored = np.array([[-32768, 0], [1000, 32767]], np.int16)
    _slice(tmp_path / "a.dcm", stored)
    values = formats.read(tmp_path / "a.dcm").values
    assert values.dtype == np.int16
    assert values[..., 0].tolist() == [[-32768, -1024], [-24, 31743]]


def test_frames_are_images(tmp_path: Path) -> None:
    stored = np.stack([STORED, STORED // 2, STORED // 4])
    _slice(tmp_path / "a.dcm", stored)
    assert formats.header(tmp_path / "a.dcm").images == 3
    for index in (2, 0, 1):
        values = formats.read(tmp_path / "a.dcm", index).values[..., 0]
        assert np.array_equal(values, stored[index].astype(int) - 1024)
    with pytest.raises(InputError, match=r"a\.dcm has no image 3: it holds 3"):
        formats.read(tmp_path / "a.dcm", 3)


@pytest.mark.parametrize(
    ("name", "size", "dtype", "images", "least", "most"),
    [
        ("CT_small.dcm", (128, 128), "int16", 1, -896, 1167),
        ("MR_small.dcm", (64, 64), "int16", 1, 127, 2145),
        ("MR_small_bigendian.dcm", (64, 64), "int16", 1, 127, 2145),
        ("MR_small_implicit.dcm", (64, 64), "int16", 1, 127, 2145),
        ("MR_small_RLE.dcm", (64, 64), "int16", 1, 127, 2145),
        ("MR_small_jp2klossless.dcm", (64, 64), "int16", 1, 127, 2145),
        ("MR_small_jpeg_ls_lossless.dcm", (64, 64), "int16", 1, 127, 2145),
        ("JPGExtended.dcm", (256, 1024), "uint16", 1, 0, 264),
        ("rtdose.dcm", (10, 10), "uint32", 15, 796000, 1251000),
    ],
)
def test_files_of_pydicom_have_their_values(
    name: str, size: tuple[int, int], dtype: str, images: int, least: int, most: int
) -> None:
    path = get_testdata_file(name, download=False)
    found = formats.header(path)
    assert (found.size, found.channels, found.dtype, found.images) == (size, GREY, dtype, images)
    values = formats.read(path, images - 1).values
    assert values.shape == (*size[::-1], 1)
    assert (values.min(), values.max()) == (least, most)


@pytest.mark.parametrize(
    ("name", "dtype", "mean"),
    [
        ("SC_rgb_rle.dcm", "uint8", [126, 126, 126]),
        ("SC_rgb_jpeg_gdcm.dcm", "uint8", [126, 126, 126]),
        ("SC_rgb_jls_lossy_line.dcm", "uint8", [126, 126, 126]),
        ("SC_ybr_full_422_uncompressed.dcm", "uint8", [126, 126, 126]),
        ("SC_rgb_rle_16bit.dcm", "uint16", [126 * 257] * 3),
    ],
)
def test_colours_are_rgb(name: str, dtype: str, mean: list[float]) -> None:
    path = get_testdata_file(name, download=False)
    frame = formats.read(path)
    assert frame.channels == RGB
    assert frame.values.dtype.name == dtype
    assert np.allclose(frame.values.mean(axis=(0, 1)), mean, rtol=0.05)


def test_palettes_become_colours() -> None:
    path = get_testdata_file("examples_palette.dcm", download=False)
    assert formats.header(path).channels == RGB
    assert formats.read(path).values.shape == (350, 800, 3)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("MR_truncated.dcm", "is broken (The number of bytes of pixel data is less"),
        ("rtplan.dcm", "holds no DICOM image"),
        ("badVR.dcm", "is broken (invalid literal for int()"),
    ],
)
def test_broken_files_end_in_one_line_and_without_warnings(
    name: str, what: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError) as caught:
        formats.read(get_testdata_file(name, download=False))
    assert what in str(caught.value)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_damaged_bytes_give_an_image_or_an_input_error(tmp_path: Path) -> None:
    content = np.frombuffer(
        Path(get_testdata_file("MR_small.dcm", download=False)).read_bytes(), np.uint8
    )
    rng, refused = np.random.default_rng(0), 0
    for i in range(100):
        damaged = content.copy()
        damaged[rng.integers(0, 1500, 8)] = rng.integers(0, 256, 8)
        path = tmp_path / f"{i}.dcm"
        path.write_bytes(damaged.tobytes())
        try:
            formats.header(path)
            formats.read(path, max_pixels=10_000_000)
        except InputError as error:
            refused += "\n" not in str(error)
    assert 0 < refused < 100


def test_no_file_of_text_is_an_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.dcm").write_text("hello, this is no image " * 9)
    with pytest.raises(InputError, match=r"a\.dcm (holds no DICOM image|is broken)"):
        formats.read(tmp_path / "a.dcm")
    _slice(tmp_path / "b.dcm")
    with pytest.raises(InputError, match=r"more than the limit of 0\.0"):
        formats.read(tmp_path / "b.dcm", max_pixels=47)
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(
        InputError, match=r"reading .*a\.dcm needs pydicom: pip install 'diptych\[m"
    ):
        formats.header(tmp_path / "a.dcm")


def test_a_translated_series_is_one_new_series_of_derived_images_in_the_same_place(
    tmp_path: Path,
) -> None:
    (tmp_path / "out").mkdir()
    for number in range(3):
        place = ["-100", "-90", str(2.5 * number)]
        _slice(tmp_path / f"{number}.dcm", ImagePositionPatient=place, InstanceNumber=number)
        values = formats.read(tmp_path / f"{number}.dcm").values // 2
        result = tmp_path / "out" / f"{number}.dcm"
        formats.write(result, [values], HU, tmp_path / f"{number}.dcm")
        assert np.array_equal(formats.read(result).values, values)
    old = [pydicom.dcmread(tmp_path / f"{i}.dcm") for i in range(3)]
    new = [pydicom.dcmread(tmp_path / "out" / f"{i}.dcm") for i in range(3)]
    assert len({one.SOPInstanceUID for one in (*old, *new)}) == 6
    assert {one.SeriesInstanceUID for one in new} != {"1.2.3"}
    assert len({one.SeriesInstanceUID for one in new}) == 1
    for before, after in zip(old, new, strict=True):
        assert list(after.ImageType) == ["DERIVED", "SECONDARY", "AXIAL"]
        assert after.SourceImageSequence[0].ReferencedSOPInstanceUID == before.SOPInstanceUID
        assert after.file_meta.MediaStorageSOPInstanceUID == after.SOPInstanceUID
        for name in (
            "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness",
            "FrameOfReferenceUID", "StudyInstanceUID", "PatientID", "InstanceNumber", "Modality",
        ):  # fmt: skip
            assert after[name].value == before[name].value
        assert (after.WindowCenter, after.WindowWidth) == (0, 2000)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "int32", "float32"])
def test_every_type_of_result_is_read_back(tmp_path: Path, dtype: str) -> None:
    _slice(tmp_path / "a.dcm", Modality="MR")
    values = np.linspace(0, 200, 48).reshape(6, 8, 1).astype(dtype)
    formats.write(
        tmp_path / "b.dcm", [values], PixelFormat(GREY, dtype, 0, 200), tmp_path / "a.dcm"
    )
    back = formats.read(tmp_path / "b.dcm").values
    assert np.abs(back.astype(float) - values).max() <= (200 / 65535 if dtype == "float32" else 0)


def test_colours_and_frames_are_written(tmp_path: Path) -> None:
    _slice(tmp_path / "a.dcm", np.stack([STORED] * 2))
    pixels = PixelFormat(RGB, "uint8")
    values = [np.random.default_rng(i).integers(0, 256, (6, 8, 3), np.uint8) for i in range(2)]
    formats.write(tmp_path / "b.dcm", values, pixels, tmp_path / "a.dcm")
    for index in range(2):
        assert np.array_equal(formats.read(tmp_path / "b.dcm", index).values, values[index])
    assert pydicom.dcmread(tmp_path / "b.dcm").SOPClassUID.name.startswith("Multi-frame True Color")


def test_another_size_covers_the_same_place(tmp_path: Path) -> None:
    _slice(tmp_path / "a.dcm")
    formats.write(tmp_path / "b.dcm", [np.zeros((3, 4, 1), np.int16)], HU, tmp_path / "a.dcm")
    after = pydicom.dcmread(tmp_path / "b.dcm")
    assert list(after.PixelSpacing) == [1.0, 1.4]
    # The outer corner lies half a pixel before the first one's middle, before and after.
    assert float(after.ImagePositionPatient[0]) == pytest.approx(-100 - 0.35 + 0.7)
    assert float(after.ImagePositionPatient[1]) == pytest.approx(-90 - 0.25 + 0.5)


def test_only_translations_of_dicom_are_written_as_dicom(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"only translations of DICOM files are written as DICOM"):
        formats.write(tmp_path / "a.dcm", [np.zeros((4, 4, 1), np.int16)], HU)
    assert not formats.can_hold(".dcm", 4, "int16")
    assert formats.can_hold(".dcm", 1, "float32", 30)
