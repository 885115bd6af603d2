"""A table of attributes from the command line: trained, translated, scored."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diptych.cli.main import main
from diptych.errors import InputError
from diptych.inference.load import load
from diptych.scoring import evaluate

SMALL = ["--width", "2", "--size", "16", "--blocks", "1", "--batch-size", "3", "--device", "cpu"]
SMALL += ["--critic-steps", "1", "--workers", "0", "--precision", "fp32", "--threads", "1"]


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    folder = tmp_path / "faces"
    folder.mkdir()
    rows = ["72", "Black Blond Male"]
    draws = np.random.default_rng(0)
    for i in range(72):
        pixels = draws.integers(0, 255, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i:03d}.png")
        values = [i % 3 == 0, i % 3 == 1, i % 2 == 0]
        rows.append(f"{i:03d}.png " + " ".join("1" if v else "-1" for v in values))
    (folder / "list.txt").write_text("\n".join(rows))
    return folder


def _no_features() -> None:
    raise InputError("not installed")


@pytest.mark.slow
def test_attributes_are_trained_translated_and_scored(
    faces: Path, tmp_path: Path, capsys, monkeypatch
):
    run = tmp_path / "run"
    command = ["train", "stargan", "--data", str(faces), "--attributes", "list.txt", "--steps", "2"]
    command += ["--names", "Blond", "Black", "Male", "--out", str(run), "--no-evaluate"]
    assert main([*command, *SMALL]) == 0
    assert "4 training images are held out" in capsys.readouterr().err
    assert len(list((run / "previews").glob("*.png"))) == 3  # before the first step, and after each
    assert main(["train", "--resume", str(run)]) == 0  # the table is found again

    picture, out = faces / "000.png", tmp_path / "out"
    to = ["translate", str(run), "--out", str(out), "--overwrite", "--device", "cpu"]
    made = []
    for names in (["Male"], ["Blond", "Male"], ["Blond"]):
        wanted = [part for name in names for part in ("--to", name)]
        assert main([*to, *wanted, str(picture)]) == 0
        with Image.open(out / "000.png") as image:
            made.append(image.tobytes())
    assert len(set(made)) == 3
    # None of them can be asked for from Python alone.
    assert main([*to, str(picture)]) == 2
    assert "--to which domain?" in capsys.readouterr().err
    with Image.open(picture) as image:
        none = load(run, device="cpu")(image, to=())
    assert none.tobytes() not in made
    capsys.readouterr()
    assert main([*to, str(picture), "--to", "Blond", "--to", "Mal"]) == 2
    assert "no domain 'Mal': did you mean 'Male'?" in capsys.readouterr().err

    monkeypatch.setattr("diptych.evaluation.scores.load_features", _no_features)  # faster
    scores = evaluate(run, split="train", device="cpu").to_dict()
    assert {"→Black", "→Blond", "→Male", "→no Male"} == {k for k in scores if k.startswith("→")}
    assert scores["→Male"]["images"] + scores["→no Male"]["images"] == 68
    json.dumps(scores)


@pytest.mark.parametrize("method", ["cyclegan", "gan"])
def test_methods_of_separate_domains_take_those_who_have_an_attribute_as_one(
    method: str, faces: Path, tmp_path: Path, monkeypatch
):
    run = tmp_path / "run"
    command = ["train", method, "--data", str(faces), "--attributes", "list.txt", "--steps", "2"]
    command += ["--names", "Blond", "Black", "--out", str(run), "--no-evaluate"]
    command += ["--width", "2", "--size", "16", "--batch-size", "2", "--workers", "0"]
    command += ["--discriminator", "16x16"] if method == "cyclegan" else []
    assert main([*command, "--device", "cpu", "--precision", "fp32"]) == 0
    assert len(list((run / "previews").glob("*.png"))) == 3
    monkeypatch.setattr("diptych.evaluation.scores.installed", lambda: None)
    monkeypatch.setattr("diptych.evaluation.generated.installed", lambda: None)
    scores = evaluate(run, split="train", device="cpu").to_dict()
    names = ("Blond→Black", "Black→Blond") if method == "cyclegan" else ("Blond", "Black")
    # 24 are blond and 24 black, of which three are held out.
    assert [scores[name]["images"] for name in names] == [23, 22]
