"""Tables and pages from small files: what stands where, to the byte."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image

from diptych.bench.job import is_first_drawn
from diptych.bench.page import columns_of, html_page, markdown_page, write_pages
from diptych.bench.place import Place, read_results, write_json, write_result
from diptych.bench.render import latex, markdown
from diptych.bench.results import read_report
from diptych.bench.tables import Table, all_tables, groups_of, problems
from diptych.errors import InputError
from tests.bench.made_results import DATA, SPEED, TRAINED, fill, result


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return fill(Place(tmp_path / "bench", tmp_path / "runs"))


def table(place: Place, words: str) -> Table:
    (found,) = [t for t in all_tables(read_report(place)) if words in t.title]
    return found


def line(shown: Table, label: str) -> list[str]:
    (found,) = [one for one in shown.lines if one.label == label and one.kind == "measured"]
    return [cell.text for cell in found.cells]


def test_a_cell_is_the_mean_and_half_of_the_95_percent_interval(place):
    shown = table(place, "Table 3: aerial→climate (photo → labels)")
    assert shown.columns == (
        "n", "per-pixel acc. ↑", "per-class acc. ↑", "class IoU ↑", "KID ↓",
    )  # fmt: skip
    # 0.5, 0.6, 0.7: mean 0.6, deviation 0.1; 4.303 · 0.1 / sqrt(3) = 0.248.
    assert line(shown, "CycleGAN") == [
        "3", "0.600 ± 0.248", "0.300 ± 0.124", "0.150 ± 0.062", "0.4000 ± 0.2484",
    ]  # fmt: skip


def test_a_single_seed_has_no_interval_and_a_row_to_come_has_dashes(place):
    shown = table(place, "Table 3")
    assert line(shown, "CoGAN")[:2] == ["1", "0.410"]
    assert line(shown, "pix2pix") == ["0", "–", "–", "–", "–"]


def test_the_papers_figures_stand_apart_and_are_called_cited(place):
    shown = table(place, "Table 3")
    cited = {one.label: [c.text for c in one.cells] for one in shown.lines if one.kind == "cited"}
    assert cited["CycleGAN"] == ["–", "0.58", "0.22", "0.16", "–"]
    assert cited["CoGAN"] == ["–", "0.45", "0.11", "0.08", "–"]
    assert any("cited, not measured here" in note for note in shown.notes)
    assert "| *CycleGAN (cited)* | – | 0.58 | 0.22 | 0.16 | – |" in markdown(shown)
    assert line(table(place, "Table 5: aerial→climate"), "CycleGAN")[0] == "3"


def test_without_fcn_scores_labels_to_photo_has_no_columns_for_them_nor_cited_rows(place):
    shown = table(place, "Table 2: climate→aerial (labels → photo)")
    assert shown.columns == ("n", "KID ↓")
    assert {one.kind for one in shown.lines} == {"measured", "reference"}


def test_fcn_scores_lead_labels_to_photo_with_real_photographs_as_their_ceiling(place):
    fcn = {"pixel_accuracy": 0.5, "class_accuracy": 0.25, "mean_iou": 0.125}
    ceiling = {"pixel_accuracy": 0.9, "class_accuracy": 0.8, "mean_iou": 0.7}
    one = result(0, 0.41, fcn=fcn, fcn_of_real=ceiling)
    write_result(place, "cogan", 0, one)
    shown = table(place, "Table 2")
    assert shown.columns[1:] == (
        "FCN per-pixel acc. ↑", "FCN per-class acc. ↑", "FCN class IoU ↑", "KID ↓",
    )  # fmt: skip
    assert line(shown, "CoGAN")[1:4] == ["0.500", "0.250", "0.125"]
    (real,) = [one for one in shown.lines if one.label == "real images"]
    assert [cell.text for cell in real.cells] == ["–", "0.900", "0.800", "0.700", "0.0125"]
    cited = [one for one in shown.lines if one.kind == "cited"]
    assert [c.text for c in cited[-1].cells] == ["–", "0.71", "0.25", "0.18", "–"]


def test_references_are_those_of_the_most_images(place):
    for label, images, pixel in (("cogan", 32, 0.8), ("cyclegan", 203, 0.9)):
        ceiling = {"pixel_accuracy": pixel, "class_accuracy": 0.8, "mean_iou": 0.7}
        fcn = {key: value / 2 for key, value in ceiling.items()}
        more = {"fcn": fcn, "fcn_of_real": ceiling, "images": images}
        for seed in (0, 1, 2) if label == "cyclegan" else (0,):
            write_result(place, label, seed, result(seed, 0.4, **more))
    (real,) = [one for one in table(place, "Table 2").lines if one.label == "real images"]
    assert real.cells[1].text == "0.900"


def test_what_doing_nothing_scores_stands_below_the_rows(place):
    figures = {"pixel_accuracy": 0.3, "class_accuracy": 0.2, "mean_iou": 0.1}
    write_result(place, "cogan", 0, result(0, 0.4))  # older, without them
    for seed in (0, 1, 2):
        known = result(seed, 0.4)
        known["scores"]["100"]["aerial→climate"]["untranslated"] = figures
        write_result(place, "cyclegan", seed, known)
    (nothing,) = [one for one in table(place, "Table 3").lines if "untranslated" in one.label]
    assert [cell.text for cell in nothing.cells] == ["–", "0.300", "0.200", "0.100", "–"]
    fcn = {"fcn": figures, "fcn_untranslated": {**figures, "pixel_accuracy": 0.35}}
    write_result(place, "cogan", 0, result(0, 0.4, **fcn))
    (nothing,) = [one for one in table(place, "Table 2").lines if "untranslated" in one.label]
    assert [cell.text for cell in nothing.cells[1:4]] == ["0.350", "0.200", "0.100"]


def test_beside_swapped_classes_stands_what_a_renaming_would_give_in_older_results_too(place):
    swapped = {"classes": ["sea", "land", "ice"], "counts": [[1, 7, 0], [6, 2, 0], [0, 0, 4]]}
    right = {"classes": ["sea", "land", "ice"], "counts": [[8, 0, 0], [0, 8, 0], [1, 1, 2]]}
    for seed, matrix in ((0, right), (1, swapped), (2, right)):
        fcn = {"pixel_accuracy": 0.35, "confusion": matrix}
        known = result(seed, 0.41, fcn=fcn, fcn_of_real={"confusion": right})
        known["scores"]["100"]["aerial→climate"]["confusion"] = matrix
        known["scores"]["100"]["aerial→climate"]["untranslated"] = {"matched_accuracy": 0.25}
        write_result(place, "cyclegan", seed, known)
    back, there = table(place, "Table 3"), table(place, "Table 2")
    assert back.columns[4:] == ("per-pixel, renamed ↑", "KID ↓")
    # 18/20 with the right names and 17/20 with those of sea and land exchanged:
    # mean 0.883, deviation 0.0289, 4.303 · 0.0289 / sqrt(3) = 0.072.
    assert line(back, "CycleGAN")[4] == "0.883 ± 0.072"
    assert line(back, "CoGAN")[4] == "–"  # no matrix
    assert there.columns[2] == "FCN per-pixel, renamed ↑"
    assert line(there, "CycleGAN")[2] == "0.883 ± 0.072"
    references = {one.label: one.cells for one in (*back.lines, *there.lines)}
    assert references["real images"][2].text == "0.900"
    (nothing,) = [one for one in back.lines if "untranslated" in one.label]
    assert nothing.cells[4].text == "0.250"
    assert any(note.startswith("Renamed:") for note in back.notes)


def test_a_row_that_was_still_improving_is_marked(place):
    labels = [one.label for one in table(place, "Table 3").lines]
    assert "CycleGAN" in labels  # gains 0.1, 0.2, 0.3: 0.2 is less than 0.248
    for seed, accuracy in enumerate((0.55, 0.6, 0.65)):  # 0.2 is more than 0.124
        write_result(place, "cyclegan", seed, result(seed, accuracy))
    assert "CycleGAN ↗" in [one.label for one in table(place, "Table 3").lines]
    write_result(place, "cogan", 0, result(0, 0.5))
    assert "CoGAN (↗)" in [one.label for one in table(place, "Table 3").lines]
    known = result(0, 0.5)
    known["scores"]["25"] = known["scores"]["100"]  # it only came back
    write_result(place, "cogan", 0, known)
    assert "CoGAN" in [one.label for one in table(place, "Table 3").lines]


def test_scores_on_the_way_stand_at_25_50_and_100_percent(place):
    ways = [t for t in all_tables(read_report(place)) if t.name.endswith("aerial-climate-way")]
    way, _ = ways  # of the systems, of the ablations
    assert way.is_detail
    assert line(way, "CoGAN") == ["1", "0.200", "0.400", "0.410", "–"]


def test_failed_rows_say_so_in_the_table_and_below_it(place):
    failed = {"seed": 0, "trained": TRAINED, "diverged": "D_Y is inf at step 1203"}
    write_result(place, "cogan", 0, failed)
    assert line(table(place, "Table 3"), "CoGAN")[:2] == ["0", "diverged at step 1203"]
    assert problems(read_report(place)) == [
        "CoGAN, seed 0: D_Y is inf at step 1203.",
        "CoGAN, seed 1: G is nan at step 7.",
        "pix2pix: not done yet, seed 0.",
        "gatys is left out: no styles.",
    ]


def test_results_of_another_training_are_not_shown(place):
    other = {**result(0, 0.9), "trained": {**TRAINED, "data": "g"}}
    write_result(place, "cogan", 0, other)
    assert line(table(place, "Table 3"), "CoGAN")[0] == "0"


def test_costs_are_of_a_step_and_of_all_rows(place):
    shown = table(place, "Every row")
    assert line(shown, "CycleGAN") == [
        "sample:earth-climate, 32 px", "8", "3", "0.4000 ± 0.2484", "50.0", "0.50", "2.50",
    ]  # fmt: skip


def test_latex_has_booktabs_rules_and_escapes_what_it_must(place):
    text = latex([table(place, "Table 3")])
    assert text.count(r"\toprule") == text.count(r"\bottomrule") == 1
    assert text.count(r"\midrule") == 3  # below the heads, before the references and the cited
    assert r"\begin{tabular}{lrrrrr}" in text
    assert r"CycleGAN & 3 & 0.600 $\pm$ 0.248 & 0.300 $\pm$ 0.124" in text
    assert r"aerial$\rightarrow$climate" in text
    assert r"\emph{CycleGAN (cited)} & -- & 0.58" in text
    assert r"95\% t-interval" in text
    assert not re.search(r"[→↑↓±–↗]", text)


def draw(place: Place) -> None:
    for path, level in (
        (place.real("f-32"), 10),
        (place.picture("cogan"), 30),
        (place.picture("cyclegan"), 40),
    ):
        path.parent.mkdir(exist_ok=True)
        Image.new("RGBA", (132, 132), (level, 0, 0, 255)).save(path, lossless=True)


def test_a_grid_has_the_real_images_first_and_the_rows_in_order(place):
    draw(place)
    (data, rows), *_ = read_report(place).sections()
    systems, ablations = groups_of(data, rows)
    ((parts, columns),) = columns_of(place, data, systems.rows)
    assert parts == ("climate→aerial", "aerial→climate")
    assert [head for head, _ in columns] == ["real climate, aerial", "CoGAN", "CycleGAN"]
    levels = [Image.open(path).getpixel((0, 0))[0] for _, path in columns]
    assert levels == [10, 30, 40]
    ((_, few),) = columns_of(place, data, ablations.rows)
    assert [head for head, _ in few][1:] == ["CycleGAN"]


def test_rows_of_other_parts_have_a_grid_of_their_own(place):
    draw(place)
    write_result(place, "cogan", 0, result(0, 0.4) | {"pictures": ["climate", "aerial"]})
    (data, rows), *_ = read_report(place).sections()
    grids = dict(columns_of(place, data, groups_of(data, rows)[0].rows))
    assert [head for head, _ in grids["climate", "aerial"]][1:] == ["CoGAN"]
    assert [head for head, _ in grids["climate→aerial", "aerial→climate"]][1:] == ["CycleGAN"]


def test_the_pictures_are_of_the_first_seed_that_went_well(place):
    known = read_results(place)
    for seed in (0, 1, 2):
        known[f"cyclegan-{seed}"]["pictures"] = []
    write_json(place.results, known)
    assert is_first_drawn(place, "cyclegan", 1)
    write_result(place, "cyclegan", 1, result(1, 0.5))
    assert is_first_drawn(place, "cyclegan", 1)  # scored anew
    assert not is_first_drawn(place, "cyclegan", 2)
    draw(place)
    (data, rows), *_ = read_report(place).sections()
    ((_, columns),) = columns_of(place, data, groups_of(data, rows)[1].rows)
    assert [head for head, _ in columns] == ["real climate, aerial", "CycleGAN"]


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
