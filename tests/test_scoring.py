"""`diptych evaluate` of several runs and of the best checkpoint, and warnings of its findings."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import diptych.evaluation.generated
import diptych.evaluation.scores
import diptych.scoring
from diptych.checkpoint import (
    TRANSLATOR_FILE,
    inference_weights,
    load_translator,
    save_translator,
)
from diptych.cli.main import main
from diptych.evaluation import familiarity
from tests.cli.conftest import SMALL
from tests.evaluation.test_failures import _features

Fails = Callable[..., str]
TRAIN = ["train", "cyclegan", "--steps", "4", *SMALL]


@pytest.fixture
def data(parted_folders) -> Path:
    """Folders with a training, validation and test part, no pairs."""
    root = parted_folders("train", "val", "test")
    for image in (root / "testB").iterdir():
        image.rename(image.with_name(f"other-{image.name}"))
    for image in (root / "valB").iterdir():
        image.rename(image.with_name(f"other-{image.name}"))
    return root


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """A feature network that takes no time."""
    monkeypatch.setattr(diptych.evaluation.scores, "installed", _features)
    monkeypatch.setattr(diptych.scoring, "_remember", lambda folder, data: None)


def _train(data: Path, out: Path, *more: str) -> None:
    assert main([*TRAIN, "--data", str(data), "--out", str(out), *more]) == 0


@pytest.mark.slow
def test_the_checkpoint_that_is_scored_is_chosen_without_the_test_images(
    data: Path, tmp_path: Path, stand_in: None, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    _train(data, run, "--keep-every", "1")
    assert main(["evaluate", str(run), "--choose"]) == 0
    first = json.loads((run / "scores.json").read_text())
    (note,) = [note for note in first["notes"] if "checkpoints" in note]
    assert note.startswith("of 4 checkpoints, step ")
    assert "no checkpoint was chosen" not in str(first["notes"])
    assert "was chosen" in (run / "report.html").read_text()
    # Other test images: other scores, the same choice by the same figures.
    for part in ("testA", "testB"):
        for file in (data / part).iterdir():
            Image.fromarray(np.full((32, 32, 3), 255, np.uint8)).save(file)
    assert main(["evaluate", str(run), "--choose"]) == 0
    second = json.loads((run / "scores.json").read_text())
    assert note in second["notes"]
    assert first["dark→bright"]["kid"] != second["dark→bright"]["kid"]
    # Other validation images: other figures.
    for file in (data / "valB").iterdir():
        Image.fromarray(np.full((32, 32, 3), 40, np.uint8)).save(file)
    assert main(["evaluate", str(run), "--choose"]) == 0
    assert note not in json.loads((run / "scores.json").read_text())["notes"]


def test_nothing_to_choose_from_and_choosing_for_the_validation_images_are_refused(
    data: Path,
    tmp_path: Path,
    fails: Fails,
) -> None:
    run = tmp_path / "run"
    _train(data, run)
    assert fails("evaluate", run, "--choose").endswith("train with --keep-every")
    assert "score on --split test" in fails("evaluate", run, "--choose", "--split", "validation")
    assert fails("evaluate") == "RUN is missing: the run's folder (see diptych evaluate --help)"
    given = fails("evaluate", run, "--weights", "my.pth")
    assert given == "--weights my.pth is the file of which network? Give --features inception too"
    told = fails("evaluate", "runs/x", "--json", "no/scores.json")  # before anything is scored
    assert told.replace("\\", "/") == "cannot write no/scores.json: there is no folder no"


def test_perceptual_distances_without_true_pairs_to_compare_are_refused(
    data: Path, tmp_path: Path, fails: Fails
) -> None:
    run = tmp_path / "run"
    _train(data, run)
    assert fails("evaluate", run, "--vgg16", "vgg16.pth") == (
        f"--vgg16 compares translations with true pairs, and {data} has none: leave it out"
    )


def test_runs_of_several_seeds_are_averaged_with_intervals(
    data: Path,
    tmp_path: Path,
    stand_in: None,
    capsys: pytest.CaptureFixture[str],
    fails: Fails,
) -> None:
    runs = [tmp_path / "r0", tmp_path / "r1"]
    for seed, run in enumerate(runs):
        _train(data, run, "--seed", str(seed))
    out = tmp_path / "both.json"
    capsys.readouterr()
    assert main(["evaluate", *map(str, runs), "--json", str(out)]) == 0
    both = json.loads(out.read_text())["dark→bright"]["kid"]
    own = [json.loads((run / "scores.json").read_text())["dark→bright"]["kid"] for run in runs]
    assert both["runs"] == [one["mean"] for one in own]
    assert both["spreads"] == [one["std"] for one in own]
    assert both["mean"] == pytest.approx(sum(both["runs"]) / 2)
    shown = capsys.readouterr().out
    assert "spread over subsets, by run" in shown
    shutil.copytree(runs[0], tmp_path / "copy")
    assert "have the same seed, 0" in fails("evaluate", runs[0], tmp_path / "copy")


@pytest.mark.slow
def test_translating_names_inputs_unlike_the_training_images_once_scored(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, album = tmp_path / "run", tmp_path / "album"
    _train(data, run)
    album.mkdir()
    shutil.copy(next((data / "trainA").iterdir()), album / "like.png")
    Image.new("RGB", (64, 48), (255, 230, 0)).save(album / "flat.png")

    def translate(*more: str) -> str:
        out = ["--to", "bright", "--out", str(tmp_path / "out"), "--overwrite", *more]
        capsys.readouterr()
        assert main(["translate", str(run), str(album), *out]) == 0
        return capsys.readouterr().err

    assert translate() == ""  # not scored yet: nothing to go by
    assert main(["evaluate", str(run)]) == 0
    written = (run / familiarity.FAMILIARITY_FILE).stat().st_mtime_ns
    line = translate()
    assert line.startswith("1 of 2 inputs is unlike the training images of dark")
    assert line.strip().endswith("flat.png")
    assert translate("--no-check") == ""
    assert main(["evaluate", str(run)]) == 0  # the same data: not learnt again
    assert (run / familiarity.FAMILIARITY_FILE).stat().st_mtime_ns == written
    known = familiarity.read_familiarity(run / familiarity.FAMILIARITY_FILE)
    assert known is not None
    of_older = dataclasses.replace(known, parts={}, part_thresholds={})
    familiarity.save_familiarity(run / familiarity.FAMILIARITY_FILE, of_older)
    assert translate().startswith("1 of 2 inputs is unlike")
    assert main(["evaluate", str(run)]) == 0  # parts are learnt too
    known = familiarity.read_familiarity(run / familiarity.FAMILIARITY_FILE)
    assert known is not None
    assert known.parts.keys() == {"dark", "bright"}
    (run / familiarity.FAMILIARITY_FILE).write_bytes(b"damaged")
    assert "diptych evaluate writes a new one" in translate()  # and the images were translated


@pytest.mark.slow
def test_weights_that_are_not_finite_are_named_on_the_screen_in_json_and_in_the_report(
    data: Path, tmp_path: Path, stand_in: None, capsys: pytest.CaptureFixture[str]
) -> None:
    run, out = tmp_path / "run", tmp_path / "scores.json"
    _train(data, run)
    method, info = load_translator(run)
    weights = inference_weights(method)
    spoilt = {name: w * float("nan") if name[0] == "G" else w for name, w in weights.items()}
    save_translator(run / TRANSLATOR_FILE, spoilt, info)
    capsys.readouterr()
    assert main(["evaluate", str(run), "--json", str(out)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    told = "dark→bright has collapsed: 6 of 6 outputs hold values that are not finite"
    assert f"warning: {told}; what helps: precision fp32" in shown
    assert "│ collapse │ not finite │" in shown
    for path in (out, run / "scores.json"):
        scores = json.loads(path.read_text(), parse_constant=pytest.fail)
        assert scores["dark→bright"]["collapse"] == "not finite"
        assert scores["dark→bright"]["cycle"] is None
        assert scores["dark→bright"]["kid"] == {"why_not": "outputs are not finite"}
        assert scores["bright→dark"]["kid"]["mean"] is not None
    page = (run / "report.html").read_text()
    assert told in page
    assert "Collapse<small>" in page
