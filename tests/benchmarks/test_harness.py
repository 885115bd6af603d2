"""What all benchmarks share: their results, their exit codes, timing by turns and tables."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from benchmarks import harness
from benchmarks.harness import (
    by_turns,
    carry_out,
    cell,
    every,
    keep,
    median_ratio,
    read_results,
    replace_block,
    score,
    table,
)
from diptych.errors import InputError
from diptych.training.loop import DivergedError


@pytest.fixture
def options(tmp_path: Path) -> argparse.Namespace:
    readme = tmp_path / "README.md"
    readme.write_text(block())
    return argparse.Namespace(results=tmp_path / "r.json", only=None, readme=readme)


def block(*lines: str) -> str:
    """The part of a README that holds the table of the benchmark "x"."""
    return "\n".join(["<!-- x: begin -->", *lines, "<!-- x: end -->"])


def failing() -> dict[str, Any]:
    raise DivergedError("adversarial is nan")


def test_what_is_kept_is_not_done_again_and_a_failure_does_not_stop_the_rest(options) -> None:
    done: list[str] = []

    def doing(name: str) -> dict[str, Any]:
        done.append(name)
        return {"figure": 1}

    keep(options.results, "a", {"figure": 0})
    jobs = {"a": lambda: doing("a"), "b": failing, "c": lambda: doing("c")}
    assert carry_out("x", options, jobs, sorted, keeps=True) == 1
    assert done == ["c"]
    assert options.readme.read_text() == block("a", "c")
    found = read_results(options.results)
    assert found["a"] == {"figure": 0}
    assert {"commit", "machine", "torch", "version", "threads", "versions"} < found["c"].keys()


def test_what_is_not_kept_is_measured_again(options) -> None:
    keep(options.results, "a", {"figure": 0})
    assert carry_out("x", options, {"a": lambda: {"figure": 1}}, sorted) == 0
    assert read_results(options.results)["a"]["figure"] == 1


def test_half_of_a_command_does_that_half(options) -> None:
    options.only = "table"
    jobs = {"a": failing}
    assert carry_out("x", options, jobs, sorted) == 2
    keep(options.results, "a", {})
    assert carry_out("x", options, jobs, sorted) == 0
    options.only = "run"
    assert carry_out("x", options, {"b": dict}, sorted) == 0
    assert options.readme.read_text() == block("a")
    assert read_results(options.results).keys() == {"a", "b"}


def test_a_plot_is_drawn_of_all_that_is_kept(options, tmp_path: Path) -> None:
    options.plot = tmp_path / "plot.txt"

    def plot(found: Mapping[str, Any], path: Path) -> None:
        path.write_text(", ".join(found))

    keep(options.results, "a", {})
    assert carry_out("x", options, {"b": dict}, sorted, plot=plot) == 0
    assert options.plot.read_text() == "a, b"


def test_exit_codes_tell_input_from_a_stop(options, capsys) -> None:
    def refused() -> dict[str, Any]:
        raise InputError("no such thing")

    def stopped() -> dict[str, Any]:
        raise KeyboardInterrupt

    assert carry_out("x", options, {"a": refused}, sorted) == 2
    assert carry_out("x", options, {"a": stopped}, sorted) == 130
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "benchmarks.x: no such thing",
        "benchmarks.x: stopped; the same command goes on",
    ]


def test_figures_are_taken_by_turns_in_an_order_that_alternates() -> None:
    order: list[str] = []

    def noting(name: str, value: float) -> float:
        order.append(name)
        return value

    figures = by_turns(
        {"a": lambda: noting("a", 6.0), "b": lambda: noting("b", 2.0)}, rounds=3, seconds=0.0
    )
    assert order == ["b", "a", "a", "b", "b", "a"]
    assert figures == {"a": [6.0] * 3, "b": [2.0] * 3}
    assert median_ratio(figures["a"], figures["b"]) == 3.0


def test_turns_go_on_until_the_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(100))
    monkeypatch.setattr(harness.time, "perf_counter", lambda: float(next(clock)))
    assert len(by_turns({"a": lambda: 1.0}, rounds=1, seconds=4.0)["a"]) == 4


def test_a_table_ends_numbers_on_the_right() -> None:
    assert table(["", "a"], [["b", "1"]], numbers=True) == ["| | a |", "|---|---:|", "| b | 1 |"]
    assert table(["x", "a"], [])[1] == "|---|---|"


def test_a_cell_is_students_interval_and_the_count() -> None:
    # 1, 2, 4: s = sqrt(7/3), t = 4.303 at two degrees of freedom, n = 3.
    assert cell([1.0, 2.0, 4.0], 2) == "2.33 ± 3.79 (n=3)"
    assert (cell([5.0], 1), cell([5.0], 1, counts=False), cell([], 1)) == ("5.0 (n=1)", "5.0", "—")


def test_commits_are_named_once_and_short() -> None:
    found = [{"commit": "b" * 40}, {"commit": "a" * 40}, {"commit": "b" * 40}, {}]
    assert every(found, "commit") == "aaaaaaaaaa, bbbbbbbbbb"


def test_a_page_without_markers_and_scores_that_lack_a_number_are_refused(tmp_path: Path) -> None:
    bare = tmp_path / "bare.md"
    bare.write_text("no markers")
    with pytest.raises(InputError, match="once each"):
        replace_block(bare, "quality", ["a table"])
    with pytest.raises(InputError, match="'too few images'"):
        score({"a→b": {"fid": {"why_not": "too few images"}}}, "a→b", "fid")
    assert score({"a→b": {"kid": {"mean": 0.5}, "l1": 1}}, "a→b", "kid") == 0.5


def test_a_block_is_replaced_and_the_rest_of_the_page_stays(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- x: begin -->\nold\n<!-- x: end -->\nafter\n")
    replace_block(page, "x", ["new", "lines"])
    expected = "before\n<!-- x: begin -->\nnew\nlines\n<!-- x: end -->\nafter\n"
    assert page.read_text() == expected
