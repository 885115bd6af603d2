"""One piece of a bench, carried out."""

from __future__ import annotations

import signal
import sys
from dataclasses import replace
from typing import Any

import pytest
import torch
from PIL import Image

from diptych import methods
from diptych.bench import job
from diptych.bench.job import make_spec
from diptych.bench.place import read_json, read_result, write_json
from diptych.bench.results import read_report, value_at
from diptych.bench.tables import problems
from diptych.checkpoint import load_translator
from diptych.data import open_data
from diptych.data.images import to_tensor
from diptych.errors import InputError
from diptych.evaluation import Scores, evaluate
from diptych.inference.load import load
from diptych.inference.translator import Translator
from diptych.methods import give, make_config, named_method
from diptych.methods.cyclegan import CycleGAN
from diptych.networks.device import cpu_threads
from diptych.training.settings import Settings
from tests.bench.made_results import forget
from tests.evaluation.made_labels import train_little, write_labelled
from tests.methods.outside_cases import SHARP

SCORE = job.score_file


@pytest.mark.slow
def test_a_run_is_trained_drawn_and_goes_on_where_it_was(
    bench, trained, place, paired_data, monkeypatch
):
    assert bench("cyclegan") == 0
    result = read_result(place, "cyclegan", 0)
    ends = [result["scores"][share]["dark→bright"]["l1"] for share in ("25", "50", "100")]
    assert ends == [0.01, 0.02, 0.04]
    assert result["scores"]["50"]["dark→bright"] == {"l1": 0.02, "kid": 0.5}
    whole = CycleGAN(load(place.run("cyclegan", 0))._method.config)
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
    first = (
        data.test.pairs[0]
        .read(0)
        .picture()
        .convert("RGB")
        .resize((64, 64), Image.Resampling.NEAREST)
    )
    assert real.crop((0, 0, 64, 64)).tobytes() == first.tobytes()
    made = Image.open(place.picture("cyclegan")).convert("RGB")
    translator = load(place.run("cyclegan", 0), device="cpu")
    last = data.test.pairs[0].read(5).picture().convert("RGB")
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


def test_a_method_from_outside_is_imported_as_the_user_named_it(tmp_path, monkeypatch):
    monkeypatch.setattr(methods, "_given", {})
    monkeypatch.setattr(job, "_stop_with_input", lambda: None)
    module = tmp_path / "of_a_bench.py"
    module.write_text(SHARP + "\n\nclass Blunt(CycleGAN):\n    pass\n", encoding="utf-8")
    run = Settings(data=str(tmp_path / "nowhere"), steps=4)
    spec, answer = tmp_path / "spec.json", tmp_path / "answer.json"
    named = "of_a_bench:Sharp"
    try:
        config = make_config(give(named_method(f"{module}:Sharp")), {"sharp_weight": 3.0})
        write_json(spec, make_spec("measure", named, config, run))
        methods._given.clear()
        with pytest.raises(InputError, match="no method 'of_a_bench:Sharp'"):
            job.main([str(spec), str(answer)])
        assert job.main([str(spec), str(answer), f"{module}:Sharp"]) == 0
    finally:
        sys.modules.pop("of_a_bench", None)
    assert "nowhere" in read_json(answer)["why_not"]  # it came as far as the data


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
