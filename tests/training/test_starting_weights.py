from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import diptych
from diptych.checkpoint import read_translator
from diptych.errors import InputError

TINY = {
    "size": 32, "width": 4, "steps": 1, "workers": 0, "device": "cpu", "precision": "fp32",
    "logger": "none", "threads": 1,
}  # fmt: skip


def _fill(folder: Path, names: str, seed: int) -> Path:
    draws = np.random.default_rng(seed)
    for name in names.split():
        (folder / name).mkdir(parents=True)
        for number in range(4):
            pixels = draws.integers(0, 256, (32, 32, 3), np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{name}{number}.png")
    return folder


def _weights(run: diptych.Run) -> dict[str, torch.Tensor]:
    return read_translator(run)[0]


def test_weights_go_to_the_domains_of_their_names_in_whatever_order(tmp_path: Path) -> None:
    folder = _fill(tmp_path / "d", "anime photo", 0)
    x, y = folder / "anime", folder / "photo"
    first = diptych.train("cyclegan", x=x, y=y, out=tmp_path / "first", **TINY)
    other = diptych.train(
        "cyclegan", x=y, y=x, out=tmp_path / "other", init=first, lr=1e-12, **TINY
    )
    image = np.asarray(Image.open(y / "photo0.png"))
    before = first.translator(device="cpu")(image, to="anime")
    after = other.translator(device="cpu")(image, to="anime")
    assert np.abs(before.astype(int) - after.astype(int)).max() <= 1
    assert other.translator(device="cpu").domains == ("anime", "photo")
    for name, value in _weights(first).items():
        assert torch.allclose(value, _weights(other)[name], atol=1e-6), name
    assert diptych.resume(other).folder == other.folder  # finished: its data are the same
    assert diptych.evaluate(other, split="train").to_dict()["split"] == "train"


def test_labels_of_many_domains_keep_their_places(tmp_path: Path) -> None:
    options = TINY | {"batch_size": 4, "critic_steps": 1, "blocks": 1}
    first = diptych.train(
        "stargan", data=_fill(tmp_path / "d", "a b c", 0), out=tmp_path / "first", **options
    )
    turned = diptych.train(
        "stargan", data=tmp_path / "d", names=["c", "a", "b"], init=first, lr=1e-12,
        out=tmp_path / "turned", **options,
    )  # fmt: skip
    assert turned.translator(device="cpu").domains == ("a", "b", "c")
    image = np.asarray(Image.open(tmp_path / "d" / "a" / "a0.png"))
    for to in "bc":
        one, other = (run.translator(device="cpu")(image, to=to) for run in (first, turned))
        assert np.abs(one.astype(int) - other.astype(int)).max() <= 1


def test_other_names_are_refused_with_the_way_out(tmp_path: Path) -> None:
    first = diptych.train(
        "cyclegan", data=_fill(tmp_path / "d", "horse zebra", 0), out=tmp_path / "first", **TINY
    )
    other = _fill(tmp_path / "e", "cow zebra", 1)
    with pytest.raises(InputError, match=r"knows the domains horse, zebra, .* have cow, zebra: w"):
        diptych.train("cyclegan", data=other, init=first, out=tmp_path / "x", **TINY)
    assert not (tmp_path / "x").exists()
    named = diptych.train(
        "cyclegan", data=other, names=["horse", "zebra"], init=first, out=tmp_path / "y", **TINY
    )
    assert named.translator(device="cpu").domains == ("horse", "zebra")
