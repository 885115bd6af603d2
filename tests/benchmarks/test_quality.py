"""The comparison with a plain CycleGAN: its order, its table, and what a killed run leaves."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import quality
from benchmarks.harness import keep, read_results
from benchmarks.quality import MINUTES, ROWS, SAMPLES, SPEED, lines, main, name_of
from diptych.bench.place import write_json
from diptych.data import Data, Split
from diptych.errors import InputError
from diptych.evaluation import evaluate

TIMED: dict[str, Any] = {
    "steps_per_minute": {"reference": 600.0, "product": 1456.3},
    "precision": "fp32",
    "training_threads": 1,
}


def result(sample: str, system: str, seed: int, value: float) -> dict[str, Any]:
    scores: dict[str, dict[str, Any]] = {}
    for row in ROWS:
        kind = {"mean": value, "std": 9.0} if row.key == "kid" else value
        scores.setdefault(row.direction, {})[row.key] = kind
    return {"commit": "a" * 40, "scores": scores, "sample": sample, "system": system, "seed": seed}


def few(translate: Any, data: Data, split: str, *, size: int) -> Any:
    """`evaluate` on four test images."""
    assert data.test is not None
    ((x, y),) = [data.test.domains]
    part = tuple(replace(images, corners=images.corners[:4]) for images in (x, y))  # type: ignore[type-var, attr-defined]
    return evaluate(translate, replace(data, test=Split(part, part)), split, size=size)  # type: ignore[arg-type]


def test_one_seed_of_every_combination_is_trained_before_the_next_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[tuple[str, str, int]] = []

    def scored(options: Any, *job: Any) -> dict[str, Any]:
        done.append(job)
        return result(*job, 0.5)

    monkeypatch.setattr(quality, "measure", lambda rounds: TIMED)
    monkeypatch.setattr(quality, "scored", scored)
    options = ["--only", "run", "--results", str(tmp_path / "r.json")]
    assert main(options) == 0
    assert len(set(done)) == len(done) == 12
    assert [seed for *_, seed in done] == [0] * 4 + [1] * 4 + [2] * 4
    pairs = {(sample, system) for sample in SAMPLES for system in MINUTES}
    assert {job[:2] for job in done[:4]} == pairs
    done.clear()
    assert main(options) == 0
    assert done == []


def test_the_table_holds_means_intervals_and_counts() -> None:
    found = {
        name_of("earth-climate", "product", seed): result("earth-climate", "product", seed, value)
        for seed, value in enumerate((0.1, 0.2, 0.4))
    }
    found["other"] = result("earth-climate", "reference", 0, 0.25)
    text = list(lines({SPEED: TIMED, **found}))
    assert text[0] == (
        "| sample | direction | score | reference, 20 minutes | CycleGAN, 7 minutes |"
    )
    # 0.1, 0.2, 0.4: s = 0.1528, t = 4.303 at two degrees of freedom, n = 3.
    assert (
        "| earth-climate | aerial→climate | class IoU ↑ | 0.2500 (n=1) | 0.2333 ± 0.3795 (n=3) |"
    ) in text
    assert "| earth-map | aerial→map | L1 ↓ | — | — |" in text


def test_minutes_become_steps_at_the_speed_that_was_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: dict[str, int] = {}

    def train(method: str, config: Any, settings: Any) -> float:
        steps["product"] = settings.steps
        raise InputError("enough")

    def train_reference(*_: Any, **given: Any) -> float:
        steps["reference"] = given["steps"]
        raise InputError("enough")

    monkeypatch.setattr(quality, "train_to_end", train)
    monkeypatch.setattr(quality, "train_reference", train_reference)
    results = tmp_path / "r.json"
    keep(results, SPEED, TIMED)
    options = ["--only", "run", "--results", str(results), "--runs", str(tmp_path)]
    assert main([*options, "--samples", "earth-map", "--seeds", "0"]) == 1
    assert steps == {"reference": 12000, "product": round(1456.3 * 7)}


@pytest.mark.slow
def test_both_systems_train_on_the_real_thing_and_are_scored_on_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything but the long wait: two steps of each, on a few test images."""
    monkeypatch.setattr(quality, "evaluate", few)
    results, runs = tmp_path / "r.json", tmp_path / "runs"
    keep(results, SPEED, TIMED)
    command = ["--only", "run", "--results", str(results), "--runs", str(runs), "--threads", "1"]
    command += ["--samples", "earth-climate", "--seeds", "0"]
    assert main([*command, "--steps", "2"]) == 0
    found = read_results(results)
    for system, minutes in (("reference", [10, 20]), ("product", [3.5, 7])):
        one = found[name_of("earth-climate", system, 0)]
        assert (one["steps"], one["seed"], one["system"]) == (2, 0, system)
        assert 0 <= one["scores"]["aerial→climate"]["pixel_accuracy"] <= 1
        assert one["seconds"] > 0
        assert [point["minutes"] for point in one["way"]] == minutes
        kid = one["scores"]["aerial→climate"]["kid"]["mean"]
        assert one["way"][1]["aerial→climate kid"] == kid
    before = {file: file.stat().st_mtime_ns for file in runs.rglob("translator.safetensors")}
    assert len(before) == 2
    del found["earth-climate-reference-0"]
    write_json(results, found)
    assert main([*command, "--steps", "2"]) == 0  # scores again what is trained already
    assert {file: file.stat().st_mtime_ns for file in before} == before
    assert "earth-climate-reference-0" in read_results(results)
    # Another budget over what is there would be neither one nor the other.
    write_json(results, found)
    assert main([*command, "--steps", "1"]) == 1
    assert json.loads(results.read_text()).keys() == found.keys()
