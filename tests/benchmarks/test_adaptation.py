"""The adaptation benchmark: its rows, what it goes on with, and whose labels it trains on."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from benchmarks import adaptation
from benchmarks.adaptation import CONFIG, JOBS, TASKS, Place, judged, main, write_table
from diptych.errors import InputError
from tests.data.test_packed import write_mnist, write_usps


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "results", tmp_path / "runs")


@pytest.fixture
def readme(tmp_path: Path) -> Path:
    path = tmp_path / "README.md"
    path.write_text("before\n<!-- adaptation: begin -->\nold\n<!-- adaptation: end -->\nafter\n")
    return path


def _write(place: Place, sample: str, row: str, seed: int, **accuracy: float) -> None:
    scores = {name.replace("_", "-"): {"accuracy": value} for name, value in accuracy.items()}
    path = place.scores(sample, row, seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    facts = {"commit": "a" * 40, "machine": "m", "seconds": 120.0, "threads": 2}
    path.write_text(json.dumps({"scores": scores} | facts))


def test_the_oracle_of_a_target_is_the_classifier_trained_on_it_alone(place, readme):
    _write(place, "digits-usps", "source-only", 0, mnist=0.99, usps=0.7)
    _write(place, "usps-digits", "source-only", 0, mnist=0.5, usps=0.96)
    for seed, value in enumerate((0.94, 0.95, 0.96)):
        _write(place, "digits-usps", "unit", seed, mnist=0.98, usps=value)
    write_table(place, readme)
    text = readme.read_text("utf-8")
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "| source only | 0.7000 (n=1) | 0.5000 (n=1) | not run yet | — |" in text
    # Standard deviation .01, t of 4.303 for two degrees of freedom: .01 * 4.303 / √3 = .0248.
    assert "| UNIT | 0.9500 ± 0.0248 (n=3) | not run yet | not run yet | — |" in text
    assert "| target (oracle) | 0.9600 (n=1) | 0.9900 (n=1) | not run yet | — |" in text
    assert "| UNIT, by the paper | 0.9597 | 0.9358 | — | 0.9053 |" in text


def test_every_cell_of_the_table_has_its_job():
    for task in TASKS:
        assert {(task.sample, "source-only"), (task.sample, "unit")} <= set(JOBS)
        assert (task.reverse, "source-only") in JOBS


def test_every_row_is_for_2500_steps_but_those_that_say_otherwise(monkeypatch):
    done = []
    monkeypatch.setattr(adaptation, "run_job", lambda *job, steps, **_: done.append((*job, steps)))
    assert main(["--only", "run", "--samples", "usps-digits", "--seeds", "1"]) == 0
    longer = {row for _, _, row, _, steps in done if steps == 5000}
    assert longer == {"source-only-longer", "unit-longer"}
    assert all("5,000 steps" in adaptation.LABELS[row] for row in longer)
    assert {steps for *_, steps in done} == {2500, 5000}
    assert len(done) == 9


def test_no_results_are_one_line(place, readme):
    with pytest.raises(InputError, match="no results in"):
        write_table(place, readme)


def test_settings_may_be_judged_by_the_sources_labels_and_the_targets_translations(monkeypatch):
    # Bright images are of class 1; two of four source images become their negatives, and one
    # of five target images.
    source, target = torch.tensor([-0.5, 0.5, 0.25, -1]), torch.tensor([1.0, -1, 1, -1, 0.5])
    data = SimpleNamespace(
        domains=("a", "b"),
        is_tiled=False,
        train=SimpleNamespace(domains=(source, target), labels=(np.array([0, 1, 1, 1]), None)),
    )
    signs = {"b": torch.tensor([1, -1, 1, -1]), "a": torch.tensor([1, 1, 1, 1, -1])}
    monkeypatch.setattr(adaptation, "evaluation_images", lambda one, chosen, **_: one[chosen])
    translator = SimpleNamespace(translate_batch=lambda x, to: x * signs[to])
    monkeypatch.setattr(adaptation, "load", lambda *_, **__: translator)

    def classify(batch, source):
        return torch.stack([-batch, batch], 1)

    classifier = SimpleNamespace(classify_batch=classify)
    monkeypatch.setattr(adaptation, "load_classifier", lambda *_, **__: classifier)
    # Kept: dark 0, bright 1 made dark (no), bright 1, dark 1 made bright.
    assert judged(Path("x"), data) == {"kept": 0.75, "agreement": pytest.approx(0.8)}


@pytest.mark.slow
def test_a_part_trains_scores_and_is_not_done_again(tmp_path, readme, monkeypatch, capsys):
    monkeypatch.setenv("DIPTYCH_MNIST", str(write_mnist(tmp_path / "mnist")))
    write_usps(tmp_path / "usps")
    monkeypatch.setenv("DIPTYCH_USPS", str(tmp_path / "usps"))
    monkeypatch.setattr(adaptation, "CONFIG", CONFIG | {"width": 2, "batch_size": 4})
    where = ["--results", str(tmp_path / "r"), "--runs", str(tmp_path / "x")]
    given = ["--samples", "digits-usps", "--seeds", "0", "--steps", "2", "--threads", "1"]
    options = [*given, *where, "--readme", str(readme), "--precision", "fp32"]
    assert main(options) == 0
    rows = [row for sample, row in JOBS if sample == "digits-usps"]
    assert len(rows) == 9
    for row in rows:
        result = json.loads((tmp_path / "r" / f"digits-usps-{row}-0.json").read_text("utf-8"))
        assert (result["steps"], result["seed"], result["precision"]) == (2, 0, "fp32")
        assert result["scores"]["usps"]["images"] == 10
        assert {"commit", "machine", "versions", "data_fingerprint"} <= set(result)
        assert ("label_free" in result) == row.startswith("unit")
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "r").iterdir()}
    assert main(options) == 0
    assert before == {p: p.stat().st_mtime_ns for p in (tmp_path / "r").iterdir()}
    (tmp_path / "r" / "digits-usps-unit-0.json").unlink()
    capsys.readouterr()
    assert main([*options, "--steps", "3"]) == 1
    assert "holds a training of 2 steps, not 3: remove it" in capsys.readouterr().err
