"""The committed pages of results are those of the committed results."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from benchmarks import (
    adaptation,
    blind,
    collapse,
    familiarity,
    feeding,
    large,
    memory,
    method_pages,
    processes,
    quality,
    segmentation,
    step,
    unit_studies,
)
from diptych.bench.page import write_pages
from diptych.bench.place import Place
from diptych.bench.results import read_report
from diptych.bench.tables import all_tables
from diptych.cli.bench import bench_command

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"
BENCHES = sorted(path.parent.name for path in RESULTS.glob("*/plan.json"))
SHOWN = ("per-pixel acc. ↑", "per-pixel, renamed ↑", "KID ↓")
PAGES = ("report.html", "report.md", "report.tex", "report.json")
KEPT = "report.md"
"""The page that is in the repository; the same small files make the others."""


TABLES = (adaptation, blind, collapse, familiarity, feeding, large, memory, processes, quality,
          segmentation, step, unit_studies)  # fmt: skip


def copied(name: str, folder: Path) -> Path:
    """The small files of a bench, without its pages, as far below `folder` as they are here."""
    source, target = RESULTS / name, folder / "benchmarks" / "results" / name
    for path in sorted(source.rglob("*")):
        if path.is_file() and path.name not in PAGES:
            (target / path.relative_to(source)).parent.mkdir(parents=True, exist_ok=True)
            (target / path.relative_to(source)).write_bytes(path.read_bytes())
    return target


def bench(name: str) -> Place:
    return Place(RESULTS / name, RESULTS / name)


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


@pytest.mark.parametrize("module", TABLES, ids=lambda module: module.__name__)
def test_the_tables_in_the_readme_are_those_of_the_results(module: Any, tmp_path: Path):
    name = module.__name__.rpartition(".")[2]
    text = (ROOT / "benchmarks" / "README.md").read_text("utf-8")
    emptied = re.sub(rf"({name}: begin -->\n).*(<!-- {name}: end)", r"\1\2", text, flags=re.S)
    assert emptied != text
    readme = tmp_path / "README.md"
    readme.write_text(emptied, "utf-8")
    options = ["--only", "table", "--readme", str(readme)]
    if module in (quality, unit_studies):
        options += ["--plot", str(tmp_path / "plot.png")]
    assert module.main(options) == 0
    assert readme.read_text("utf-8") == text


def test_the_figures_of_colours_are_those_of_their_file():
    runs = json.loads((RESULTS / "colours.json").read_text("utf-8")).values()
    shown = " ".join(f"{run['pixel_accuracy']:.2f}" for run in runs)
    text = (ROOT / "benchmarks" / "README.md").read_text("utf-8")
    assert f"| preset fast | {shown} | " in text


def test_what_is_kept_is_few_and_small():
    made = {"report.html", "report.tex", "report.json"}  # again, wherever they are wanted
    files = [path for path in RESULTS.rglob("*") if path.is_file() and path.name not in made]
    there = [path for path in files if path.suffix != ".lock"]
    assert len(there) < 150
    assert sum(file.stat().st_size for file in there) < 8_000_000


def test_the_page_of_tables_comes_of_the_small_files_to_the_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """By the command that benchmarks/README.md tells."""
    readme = (ROOT / "benchmarks" / "README.md").read_text("utf-8")
    told = re.search(
        r"diptych bench (--report-only .*?--markdown docs/results/tables\.md)", readme, re.S
    )
    assert told is not None
    arguments = told[1].replace("\\\n", " ").split()
    named = {Path(word).name for word in arguments if word.startswith("benchmarks/")}
    assert named == set(BENCHES)
    for name in named:
        copied(name, tmp_path)
    (tmp_path / "docs" / "results").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert bench_command(arguments) == 0
    made = (tmp_path / "docs" / "results" / "tables.md").read_bytes()
    assert made == (ROOT / "docs" / "results" / "tables.md").read_bytes()


def test_the_main_table_of_docs_results_holds_the_figures_of_the_files():
    page = (ROOT / "docs" / "results.md").read_text("utf-8")
    block = page.split("<!-- papers: systems -->\n")[1].split("<!-- papers: end -->")[0]
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in block.splitlines()[2:]]
    told = {re.sub(r" \(.*\)|\*", "", label): cells for label, *cells in lines}
    tables = {table.name: table for table in all_tables(read_report(bench("papers")))}
    expected: dict[str, list[str]] = {}
    for part in ("climate-aerial", "aerial-climate"):
        table = tables[f"earth-climate-32-systems-{part}"]
        shown = [i for i, head in enumerate(table.columns) if head.endswith(SHOWN)]
        for line in table.lines:
            if line.kind == "measured" or line.label == "inputs, untranslated":
                cells = [line.cells[i].text for i in shown]
                expected.setdefault(line.label, []).extend(cells)
    assert told == expected
    means = [float(cells[0].split()[0]) for cells in told.values()]
    assert means == sorted(means, reverse=True)


def test_the_ablations_of_docs_results_are_those_of_the_files():
    page = (ROOT / "docs" / "results.md").read_text("utf-8")
    block = page.split("<!-- papers: ablations -->\n")[1].split("<!-- papers: end -->")[0]
    tables = {table.name: table for table in all_tables(read_report(bench("papers")))}
    expected: dict[str, list[str]] = {}
    for part in ("climate-aerial", "aerial-climate"):
        table = tables[f"earth-climate-32-ablations-{part}"]
        shown = [i for i, head in enumerate(table.columns) if head.endswith(SHOWN[:2])]
        for line in (line for line in table.lines if line.kind != "cited"):
            means = [line.cells[i].text.split(" ")[0] for i in shown]
            expected.setdefault(line.label, []).append(", ".join(means))
    lines = [[cell.strip(" *") for cell in line.split("|")[1:-1]] for line in block.splitlines()]
    told = {label: cells for label, *cells in lines[2:]}
    assert told == {label: expected[label] for label in told}
    assert len(told) == 6


def test_the_strips_of_docs_results_are_those_of_the_files():
    page = (ROOT / "docs" / "results.md").read_text("utf-8")
    rows = {row.label: row for row in read_report(bench("layout")).rows}
    for label in ("CycleGAN", "GAN + forward cycle", "GAN + backward cycle", "GAN alone"):
        scores = [run["scores"]["100"] for run in rows[label].scored]
        to_photos = [s["climate→aerial"]["fcn"]["pixel_accuracy"] for s in scores]
        to_labels = [s["aerial→climate"]["pixel_accuracy"] for s in scores]
        cells = [" / ".join(f"{v:.3f}" for v in values) for values in (to_photos, to_labels)]
        assert f"| {label} | {cells[0]} | {cells[1]} |" in page
