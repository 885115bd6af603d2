"""The Earth benchmark: its order, its table, and what a killed run leaves."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import earth, earth_curves
from benchmarks.earth_results import ROWS, score, write_table
from benchmarks.earth_systems import SAMPLES, SEEDS, SYSTEMS, Job, Place
from benchmarks.running import replace_block, write_json
from diptych.data import Data, Split
from diptych.errors import InputError
from diptych.evaluation import evaluate
from diptych.evaluation.seeds import interval
from diptych.training.loop import DivergedError

BEGIN, END = "<!-- earth: begin -->", "<!-- earth: end -->"

OURS: dict[str, Any] = {
    "precision": "bf16",
    "training_threads": 1,
    "speedup": 2.5,
    "machine": "a machine",
    "threads": 2,
    "versions": {"torch": "2.13.0"},
    "commit": "c" * 40,
}
SPEED: dict[str, Any] = {
    "minutes": 10.0,
    "systems": {
        system: {
            "ms_per_step": ms,
            "ms_per_step_least": ms - 1,
            "ms_per_step_most": ms + 1,
            "blocks_timed": 9,
            "steps": steps,
        }
        | ({} if system == "reference" else OURS)
        for system, ms, steps in (
            ("reference", 100.0, 6000),
            ("product", 40.0, 14563),
            ("unit", 50.0, 11650),
        )
    },
}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path / "results", tmp_path / "runs")
    write_json(place.speed, SPEED)
    return place


def write_scores(place: Place, job: Job, value: float) -> None:
    scores: dict[str, dict[str, Any]] = {}
    for row in ROWS:
        kind = {"mean": value, "std": 9.0} if row.key == "kid" else value
        scores.setdefault(row.direction, {})[row.key] = kind
    write_json(place.scores(job), {"commit": "a" * 40, "scores": scores})


def readme(tmp_path: Path) -> Path:
    path = tmp_path / "README.md"
    path.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    return path


def few(translate: Any, data: Data, split: str, *, size: int) -> Any:
    """`evaluate` on four test images."""
    assert data.test is not None
    ((x, y),) = [data.test.domains]
    part = tuple(replace(images, corners=images.corners[:4]) for images in (x, y))  # type: ignore[type-var, attr-defined]
    return evaluate(translate, replace(data, test=Split(part, part)), split, size=size)  # type: ignore[arg-type]


def test_one_seed_of_every_combination_is_trained_before_the_next_seed() -> None:
    jobs = earth.jobs("earth")
    assert len(set(jobs)) == len(jobs) == 18
    assert [job.seed for job in jobs] == [0] * 6 + [1] * 6 + [2] * 6
    assert {(job.sample, job.system) for job in jobs[:6]} == {
        (sample, system) for sample in SAMPLES for system in SYSTEMS
    }


def test_an_interval_is_students() -> None:
    mean, half = interval([1.0, 2.0, 4.0])
    assert mean == pytest.approx(7 / 3)
    # s = sqrt(7/3), t = 4.303 at two degrees of freedom, n = 3
    assert half == pytest.approx(4.303 * (7 / 3) ** 0.5 / 3**0.5)
    assert interval([5.0]) == (5.0, None)
    with pytest.raises(ValueError, match="not 0"):
        interval([])


def test_the_table_holds_means_intervals_and_counts(place: Place, tmp_path: Path) -> None:
    for seed, value in zip(SEEDS, (0.1, 0.2, 0.4), strict=True):
        write_scores(place, Job("earth-climate", "product", seed), value)
    write_scores(place, Job("earth-climate", "reference", 0), 0.25)
    path = readme(tmp_path)
    write_table(place, path)
    lines = path.read_text().splitlines()
    assert lines[:2] == ["before", BEGIN]
    assert lines[-2:] == [END, "after"]
    assert "old" not in lines
    assert "| steps in 10 minutes | 6,000 | 14,563 | 11,650 |" in lines
    assert (
        "| earth-climate | aerial→climate | class IoU ↑ | 0.2500 (n=1) | 0.2333 ± 0.3795 (n=3)"
        " | — |"
    ) in lines
    assert "| earth-map | aerial→map | L1 ↓ | — | — | — |" in lines
    write_table(place, path)
    assert path.read_text().splitlines() == lines


def test_a_readme_without_markers_and_results_that_lack_a_score_are_refused(
    place: Place, tmp_path: Path
) -> None:
    bare = tmp_path / "bare.md"
    bare.write_text("no markers")
    with pytest.raises(InputError, match="once each"):
        replace_block(bare, "earth", "a table")
    path = readme(tmp_path)
    with pytest.raises(InputError, match="no results"):
        write_table(place, path)
    assert "old" in path.read_text()
    with pytest.raises(InputError, match="'too few images'"):
        score({"a→b": {"fid": {"why_not": "too few images"}}}, "a→b", "fid")


def test_what_has_scores_is_not_trained_again_and_one_failure_does_not_stop_the_rest(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = earth.jobs("earth")[:3]
    write_scores(place, wanted[0], 0.5)
    budgets: dict[Job, int] = {}

    def run_one(place: Place, job: Job, steps: int, speed: object, known: object) -> None:
        budgets[job] = steps
        if job == wanted[1]:
            raise DivergedError("adversarial is nan")

    monkeypatch.setattr(earth, "_run_one", run_one)
    assert earth.run(place, wanted, None) == 1
    assert budgets == {wanted[1]: 14563, wanted[2]: 11650}


def test_running_without_measured_speeds_says_what_to_do_first(tmp_path: Path) -> None:
    place = Place(tmp_path, tmp_path)
    with pytest.raises(InputError, match="earth measure first"):
        earth.run(place, earth.jobs("earth"), None)


def test_minutes_become_steps_at_the_speed_that_was_measured() -> None:
    assert earth.steps_of(SPEED, "earth", "reference") == 6000
    assert earth.steps_of(SPEED, "earth_quality", "reference") == 12000  # 20 minutes
    assert earth.steps_of(SPEED, "earth_quality", "product") == round(14563 * 0.7)


@pytest.mark.slow
def test_all_systems_train_on_the_real_thing_score_and_draw(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything but the long wait: one step of each, on a few test images."""
    monkeypatch.setattr(earth, "evaluate", few)
    options = ["--results", str(place.results), "--runs", str(place.runs), "--threads", "1"]
    command = ["run", "--steps", "1", "--samples", "earth-climate", "--seeds", "0", *options]
    assert earth.main(command) == 0
    for system in SYSTEMS:
        result = json.loads(place.scores(Job("earth-climate", system, 0)).read_text())
        assert (result["steps"], result["seed"], result["system"]) == (1, 0, system)
        assert 0 <= result["scores"]["aerial→climate"]["pixel_accuracy"] <= 1
        assert result["seconds"] > 0
    before = {file: file.stat().st_mtime_ns for file in place.runs.rglob("*.safetensors")}
    assert len(before) == 3
    place.scores(Job("earth-climate", "reference", 0)).unlink()
    assert earth.main(command) == 0  # scores again what is trained already
    assert {file: file.stat().st_mtime_ns for file in before} == before
    assert earth.main(["table", "--readme", str(readme(tmp_path)), *options]) == 0
    assert earth.main(["grid", *options]) == 0
    assert place.grid("earth-climate").stat().st_size > 10_000
    assert not place.grid("earth-map").exists()
    # Another budget over what is there would be neither one nor the other.
    place.scores(Job("earth-climate", "reference", 0)).unlink()
    assert earth.main([*command[:2], "2", *command[3:]]) == 1


