"""A bench once more: what is kept, what is trained anew, and by what each run was made."""

from __future__ import annotations

import io
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from rich.console import Console

from diptych.bench import job
from diptych.bench.place import read_json, read_result, write_json, write_result
from diptych.bench.plan import make_bench
from diptych.bench.run import Options, Running
from diptych.data import open_data
from diptych.errors import InputError
from diptych.methods.cyclegan import CycleGAN
from tests.bench.conftest import TINY
from tests.bench.made_results import forget
from tests.evaluation.made_labels import write_labelled

ANEW = Options(device="cpu", overwrite=True)


def stop_at(step: int, patch: pytest.MonkeyPatch) -> None:
    """The next training is interrupted at `step`."""
    real = CycleGAN.iteration

    def iteration(self: CycleGAN, batches: Any, clock: Any) -> Any:
        if clock.step == step:
            signal.raise_signal(signal.SIGINT)
        return real(self, batches, clock)

    patch.setattr(CycleGAN, "iteration", iteration)


def test_another_option_or_other_data_train_anew(bench, carried, paired_data):
    both = ["cyclegan.speed", "cyclegan-0.job"]
    bench("cyclegan")
    carried.pieces.clear()
    bench("cyclegan", cycle_weight=5.0, options=ANEW)
    assert carried.names == both
    carried.pieces.clear()
    bench("cyclegan", cycle_weight=5.0, steps=12, options=ANEW)  # the speed is known
    assert carried.names == ["cyclegan-0.job"]
    Image.new("RGB", (32, 32)).save(Path(paired_data) / "trainA" / "new.png")
    carried.pieces.clear()
    bench("cyclegan", cycle_weight=5.0, steps=12, options=ANEW)
    assert carried.names == both


@pytest.mark.parametrize(
    ("plan", "names"),
    [
        ({"steps": 8, "seeds": 2}, "CycleGAN, seed 0; CycleGAN, seed 1"),
        ({"cycle_weight": 5.0, "seeds": 2}, "CycleGAN"),
        (
            {"steps": 8, "seeds": 5},
            "; ".join(f"CycleGAN, seed {i}" for i in range(3)) + " and 1 more",
        ),
    ],
)
def test_what_was_trained_is_replaced_only_where_that_is_said(bench, carried, place, plan, names):
    bench("cyclegan", seeds=4)
    before = {path: path.read_bytes() for path in place.out.rglob("*") if path.is_file()}
    carried.pieces.clear()
    with pytest.raises(InputError) as told:
        bench("cyclegan", **plan)
    assert str(told.value) == (
        f"{place.out} holds trainings of other options or data: {names}."
        " Give another --out, or --overwrite to train anew"
    )
    assert carried.names == []
    assert {path: path.read_bytes() for path in before} == before
    assert bench("cyclegan", **plan, options=ANEW) == 0
    assert "cyclegan-1.job" in carried.names


def test_a_run_that_is_begun_is_not_lost_to_another(bench, trained, place, monkeypatch):
    with monkeypatch.context() as patch:
        stop_at(2, patch)
        with pytest.raises(KeyboardInterrupt):
            bench("cyclegan")
    with pytest.raises(InputError, match=r"other options or data: CycleGAN, seed 0\. Give"):
        bench("cyclegan", steps=8)
    speeds = place.speed.read_bytes()
    with pytest.raises(InputError, match=r"other options or data: CycleGAN\. Give"):
        bench("cyclegan", cycle_weight=5.0)
    assert place.speed.read_bytes() == speeds  # on which the steps of a time depend
    assert bench("cyclegan") == 0
    assert read_result(place, "cyclegan", 0)["steps"] == 4


