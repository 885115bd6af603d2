"""Each command that measures costs works to the end, on the least that it takes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import feeding, large, processes, step, tiles
from benchmarks.harness import read_results

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="the kernel's figures of memory"),
]


@pytest.fixture
def measured(tmp_path: Path) -> Any:
    """What a command finds, and the table that it writes."""

    def run(module: Any, *options: str) -> tuple[dict[str, Any], str]:
        name = module.__name__.rpartition(".")[2]
        results, readme = tmp_path / f"{name}.json", tmp_path / "README.md"
        readme.write_text(f"<!-- {name}: begin -->\n<!-- {name}: end -->\n")
        assert module.main([*options, "--results", str(results), "--readme", str(readme)]) == 0
        (found,) = read_results(results).values()
        assert len(found["commit"]) == 40
        return found, readme.read_text()

    return run


def test_a_step_is_timed_beside_the_reference_and_its_convolutions(measured) -> None:
    found, table = measured(
        step, "--size", "32", "--width", "4", "--seconds", "0", "--precision", "fp32"
    )
    assert (found["rounds"], found["size"], found["width"]) == (3, 32, 4)
    assert found["speedup"] > 0
    assert found["limit_seconds"] > 0
    assert found["convolutions"] > 100
    assert "| 32 pixels, 6 blocks, fp32 |" in table


def test_memory_is_of_a_process_each(tmp_path: Path) -> None:
    """By a command of its own: a child's peak is never below that of the process it came from."""
    results = tmp_path / "memory.json"
    options = ["--size", "64", "--width", "16", "--steps", "1", "--precision", "fp32"]
    command = [sys.executable, "-m", "benchmarks.memory", *options]
    command += ["--only", "run", "--results", str(results)]
    subprocess.run(command, check=True, capture_output=True)
    found = read_results(results)["64 pixels"]
    assert 0.1 < found["nothing"]["peak_gib"] < found["product"]["peak_gib"] < 4
    assert found["product_share"] == pytest.approx(
        found["product"]["peak_gib"] / found["reference"]["peak_gib"]
    )


def test_reading_is_measured_beside_a_step(measured) -> None:
    found, table = measured(feeding, "--size", "32", "--seconds", "0.2", "--workers", "0")
    assert found["times"] == pytest.approx(found["images_per_second"] / found["eaten_per_second"])
    assert "| to 32 pixels |" in table


def test_a_folder_of_many_files_is_measured_to_its_first_batch(measured) -> None:
    found, table = measured(
        feeding, "--size", "32", "--files", "40", "--batches", "3", "--workers", "0"
    )
    assert (found["files"], found["batches"]) == (40, 3)
    assert found["peak_gib_at_first_batch"] <= found["peak_gib_at_last_batch"]
    assert "| 40 |" in table


def test_two_processes_are_measured_beside_one(measured) -> None:
    found, table = measured(
        processes, "--size", "32", "--width", "4", "--steps", "8", "--rounds", "1",
        "--precision", "fp32",
    )  # fmt: skip
    rates = found["images_per_second"]
    assert found["times"] == pytest.approx(rates["together"] / rates["one"])
    assert "| 32 pixels, fp32, width 4, 2 batches of 1 |" in table


def test_a_large_photograph_is_translated_by_the_command_line(measured) -> None:
    found, table = measured(large, "--megapixels", "0.05", "--width", "4")
    assert (found["width"], found["height"]) == (258, 194)
    assert found["peak_gib"] > 0.1
    assert "| 258x194 |" in table


def test_tiles_are_compared_with_the_whole(monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["tiles", "--width", "2"])
    tiles.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("share of memory")
    shares = [line.split()[0] for line in lines[1:]]
    assert shares == ["100%", "50%", "25%", "15%", "10%", "5%"]
    assert float(lines[1].split()[3]) == 0.0
