"""Where a bench keeps what came of its runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from diptych.bench.place import Place, read_results, write_json, write_result
from diptych.bench.results import read_report
from diptych.errors import InputError
from tests.bench.made_results import fill, result


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return fill(Place(tmp_path / "bench", tmp_path / "runs"))


def test_a_bench_that_kept_a_file_a_run_is_read(place):
    known = read_results(place)
    place.results.unlink()
    for name, run in known.items():
        write_json(place.out / "results" / f"{name}.json", run)
    assert read_results(place) == known
    write_result(place, "cogan", 0, result(0, 0.9))
    assert read_results(place).keys() == known.keys()


def test_a_file_of_something_else_is_no_result(place):
    write_json(place.results, {"cogan-0": {"seed": 0}})
    with pytest.raises(InputError, match=r"results\.json is no result of a bench: remove it"):
        read_report(place)
