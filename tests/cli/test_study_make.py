"""`diptych study make`, of runs and of folders."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diptych.checkpoint import read_translator, save_translator
from diptych.cli.main import main
from diptych.study.store import Study
from tests.study.conftest import FAKE, REAL

FEW = ["--practice", "1", "--trials", "3"]


def folder_of(path: Path, level: int, names: str, side: int = 16) -> Path:
    path.mkdir(parents=True)
    for i, name in enumerate(names):
        Image.new("RGB", (side, side), (level, i, 0)).save(path / f"{name}.png")
    return path


def fails(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    capsys.readouterr()
    assert main(["study", *map(str, arguments)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line.removeprefix("diptych: ")


def test_a_study_of_folders_from_the_command_line(tmp_path, capsys) -> None:
    real = folder_of(tmp_path / "real", REAL, "abcdef")
    ours, theirs = (folder_of(tmp_path / n, FAKE, "abcdef") for n in ("ours", "theirs"))
    out = tmp_path / "studies" / "x"
    base = ["study", "make", "--real", real, "--fake", ours, f"other={theirs}", "--out", out]
    assert main([*map(str, base), *FEW, "--direction", "map→photo", "--pairing", "same"]) == 0
    settings = Study(out).settings
    assert settings.methods == ("ours", "other")
    assert (settings.direction, settings.total, settings.pairing) == ("map→photo", 4, "same")
    assert len(list((out / "images").iterdir())) == 18
    token = Study(out).join("r1")
    records = Study(out).records()
    assert all(r["real_scene"] == r["fake_scene"] for r in records)
    assert token
    capsys.readouterr()
    assert main(["study", "invite", str(out), "2", "--url", "http://x.test:80"]) == 0
    links = capsys.readouterr().out.splitlines()
    assert len(set(links)) == 2
    assert all(link.startswith("http://x.test:80/#") for link in links)
    files = [str(tmp_path / name) for name in ("r.json", "r.md", "r.csv")]
    more = ["--json", files[0], "--table", files[1], "--csv", files[2]]
    assert main(["study", "report", str(out), *more, "--paper"]) == 0
    shown = capsys.readouterr().out
    for words in ("map→photo", "ours", "26.8 ± 2.8", "1 did not finish"):
        assert words in shown
    assert "| other | - |" in Path(files[1]).read_text(encoding="utf-8")


@pytest.fixture
def run(tmp_path, picture_folders) -> Path:
    picture_folders(count=8)
    data, run = str(tmp_path / "data"), tmp_path / "run"
    small = ["--width", "4", "--size", "32", "--blocks", "1", "--device", "cpu", "--workers", "0"]
    small += ["--precision", "fp32", "--threads", "1", "--no-evaluate", "--steps", "2"]
    assert main(["train", "cyclegan", "--data", data, "--out", str(run), *small]) == 0
    return run


OF_RUNS = ["--to", "bright", "--split", "train", "--images", "5", "--device", "cpu", *FEW]


@pytest.mark.slow
def test_a_study_of_runs_from_the_command_line(tmp_path, run) -> None:
    out = tmp_path / "study"
    assert main(["study", "make", str(run), f"again={run}", "--out", str(out), *OF_RUNS]) == 0
    settings = Study(out).settings
    assert settings.direction == "dark→bright"
    assert settings.methods == ("cyclegan", "again")
    means = [np.asarray(Image.open(f)).mean() for f in (out / "images").iterdir()]
    assert len(means) == 15
    assert sum(mean > 170 for mean in means) == 5  # the real, bright ones


@pytest.mark.slow
def test_a_translators_file_is_held_against_the_data_of_the_run_it_lies_in(
    tmp_path, run, capsys
) -> None:
    file, out = run / "translator.safetensors", tmp_path / "study"
    assert main(["study", "make", str(file), "--out", str(out), *OF_RUNS]) == 0
    assert Study(out).settings.direction == "dark→bright"
    alone = tmp_path / "alone" / "x.safetensors"
    alone.parent.mkdir()
    shutil.copy(file, alone)
    refused = fails(capsys, "make", alone, "--out", tmp_path / "other", *OF_RUNS)
    assert refused == f"{alone.parent} has no config.toml that names {alone}'s data: give --data"


@pytest.mark.slow
def test_runs_of_other_data_may_have_seen_what_is_held_out(tmp_path, run, capsys) -> None:
    weights, info = read_translator(run)
    other = tmp_path / "other.safetensors"
    save_translator(other, weights, replace(info, fingerprint="of other data"))
    both = ["make", str(run), f"other={other}", *OF_RUNS]
    refused = fails(capsys, *both, "--out", tmp_path / "a")
    assert refused.startswith("other: trained on other data than ")
    assert refused.endswith("; give --data if they are new to all runs")
    data = ["--data", str(tmp_path / "data")]
    assert main(["study", *both, "--out", str(tmp_path / "b"), *data]) == 0
    (warning,) = capsys.readouterr().err.splitlines()
    assert warning.startswith("other: trained on other data than ")
