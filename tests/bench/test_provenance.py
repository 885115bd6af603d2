"""By which code and machine a result was made."""

from __future__ import annotations

from typing import Any

import pytest

import diptych
from diptych.bench import job, provenance
from diptych.bench.place import read_result
from diptych.bench.run import Options
from tests.bench.test_rerun import stop_at

A, B = ({"version": "0", "torch": "2", "commit": one * 40, "has_uncommitted_changes": False,
         "machine": "a machine"} for one in "ab")  # fmt: skip


def test_a_result_names_the_code_of_every_stretch_and_of_the_scoring(
    bench, trained, place, monkeypatch
):
    def by(code: dict[str, Any]) -> None:
        monkeypatch.setattr(job, "circumstances", lambda: code)

    by(A)
    with monkeypatch.context() as patch:
        stop_at(2, patch)
        with pytest.raises(KeyboardInterrupt):
            bench("cyclegan")
    by(B)
    bench("cyclegan")
    result = read_result(place, "cyclegan", 0)
    assert (result["commit"], result["stretches"]) == (B["commit"], [A, B])
    assert "scored" not in result
    by(A)
    bench("cyclegan", options=Options(device="cpu", rescore=True))
    assert read_result(place, "cyclegan", 0) == result | {"scored": A}


def test_scoring_anew_keeps_the_code_of_a_run_from_before_stretches_were_kept(
    bench, trained, place, monkeypatch
):
    monkeypatch.setattr(job, "circumstances", lambda: A)
    bench("cyclegan")
    place.runs.joinpath("cyclegan-0.stretches.json").unlink()
    monkeypatch.setattr(job, "circumstances", lambda: B)
    bench("cyclegan", options=Options(device="cpu", rescore=True))
    result = read_result(place, "cyclegan", 0)
    assert (result["commit"], result["scored"]) == (A["commit"], B)


def test_the_code_is_the_checkouts_where_there_is_one():
    known = provenance.circumstances()
    assert len(known["commit"]) == 40
    assert known["version"] == diptych.__version__
