"""Neural style transfer in use: the command line, Python, memory and a run of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import diptych
from diptych.checkpoint import TranslatorInfo, inference_weights, save_translator
from diptych.cli.main import main
from diptych.errors import InputError
from diptych.inference.styles import in_style_of
from diptych.inference.translator import Translator
from diptych.methods.gatys import Config, Gatys
from diptych.types import KnowsMemory, Unpaired
from tests.methods.test_gatys import _gather, _image


def _info(method: str = "gatys", config: Mapping[str, Any] | None = None) -> TranslatorInfo:
    return TranslatorInfo(
        method=method,
        config=dict(config or {}),
        domains=("dark", "bright"),
        size=32,
        step=1,
        fingerprint="",
        source="",
        version="",
    )


def _file(folder: Path) -> Path:
    """A translator whose bright domain is warm noise."""
    options = {"size": 32, "translation_steps": 4, "content_weight": 0.0}
    method = Gatys(Config(**options))
    dark = _image(0, 32) / 4 - 0.5
    _gather(method, Unpaired(dark, torch.cat([_image(1, 32)[:, :1] / 4 + 0.6, dark[:, 1:]], 1)))
    path = folder / "translator.safetensors"
    save_translator(path, inference_weights(method), _info(config=options))
    return path


def _picture(path: Path, low: int, size: tuple[int, int] = (40, 33)) -> Image.Image:
    pixels = np.random.default_rng(low).integers(low, low + 60, (size[1], size[0], 3), np.uint8)
    picture = Image.fromarray(pixels)
    picture.save(path)
    return picture


def test_the_command_line_takes_a_domain_or_a_style(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    run = str(_file(tmp_path))
    photo, style = tmp_path / "photo.png", tmp_path / "style.png"
    content = _picture(photo, 60)
    _picture(style, 180, (64, 64))
    for options in (["--to", "bright"], ["--style", str(style)], ["--style", *2 * [str(style)]]):
        out = tmp_path / f"out{len(options)}{options[0]}"
        assert main(["translate", run, str(photo), *options, "--out", str(out)]) == 0
        with Image.open(out / "photo.png") as image:
            assert image.size == (40, 33)
            assert image.tobytes() != content.tobytes()
    capsys.readouterr()
    assert main(["translate", run, str(photo), "--to", "bright", "--style", str(style)]) == 2
    assert "give --to bright or --style, not both" in capsys.readouterr().err


def test_python_takes_styles_and_their_one_domain_is_style(tmp_path: Path):
    run, photo = _file(tmp_path), _picture(tmp_path / "photo.png", 60)
    translator = diptych.load(run, styles=[_picture(tmp_path / "style.png", 180)], device="cpu")
    assert translator.domains == ("style",)
    assert translator(photo, to="style").size == photo.size
    with pytest.raises(InputError, match="no domain 'bright': this translator knows style"):
        translator(photo, to="bright")


def test_methods_that_take_no_style_say_so_in_one_line():
    from diptych.methods.cyclegan import Config as CycleGANConfig
    from diptych.methods.cyclegan import CycleGAN

    method = CycleGAN(CycleGANConfig(width=2, size=32))
    with pytest.raises(InputError) as caught:
        in_style_of(method, _info("cyclegan"), [Image.new("RGB", (8, 8))])
    line = "cyclegan takes no style from images: it translates to dark and bright"
    assert str(caught.value).startswith(line)


def test_it_is_not_run_to_be_measured_and_too_large_an_image_is_refused():
    method = Gatys(Config(size=32))
    assert isinstance(method, KnowsMemory)
    _gather(method, Unpaired(_image(1, 32), _image(2, 32)))
    method._render = None  # type: ignore[method-assign, assignment]
    translator = Translator(method, _info(), device="cpu", memory_gib=0.01)
    assert translator.batch_size(32, 32) == int(0.01 * 2**30 / (method.bytes_per_pixel * 32 * 32))
    with pytest.raises(InputError) as caught:
        translator(Image.new("RGB", (400, 300)), to="dark")
    assert "400x300 does not fit in 0.01 GiB, and gatys takes an image whole" in str(caught.value)


@pytest.mark.slow
def test_a_run_trains_resumes_draws_and_reports_without_a_loss(picture_folders, tmp_path: Path):
    x, y = picture_folders(count=20)
    run = diptych.train(
        "gatys", x=x, y=y, size=32, batch_size=3, translation_steps=1, device="cpu", workers=0,
        out=str(tmp_path / "run"),
    )  # fmt: skip
    steps = -(-19 // 3)  # one pass through what is not held out
    assert f"{steps} steps" in run.report.read_text("utf-8")
    assert len(list((run.folder / "previews").glob("*.png"))) == steps + 1
    assert diptych.resume(run.folder).folder == run.folder
    scores = run.evaluate().to_dict()
    assert scores["dark→bright"]["images"] == 1
