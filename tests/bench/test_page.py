"""Tables and pages from small files: what stands where, to the byte."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image

from diptych.bench.page import html_page, markdown_page, write_pages
from diptych.bench.place import Place, write_json, write_result
from diptych.bench.results import read_report
from diptych.errors import InputError
from tests.bench.made_results import DATA, SPEED, fill, result


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return fill(Place(tmp_path / "bench", tmp_path / "runs"))


def draw(place: Place) -> None:
    for path, level in (
        (place.real("f-32"), 10),
        (place.picture("cogan"), 30),
        (place.picture("cyclegan"), 40),
    ):
        path.parent.mkdir(exist_ok=True)
        Image.new("RGBA", (132, 132), (level, 0, 0, 255)).save(path, lossless=True)


def test_the_pages_are_the_same_to_the_byte_wherever_and_whenever_they_are_made(
    place, tmp_path, monkeypatch
):
    draw(place)
    place.notes.write_text("## What it says\n\nCycleGAN *leads* <script>alert(1)</script>.\n")
    names = ("report.html", "report.md", "report.tex", "report.json")
    write_pages(place)
    first = {name: (place.out / name).read_bytes() for name in names}
    moved = Place(tmp_path / "elsewhere" / "deep", tmp_path / "none")
    moved.out.parent.mkdir()
    place.out.rename(moved.out)
    monkeypatch.chdir(tmp_path)
    write_pages(moved)
    assert {name: (moved.out / name).read_bytes() for name in names} == first
    page = first["report.html"].decode()
    assert str(tmp_path) not in page
    assert "<em>leads</em>" in page
    assert "<script>" not in page
    assert "A &lt;trial&gt;" in page
    assert page.count("data:image/webp;base64,") == 3 + 2  # systems, and ablations without CoGAN
    assert not re.search(r'(src|href)="(?!data:)', page)


def test_the_markdown_page_links_its_pictures_from_where_it_lies(place, tmp_path):
    draw(place)
    report = read_report(place)
    page = markdown_page([report], tmp_path / "docs")
    assert "![](../bench/pictures/cyclegan.webp)" in page
    assert page.startswith("# A <trial>\n")
    assert "commit cccccccccc" in page
    assert "- Seeds 0, 1, 2\n" in page
    both = markdown_page([report, report], tmp_path / "docs")
    assert both.startswith("# Tables of results\n")
    assert both.count("\n## A <trial>\n") == 2
    assert html_page(report) == html_page(read_report(place))


def test_data_of_one_name_and_other_contents_stand_apart(place):
    known = result(0, 0.5)
    known["data"] = DATA | {"fingerprint": "g"}
    write_result(place, "cogan", 0, known)
    sections = [[row.label for row in rows] for _, rows in read_report(place).sections()]
    assert sections == [["CoGAN"], ["CycleGAN", "pix2pix"]]
    known["data"] = DATA | {"source": "what it was called"}
    write_result(place, "cogan", 0, known)
    sections = [[row.label for row in rows] for _, rows in read_report(place).sections()]
    assert sections == [["CoGAN", "CycleGAN", "pix2pix"]]


def test_a_speed_of_other_options_is_not_this_row_s(place):
    speeds = dict.fromkeys(("cogan", "pix2pix"), SPEED)
    timed = SPEED["trained"] | {"run": {"steps": 7}}  # any number of steps was timed alike
    speeds |= {"cogan": SPEED | {"trained": timed}}
    other = SPEED["trained"] | {"config": {"width": 4}}
    write_json(place.speed, speeds | {"cyclegan": SPEED | {"trained": other}})
    known = {row.label: row.speed is not None for row in read_report(place).rows}
    assert known == {"CoGAN": True, "CycleGAN": False, "pix2pix": True}


def test_a_method_that_is_scored_on_fewer_images_is_named(place):
    few = result(0, 0.41)
    for part in ("climate→aerial", "aerial→climate"):
        few["scores"]["100"][part]["images"] = 32
    write_result(place, "cogan", 0, few)
    page = markdown_page([read_report(place)], place.out)
    assert "sample:earth-climate, 32 pixels: 203 test images a direction, but of CoGAN 32" in page


def test_a_folder_without_a_bench_is_named(tmp_path):
    with pytest.raises(InputError, match=r"holds no bench: give a folder with a plan\.json"):
        write_pages(Place(tmp_path, tmp_path))
