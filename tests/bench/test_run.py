"""A bench: what is trained, what is not trained again, and what fails."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from diptych.bench import job
from diptych.bench.lanes import Lane
from diptych.bench.place import read_json, write_json
from diptych.bench.results import read_report
from diptych.bench.run import OVERHEAD, Options, _lanes
from diptych.bench.tables import problems
from diptych.data import open_data
from diptych.errors import InputError
from diptych.images import to_tensor
from diptych.methods.cyclegan import CycleGAN
from diptych.translator import load

GAN_ALONE = {"method": "cyclegan", "label": "GAN alone", "recipe": "gan-alone"}


def kinds(carried: list[Any]) -> list[tuple[str, int]]:
    """Whether each piece was timed or trained, and its seed."""
    return [(piece.spec["kind"], piece.spec["run"]["seed"]) for piece in carried]


def test_each_row_is_timed_then_trained_one_seed_of_everything_first(bench, carried, place):
    assert bench("cyclegan", {**GAN_ALONE, "seeds": 1}, seeds=2) == 0
    names = [piece.stem.name for piece in carried]
    assert names[:2] == ["cyclegan.speed", "gan-alone.speed"]
    assert names[2:] == ["cyclegan-0.job", "gan-alone-0.job", "cyclegan-1.job"]
    result = read_json(place.result("cyclegan", 1))
    assert result["steps"] == 8
    assert {s: result["scores"][s]["dark→bright"]["l1"] for s in ("25", "50", "100")} == {
        "25": 0.02,
        "50": 0.04,
        "100": 0.08,
    }
    assert "std" not in result["scores"]["50"]["dark→bright"]["kid"]
    assert result["cost"]["parameters"] == sum(
        w.numel() for w in CycleGAN(load(place.run("cyclegan", 1))._method.config, 2).parameters()
    )


def test_what_is_finished_is_not_trained_again(bench, carried, place):
    bench("cyclegan")
    before = place.result("cyclegan", 0).read_bytes()
    carried.clear()
    bench("cyclegan")
    assert carried == []
    bench("cyclegan", seeds=2)  # another seed does not touch the first
    assert kinds(carried) == [("run", 1)]
    assert place.result("cyclegan", 0).read_bytes() == before


def test_another_option_or_other_data_train_anew(bench, carried, paired_data):
    bench("cyclegan")
    carried.clear()
    bench("cyclegan", cycle_weight=5.0)
    assert kinds(carried) == [("measure", 0), ("run", 0)]
    carried.clear()
    bench("cyclegan", cycle_weight=5.0, steps=12)  # the speed is known
    assert kinds(carried) == [("run", 0)]
    Image.new("RGB", (32, 32)).save(Path(paired_data) / "trainA" / "new.png")
    carried.clear()
    bench("cyclegan", cycle_weight=5.0, steps=12)
    assert kinds(carried) == [("measure", 0), ("run", 0)]


def test_what_was_stopped_goes_on_where_it_was(bench, carried, place, monkeypatch):
    bench("cyclegan")
    whole = (place.run("cyclegan", 0) / "translator.safetensors").read_bytes()
    place.result("cyclegan", 0).unlink()
    steps: list[int] = []
    real = CycleGAN.iteration

    def iteration(self: CycleGAN, batches: Any, clock: Any) -> Any:
        steps.append(clock.step)
        return real(self, batches, clock)

    monkeypatch.setattr(CycleGAN, "iteration", iteration)
    bench("cyclegan")  # it had ended: it is scored alone
    assert steps == []
    state = place.run("cyclegan", 0) / "state.pt"
    saved = torch.load(state, weights_only=True)
    assert saved["step"] == 8
    place.result("cyclegan", 0).unlink()
    for file in place.run("cyclegan", 0).glob("state*"):
        file.unlink()
    bench("cyclegan")  # killed before its first checkpoint: from the beginning, to the same bits
    assert steps == list(range(8))
    assert (place.run("cyclegan", 0) / "translator.safetensors").read_bytes() == whole


def test_an_interrupt_stops_the_bench_and_the_next_command_finishes_it(
    bench, carried, place, monkeypatch
):
    real, score = CycleGAN.iteration, job.score
    asked = []

    def iteration(self: CycleGAN, batches: Any, clock: Any) -> Any:
        if clock.step == 5 and not asked and clock.fraction:
            asked.append(clock.step)
            signal.raise_signal(signal.SIGINT)
        return real(self, batches, clock)

    monkeypatch.setattr(CycleGAN, "iteration", iteration)
    with pytest.raises(KeyboardInterrupt):
        bench("cyclegan")
    assert asked == [5]
    assert not place.result("cyclegan", 0).exists()
    assert torch.load(place.run("cyclegan", 0) / "state.pt", weights_only=True)["step"] == 6
    assert problems(read_report(place)) == ["CycleGAN: not done yet, seed 0."]
    assert job.score is score
    assert bench("cyclegan") == 0
    assert read_json(place.result("cyclegan", 0))["steps"] == 8


def test_a_run_that_diverges_is_a_result_and_the_others_go_on(bench, carried, place, monkeypatch):
    real = CycleGAN._cycle

    def spoilt(self: CycleGAN, C: Any, image: Any, cycled: Any) -> Any:
        spoilt.calls += 1
        return real(self, C, image, cycled) * (float("nan") if spoilt.calls > 12 else 1)

    spoilt.calls = 0  # two a step, three steps of timing: the fourth step of training is spoilt
    monkeypatch.setattr(CycleGAN, "_cycle", spoilt)
    assert bench("cyclegan", GAN_ALONE) == 1
    diverged = read_json(place.result("cyclegan", 0))
    assert diverged["diverged"].startswith("cycle is nan at step 4")
    assert "scores" not in diverged
    assert "scores" in read_json(place.result("gan-alone", 0))
    carried.clear()
    bench("cyclegan", GAN_ALONE)  # it would diverge again
    assert carried == []


def test_a_row_that_cannot_be_timed_is_told_and_tried_again(bench, carried, place, monkeypatch):
    real = job.measure

    def measure(method: str, config: Any, run: Any) -> dict[str, Any]:
        if config.cycle == "none":
            raise InputError("no memory")
        return real(method, config, run)

    monkeypatch.setattr(job, "measure", measure)
    bench("cyclegan", GAN_ALONE)
    assert kinds(carried) == [("measure", 0), ("measure", 0), ("run", 0)]
    assert problems(read_report(place)) == ["GAN alone was not trained: no memory."]
    monkeypatch.setattr(job, "measure", real)
    carried.clear()
    bench("cyclegan", GAN_ALONE)
    assert kinds(carried) == [("measure", 0), ("run", 0)]


def test_a_budget_in_minutes_is_the_steps_that_were_timed_to_fill_it(bench, carried, place):
    bench("cyclegan")
    speeds = json.loads(place.speed.read_text())
    speeds["cyclegan"]["seconds_per_step"] = 6.0 / 14.9 / OVERHEAD
    write_json(place.speed, speeds)
    bench("cyclegan", steps=None, minutes=0.1)  # 14.9 steps, and a multiple of four
    result = read_json(place.result("cyclegan", 0))
    assert result["steps"] == 12
    assert result["trained"]["run"]["minutes"] is None


def test_only_the_rows_that_are_asked_for_are_done_and_the_plan_keeps_all(bench, carried, place):
    bench("cyclegan", GAN_ALONE, options=Options(device="cpu", only=("GAN alone",)))
    assert [piece.stem.name for piece in carried] == ["gan-alone.speed", "gan-alone-0.job"]
    assert [row["label"] for row in read_json(place.plan)["rows"]] == ["CycleGAN", "GAN alone"]
    with pytest.raises(InputError, match="no row 'UNIT'; there are: CycleGAN, GAN alone"):
        bench("cyclegan", GAN_ALONE, options=Options(device="cpu", only=("UNIT",)))


def test_rescoring_scores_finished_runs_without_training(bench, carried, place, monkeypatch):
    bench("cyclegan")
    known = read_json(place.result("cyclegan", 0))
    monkeypatch.setattr(CycleGAN, "iteration", None)  # training would break
    real = job.score

    def better(*given: Any) -> dict[str, Any]:
        return {**real(*given), "features": "others"}

    monkeypatch.setattr(job, "score", better)
    bench("cyclegan", options=Options(device="cpu", rescore=True))
    again = read_json(place.result("cyclegan", 0))
    assert again["scores"]["100"]["features"] == "others"
    assert again["trained"] == known["trained"]


def test_the_strips_hold_the_test_images_and_what_the_run_makes_of_them(
    bench, carried, place, paired_data
):
    bench("cyclegan")
    data = open_data(paired_data, size=32)
    assert data.test is not None
    assert data.test.pairs is not None
    real = Image.open(place.real("dark2bright-32", "dark")).convert("RGB")
    assert real.size == (64, 6 * 64 + 5 * 4)  # 32 pixels, twice as large, and gaps of 4
    first = data.test.pairs[0].read(0).convert("RGB")
    assert (
        real.crop((0, 0, 64, 64)).tobytes()
        == first.resize((64, 64), Image.Resampling.NEAREST).tobytes()
    )
    made = Image.open(place.strip("cyclegan", 0, "dark→bright")).convert("RGB")
    translator = load(place.run("cyclegan", 0), device="cpu")
    last = data.test.pairs[0].read(5).convert("RGB")
    expected = translator.translate_batch(to_tensor(last)[None], "bright")[0]
    shown = to_tensor(
        made.crop((0, 5 * 68, 64, 5 * 68 + 64)).resize((32, 32), Image.Resampling.BOX)
    )
    assert (shown - expected).abs().max() < 2 / 255


def test_lanes_are_devices_and_share_the_threads_of_a_cpu(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 5)
    assert _lanes(Options(device="cpu")) == [Lane("cpu", None)]
    assert _lanes(Options(device="cpu", parallel=2)) == [Lane("cpu", 2)] * 2
    with pytest.raises(InputError, match="--parallel is -1"):
        _lanes(Options(device="cpu", parallel=-1))
