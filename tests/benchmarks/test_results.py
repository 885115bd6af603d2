"""The committed pages of results are those of the committed results."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from benchmarks import method_pages
from diptych.bench.page import write_pages
from diptych.bench.place import Place
from diptych.cli.bench import bench_command

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"
BENCHES = sorted(path.parent.name for path in RESULTS.glob("*/plan.json"))
PAGES = ("report.html", "report.md", "report.tex", "report.json")
KEPT = "report.md"
"""The page that is in the repository; the same small files make the others."""


def copied(name: str, folder: Path) -> Path:
    """The small files of a bench, without its pages, as far below `folder` as they are here."""
    source, target = RESULTS / name, folder / "benchmarks" / "results" / name
    for path in sorted(source.rglob("*")):
        if path.is_file() and path.name not in PAGES:
            (target / path.relative_to(source)).parent.mkdir(parents=True, exist_ok=True)
            (target / path.relative_to(source)).write_bytes(path.read_bytes())
    return target


@pytest.mark.parametrize("name", BENCHES)
def test_the_pages_of_a_bench_come_of_its_small_files_to_the_byte(name: str, tmp_path: Path):
    made = copied(name, tmp_path)
    write_pages(Place(made, tmp_path / "runs"))
    assert (made / KEPT).read_bytes() == (RESULTS / name / KEPT).read_bytes()


def test_the_methods_pages_come_of_the_small_files_to_the_byte(tmp_path: Path):
    made = copied("five-minutes", tmp_path)
    pages = tmp_path / "docs" / "methods"
    shutil.copytree(ROOT / "docs" / "methods", pages)
    for path in pages.glob("*.md"):
        text = path.read_text("utf-8")
        path.write_text(
            re.sub(r"(bench: begin -->\n).*(<!-- bench: end)", r"\1\2", text, flags=re.S), "utf-8"
        )
    assert method_pages.main(["--bench", str(made), "--pages", str(pages)]) == 0
    for path in pages.glob("*.md"):
        assert path.read_bytes() == (ROOT / "docs" / "methods" / path.name).read_bytes(), path.name


def test_docs_results_come_of_the_small_files_to_the_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """By the command that benchmarks/README.md tells."""
    readme = (ROOT / "benchmarks" / "README.md").read_text("utf-8")
    told = re.search(r"diptych bench (--report-only .*?--markdown docs/results\.md)", readme, re.S)
    assert told is not None
    arguments = told[1].replace("\\\n", " ").split()
    named = {Path(word).name for word in arguments if word.startswith("benchmarks/")}
    assert named == set(BENCHES)
    for name in named:
        copied(name, tmp_path)
    (tmp_path / "docs").mkdir()
    monkeypatch.chdir(tmp_path)
    assert bench_command(arguments) == 0
    made = (tmp_path / "docs" / "results.md").read_bytes()
    assert made == (ROOT / "docs" / "results.md").read_bytes()
