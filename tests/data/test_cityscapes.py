"""Cityscapes as it is distributed, laid out by the script that docs/how-to/cityscapes.md gives."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from diptych.bench.plan import make_bench, read_plan_file
from diptych.data import open_data
from diptych.data.images import read_image, to_tensor
from diptych.data.label_maps import LabelSquares
from diptych.data.palettes import CITYSCAPES
from diptych.evaluation.labels import IGNORED, true_class
from diptych.evaluation.segmentation import check_segmentation

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "cityscapes.md"
COLOURS = (*CITYSCAPES.colours, *CITYSCAPES.ignored)
CITIES = {"train": (("aachen", 3), ("ulm", 2)), "val": (("lindau", 2),), "test": (("bonn", 2),)}


def _labels(shift: int) -> Image.Image:
    """Cells of 8 pixels in all 29 colours and some again, with an opaque alpha channel."""
    cells = (np.arange(32).reshape(4, 8) + shift) % len(COLOURS)
    pixels = np.array([(*colour, 255) for colour in COLOURS], np.uint8)[cells]
    return Image.fromarray(pixels.repeat(64, 0).repeat(64, 1))  # 512 wide, 256 high


@pytest.fixture
def distributed(tmp_path: Path) -> Path:
    """A tree of the names that the archives have, with two images or three a city."""
    for part, cities in CITIES.items():
        for city, count in cities:
            labels = tmp_path / "cityscapes" / "gtFine" / part / city
            photos = tmp_path / "cityscapes" / "leftImg8bit" / part / city
            labels.mkdir(parents=True)
            photos.mkdir(parents=True)
            for i in range(count):
                stem = f"{city}_{i:06d}_000019"
                _labels(i).save(labels / f"{stem}_gtFine_color.png")
                for kind in ("labelIds", "labelTrainIds"):
                    ids = Image.fromarray(np.zeros((256, 512), np.uint8))
                    ids.save(labels / f"{stem}_gtFine_{kind}.png")
                instances = Image.fromarray(np.zeros((256, 512), np.uint16))
                instances.save(labels / f"{stem}_gtFine_instanceIds.png")
                (labels / f"{stem}_gtFine_polygons.json").write_text("{}")
                Image.new("RGB", (512, 256), (9 * i, 80, 90)).save(
                    photos / f"{stem}_leftImg8bit.png"
                )
    return tmp_path


@pytest.fixture
def laid_out(distributed: Path) -> Path:
    """By the page's own script."""
    ### Cityscapes")[2]
    script = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)[0]
    subprocess.run([sys.executable, "-c", script], cwd=distributed, check=True)
    return distributed / "cityscapes-pairs"


def test_the_script_lays_out_true_pairs_with_validation_images_as_the_test(laid_out: Path) -> None:
    data = open_data(laid_out, palettes=["labels=cityscapes"], size=128)
    assert data.domains == ("labels", "photos")
    assert data.palettes == {"labels": CITYSCAPES}
    assert data.validation is None
    assert data.test is not None
    for split, part, count in ((data.train, "train", 5), (data.test, "val", 2)):
        assert split.pairs is not None
        names = [f"{city}_{i:06d}_000019.png" for city, n in CITIES[part] for i in range(n)]
        for images in split.pairs:
            assert [Path(images.name(i)).name for i in range(len(images))] == names
        assert len(names) == count
        assert not any(split.labels)  # the cities are no classes
        assert split.pairs[1].read(count - 1).picture().getpixel((9, 9)) == (9, 80, 90)
    check_segmentation(data, data.test)


def test_its_label_images_are_of_the_classes_and_what_is_not_scored_is_ignored(
    laid_out: Path,
) -> None:
    data = open_data(laid_out, palettes=["labels=cityscapes"], size=128)
    labels = LabelSquares(data.train.domains[0], size=128, is_tiled=False)
    found = true_class(to_tensor(labels.read(0).picture())[None], CITYSCAPES)[0, 16::32, 8::16]
    wanted = torch.tensor([*range(19), *[IGNORED] * 10, 0, 1, 2]).reshape(4, 8)
    assert torch.equal(found, wanted)


def test_colours_with_an_alpha_channel_are_read_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "aachen_000000_000019_gtFine_color.png"
    _labels(0).save(path)
    with Image.open(path) as image:
        assert image.mode == "RGBA"
    cells = np.asarray(read_image(path).convert("RGB"))[32::64, 32::64].reshape(-1, 3)
    assert [tuple(cell) for cell in cells[: len(COLOURS)].tolist()] == list(COLOURS)


def test_the_bench_that_the_page_names_trains_as_the_paper_does(laid_out: Path) -> None:
    page = " ".join(PAGE.read_text("utf-8").replace("\\\n", " ").split())
    assert (
        "diptych bench cityscapes-pairs --palette labels=cityscapes --plan papers --preset paper"
        " --size 128 --steps 595000"
    ) in page
    asked = {"data": str(laid_out), "palette": ["labels=cityscapes"], "preset": "paper"}
    plan = read_plan_file("papers") | asked | {"size": 128, "steps": 2975 * 200}
    rows = {row.label: row for row in make_bench(plan).rows}
    assert len(rows) == 11
    assert {row.config.size for row in rows.values()} == {128}
    for label in ("CycleGAN", "Cycle alone", "pix2pix"):
        assert (rows[label].config.batch_size, rows[label].config.width) == (1, 64)
        assert rows[label].run.steps == 595_000
        assert (rows[label].run.ema, rows[label].run.lr_scale) == (0, 1)
    assert rows["CoGAN"].config.batch_size == 128  # as the page says
