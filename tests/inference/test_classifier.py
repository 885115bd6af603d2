"""A run as a classifier, from the command that trains it to the class of an image."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import diptych
from diptych.cli.main import main
from diptych.errors import InputError

SMALL = ["--width", "2", "--batch-size", "4", "--classes", "4", "--steps", "2", "--device", "cpu"]
SMALL += ["--workers", "0", "--precision", "fp32", "--threads", "1"]


@pytest.fixture
def run(picture_folders, tmp_path: Path) -> Path:
    x, y = picture_folders(count=40, classes=4)
    out = tmp_path / "run"
    given = ["train", "unit_adaptation", "--x", x, "--y", y, "--out", str(out)]
    assert main([*given, *SMALL, "--no-evaluate"]) == 0
    return out


def test_evaluate_prints_and_keeps_the_accuracy_in_each_domain(run: Path, capsys) -> None:
    assert main(["evaluate", str(run)]) == 0
    printed = capsys.readouterr().out
    assert "classes named rightly" in printed
    scores = json.loads((run / "scores.json").read_text("utf-8"))
    for domain in ("dark", "bright"):
        assert scores[domain]["images"] == 2
        assert 0 <= scores[domain]["accuracy"] <= 1
        assert set(scores[domain]["accuracy_per_class"]) == {"0", "1", "2", "3"}
    assert "share of images whose class" in (run / "report.html").read_text("utf-8")


def test_other_data_must_have_the_same_classes(run: Path, picture_folders, capsys) -> None:
    x, _ = picture_folders(count=20, classes=5, where="other")
    assert main(["evaluate", str(run), "--data", str(Path(x).parent)]) == 2
    line = capsys.readouterr().err
    assert "has the classes 0, 1, 2, 3, 4, but" in line
    assert "was trained on 0, 1, 2, 3: give data with the same class folders" in line
    assert len(line.splitlines()) == 1


def test_the_classifier_of_a_run_names_classes_and_gives_the_methods_scores(run: Path) -> None:
    classifier = diptych.load_classifier(run, device="cpu")
    assert classifier.classes == ("0", "1", "2", "3")
    image = Image.new("RGB", (50, 40), (200, 100, 0))
    assert classifier(image, source="dark") in classifier.classes
    images = torch.zeros(3, 3, 32, 32)
    scores = classifier.classify_batch(images, "bright")
    assert scores.shape == (3, 4)
    assert torch.equal(scores, classifier._method.classify(images, 1))
    with pytest.raises(InputError, match="no domain 'cat': this classifier knows dark, bright"):
        classifier(image, source="cat")


def test_a_classifier_takes_all_kinds_of_images_and_can_be_copied(run: Path, tmp_path) -> None:
    classifier = diptych.load_classifier(run, device="cpu")
    about = "Classifier(unit_adaptation, dark, bright, 32 px, 4 classes, cpu)"
    assert repr(classifier) == about
    draws = np.random.default_rng(0)
    pixels = [draws.integers(0, 256, (32, 32, 3), np.uint8) for _ in range(3)]
    images = [Image.fromarray(one) for one in pixels]
    names = [classifier(image, "dark") for image in images]
    images[0].save(tmp_path / "a.png")
    assert classifier(tmp_path / "a.png", "dark") == names[0]
    assert classifier(pixels[0], "dark") == names[0]
    assert classifier(images, "dark") == names
    assert classifier(np.stack(pixels), "dark") == names
    for again in (pickle.loads(pickle.dumps(classifier)), copy.deepcopy(classifier)):  # noqa: S301
        assert again(images, "dark") == names
        assert repr(again) == about
    with pytest.raises(InputError, match="None is no image"):
        classifier(None, "dark")


def test_an_image_of_any_size_has_a_code_where_the_method_takes_one_size(run: Path) -> None:
    code = diptych.load(run, device="cpu").encode(Image.new("RGB", (50, 70)), source="dark")
    assert code.shape == (1, 16, 1, 1)


def test_a_method_that_only_translates_is_named(picture_folders, tmp_path: Path) -> None:
    x, y = picture_folders()
    out = tmp_path / "other"
    options = ["--width", "2", "--size", "32", "--steps", "1", "--no-evaluate", "--workers", "0"]
    assert main(["train", "unit", "--x", x, "--y", y, "--out", str(out), *options]) == 0
    with pytest.raises(InputError, match="unit tells no classes apart"):
        diptych.load_classifier(out, device="cpu")


def test_the_wrong_number_of_classes_is_one_line_and_leaves_nothing(
    picture_folders, tmp_path: Path, capsys
) -> None:
    x, y = picture_folders(count=20, classes=4)
    out = tmp_path / "none"
    assert main(["train", "unit_adaptation", "--x", x, "--y", y, "--out", str(out)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "has 4 classes (0, 1, 2, 3) and the classifier 10: pass --classes 4" in lines[0]
    assert not out.exists()
