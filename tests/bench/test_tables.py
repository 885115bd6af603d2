"""What stands in which cell of a bench's tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from diptych.bench.place import Place, write_result
from diptych.bench.render import markdown
from diptych.bench.results import read_report
from diptych.bench.tables import ScoreTable, all_tables, problems
from tests.bench.made_results import TRAINED, fill, result
from tests.bench.test_render import table


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return fill(Place(tmp_path / "bench", tmp_path / "runs"))


def line(shown: ScoreTable, label: str) -> list[str]:
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


def test_a_row_whose_outputs_collapsed_is_marked_and_the_seeds_are_named(place):
    plain = table(place, "Table 3")
    known = result(1, 0.6)
    known["scores"]["100"]["aerial→climate"]["collapse"] = "alike"
    write_result(place, "cyclegan", 1, known)
    shown = table(place, "Table 3")
    assert "CycleGAN †" in [one.label for one in shown.lines]
    note = "† Outputs collapsed, and the figures include them: CycleGAN (seed 1: alike)."
    assert note in shown.notes
    assert "CycleGAN" in [one.label for one in plain.lines]
    assert not any("†" in note for note in plain.notes)
    assert not any("†" in one.label for one in table(place, "Table 2").lines)  # the other direction
    for sound in (None, "absent"):  # as in sound results, and in older ones
        known["scores"]["100"]["aerial→climate"] |= {"collapse": None}
        if sound == "absent":
            del known["scores"]["100"]["aerial→climate"]["collapse"]
        write_result(place, "cyclegan", 1, known)
        assert table(place, "Table 3") == plain


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
