"""Plans: what a row becomes, and what is refused."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from diptych.bench.plan import (
    check_data,
    identity,
    is_same,
    make_bench,
    plan_names,
    read_plan_file,
    slug,
)
from diptych.bench.published import PUBLISHED
from diptych.errors import InputError
from diptych.methods import list_methods

AB = ("a", "b")
PLAN: dict[str, Any] = {"data": "sample:earth-climate", "size": 32, "steps": 8}


@pytest.fixture
def unpaired(picture_folders) -> dict[str, Any]:
    """What a plan says of two folders without pairs."""
    x, y = picture_folders()
    for file in Path(y).iterdir():
        file.rename(file.with_stem(f"other-{file.stem}"))
    return {"data": None, "x": x, "y": y, "size": 32, "steps": 8}


def rows_of(**plan: Any) -> Any:
    return make_bench(PLAN | plan).rows


def test_a_method_s_name_is_a_row_with_the_method_s_own_options():
    (row,) = rows_of(rows=["cyclegan"])
    assert (row.label, row.slug, row.groups, row.seeds) == (
        "CycleGAN",
        "cyclegan",
        ("methods",),
        (0,),
    )
    assert (row.config.size, row.config.width, row.config.cycle_weight) == (32, 64, 10.0)
    assert (row.run.steps, row.run.data) == (8, "sample:earth-climate")


def test_options_go_from_preset_to_recipe_to_plan_to_row():
    first, second = rows_of(
        preset="fast",
        identity_weight=0.25,
        ema=0.5,
        rows=[
            {"method": "cyclegan", "recipe": "photo-enhancement"},
            {"method": "cyclegan", "label": "mine", "identity_weight": 0.0, "ema": 0.0, "width": 8},
        ],
    )
    assert (first.config.width, first.config.batch_size) == (32, 4)  # of the preset
    assert first.config.identity_weight == 0.25  # the plan's, over the recipe's 0.5
    assert first.run.epochs is None  # the recipe's budget gives way to the bench's
    assert (first.run.ema, first.run.lr_scale) == (0.5, 3.0)
    assert (second.config.identity_weight, second.run.ema, second.config.width) == (0.0, 0.0, 8)
    assert first.label == "CycleGAN, photo-enhancement"


def test_a_shared_option_is_for_the_methods_that_have_it():
    cyclegan, unit = rows_of(rows=["cyclegan", "unit"], shared_layers=2, width=16)
    assert not hasattr(cyclegan.config, "shared_layers")
    assert unit.config.shared_layers == 2
    assert cyclegan.config.width == unit.config.width == 16


def test_a_row_may_have_its_own_budget_seeds_data_and_groups():
    own = {"method": "stargan", "minutes": 2, "data": "sample:emoji", "seeds": [3, 5]}
    _, row = rows_of(seeds=2, rows=["cyclegan", own | {"group": ["a", "b"]}])
    assert (row.run.steps, row.run.minutes, row.run.data) == (None, 2, "sample:emoji")
    assert (row.seeds, row.groups, row.slug) == ((3, 5), ("a", "b"), "stargan-sample-emoji")


@pytest.mark.slow
def test_all_stands_for_every_method_that_the_data_fit(picture_folders):
    x, y = picture_folders()
    rows = ["all", {"method": "cyclegan", "label": "again"}]
    bench = make_bench({"x": x, "y": y, "size": 32, "steps": 8, "rows": rows})
    trained = [row.method for row in bench.rows[:-1]]
    assert sorted([*trained, *bench.left_out]) == list_methods()
    assert "cyclegan" in trained
    assert "unit_adaptation" in bench.left_out  # the images have no classes
    told = " ".join([bench.title, *bench.left_out.values()])
    assert str(Path(x).parent) not in told
    assert f"{Path(x).name} and {Path(y).name} by" in bench.title
    assert bench.rows[-1].label == "again"


def test_of_diptych_s_own_plans_rows_that_the_data_do_not_fit_are_left_out(unpaired):
    bench = make_bench(read_plan_file("systems") | unpaired, leaves_out=True)
    labels = [row.label for row in bench.rows]
    assert labels == ["CoGAN", "BiGAN/ALI", "SimGAN", "Feature loss + GAN", "UNIT", "CycleGAN"]
    assert bench.left_out.keys() == {"pix2pix"}
    assert bench.left_out["pix2pix"].startswith("this method needs pairs")
    with pytest.raises(InputError, match="this method needs pairs"):  # no row is left
        make_bench({**unpaired, "rows": ["pix2pix"]}, leaves_out=True)
    with pytest.raises(InputError, match="gone"):
        make_bench(read_plan_file("systems") | {"data": "gone"}, leaves_out=True)


def test_a_named_row_that_the_data_do_not_fit_is_an_error_which_names_it(unpaired):
    row = {"method": "pix2pix", "label": "by pairs"}
    bench = make_bench({**unpaired, "rows": ["cyclegan", row]})
    message = r"^by pairs does not fit: this method needs pairs, .*; or leave this row out$"
    with pytest.raises(InputError, match=message):
        check_data(bench.rows[1], bench.opened)


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ({"rows": ["cyclgan"]}, "no method 'cyclgan': did you mean 'cyclegan'?"),
        ({"rows": []}, "rows is \\[\\]"),
        ({"rows": [{"label": "x"}]}, "a row is {'label': 'x'}"),
        ({"rows": ["unit"], "cycel_weight": 1.0}, "no row has an option 'cycel_weight'"),
        ({"rows": [{"method": "unit", "blocks": 1}]}, "unit has no option 'blocks'"),
        ({"rows": ["unit"], "steps": 10}, "UNIT has 10 steps: .* a multiple of 4"),
        ({"rows": ["unit"], "steps": 8, "minutes": 1}, "give one budget"),
        ({"rows": ["unit"], "seed": 3}, "UNIT sets seed, which a bench sets for itself"),
        ({"rows": ["unit"], "seeds": 0}, "seeds is 0"),
        ({"rows": ["unit", "unit"]}, "the rows 'UNIT' and 'UNIT' would have files of one name"),
        ({"rows": [{"method": "unit", "label": 50}]}, "label of a row is 50: it must be a text"),
        ({"rows": [{"method": "unit", "recipe": 5}]}, "recipe of a row is 5: it must be a text"),
        ({"rows": [{"method": "unit", "group": 5}]}, "group of UNIT is 5: it must be a name or"),
        ({"rows": [{"method": "unit", "group": [5]}]}, "it must be a name or a list of names"),
        ({"rows": ["all"], "steps": 10}, "--steps is 10: .* a multiple of 4"),
    ],
)
def test_what_a_plan_cannot_say_is_named(plan: dict[str, Any], message: str):
    with pytest.raises(InputError, match=message):
        make_bench(PLAN | plan)


def test_a_plan_without_a_budget_or_data_says_so():
    with pytest.raises(InputError, match=r"^no budget: give --steps or --minutes"):
        make_bench({"data": "sample:emoji", "rows": ["unit"]})
    with pytest.raises(InputError, match=r"^no data to train on: name a folder or a sample"):
        make_bench({"steps": 8, "rows": ["all"]})


def test_a_row_that_alone_lacks_a_budget_or_data_is_named():
    other = {"method": "cyclegan", "steps": 4, "data": "sample:emoji"}
    with pytest.raises(InputError, match="UNIT has no budget: give --steps or --minutes"):
        make_bench({"data": "sample:emoji", "rows": [other, "unit"]})
    with pytest.raises(InputError, match="UNIT has no data"):
        make_bench({"steps": 8, "rows": [other, "unit"]})


def test_the_plans_that_come_along_can_be_trained_as_they_are():
    assert {"methods", "papers", "systems", "ablations", "maps", "variants"} == set(plan_names())
    for name in set(plan_names()) - {"methods"}:
        assert make_bench(read_plan_file(name)).rows
    with pytest.raises(InputError, match="no plan 'paper'; there are: ablations, maps"):
        read_plan_file("paper")


def test_the_papers_rows_are_those_of_its_tables():
    rows = make_bench(read_plan_file("papers")).rows
    for (group, kind), published in PUBLISHED.items():
        labels = [row.label for row in rows if group in row.groups]
        assert set(published.figures) <= set(labels), (group, kind)
    config = {row.label: row.config for row in rows}
    assert config["Cycle alone"].gan_weight == 0
    assert config["GAN alone"].cycle == "none"
    assert config["GAN + forward cycle"].cycle == "forward"
    assert config["GAN + backward cycle"].cycle == "backward"
    assert config["CycleGAN"].cycle == "both"
    assert config["pix2pix"].generator == "resnet"


def test_a_training_is_the_same_whatever_its_seed_and_place_but_not_with_other_options():
    (row,) = rows_of(rows=["cyclegan"])
    one = identity("cyclegan", row.config, row.run, "f", AB)
    elsewhere = replace(row.run, seed=3, out="x", device="cuda", threads=7, workers=2)
    assert is_same(one, identity("cyclegan", row.config, elsewhere, "f", AB))
    assert not is_same(one, identity("cyclegan", row.config, row.run, "g", AB))
    assert not is_same(one, identity("cyclegan", row.config, replace(row.run, steps=12), "f", AB))
    other = replace(row.config, buffer_size=0)
    assert not is_same(one, identity("cyclegan", other, row.run, "f", AB))


def test_where_the_data_and_their_palettes_lie_is_no_part_of_a_training():
    (row,) = rows_of(rows=["cyclegan"])
    one = identity("cyclegan", row.config, row.run, "f", AB)
    elsewhere = replace(row.run, data=None, x="a", y="b", palette=("a=p.csv",))
    assert is_same(one, identity("cyclegan", row.config, elsewhere, "f", AB))
    older = {**one, "run": {**one["run"], "data": "d", "x": None, "palette": []}}
    assert is_same(older, one)
    assert is_same(older, older)  # as of a plan.json and results of one age
    assert is_same(one, older)
    named = replace(row.run, names=("a", "b"))
    assert not is_same(one, identity("cyclegan", row.config, named, "f", AB))


def test_other_domains_are_other_data_though_the_files_look_alike():
    (row,) = rows_of(rows=["cyclegan"])
    one = identity("cyclegan", row.config, row.run, "f", AB)
    assert not is_same(one, identity("cyclegan", row.config, row.run, "f", ("a", "c")))
    older = {key: value for key, value in one.items() if key != "domains"}
    assert is_same(older, one)
    assert is_same(one, older)


def test_data_are_called_by_their_folders_last_names():
    def called(**run: Any) -> str:
        return rows_of(rows=["cyclegan"], **{"data": None} | run)[0].source

    assert called(data="some/where/horse2zebra/") == "horse2zebra"
    assert called(x="my cats and dogs/a", y="other\\b") == "a and b"
    assert called(data="sample:emoji") == "sample:emoji"


def test_an_option_that_an_older_result_has_never_heard_of_had_its_default():
    (row,) = rows_of(rows=["cyclegan"])
    known = identity("cyclegan", row.config, row.run, "f", AB)
    del known["config"]["buffer_size"], known["run"]["ema"]
    assert is_same(known, identity("cyclegan", row.config, row.run, "f", AB))
    other = replace(row.config, buffer_size=0)
    assert not is_same(known, identity("cyclegan", other, row.run, "f", AB))
    assert not is_same(known, identity("cyclegan", row.config, replace(row.run, ema=0.9), "f", AB))


def test_an_option_that_there_is_no_more_makes_another_training():
    (row,) = rows_of(rows=["cyclegan"])
    known = identity("cyclegan", row.config, row.run, "f", AB)
    known["config"]["gone"] = 1
    assert not is_same(known, identity("cyclegan", row.config, row.run, "f", AB))
    assert is_same(known, known)  # as of a plan.json and results of one age


def test_labels_become_names_of_files():
    assert slug("GAN + forward cycle") == "gan-forward-cycle"
    assert slug("sample:earth-climate") == "earth-climate"
    assert slug("dark→bright") == "dark-bright"
    cat, dog = slug("猫"), slug("犬")
    assert re.fullmatch("[0-9a-f]{6}", cat)
    assert cat != dog
    assert slug("λ 0.5").startswith("0-5-")
    assert slug("e\u0301") == slug("\u00e9")  # one letter, however a file system writes it
    assert slug("∅") != slug("")
