"""The plans in benchmarks/plans: each can be read, and two are carried out, small."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from diptych.bench.place import Place, read_result
from diptych.bench.plan import make_bench
from diptych.bench.run import Options, Running
from diptych.cli.bench import BenchCommand
from diptych.cli.bench_run import _plan
from tests.bench.conftest import TINY

PLANS = Path(__file__).parents[2] / "benchmarks" / "plans"


@pytest.mark.parametrize("path", sorted(PLANS.glob("*.toml")), ids=lambda path: path.stem)
def test_every_row_can_be_trained_as_it_stands(path: Path, picture_folders) -> None:
    plan, name = _plan(BenchCommand(target=(str(path),)), str(path))
    if "x" in plan:  # which a command makes first
        plan["x"], plan["y"] = picture_folders()
    rows = make_bench(plan).rows
    assert name == path.stem
    assert len(rows) >= 2
    assert len({row.slug for row in rows}) == len(rows)
    for row in rows:
        assert (row.run.steps is None) != (row.run.minutes is None)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "rows"), [("earth", 4), ("colours", 2)])
def test_a_plan_is_carried_out_at_the_size_of_a_toy(
    name: str, rows: int, trained, place: Place
) -> None:
    path = str(PLANS / f"{name}.toml")
    options = BenchCommand(target=(path,), size=32, width=4, steps=4, seeds=1)
    plan = TINY | _plan(options, path)[0] | {"batch_size": 1, "workers": 0, "precision": "fp32"}
    bench = make_bench(plan)
    console = Console(file=io.StringIO())
    assert Running(bench, place, Options(device="cpu"), console).run() == 0
    results = [read_result(place, row.slug, 0) for row in bench.rows]
    assert [result["steps"] for result in results if result is not None] == [4] * rows