def test_runs_are_of_the_precision_that_their_row_was_timed_in(bench, carried, place):
    bench("cyclegan", precision=None)
    assert carried.pieces[0].spec["run"].get("precision", "auto") == "auto"
    assert carried.pieces[1].spec["run"]["precision"] == "fp32"  # so it was timed
    known = read_result(place, "cyclegan", 0)
    carried.pieces.clear()
    for device, done_again in (("cpu", ["cyclegan-0.job"]), ("cuda", [])):
        write_result(place, "cyclegan", 0, known | {"precision": "bf16", "device": device})
        bench("cyclegan", precision=None)  # finished, and not replaced unasked
        assert carried.names == []
        bench("cyclegan", precision=None, options=ANEW)
        assert carried.names == done_again
        carried.pieces.clear()


def test_a_run_of_another_precision_is_scored_anew_as_it_is(bench, carried, place):
    bench("cyclegan", precision=None)
    known = read_result(place, "cyclegan", 0)
    write_result(place, "cyclegan", 0, known | {"precision": "bf16"})
    carried.pieces.clear()
    bench("cyclegan", precision=None, options=Options(device="cpu", rescore=True))
    (piece,) = carried.pieces
    assert (piece.spec["trains"], piece.spec["run"]["precision"]) == (False, "bf16")


def test_a_failed_run_is_tried_again_in_the_precision_that_was_timed(bench, carried, place):
    bench("cyclegan", precision=None)
    known = read_result(place, "cyclegan", 0)
    failed = {key: known[key] for key in ("row", "label", "seed", "trained")}
    write_result(place, "cyclegan", 0, failed | {"why_not": "no memory"})
    carried.pieces.clear()
    bench("cyclegan", precision=None)
    (piece,) = carried.pieces
    assert (piece.spec["trains"], piece.spec["run"]["precision"]) == (True, "fp32")


def test_a_run_left_to_find_its_precision_goes_on_where_it_found_that_one(
    bench, trained, place, monkeypatch
):
    monkeypatch.setattr("diptych.networks.device._bf16_speedup", lambda: 0.5)
    bench("cyclegan", precision=None)
    state = place.run("cyclegan", 0) / "config.toml"
    text = state.read_text()
    assert text.count('precision = "fp32"') == 2  # given, and found
    state.write_text(text.replace('precision = "fp32"', 'precision = "auto"', 1))
    forget(place, "cyclegan", 0)
    monkeypatch.setattr(job, "train", None)
    assert bench("cyclegan", precision=None) == 0
    # Nor does it begin anew where its row was timed on another device, so that none is known.
    speeds = read_json(place.speed)
    speeds["cyclegan"]["device"] = "cuda"
    write_json(place.speed, speeds)
    state.write_text(text)
    forget(place, "cyclegan", 0)
    assert bench("cyclegan", precision=None) == 0


def test_data_that_change_while_a_bench_runs_are_told(bench, trained, place, paired_data):
    real = trained.way

    def way(spec: dict[str, Any]) -> dict[str, Any]:
        if spec["kind"] == "run":
            Image.new("RGB", (32, 32)).save(Path(paired_data) / "trainA" / "new.png")
        return real(spec)

    trained.way = way
    assert bench("cyclegan") == 1
    assert read_result(place, "cyclegan", 0)["why_not"] == (
        "the data have changed since the bench began: start it once more"
    )


def test_pages_that_cannot_be_made_stop_no_training(carried, paired_data, place):
    def after() -> None:
        raise InputError("notes.md cannot be read")

    made = make_bench(TINY | {"data": paired_data, "workers": 0, "seeds": 2, "rows": ["cyclegan"]})
    said = io.StringIO()
    assert Running(made, place, Options(device="cpu"), Console(file=said), after).run() == 0
    assert carried.names == ["cyclegan.speed", "cyclegan-0.job", "cyclegan-1.job"]
    assert said.getvalue().count("notes.md cannot be read") == 2


def test_there_is_no_fcn_where_every_domain_has_a_palette(tmp_path):
    root = write_labelled(tmp_path / "scenes", 4, 4)
    data = open_data(root, size=32)
    (palette,) = data.palettes.values()
    all_labels = replace(data, palettes=dict.fromkeys(data.domains, palette))
    assert job.find_segmenter(all_labels, 32, "cpu") is None
