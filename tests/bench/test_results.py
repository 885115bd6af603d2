"""What the pages tell of runs beside the tables: circumstances, and failures."""

from __future__ import annotations

from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from diptych.bench.page import circumstances, failures, html_page, markdown_page
from diptych.bench.place import Place, write_json, write_result
from diptych.bench.results import read_report
from tests.bench.made_results import SPEED, fill, result


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return fill(Place(tmp_path / "bench", tmp_path / "runs"))


def test_the_code_of_every_stretch_is_told_and_that_of_scoring_apart(place):
    first = {"commit": "a" * 40, "has_uncommitted_changes": True, "machine": "another machine"}
    scored = first | {"commit": "b" * 40, "has_uncommitted_changes": False}
    known = result(0, 0.5)
    write_result(place, "cyclegan", 0, known | {"sittings": [first, known], "scored": scored})
    told = circumstances(read_report(place))
    assert "commit aaaaaaaaaa, with changes; cccccccccc;" in told[0]
    assert told[1].startswith("Trained on a machine; another machine;")
    assert told[2] == "Some runs scored anew, by commit bbbbbbbbbb"


def test_runs_of_another_precision_than_their_row_was_timed_in_are_named(place):
    speeds = {row: SPEED | {"device": "cpu", "precision": "bf16"} for row in ("cogan", "cyclegan")}
    write_json(place.speed, speeds)
    for seed in (0, 2):
        write_result(place, "cyclegan", seed, result(seed, 0.5) | {"precision": "bf16"})
    write_result(place, "cogan", 0, result(0, 0.5) | {"device": "cuda"})  # nobody timed that
    told = [line for line in circumstances(read_report(place)) if "than was timed" in line]
    assert told == ["Of another precision than was timed: CycleGAN, seed 1 (fp32, not bf16)"]


def test_what_kid_depends_on_is_told(place):
    counts = {"mean": 0.5, "images": 203, "real_images": 1203, "subsets": 100, "subset_size": 101}
    for seed, images in enumerate((203, 32)):
        more = {"kid": counts | {"images": images}}
        known = result(seed, 0.4, **more)
        known["scores"]["100"]["resizing"] = "bicubic to 224x224"
        write_result(place, "cyclegan", seed, known)
    assert (
        "- KID of the features of efficientnet-lite0, images bicubic to 224x224; 32 to 203 images"
        " against 1,203 real ones, mean over 100 random subsets of 101; ± is over seeds,"
        " not subsets\n"
    ) in markdown_page([read_report(place)], place.out)


def test_failures_that_the_scores_name_are_told_run_by_run(place):
    kept = {"unchanged": 0.7, "unchanged_of_truth": 0.2, "kid_gain": {"value": -0.5}}
    kept |= {"brightness": 0.5}
    write_result(place, "cyclegan", 1, result(1, 0.6, **kept))
    line = "CycleGAN, seed 1: climate→aerial keeps 70% of its inputs in pixels, where"
    report = read_report(place)
    page = markdown_page([report], place.out)
    assert f"Failures that scores name:\n\n- {line}" in page
    for head in ("Missing:\n\n- CoGAN", "What the figures depend on:\n\n- Diptych"):
        assert head in page
    assert MarkdownIt("commonmark").enable("table").render(page).count("<ul>") == 3
    assert page.count("keeps 70%") == html_page(report).count("keeps 70%") == 1
    assert f"<h2>Failures that scores name</h2><ul><li>{line}" in html_page(report)


def test_runs_that_were_scored_without_brightness_are_named_in_one_line(place):
    def told() -> list[str]:
        return [line for line in failures(read_report(place)) if "Without" in line]

    assert told() == []  # scores of no translator
    known = {"unchanged": 0.2, "brightness": -0.1}
    for seed, scored in enumerate(({"unchanged": 0.2}, known, {"unchanged": 0.3})):
        write_result(place, "cyclegan", seed, result(seed, 0.5, **scored))
    write_result(place, "cogan", 0, result(0, 0.5, unchanged=0.2))
    assert told() == [
        "Without the score brightness, so that negatives are not found: CoGAN (seed 0),"
        " CycleGAN (seeds 0, 2)."
    ]
    assert told()[0] in markdown_page([read_report(place)], place.out)
    of_one_colour = {"unchanged": 0.2, "brightness_of_truth": 0.6}  # correlates with nothing
    write_result(place, "cogan", 0, result(0, 0.5, **of_one_colour))
    assert "CoGAN" not in told()[0]
    for seed in range(3):
        write_result(place, "cyclegan", seed, result(seed, 0.5, **known))
    assert told() == []
