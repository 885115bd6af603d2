"""UNIT's studies: what is trained, what the table holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks import unit_studies
from benchmarks.harness import keep, read_results

MARKS = "<!-- unit_studies: begin -->\n", "<!-- unit_studies: end -->\n"


def write_scores(results: Path, name: str, seed: int, value: float) -> None:
    scores: dict[str, Any] = {}
    for measure in unit_studies.MEASURES:
        one = {"mean": value, "std": 9.0} if measure.key == "kid" else value
        scores.setdefault(measure.direction, {})[measure.key] = one
    facts = {"commit": "a" * 40, "machine": "a machine", "correspondence_of_real": 0.9}
    keep(results, f"{name}-{seed}", {"scores": scores, "steps": 7} | facts)


def test_both_studies_are_six_trainings_of_a_seed() -> None:
    options = unit_studies.configurations()
    assert [options[f"shared-{n}"]["shared_layers"] for n in range(5)] == [0, 1, 2, 3, 4]
    assert options["sharing-alone"] == {"cycle_weight": 0.0, "cycle_kl_weight": 0.0}
    assert len(options) == 6


def test_the_report_holds_means_and_intervals_and_a_plot(tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    for name in unit_studies.configurations():
        write_scores(results, name, 0, 0.25)
    for seed, value in ((1, 0.5), (2, 0.75)):
        write_scores(results, "shared-3", seed, value)
    readme, picture = tmp_path / "README.md", tmp_path / "plot.png"
    readme.write_text("".join(MARKS))
    paths = ["--results", str(results), "--readme", str(readme), "--plot", str(picture)]
    assert unit_studies.main(["--only", "table", *paths]) == 0
    text = readme.read_text().splitlines()
    # s = 0.25, t = 4.303 at two degrees of freedom: 4.303 * 0.25 / √3 = 0.621
    assert f"| 3 shared (n=3) |{' 0.500 ± 0.621 |' * 6}" in text
    assert f"| 1, no cycle terms (n=1) |{' 0.250 |' * 6}" in text
    assert picture.stat().st_size > 10_000


def test_without_results_the_report_says_what_to_run(tmp_path: Path, capsys) -> None:
    assert unit_studies.main(["--only", "table", "--results", str(tmp_path / "none.json")]) == 2
    assert "run python -m benchmarks.unit_studies" in capsys.readouterr().err


@pytest.mark.slow
def test_one_training_is_scored_and_not_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    true = unit_studies.evaluate  # KID's features of all real images take most of a minute
    scored = {"most": 8, "features": None}
    monkeypatch.setattr(unit_studies, "evaluate", lambda *a, **k: true(*a, **k, **scored))
    monkeypatch.setattr(unit_studies, "PAIRS", 16)
    results = tmp_path / "results.json"
    folders = ["--results", str(results), "--runs", str(tmp_path / "runs")]
    command = ["--only", "run", "--configurations", "shared-0", "--seeds", "1", "--steps", "1"]
    command += ["--threads", "1", *folders]
    assert unit_studies.main(command) == 0
    ((name, result),) = read_results(results).items()
    assert (name, result["steps"], result["config"]["shared_layers"]) == ("shared-0-1", 1, 0)
    assert result["config"]["size"] == 32
    assert 0.85 < result["correspondence_of_real"] < 1
    assert 0.5 < result["scores"]["one code"]["of_images"] < 1
    assert 0 <= result["scores"]["one code"]["of_noise"] <= 1
    assert 0 < result["scores"]["aerial→map"]["l1"] < 2
    before = results.stat().st_mtime_ns
    assert unit_studies.main(command) == 0
    assert results.stat().st_mtime_ns == before
