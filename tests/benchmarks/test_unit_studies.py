"""UNIT's studies: what is trained, what the table holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import unit_studies
from benchmarks.running import write_json
from diptych.errors import InputError

MARKS = "<!-- unit_studies: begin -->\n", "<!-- unit_studies: end -->\n"


def write_scores(results: Path, name: str, seed: int, value: float) -> None:
    scores: dict[str, Any] = {}
    for measure in unit_studies.MEASURES:
        one = {"mean": value, "std": 9.0} if measure.key == "kid" else value
        scores.setdefault(measure.direction, {})[measure.key] = one
    facts = {"commit": "a" * 40, "machine": "a machine", "correspondence_of_real": 0.9}
    write_json(results / f"{name}-{seed}.json", {"scores": scores, "steps": 7} | facts)


def test_both_studies_are_six_trainings_of_a_seed() -> None:
    options = unit_studies.configurations()
    assert [options[f"shared-{n}"]["shared_layers"] for n in range(5)] == [0, 1, 2, 3, 4]
    assert options["sharing-alone"] == {"cycle_weight": 0.0, "cycle_kl_weight": 0.0}
    assert len(options) == 6


def test_the_report_holds_means_and_intervals_and_a_plot(tmp_path: Path) -> None:
    results = tmp_path / "results"
    for name in unit_studies.configurations():
        write_scores(results, name, 0, 0.25)
    for seed, value in ((1, 0.5), (2, 0.75)):
        write_scores(results, "shared-3", seed, value)
    readme, picture = tmp_path / "README.md", tmp_path / "plot.png"
    readme.write_text("".join(MARKS))
    paths = ["--results", str(results), "--readme", str(readme), "--plot", str(picture)]
    assert unit_studies.main(["--only", "report", *paths]) == 0
    text = readme.read_text().splitlines()
    # s = 0.25, t = 4.303 at two degrees of freedom: 4.303 * 0.25 / √3 = 0.621
    assert f"| 3 shared (n=3) |{' 0.500 ± 0.621 |' * 6}" in text
    assert f"| 1, no cycle terms (n=1) |{' 0.250 |' * 6}" in text
    assert picture.stat().st_size > 10_000


def test_without_results_the_report_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"run python -m benchmarks\.unit_studies"):
        unit_studies.read(tmp_path)


@pytest.mark.slow
def test_one_training_is_scored_and_not_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    true = unit_studies.evaluate  # KID's features of all real images take most of a minute
    scored = {"most": 8, "features": None}
    monkeypatch.setattr(unit_studies, "evaluate", lambda *a, **k: true(*a, **k, **scored))
    monkeypatch.setattr(unit_studies, "PAIRS", 16)
    folders = ["--results", str(tmp_path / "results"), "--runs", str(tmp_path / "runs")]
    command = ["--only", "run", "--part", "1/6", "--seeds", "1", "--steps", "1", "--threads", "1"]
    assert unit_studies.main([*command, *folders]) == 0
    (path,) = (tmp_path / "results").iterdir()
    result = json.loads(path.read_text())
    assert (path.name, result["steps"], result["config"]["shared_layers"]) == (
        "shared-0-1.json",
        1,
        0,
    )
    assert result["config"]["size"] == 32
    assert 0.85 < result["correspondence_of_real"] < 1
    assert 0.5 < result["scores"]["one code"]["of_images"] < 1
    assert 0 <= result["scores"]["one code"]["of_noise"] <= 1
    assert 0 < result["scores"]["aerial→map"]["l1"] < 2
    before = path.stat().st_mtime_ns
    assert unit_studies.main([*command, *folders]) == 0
    assert path.stat().st_mtime_ns == before
    path.write_text(json.dumps(result | {"scores": {}}))
    assert unit_studies.main(["--only", "rescore", "--threads", "1", *folders]) == 0
    assert json.loads(path.read_text()) == result