@pytest.mark.slow
def test_curves_are_the_scores_of_what_was_kept_on_the_way(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = replace(place, task="earth_quality")
    drawn: list[dict[str, Any]] = []
    for module in (earth, earth_curves):
        monkeypatch.setattr(module, "evaluate", few)
    monkeypatch.setattr(earth_curves, "_plot", drawn.append)
    options = ["--results", str(place.results), "--runs", str(place.runs), "--threads", "1"]
    options += ["--task", "earth_quality", "--samples", "earth-climate", "--seeds", "0"]
    with pytest.raises(InputError, match=r"nothing in .*: run python -m benchmarks.earth --task"):
        earth_curves.write_curves(place)
    assert earth.main(["run", "--steps", "2", *options]) == 0
    assert earth.main(["curves", *options]) == 0
    (curves,) = drawn
    for system, minutes in (("reference", [10, 20]), ("product", [3.5, 7])):
        points = curves[f"earth-climate-{system}-0"]
        assert [point["step"] for point in points] == [1, 2]
        assert [point["minutes"] for point in points] == minutes
        last = json.loads(place.scores(Job("earth-climate", system, 0)).read_text())["scores"]  # type: ignore[arg-type]
        assert points[1]["aerial→climate kid"] == last["aerial→climate"]["kid"]["mean"]
