"""`diptych evaluate --fcn` and `--adaptation`: what they add, and what they refuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from diptych.cli.main import main
from tests.evaluation.made_labels import TABLE, scenes, train_little, write, write_labelled

SMALL = ["--width", "4", "--size", "32", "--blocks", "1", "--device", "cpu", "--workers", "0"]
SMALL += ["--precision", "fp32", "--threads", "1", "--no-evaluate", "--steps", "1"]


@pytest.fixture(autouse=True)
def _quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIPTYCH_CACHE", str(tmp_path / "cache"))
    train_little(monkeypatch, 2, 2, side=32)


def _run(data: Path, out: Path, *options: str) -> Path:
    command = ["train", "cyclegan", "--data", str(data), "--out", str(out)]
    assert main([*command, *SMALL, *options]) == 0
    return out


@pytest.mark.slow
def test_the_fcn_score_is_in_the_scores_the_table_and_the_report(tmp_path, capsys):
    data = write_labelled(tmp_path / "data", 4, 4)
    run = _run(data, tmp_path / "run")
    assert main(["evaluate", str(run), "--device", "cpu"]) == 0
    plain = json.loads((run / "scores.json").read_text("utf-8"))
    assert "fcn" not in plain["label→photo"]
    assert not (tmp_path / "cache" / "fcn").exists()
    capsys.readouterr()
    assert main(["evaluate", str(run), "--fcn", "--device", "cpu"]) == 0
    scores = json.loads((run / "scores.json").read_text("utf-8"))
    figures = {"pixel_accuracy", "class_accuracy", "mean_iou", "accuracy_per_class"}
    figures |= {"matched_accuracy"}
    for key in ("fcn", "fcn_of_real"):
        assert set(scores["label→photo"][key]) == figures | {"iou_per_class", "confusion"}
        assert key not in scores["photo→label"]
    assert plain["photo→label"] == scores["photo→label"]
    shown = capsys.readouterr().out
    assert "FCN score, per pixel" in shown
    assert "of real photos" in shown
    assert "FCN score · Pixel accuracy" in (run / "report.html").read_text("utf-8")
    assert len(list((tmp_path / "cache" / "fcn").iterdir())) == 1


@pytest.mark.slow
def test_a_palette_named_when_scoring_makes_a_domain_one_of_labels(tmp_path, capsys):
    data = write_labelled(tmp_path / "data", 4, 4)
    (data / "label" / "palette.csv").rename(tmp_path / "colours.csv")
    run = _run(data, tmp_path / "run")
    assert main(["evaluate", str(run), "--fcn", "--device", "cpu"]) == 2
    assert "no domain of labels" in capsys.readouterr().err
    named = ["--palette", f"label={tmp_path / 'colours.csv'}"]
    assert main(["evaluate", str(run), *named, "--device", "cpu"]) == 0
    scores = json.loads((run / "scores.json").read_text("utf-8"))
    assert set(scores["photo→label"]["iou_per_class"]) == {"grass", "disc", "square"}
    # Named for training, it is known from then on.
    other = _run(data, tmp_path / "other", *named)
    assert main(["evaluate", str(other), "--device", "cpu"]) == 0
    scores = json.loads((other / "scores.json").read_text("utf-8"))
    assert "pixel_accuracy" in scores["photo→label"]


@pytest.mark.slow
def test_adaptation_of_a_folder_adds_its_three_networks(tmp_path, capsys):
    data = tmp_path / "data"
    for seed, place in enumerate(("trainA", "trainB", "testA", "testB")):
        labels, images = scenes(4, seed)
        write(data / place, images)
        write(data / "pixel_labels" / place, labels)
    (data / "pixel_labels" / "palette.csv").write_text(TABLE, encoding="utf-8")
    run = _run(data, tmp_path / "run")
    assert main(["evaluate", str(run), "--adaptation", "--device", "cpu"]) == 0
    scores = json.loads((run / "scores.json").read_text("utf-8"))
    for row in ("source only", "translated", "target (oracle)"):
        assert scores[row]["images"] == 4
        assert 0 <= scores[row]["mean_iou"] <= 1
    shown = capsys.readouterr().out
    assert "(oracle)" in shown
    assert "of one class everywhere" in shown
    assert "Share of the most frequent class" in (run / "report.html").read_text("utf-8")
    # Networks that know no translation are kept, by the run's seed: they are the seed's too.
    kept = set((tmp_path / "cache" / "fcn").iterdir())
    other = _run(data, tmp_path / "other", "--seed", "1")
    assert main(["evaluate", str(other), "--adaptation", "--device", "cpu"]) == 0
    assert len(set((tmp_path / "cache" / "fcn").iterdir()) - kept) == len(kept) == 2
    (data / "pixel_labels").rename(tmp_path / "elsewhere")
    assert main(["evaluate", str(run), "--adaptation", "--device", "cpu"]) == 2
    assert "no pixel labels for x's training images" in capsys.readouterr().err
