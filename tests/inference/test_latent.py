"""Pictures from the latent space, by the library and by its commands."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from diptych.checkpoint import TranslatorInfo, inference_weights, save_translator
from diptych.cli.main import main
from diptych.errors import InputError
from diptych.inference.latent import generate_files, interpolate, write_strip
from diptych.inference.load import load
from diptych.inference.translator import Translator
from diptych.methods.unit import UNIT, Config
from diptych.report.grids import read_grid

SIZE = 32


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A translator's file."""
    config = Config(width=2, size=SIZE)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        method = UNIT(config)
        for p in method.parameters():
            nn.init.normal_(p, 0.0, 0.1)  # N(0, 0.02) answers too weakly for 256 levels
    path = tmp_path_factory.mktemp("run") / "translator.safetensors"
    info = TranslatorInfo(
        method="unit",
        config=asdict(config),
        domains=("cat", "dog"),
        size=SIZE,
        step=1,
        fingerprint="",
        source="",
        version="",
    )
    save_translator(path, inference_weights(method), info)
    return path


@pytest.fixture
def translator(run: Path) -> Translator:
    return load(run, device="cpu")


def picture(seed: int, size: tuple[int, int] = (48, 40)) -> Image.Image:
    draws = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(draws).resize(size)


def names(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_equal_names_come_from_the_same_noise_and_the_grid_shows_them(translator, tmp_path):
    paths = generate_files(translator, tmp_path / "out", count=2, seed=3)
    expected = ["cat/001.png", "cat/002.png", "dog/001.png", "dog/002.png"]
    assert [path.relative_to(tmp_path / "out").as_posix() for path in paths] == expected
    assert names(tmp_path / "out") == [*expected, "grid.png"]
    for domain in ("cat", "dog"):
        made = translator.generate(2, to=domain, seed=3)
        for number, image in enumerate(made):
            with Image.open(tmp_path / "out" / domain / f"00{number + 1}.png") as written:
                assert np.array_equal(np.asarray(written), np.asarray(image))
    grid, layout = read_grid(tmp_path / "out" / "grid.png")
    assert layout is not None
    assert (len(layout.columns), layout.rows) == (2, 2)
    last = np.asarray(translator.generate(2, to="dog", seed=3)[1])
    shown = np.asarray(grid.crop(layout.box(1, 1)).resize(last.shape[1::-1], Image.Resampling.BOX))
    np.testing.assert_array_equal(shown, last)


def test_what_is_there_already_is_not_replaced_unasked(translator, tmp_path):
    generate_files(translator, tmp_path, count=1, to=["dog"])
    with pytest.raises(InputError, match=r"grid.png exists: give overwrite=True"):
        generate_files(translator, tmp_path, count=1, to=["dog"])
    generate_files(translator, tmp_path, count=1, to=["dog"], overwrite=True)
    with pytest.raises(InputError, match="count is 0"):
        generate_files(translator, tmp_path / "new", count=0)
    with pytest.raises(InputError, match="no domain 'cow'"):
        generate_files(translator, tmp_path / "new", to=["cow"])
    assert not (tmp_path / "new").exists()


def test_a_strip_starts_and_ends_at_its_images_and_moves_evenly_between(translator, tmp_path):
    first, second = picture(1, (SIZE, SIZE)), picture(2, (SIZE, SIZE))
    strip = interpolate(translator, first, second, sources=("cat", "dog"), steps=3)
    write_strip(strip, tmp_path / "strip.png")
    shown, layout = read_grid(tmp_path / "strip.png")
    z = [translator.encode(first, source="cat"), translator.encode(second, source="dog")]
    middle = (z[0] + z[1]) / 2
    for row, domain in enumerate(("cat", "dog")):
        for column, code in enumerate((z[0], middle, z[1])):
            expected = np.asarray(translator.decode(code, to=domain))
            tile = shown.crop(layout.box(row, column)).resize((SIZE, SIZE), Image.Resampling.BOX)
            np.testing.assert_array_equal(np.asarray(tile), expected)


def test_one_step_is_no_way(translator):
    with pytest.raises(InputError, match="steps is 1"):
        interpolate(translator, picture(1), picture(2), sources=("cat", "cat"), steps=1)


def test_the_commands_write_what_they_say(run, tmp_path, capsys):
    base = ["--device", "cpu"]
    out = str(tmp_path / "new")
    assert main(["generate", str(run), "--count", "1", "--to", "cat", "--out", out, *base]) == 0
    assert names(tmp_path / "new") == ["cat/001.png", "grid.png"]
    for i in (1, 2):
        picture(i).save(tmp_path / f"{i}.png")
    ends = [str(tmp_path / "1.png"), str(tmp_path / "2.png")]
    strip = str(tmp_path / "strip.png")
    command = ["interpolate", str(run), *ends, "--source", "cat", "--steps", "4", "--out", strip]
    assert main([*command, *base]) == 0
    with Image.open(strip) as image:
        assert image.width > 4 * 128
    assert main([*command, *base]) == 2
    assert "strip.png exists" in capsys.readouterr().err
    assert main([*command[:5], "a", "b", "c", *base]) == 2
