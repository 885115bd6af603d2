"""A bench: what is trained, what is not trained again, and what fails."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from diptych.bench import job
from diptych.bench.lanes import Lane
from diptych.bench.place import read_json, read_result, write_json, write_result
from diptych.bench.results import read_report
from diptych.bench.run import OVERHEAD, Options, _lanes
from diptych.bench.tables import problems
from diptych.data import open_data
from diptych.errors import InputError
from diptych.methods.cyclegan import CycleGAN
from diptych.training.log import read_metrics

GAN_ALONE = {"method": "cyclegan", "label": "GAN alone", "recipe": "gan-alone"}


def test_each_row_is_timed_then_trained_one_seed_of_everything_first(bench, carried):
    assert bench("cyclegan", {**GAN_ALONE, "seeds": 1}, seeds=2) == 0
    assert carried.names == [
        "cyclegan.speed", "gan-alone.speed", "cyclegan-0.job", "gan-alone-0.job", "cyclegan-1.job",
    ]  # fmt: skip


def test_what_is_finished_is_not_trained_again(bench, carried, place):
    bench("cyclegan")
    before = read_result(place, "cyclegan", 0)
    carried.pieces.clear()
    bench("cyclegan")
    assert carried.names == []
    bench("cyclegan", seeds=2)  # another seed does not touch the first
    assert carried.names == ["cyclegan-1.job"]
    assert read_result(place, "cyclegan", 0) == before


def test_data_that_have_moved_are_the_same_and_a_begun_run_finds_them(
    bench, trained, place, paired_data, monkeypatch, tmp_path
):
    with monkeypatch.context() as patch:
        real = CycleGAN.iteration

        def iteration(self: CycleGAN, batches: Any, clock: Any) -> Any:
            if clock.step == 1:
                signal.raise_signal(signal.SIGINT)
            return real(self, batches, clock)

        patch.setattr(CycleGAN, "iteration", iteration)
        with pytest.raises(KeyboardInterrupt):
            bench("cyclegan")
    moved = tmp_path / "elsewhere" / "dark2bright"
    moved.parent.mkdir()
    Path(paired_data).rename(moved)
    trained.pieces.clear()
    assert bench("cyclegan", data=str(moved)) == 0
    assert trained.names == ["cyclegan-0.job"]
    assert len(read_metrics(place.run("cyclegan", 0) / "metrics.jsonl")) == 4
    trained.pieces.clear()
    bench("cyclegan", data=f"{moved}/")
    assert trained.names == []


def test_another_palette_scores_anew_and_trains_nothing(bench, carried, place, paired_data):
    usual = carried.way

    def way(spec: dict[str, Any]) -> dict[str, Any]:
        answer = usual(spec)
        data = open_data(paired_data, palettes=spec["run"].get("palette", ()), size=32)
        answer["data"] = answer["data"] | {"palettes": job.palettes_of(data)}
        return answer

    carried.way = way
    table = Path(paired_data).parent / "colours.csv"
    table.write_text("name,r,g,b\nblack,0,0,0\nwhite,255,255,255\n")
    bench("cyclegan", palette=[f"dark={table}"])
    carried.pieces.clear()
    elsewhere = table.rename(table.with_name("moved.csv"))
    bench("cyclegan", palette=[f"dark={elsewhere}"])
    assert carried.names == []
    elsewhere.write_text("name,r,g,b\nblack,0,0,0\ngrey,127,127,127\n")
    shown = read_report(place).rows[0]
    assert len(shown.scored) == 1
    known = read_result(place, "cyclegan", 0)
    carried.way = lambda spec: {"why_not": "no such run"}
    assert bench("cyclegan", palette=[f"dark={elsewhere}"]) == 1
    assert read_result(place, "cyclegan", 0) == known  # nothing is lost
    assert read_report(place).rows[0].scored == ()  # and nothing shown
    carried.way = way
    carried.pieces.clear()
    assert bench("cyclegan", palette=[f"dark={elsewhere}"]) == 0
    assert carried.names == ["cyclegan-0.job"]
    assert [piece.spec["trains"] for piece in carried.pieces] == [False]
    assert len(read_report(place).rows[0].scored) == 1


def test_scores_by_another_palette_are_not_shown(bench, carried, place):
    bench("cyclegan")
    plan = read_json(place.plan)
    known = read_result(place, "cyclegan", 0)
    known["data"]["palettes"] = plan["rows"][0]["palettes"]
    write_result(place, "cyclegan", 0, known)
    assert len(read_report(place).rows[0].scored) == 1
    plan["rows"][0]["palettes"] = "other"
    write_json(place.plan, plan)
    assert read_report(place).rows[0].scored == ()


def test_data_that_cannot_be_used_leave_no_folder(bench, place, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty"):
        bench("cyclegan", data=str(tmp_path / "empty"))
    assert not place.runs.exists()
    assert not place.out.exists()


def test_a_row_is_timed_again_before_minutes_become_its_steps(bench, carried, place):
    bench("cyclegan", GAN_ALONE, steps=None, minutes=0.1)
    only = Options(device="cpu", only=("GAN alone",))
    bench({"method": "cyclegan", "cycle_weight": 5.0}, GAN_ALONE, options=only, steps=None,
          minutes=0.1)  # fmt: skip
    first, second = read_json(place.plan)["rows"]
    assert first["trained"] is None
    assert second["trained"]["run"]["steps"] == 116  # of 0.05 seconds


def test_what_failed_is_told_and_tried_again_and_the_others_go_on(bench, carried, place):
    usual = carried.way

    def breaks(spec: dict[str, Any]) -> dict[str, Any]:
        is_hit = spec["kind"] == "run" and spec["row"] == "cyclegan"
        return {"why_not": "the disk is full"} if is_hit else usual(spec)

    carried.way = breaks
    assert bench("cyclegan", GAN_ALONE) == 1
    assert problems(read_report(place)) == ["CycleGAN, seed 0: the disk is full."]
    assert "scores" in read_result(place, "gan-alone", 0)
    carried.way = usual
    carried.pieces.clear()
    assert bench("cyclegan", GAN_ALONE) == 0
    assert carried.names == ["cyclegan-0.job"]
    assert problems(read_report(place)) == []


def test_a_row_that_cannot_be_timed_is_told_and_tried_again(bench, carried, place):
    usual = carried.way

    def breaks(spec: dict[str, Any]) -> dict[str, Any]:
        return {"why_not": "no memory"} if spec["config"]["cycle"] == "none" else usual(spec)

    carried.way = breaks
    assert bench("cyclegan", GAN_ALONE) == 1
    assert carried.names == ["cyclegan.speed", "gan-alone.speed", "cyclegan-0.job"]
    assert problems(read_report(place)) == ["GAN alone was not trained: no memory."]
    carried.way = usual
    carried.pieces.clear()
    bench("cyclegan", GAN_ALONE)
    assert carried.names == ["gan-alone.speed", "gan-alone-0.job"]


def test_a_budget_in_minutes_is_the_steps_that_were_timed_to_fill_it(bench, carried, place):
    bench("cyclegan")
    speeds = json.loads(place.speed.read_text())
    speeds["cyclegan"]["seconds_per_step"] = 6.0 / 14.9 / OVERHEAD
    write_json(place.speed, speeds)
    anew = Options(device="cpu", overwrite=True)
    bench("cyclegan", steps=None, minutes=0.1, options=anew)  # 14.9, and a multiple of four
    result = read_result(place, "cyclegan", 0)
    assert result["steps"] == 12
    assert (result["trained"]["run"]["steps"], result["trained"]["run"]["minutes"]) == (12, None)


def test_only_the_rows_that_are_asked_for_are_done_and_the_plan_keeps_all(bench, carried, place):
    bench("cyclegan", GAN_ALONE, options=Options(device="cpu", only=("GAN alone",)))
    assert carried.names == ["gan-alone.speed", "gan-alone-0.job"]
    assert [row["label"] for row in read_json(place.plan)["rows"]] == ["CycleGAN", "GAN alone"]
    with pytest.raises(InputError, match="no row 'UNIT'; there are: CycleGAN, GAN alone"):
        bench("cyclegan", GAN_ALONE, options=Options(device="cpu", only=("UNIT",)))


def test_rescoring_is_for_what_has_scores(bench, carried, place):
    bench("cyclegan", GAN_ALONE)
    known = read_result(place, "gan-alone", 0)
    del known["scores"]
    write_result(place, "gan-alone", 0, known | {"diverged": "G is nan at step 3"})
    carried.pieces.clear()
    bench("cyclegan", GAN_ALONE, options=Options(device="cpu", rescore=True))
    assert carried.names == ["cyclegan-0.job"]
    assert [piece.spec["trains"] for piece in carried.pieces] == [False]


def test_a_rescoring_that_fails_leaves_the_scores_that_were(bench, carried, place):
    bench("cyclegan")
    known = read_result(place, "cyclegan", 0)
    assert "scores" in known
    carried.way = lambda spec: {"why_not": "no space"}
    assert bench("cyclegan", options=Options(device="cpu", rescore=True)) == 1
    assert read_result(place, "cyclegan", 0) == known


def test_modules_that_the_user_named_are_named_to_every_process(bench, carried):
    assert bench("cyclegan", options=Options(device="cpu", modules=("my.py:My",))) == 0
    assert len(carried.pieces) == 2
    assert {piece.modules for piece in carried.pieces} == {("my.py:My",)}


def test_lanes_are_devices_and_share_the_threads_of_a_cpu(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 5)
    assert _lanes(Options(device="cpu")) == [Lane("cpu", None)]
    assert _lanes(Options(device="cpu", parallel=2)) == [Lane("cpu", 2)] * 2
    for count in (0, -1):
        with pytest.raises(InputError, match=f"--parallel is {count}: it must be above 0"):
            _lanes(Options(device="cpu", parallel=count))


# --- in earnest ---------------------------------------------------------------
