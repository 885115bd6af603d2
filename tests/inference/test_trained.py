"""Methods that make images and translate none, from training to use, by the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import diptych.evaluation.generated
from diptych.cli.main import main
from diptych.report.grids import read_grid
from tests.evaluation.test_generated import _features

SMALL = ["--size", "16", "--batch-size", "2", "--device", "cpu", "--workers", "0"]
SMALL += ["--precision", "fp32", "--threads", "1", "--steps", "2", "--load-size", "0"]
SMALL += ["--z-size", "8"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three folders of noise, from dark to light, of twelve images and six for testing."""
    draws = np.random.default_rng(0)
    for name, low in (("dark", 0), ("grey", 80), ("light", 160)):
        for split, count in (("train", 12), ("test", 6)):
            folder = tmp_path / "shades" / split / name
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = draws.integers(low, low + 80, (16, 16, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{name}-{i}.png")
    return tmp_path / "shades"


@pytest.mark.parametrize(("method", "width"), [("gan", 2), ("vaegan", 2), ("acgan", 1)])
def test_runs_of_three_domains_are_trained_shown_scored_and_used(
    method: str,
    width: int,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(diptych.evaluation.generated, "installed", _features)
    run, out = tmp_path / "run", tmp_path / "made"
    own = ["--data", str(data), "--width", str(width), "--out", str(run), *SMALL]
    assert main(["train", method, *own]) == 0

    _, layout = read_grid(run / "previews" / "00000002.png")
    assert layout is not None
    again = ("dark again",) if method == "vaegan" else ()
    assert layout.columns[:2] == ("dark", *again, "new dark")[:2]
    assert len(layout.groups) == 3
    scores = json.loads((run / "scores.json").read_text("utf-8"))
    assert all("mean" in scores[name]["kid"] for name in ("dark", "grey", "light"))
    page = (run / "report.html").read_text("utf-8")
    assert "diptych generate" in page
    assert "diptych translate" not in page
    assert "KID" in page

    assert main(["generate", str(run), "--count", "2", "--out", str(out), "--device", "cpu"]) == 0
    names = sorted(p.relative_to(out).as_posix() for p in out.rglob("*.png"))
    made = [f"{name}/00{i}.png" for name in ("dark", "grey", "light") for i in (1, 2)]
    assert names == sorted([*made, "grid.png"])

    capsys.readouterr()
    photo = str(data / "test" / "dark" / "dark-0.png")
    for to in ([], ["--to", "grey"]):
        assert main(["translate", str(run), photo, *to, "--out", str(tmp_path / "no")]) == 2
        assert capsys.readouterr().err.splitlines() == [
            f"diptych: {method} makes new images and translates none: use diptych generate"
        ]
    assert not (tmp_path / "no").exists()


def test_saved_weights_make_the_same_images_as_those_that_were_trained(
    data: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    own = ["--data", str(data), "--width", "2", "--out", str(run), *SMALL, "--no-evaluate"]
    assert main(["train", "gan", *own]) == 0
    weights = torch.load(run / "state.pt", weights_only=True)["method"]
    loaded = diptych.load(run, device="cpu")
    saved = loaded._network.state_dict()
    trained = [name for name in weights if name.startswith("G.")]
    assert len(trained) > 10
    assert all(torch.equal(saved[name], weights[name]) for name in trained)
    few, many = (loaded.generate(n, to="grey", seed=4) for n in (2, 3))
    assert all(np.array_equal(a, b) for a, b in zip(few, many, strict=False))


def test_what_lies_between_two_images_of_a_domain_is_drawn_by_a_method_with_codes(
    data: Path, tmp_path: Path
) -> None:
    run, strip = tmp_path / "run", tmp_path / "strip.png"
    own = ["--data", str(data), "--width", "2", "--out", str(run), *SMALL, "--no-evaluate"]
    assert main(["train", "vaegan", *own]) == 0
    ends = [str(data / "test" / "light" / f"light-{i}.png") for i in (0, 1)]
    where = ["--source", "light", "--to", "light", "--out", str(strip), "--device", "cpu"]
    assert main(["interpolate", str(run), *ends, *where, "--steps", "3"]) == 0
    _, layout = read_grid(strip)
    assert layout is not None
    assert (len(layout.columns), layout.rows) == (3, 1)


def test_starts_of_a_method_that_does_not_translate_are_refused(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = ["--data", str(data), "--width", "2", "--out", str(tmp_path / "run"), *SMALL]
    assert main(["train", "gan", *own, "--starts", "2"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
