"""The pictures of a bench's rows, side by side."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from diptych.bench.job import is_first_drawn
from diptych.bench.page import columns_of
from diptych.bench.place import Place, read_results, write_json, write_result
from diptych.bench.results import read_report
from diptych.bench.tables import groups_of
from tests.bench.made_results import fill, result
from tests.bench.test_page import draw


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return fill(Place(tmp_path / "bench", tmp_path / "runs"))


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
