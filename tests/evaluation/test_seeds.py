"""Several runs as one: means, intervals, and what is compared at all."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console
from scipy.stats import t as scipys_t

from diptych.errors import InputError
from diptych.evaluation import over_seeds, scores_table
from diptych.evaluation.seeds import interval, students_t
from diptych.methods import make_config
from diptych.training.settings import Plan, Resolved, Settings, check_seeds


def _scores(kid: float, std: float, ssim: float, **more: Any) -> dict[str, Any]:
    part = {
        "images": 20,
        "kid": {"mean": kid, "std": std, "images": 20, "real_images": 20, "subsets": 100,
                "subset_size": 10},
        "fid": {"why_not": "3 images"},
        "precision": {"value": ssim, "images": 20, "neighbours": 3},
        "ssim": ssim,
        "accuracy_per_class": {"sea": 1.0},
    }  # fmt: skip
    facts = {"split": "test", "features": "f", "resizing": "none", "warnings": [], "notes": ["n"]}
    return facts | {"a→b": part} | more


def test_intervals_are_students() -> None:
    # Of 1, 2 and 3: s = 1, t(2) = 4.303, over √3.
    assert interval([1.0, 2.0, 3.0]) == (2.0, pytest.approx(4.303 / 3**0.5))
    for freedom in (1, 2, 9, 20, 21, 40, 500):
        assert students_t(freedom) == pytest.approx(scipys_t.ppf(0.975, freedom), abs=1e-3)


def test_scores_of_seeds_are_means_with_intervals_and_each_runs_spread_beside() -> None:
    runs = {
        "r0": _scores(0.1, 0.01, 0.5, warnings=["a→b hardly changes its inputs"]),
        "r1": _scores(0.3, 0.02, 0.7, notes=["n", "of one alone"]),
    }
    found = json.loads(json.dumps(over_seeds(runs)))
    half = 12.706 * (0.02**0.5) / 2**0.5
    assert found["a→b"]["kid"] == {
        "mean": pytest.approx(0.2), "interval": pytest.approx(half), "runs": [0.1, 0.3],
        "spreads": [0.01, 0.02], "images": 20, "real_images": 20, "subsets": 100,
        "subset_size": 10,
    }  # fmt: skip
    assert found["a→b"]["ssim"]["mean"] == pytest.approx(0.6)
    assert found["a→b"]["precision"]["mean"] == pytest.approx(0.6)
    assert found["a→b"]["fid"] == {"why_not": "3 images"}
    assert found["a→b"]["images"] == 20
    assert "accuracy_per_class" not in found["a→b"]
    assert found["warnings"] == ["r0: a→b hardly changes its inputs"]
    assert found["notes"] == ["means of 2 runs with 95% t-intervals over their seeds", "n"]
    console = Console(record=True, width=140, file=io.StringIO())
    console.print(scores_table(found))
    text = console.export_text()
    assert "0.2000 ± 1.2706" in text
    assert "0.0100, 0.0200" in text
    assert "0.600 ± 1.271" in text


def _plan(seed: int = 0, fingerprint: str = "f", width: int = 8, **run: Any) -> Plan:
    resolved = Resolved(
        domains=("a", "b"), fingerprint=fingerprint, precision="fp32", device="cpu", threads=1
    )
    config = make_config("cyclegan", {"width": width})
    return Plan(method="cyclegan", config=config, run=Settings(seed=seed, **run), resolved=resolved)


def test_only_runs_that_differ_in_their_seeds_alone_are_averaged() -> None:
    check_seeds({"r0": _plan(0, out="r0", workers=0), "r1": _plan(1, out="r1", workers=4)})
    for other, what in (
        (_plan(0), "r0 and r1 have the same seed, 0: train one with another seed"),
        (_plan(1, width=16), "r0 and r1 differ in width (8 and 16)"),
        (_plan(1, steps=9), "r0 and r1 differ in steps (None and 9)"),
        (_plan(1, fingerprint="g"), "r0 and r1 differ in the data (f and g)"),
        (replace(_plan(1), method="unit"), "r0 and r1 differ in the method (cyclegan and unit)"),
    ):
        with pytest.raises(InputError) as caught:
            check_seeds({"r0": _plan(0), "r1": other})
        assert str(caught.value).startswith(what)
