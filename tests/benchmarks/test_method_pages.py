"""Each method's page gets its own pictures and figures, and no other's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from benchmarks import method_pages
from diptych.bench.place import Place, write_json, write_result

MARKS = "<!-- bench: begin -->\n", "<!-- bench: end -->\n"
DATA = {"source": "sample:earth-climate", "size": 64, "domains": ["climate", "aerial"],
        "label_domains": [], "is_paired": True, "fingerprint": "f"}  # fmt: skip
SHARES = ("25", "50", "100")
PART = "climate→aerial"


def trained(method: str) -> dict[str, Any]:
    return {"method": method, "config": {}, "run": {}, "data": "f"}


def result(method: str, kid: float, **more: Any) -> dict[str, Any]:
    scores = {"features": "none", PART: {"images": 6, "kid": {"mean": kid}, **more}}
    return {"seed": 0, "trained": trained(method), "steps": 8, "data": DATA,
            "pictures": [PART], "scores": dict.fromkeys(SHARES, scores)}  # fmt: skip


@pytest.fixture
def bench(tmp_path: Path) -> Place:
    """Two rows of CycleGAN, one of DiscoGAN that diverged, and one of UNIT to come."""
    place = Place(tmp_path / "bench", tmp_path / "runs")
    rows = [("CycleGAN", "cyclegan"), ("CycleGAN, long", "cyclegan"), ("DiscoGAN", "discogan"),
            ("UNIT", "unit")]  # fmt: skip
    entries = [
        {"label": label, "row": str(number), "groups": ["methods"], "seeds": [0], "minutes": 5,
         "trained": trained(method)}
        for number, (label, method) in enumerate(rows)
    ]  # fmt: skip
    write_json(place.plan, {"title": "Five minutes", "rows": entries, "left_out": {}})
    write_result(place, "0", 0, result("cyclegan", 0.25))
    write_result(place, "1", 0, result("cyclegan", 0.125, kid_untranslated={"mean": 0.75}))
    failed = {"seed": 0, "trained": trained("discogan"), "diverged": "G is nan", "data": DATA}
    write_result(place, "2", 0, failed)
    for path in (
        place.real("f-64"),
        place.picture("0"),
    ):
        path.parent.mkdir(exist_ok=True)
        Image.new("RGBA", (132, 132)).save(path)
    return place


def test_a_page_holds_the_rows_of_its_method_with_pictures_and_scores(
    bench: Place, tmp_path: Path
) -> None:
    page = tmp_path / "docs" / "methods" / "cyclegan.md"
    page.parent.mkdir(parents=True)
    page.write_text("# CycleGAN\n" + "old\n".join(MARKS) + "The end.\n", "utf-8")
    command = ["--bench", str(bench.out), "--pages", str(page.parent)]
    assert method_pages.main(command) == 0
    text = page.read_text("utf-8")
    first, second = text.split("### CycleGAN, long: ")
    assert "### CycleGAN: `sample:earth-climate` at 64 pixels" in first
    assert "| real climate, aerial | CycleGAN |" in first
    assert "(../../bench/pictures/0.webp)" in first
    assert "| CycleGAN | 1 | 0.2500 |" in first
    assert "| CycleGAN, long | 1 | 0.1250 |" in second
    for part in (first, second):  # what holds for every row, whoever has it
        assert "| *inputs, untranslated* | – | 0.7500 |" in part
    assert "pictures/1" not in second  # it has no pictures
    assert "[All methods beside each other](../../bench/report.md)" in second
    assert second.endswith("<!-- bench: end -->\nThe end.\n")
    assert "old" not in text
    assert list(method_pages.blocks_of(bench, page.parent)) == ["cyclegan"]
    assert method_pages.main(command) == 0
    assert page.read_text("utf-8") == text


def test_a_page_without_the_markers_is_named(
    bench: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cyclegan.md").write_text("# CycleGAN\n", "utf-8")
    assert method_pages.main(["--bench", str(bench.out), "--pages", str(tmp_path)]) == 2
    assert "cyclegan.md must hold <!-- bench: begin -->" in capsys.readouterr().err
