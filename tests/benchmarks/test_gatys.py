"""The figure that sets style transfer beside CycleGAN."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from benchmarks.gatys import COLUMNS, main
from diptych.checkpoint import TranslatorInfo, inference_weights, save_translator
from diptych.methods import build, make_config
from diptych.report.grids import read_grid
from diptych.training.settings import Plan, Resolved, Settings, write_plan
from diptych.types import Clock, Unpaired

GATYS = {"size": 32, "translation_steps": 1}


@pytest.fixture
def runs(picture_folders, tmp_path: Path) -> list[str]:
    """Folders of a gatys run that has seen a batch, and of an untrained CycleGAN."""
    x, y = picture_folders(count=12)
    made = []
    for name, options in (("gatys", GATYS), ("cyclegan", {"size": 32, "width": 2})):
        config = make_config(name, options)
        method = build(name, config, (3, 3))
        if name == "gatys":
            dark, bright = torch.full((1, 3, 32, 32), -0.5), torch.full((1, 3, 32, 32), 0.5)
            batch = Unpaired(dark, bright)
            list(method.iteration(iter([batch]), Clock(0, 0.0, torch.Generator())))
        folder = tmp_path / name
        folder.mkdir()
        info = TranslatorInfo(
            method=name, config=options, domains=("dark", "bright"), size=32, step=1,
            fingerprint="", source="", version="",
        )  # fmt: skip
        save_translator(folder / "translator.safetensors", inference_weights(method), info)
        resolved = Resolved(
            domains=("dark", "bright"), fingerprint="", precision="fp32", device="cpu", threads=1
        )
        run = Settings(x=x, y=y)
        write_plan(folder, Plan(method=name, config=config, run=run, resolved=resolved))
        made.append(str(folder))
    return made


def test_a_direction_has_a_row_of_styles_and_one_for_each_input(runs: list[str], tmp_path: Path):
    out, photo = tmp_path / "figure.png", tmp_path / "photo.png"
    Image.new("RGB", (40, 32), (90, 60, 30)).save(photo)
    gatys, cyclegan = runs
    options = ["--run", gatys, "--cyclegan", cyclegan, "--out", str(out)]
    assert main([*options, "--to", "bright", "--images", str(photo)]) == 0
    grid, layout = read_grid(out)
    assert layout is not None
    assert (layout.columns, layout.rows) == (COLUMNS, 2)
    # Above, two bright images among white; below, the photo first.
    corners = [grid.getpixel(layout.box(0, column)[:2]) for column in range(5)]
    assert [corners[i] for i in (0, 3, 4)] == [(255, 255, 255)] * 3
    assert all(min(corners[i]) >= 128 and corners[i] != (255, 255, 255) for i in (1, 2))
    assert grid.getpixel(layout.box(1, 0)[:2]) == (90, 60, 30)


def test_what_does_not_go_together_is_named(runs: list[str], capsys: pytest.CaptureFixture[str]):
    gatys, cyclegan = runs
    both = ["--run", gatys, "--cyclegan", cyclegan]
    assert main([*both, "--images", "photo.png"]) == 2
    assert "name it by --to" in capsys.readouterr().err
    assert main(["--run", cyclegan, "--cyclegan", cyclegan, "--to", "bright"]) == 2
    assert f"{cyclegan} is a run of cyclegan: give one of gatys" in capsys.readouterr().err
