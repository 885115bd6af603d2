"""From files of any kind through training to files of the same kind."""

from __future__ import annotations

import io
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
import rasterio
import tifffile
import torch
from numpy.typing import NDArray
from PIL import Image
from pydicom.data import get_testdata_file
from rich.console import Console

import diptych
from diptych.checkpoint import TranslatorInfo
from diptych.data import open_data
from diptych.data.pixels import GREY, PixelFormat
from diptych.evaluation import scores_table
from diptych.inference.translator import Translator
from diptych.methods.cyclegan import Config, CycleGAN

RNG = np.random.default_rng(0)
TWELVE = PixelFormat(GREY, "uint16", 0, 4095)


class Same(CycleGAN):
    """Its translation is the image itself, in as many channels as the target has."""

    def __init__(self, config: Config, channels: tuple[int, ...] = (3, 3)) -> None:
        super().__init__(config, channels)
        self.channels = tuple(channels)

    def translate(
        self, image: torch.Tensor, to: tuple[int, ...], rng: torch.Generator | None = None
    ) -> torch.Tensor:
        return image[:, : self.channels[to[0]]]


def _same(*pixels: PixelFormat, names: tuple[str, str] = ("x", "y")) -> Translator:
    config = Config(width=2, size=32)
    method = Same(config, tuple(len(one.channels) for one in pixels))
    info = TranslatorInfo(
        method="same", config={}, domains=names, size=32, step=0, fingerprint="", source="",
        version="", pixels=pixels,
    )  # fmt: skip
    return Translator(method, info, device="cpu")


def _smooth(side: int, high: int) -> NDArray[np.uint16]:
    """A ramp in which every level up to `high` stands, as far as there are pixels."""
    values = np.linspace(0, high, side * side).round().astype(np.uint16)
    return values.reshape(side, side)


def test_twelve_bits_keep_their_levels_from_a_file_to_a_file(tmp_path: Path) -> None:
    image = _smooth(64, 4095)
    Image.fromarray(image).save(tmp_path / "a.png")
    done = diptych.translate_files(
        _same(TWELVE, TWELVE), tmp_path / "a.png", tmp_path / "o", to="y"
    )
    made = np.asarray(Image.open(done.written[0]))
    assert done.written[0].name == "a.png"
    assert made.dtype == np.uint16
    assert len(np.unique(made)) == len(np.unique(image)) == 4096
    assert np.array_equal(made, image)


@pytest.mark.slow
def test_twelve_bits_are_trained_and_translated_with_ten_bits_or_more(tmp_path: Path) -> None:
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
        for number in range(6):
            image = np.roll(_smooth(64, 4095), 11 * number, axis=1)
            Image.fromarray(image).save(tmp_path / name / f"{number}.png")
    data = open_data(x=tmp_path / "x", y=tmp_path / "y", size=64)
    assert len(torch.unique(torch.from_numpy(data.train.domains[0].read(0).array()))) >= 1024
    run = diptych.train(
        "cyclegan", x=tmp_path / "x", y=tmp_path / "y", size=64, width=8, steps=20,
        out=tmp_path / "run", workers=0, device="cpu", precision="fp32", logger="none",
    )  # fmt: skip
    translator = run.translator(device="cpu")
    assert translator.pixel_formats == data.pixels
    done = diptych.translate_files(translator, tmp_path / "x", tmp_path / "out", to="y")
    made = np.concatenate([np.asarray(Image.open(path)).ravel() for path in done.written])
    assert made.dtype == np.uint16
    span = int(made.max()) - int(made.min())
    assert len(np.unique(made)) >= min(1024, 0.5 * span)  # no coarser steps than the range allows


def test_a_geotiff_of_four_bands_becomes_one_of_three_with_the_same_place(tmp_path: Path) -> None:
    bands = RNG.integers(1, 3000, (4, 40, 48)).astype(np.uint16)
    bands[:, :5, :7] = 0
    place = {"crs": "EPSG:32632", "transform": rasterio.Affine(10, 0, 500000, 0, -10, 5200000)}
    with rasterio.open(
        tmp_path / "s2.tif", "w", driver="GTiff", width=48, height=40, count=4, dtype="uint16",
        nodata=0, **place,
    ) as file:  # fmt: skip
        file.write(bands)
    names = ("blue", "green", "red", "nir")
    four = PixelFormat(names, "uint16", 0, 3000, nodata=0)
    three = PixelFormat(names[:3], "uint16", 0, 3000, nodata=0)
    done = diptych.translate_files(_same(four, three), tmp_path / "s2.tif", tmp_path / "o", to="y")
    with rasterio.open(done.written[0]) as made, rasterio.open(tmp_path / "s2.tif") as source:
        assert made.count == 3
        assert made.dtypes == ("uint16",) * 3
        assert made.crs == source.crs
        assert made.transform == source.transform
        assert made.nodata == 0
        result = made.read()
    assert np.array_equal(result, bands[:3])
    assert (result[:, :5, :7] == 0).all()


def test_a_nifti_volume_comes_back_as_a_volume_with_the_same_affine(tmp_path: Path) -> None:
    volume = RNG.integers(-1000, 1000, (20, 24, 12)).astype(np.int16)
    affine = np.array([[0.9, 0, 0, -10], [0, 0.9, 0.1, 5], [0, -0.1, 3, 7], [0, 0, 0, 1]])
    nibabel.save(nibabel.Nifti1Image(volume, affine), tmp_path / "ct.nii.gz")
    header = diptych.data.formats.header(tmp_path / "ct.nii.gz")
    pixels = PixelFormat(GREY, header.dtype, -1000, 1000)
    done = diptych.translate_files(
        _same(pixels, pixels), tmp_path / "ct.nii.gz", tmp_path / "o", to="y"
    )
    assert [path.name for path in done.written] == ["ct.nii.gz"]
    assert any("all its 12 images were translated" in note for note in done.notes)
    made = nibabel.load(done.written[0])
    assert made.shape == (20, 24, 12)
    assert np.array_equal(made.affine, nibabel.load(tmp_path / "ct.nii.gz").affine)
    assert np.abs(np.asarray(made.dataobj) - volume).max() <= 1


