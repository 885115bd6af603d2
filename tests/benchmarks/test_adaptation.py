"""The adaptation benchmark: its rows, what it goes on with, and whose labels it trains on."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks import adaptation
from benchmarks.adaptation import CONFIG, JOBS, TASKS, judged, lines, main
from benchmarks.harness import read_results
from diptych.bench.place import write_json
from diptych.errors import InputError
from diptych.training.settings import Settings
from tests.data.test_packed import write_mnist, write_usps


@pytest.fixture
def readme(tmp_path: Path) -> Path:
    path = tmp_path / "README.md"
    path.write_text("before\n<!-- adaptation: begin -->\nold\n<!-- adaptation: end -->\nafter\n")
    return path


def _found(*given: tuple[str, int, dict[str, float]]) -> dict[str, Any]:
    """Results of (sample-row, seed, accuracies)."""
    facts = {"commit": "a" * 40, "machine": "m", "seconds": 120.0, "threads": 2}
    return {
        f"{name}-{seed}": {"scores": {d: {"accuracy": v} for d, v in values.items()}} | facts
        for name, seed, values in given
    }


def test_the_oracle_of_a_target_is_the_classifier_trained_on_it_alone():
    found = _found(
        ("digits-usps-source-only", 0, {"mnist": 0.99, "usps": 0.7}),
        ("usps-digits-source-only", 0, {"mnist": 0.5, "usps": 0.96}),
        *(
            ("digits-usps-unit", seed, {"mnist": 0.98, "usps": value})
            for seed, value in enumerate((0.94, 0.95, 0.96))
        ),
    )
    text = list(lines(found))
    assert "| source only | 0.7000 (n=1) | 0.5000 (n=1) | not run yet | — |" in text
    # Standard deviation .01, t of 4.303 for two degrees of freedom: .01 * 4.303 / √3 = .0248.
    assert "| UNIT | 0.9500 ± 0.0248 (n=3) | not run yet | not run yet | — |" in text
    assert "| target (oracle) | 0.9600 (n=1) | 0.9900 (n=1) | not run yet | — |" in text
    assert "| UNIT, by the paper | 0.9597 | 0.9358 | — | 0.9053 |" in text
    assert text[-1].endswith(
        "took 2 minutes, on 2 thread(s) of m. Commits of the runs: aaaaaaaaaa."
    )


def test_every_cell_of_the_table_has_its_job():
    for task in TASKS:
        assert {(task.sample, "source-only"), (task.sample, "unit")} <= set(JOBS)
        assert (task.reverse, "source-only") in JOBS


def test_every_row_is_for_2500_steps_but_those_that_say_otherwise(monkeypatch, tmp_path):
    done: dict[str, int] = {}

    def note(method: str, config: Any, settings: Settings) -> float:
        done[Path(str(settings.out)).name] = settings.steps
        raise InputError("it would train")

    monkeypatch.setattr(adaptation, "train_to_end", note)
    options = ["--samples", "usps-digits", "--seeds", "1", "--results", str(tmp_path / "r.json")]
    assert main(["--only", "run", *options]) == 1
    longer = {name for name, steps in done.items() if steps == 5000}
    assert longer == {"usps-digits-source-only-longer-1", "usps-digits-unit-longer-1"}
    assert all("5,000 steps" in adaptation.LABELS[row] for row in adaptation.LONGER)
    assert set(done.values()) == {2500, 5000}
    assert len(done) == 9


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
    results = tmp_path / "r.json"
    where = ["--results", str(results), "--runs", str(tmp_path / "x")]
    given = ["--samples", "digits-usps", "--seeds", "0", "--steps", "2", "--threads", "1"]
    options = [*given, *where, "--readme", str(readme), "--precision", "fp32"]
    assert main(options) == 0
    rows = [row for sample, row in JOBS if sample == "digits-usps"]
    assert len(rows) == 9
    for row in rows:
        result = read_results(results)[f"digits-usps-{row}-0"]
        assert (result["steps"], result["seed"], result["precision"]) == (2, 0, "fp32")
        assert result["scores"]["usps"]["images"] == 10
        assert {"commit", "machine", "versions", "data_fingerprint"} <= set(result)
        assert ("label_free" in result) == row.startswith("unit")
    before = results.stat().st_mtime_ns
    assert main(options) == 0
    assert results.stat().st_mtime_ns == before
    known = read_results(results)
    del known["digits-usps-unit-0"]
    write_json(results, known)
    capsys.readouterr()
    assert main([*options, "--steps", "3"]) == 1
    assert "holds a training of 2 steps, not 3: remove it" in capsys.readouterr().err
