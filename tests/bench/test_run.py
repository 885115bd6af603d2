"""A bench: what is trained, what is not trained again, and what fails."""

from __future__ import annotations

import io
import json
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from rich.console import Console

from diptych.bench import job
from diptych.bench.claim import claim
from diptych.bench.job import make_spec
from diptych.bench.lanes import Lane
from diptych.bench.place import Place, read_json, read_result, write_json, write_result
from diptych.bench.plan import make_bench
from diptych.bench.results import read_report, value_at
from diptych.bench.run import OVERHEAD, Options, Running, _lanes
from diptych.bench.tables import problems
from diptych.checkpoint import load_translator
from diptych.data import open_data
from diptych.data.images import to_tensor
from diptych.errors import InputError
from diptych.evaluation import Scores, evaluate
from diptych.inference.load import load
from diptych.inference.translator import Translator
from diptych.methods import make_config
from diptych.methods.cyclegan import CycleGAN
from diptych.networks.device import cpu_threads
from diptych.training.log import read_metrics
from diptych.training.settings import Settings
from tests.bench.made_results import forget
from tests.evaluation.made_labels import train_little, write_labelled

SCORE = job.score_file
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


def test_a_bench_does_not_take_another_s_folders(bench, carried, place, paired_data, tmp_path):
    bench("cyclegan")
    before = read_result(place, "cyclegan", 0)
    other = tmp_path / "summer" / "dark2bright"
    shutil.copytree(paired_data, other)
    Image.new("RGB", (32, 32)).save(other / "trainA" / "new.png")
    carried.pieces.clear()
    with pytest.raises(InputError, match=r"bench holds a bench of other data than .*summer"):
        bench("cyclegan", data=str(other))
    elsewhere = Place(tmp_path / "another", place.runs)
    with pytest.raises(InputError, match=r"runs holds the runs of .*bench: give another --runs"):
        claim(elsewhere, [Settings(data=paired_data)], [open_data(paired_data, size=32)])
    console = Console(file=io.StringIO())
    asked = make_bench({"data": str(other), "size": 32, "steps": 4, "rows": ["cyclegan"]})
    for mixed in (Place(place.out, tmp_path / "new"), Place(tmp_path / "new", place.runs)):
        with pytest.raises(InputError, match="give another"):
            Running(asked, mixed, Options(device="cpu"), console).run()
    assert not (tmp_path / "new").exists()
    assert carried.names == []
    assert read_result(place, "cyclegan", 0) == before
    (other / "trainA" / "new.png").unlink()  # now it is a copy: the same data
    bench("cyclegan", data=str(other))
    assert carried.names == []


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


def test_lanes_are_devices_and_share_the_threads_of_a_cpu(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 5)
    assert _lanes(Options(device="cpu")) == [Lane("cpu", None)]
    assert _lanes(Options(device="cpu", parallel=2)) == [Lane("cpu", 2)] * 2
    for count in (0, -1):
        with pytest.raises(InputError, match=f"--parallel is {count}: it must be above 0"):
            _lanes(Options(device="cpu", parallel=count))


# --- in earnest ---------------------------------------------------------------


@pytest.mark.slow
def test_a_run_is_trained_drawn_and_goes_on_where_it_was(
    bench, trained, place, paired_data, monkeypatch
):
    assert bench("cyclegan") == 0
    result = read_result(place, "cyclegan", 0)
    ends = [result["scores"][share]["dark→bright"]["l1"] for share in ("25", "50", "100")]
    assert ends == [0.01, 0.02, 0.04]
    assert result["scores"]["50"]["dark→bright"] == {"l1": 0.02, "kid": 0.5}
    whole = CycleGAN(load(place.run("cyclegan", 0))._method.config, domains=2)
    assert result["cost"]["parameters"] == sum(w.numel() for w in whole.parameters())
    _check_strips(place, paired_data)

    steps: list[int] = []
    real = CycleGAN.iteration

    def iteration(self: CycleGAN, batches: Any, clock: Any) -> Any:
        steps.append(clock.step)
        if clock.step == 1 and len(steps) == 2:
            signal.raise_signal(signal.SIGINT)
        return real(self, batches, clock)

    monkeypatch.setattr(CycleGAN, "iteration", iteration)
    forget(place, "cyclegan", 0)
    bench("cyclegan")  # it had ended: it is scored alone
    assert steps == []
    forget(place, "cyclegan", 0)
    for file in place.run("cyclegan", 0).glob("state*"):
        file.unlink()
    weights = (place.run("cyclegan", 0) / "translator.safetensors").read_bytes()
    with pytest.raises(KeyboardInterrupt):
        bench("cyclegan")
    assert problems(read_report(place)) == ["CycleGAN: not done yet, seed 0."]
    assert bench("cyclegan") == 0
    assert steps == [0, 1, 2, 3]  # and none of them twice
    assert (place.run("cyclegan", 0) / "translator.safetensors").read_bytes() == weights