def test_every_page_of_a_stack_comes_back_in_order(tmp_path: Path) -> None:
    pages = np.arange(7, dtype=np.uint16)[:, None, None] * 500 + np.zeros((7, 20, 20), np.uint16)
    tifffile.imwrite(tmp_path / "stack.tif", pages, photometric="minisblack")
    done = diptych.translate_files(
        _same(TWELVE, TWELVE), tmp_path / "stack.tif", tmp_path / "o", to="y"
    )
    assert np.array_equal(tifffile.imread(done.written[0]), pages)
    assert done.notes == ["stack.tif: all its 7 images were translated"]


def test_a_broken_file_leaves_the_others_translated(tmp_path: Path) -> None:
    good = tmp_path / "in"
    good.mkdir()
    Image.fromarray(_smooth(32, 4095)).save(good / "a.png")
    (good / "b.tif").write_bytes(b"II*\0broken")
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(good / "c.png")
    done = diptych.translate_files(_same(TWELVE, TWELVE), good, tmp_path / "o", to="y")
    assert [path.name for path in done.written] == ["a.png"]
    reasons = {path.name: reason for path, reason in done.broken}
    assert set(reasons) == {"b.tif", "c.png"}
    assert (
        "c.png is uint8, unlike the other images of its domain, which are uint16"
        in (reasons["c.png"])
    )


def test_pixels_without_data_have_none_in_the_result(tmp_path: Path) -> None:
    image = RNG.random((32, 32), dtype=np.float32)
    image[3, 4], image[:, 9] = np.nan, np.inf
    np.save(tmp_path / "a.npy", image)
    pixels = PixelFormat(GREY, "float32", 0, 1)
    done = diptych.translate_files(
        _same(pixels, pixels), tmp_path / "a.npy", tmp_path / "o", to="y"
    )
    made = np.load(done.written[0])
    assert np.isnan(made[3, 4])
    assert np.isnan(made[:, 9]).all()
    assert np.isfinite(made).sum() == 32 * 32 - 32 - 1
    assert np.abs(np.where(np.isfinite(image), made - image, 0)).max() < 1e-6


def test_a_dicom_series_comes_back_as_a_series_in_the_same_place(tmp_path: Path) -> None:
    source = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
    (tmp_path / "ct").mkdir()
    for number in range(3):
        source.InstanceNumber = number + 1
        source.ImagePositionPatient = [*source.ImagePositionPatient[:2], 5.0 * number]
        source.SOPInstanceUID = source.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{number}"
        source.save_as(tmp_path / "ct" / f"{number}.dcm")
    header = diptych.data.formats.header(tmp_path / "ct" / "0.dcm")
    pixels = PixelFormat(GREY, header.dtype, -1024, 3000)
    done = diptych.translate_files(_same(pixels, pixels), tmp_path / "ct", tmp_path / "o", to="y")
    assert [path.name for path in done.written] == ["0.dcm", "1.dcm", "2.dcm"]
    hounsfield = source.pixel_array * source.RescaleSlope + source.RescaleIntercept
    uids = set()
    for number, path in enumerate(done.written):
        made = pydicom.dcmread(path)
        values = made.pixel_array * made.RescaleSlope + made.RescaleIntercept
        assert np.abs(values - np.clip(hounsfield, -1024, 3000)).max() <= 1
        assert made.ImagePositionPatient[2] == 5.0 * number
        assert made.PixelSpacing == source.PixelSpacing
        assert made.ImageType[:2] == ["DERIVED", "SECONDARY"]
        assert made.PatientID == source.PatientID
        uids.add(made.SOPInstanceUID)
    assert len(uids) == 3
    assert not uids & {f"1.2.3.{number}" for number in range(3)}


@pytest.mark.slow
def test_bands_are_trained_on_scored_and_reported(tmp_path: Path) -> None:
    for name, count in (("sat[4]", 4), ("<img src=x>", 3)):
        (tmp_path / "d" / name).mkdir(parents=True)
        for number in range(8):
            bands = RNG.integers(0, 4000, (count, 4, 4)).astype(np.uint16)
            bands = np.kron(bands, np.ones((1, 12, 12), np.uint16))
            path = tmp_path / "d" / name / f"{number}.tif"
            tifffile.imwrite(path, bands, planarconfig="separate", photometric="minisblack")
    run = diptych.train(
        "cyclegan", data=tmp_path / "d", size=32, width=4, steps=2, out=tmp_path / "run",
        show="sat[4]=4,2,1", workers=0, device="cpu", precision="fp32", logger="none",
    )  # fmt: skip
    translator = run.translator(device="cpu")
    assert [len(one.channels) for one in translator.pixel_formats] == [3, 4]
    scores = diptych.evaluate(run)
    assert any("unequal channels" in note for note in scores.notes)
    assert any("sat[4] as band 4, band 2 and band 1" in note for note in scores.notes)
    page = run.report.read_text("utf-8")
    assert "<img src=x>" not in page
    assert "&lt;img src=x&gt;" in page
    shown = io.StringIO()
    Console(width=200, file=shown).print(scores_table(scores.to_dict()))
    assert "sat[4]→<img src=x>" in shown.getvalue()