@pytest.mark.slow
def test_scores_are_of_the_test_images_by_the_weights_of_each_share_with_the_fcn(
    bench, trained, place, tmp_path, monkeypatch
):
    monkeypatch.setenv("DIPTYCH_CACHE", str(tmp_path / "cache"))
    train_little(monkeypatch, 2, 2, side=32)
    threads = []

    def score(*arguments: Any, **options: Any) -> Scores:
        threads.append(torch.get_num_threads())
        return SCORE(*arguments, **options)

    monkeypatch.setattr(job, "score_file", score)
    root = write_labelled(tmp_path / "scenes", 4, 4)
    with cpu_threads(2):
        assert bench("cyclegan", data=str(root)) == 0
        assert torch.get_num_threads() == 2
    assert threads == [1, 1, 1]  # the lane's, of a machine that others use too
    found = read_result(place, "cyclegan", 0)["scores"]
    data, folder = open_data(root, size=32), place.run("cyclegan", 0)
    files = {"25": "snapshots/00000001", "50": "snapshots/00000002", "100": "translator"}
    for share, name in files.items():
        translator = Translator(*load_translator(folder / f"{name}.safetensors"), device="cpu")
        by_hand = evaluate(translator.translate_batch, data, "test", size=32, features=None)
        for part in ("photo→label", "label→photo"):
            assert value_at(found[share][part], ("l1",)) == by_hand.directions[part]["l1"]
        assert 0 <= found[share]["label→photo"]["fcn"]["pixel_accuracy"] <= 1
        assert found[share]["photo→label"]["pixel_accuracy"] >= 0
        assert "fcn" not in found[share]["photo→label"]
        assert ("class_accuracy" in found[share]["photo→label"]) == (share == "100")
    assert found["100"]["split"] == "test"
    assert found["25"]["photo→label"]["l1"] != found["100"]["photo→label"]["l1"]


def _check_strips(place: Any, paired_data: str) -> None:
    """They hold the test images and what the run makes of them."""
    data = open_data(paired_data, size=32)
    assert data.test is not None
    assert data.test.pairs is not None
    section = f"{data.fingerprint[:8]}-32"
    real = Image.open(place.real(section)).convert("RGB")
    assert real.size == (2 * 64 + 4, 6 * 64 + 5 * 4)  # 32 pixels, twice as large, and gaps of 4
    first = data.test.pairs[0].read(0).convert("RGB").resize((64, 64), Image.Resampling.NEAREST)
    assert real.crop((0, 0, 64, 64)).tobytes() == first.tobytes()
    made = Image.open(place.picture("cyclegan")).convert("RGB")
    translator = load(place.run("cyclegan", 0), device="cpu")
    last = data.test.pairs[0].read(5).convert("RGB")
    expected = translator.translate_batch(to_tensor(last)[None], "bright")[0]
    tile = made.crop((0, 5 * 68, 64, 5 * 68 + 64)).resize((32, 32), Image.Resampling.BOX)
    assert (to_tensor(tile) - expected).abs().max() < 2 / 255


@pytest.mark.slow
def test_a_run_that_diverges_is_a_result_and_is_not_tried_again(bench, trained, place, monkeypatch):
    real = CycleGAN._cycle

    def spoilt(self: CycleGAN, C: Any, image: Any, cycled: Any) -> Any:
        spoilt.calls += 1
        return real(self, C, image, cycled) * (float("nan") if spoilt.calls > 6 else 1)

    spoilt.calls = 0  # two a step, one step of timing: the third step of training is spoilt
    monkeypatch.setattr(CycleGAN, "_cycle", spoilt)
    assert bench("cyclegan") == 1
    diverged = read_result(place, "cyclegan", 0)
    assert diverged["diverged"] == "cycle is nan at step 3"
    assert "scores" not in diverged
    trained.pieces.clear()
    assert bench("cyclegan") == 0
    assert trained.names == []


def test_what_cannot_be_carried_out_is_told_with_its_circumstances(paired_data, tmp_path):
    spec = {"kind": "measure", "method": "cyclegan", "config": {"size": 32, "width": 4},
            "run": {"data": str(tmp_path / "none")}}  # fmt: skip
    answer = job.carry_out(spec)
    assert "none" in answer["why_not"]
    assert answer["torch"] == torch.__version__


def test_scoring_anew_trains_nothing_where_the_run_is_gone(paired_data, tmp_path):
    config, run = make_config("cyclegan", {"size": 32, "width": 4}), Settings(data=paired_data)
    spec = make_spec(
        "run", "cyclegan", config, replace(run, steps=8), row="gone", out=str(tmp_path / "out"),
        runs=str(tmp_path / "runs"), trains=False,
        fingerprint=open_data(paired_data, size=32).fingerprint,
    )  # fmt: skip
    answer = job.carry_out(spec)
    assert "holds no such run, so there is nothing to score anew" in answer["why_not"]
    assert answer["why_not"].endswith(": --overwrite trains it")
    assert not (tmp_path / "runs" / "gone-0").exists()
