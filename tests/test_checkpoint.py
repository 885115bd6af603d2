"""States and translators: whole, checked, and never unpickled freely."""

from __future__ import annotations

import json
import logging
import pickle
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from diptych.checkpoint import (
    TranslatorInfo,
    inference_weights,
    load_state,
    load_translator,
    load_weights,
    read_translator,
    save_state,
    save_translator,
)
from diptych.errors import InputError
from diptych.methods import build, make_config

OPTIONS = {"width": 2, "size": 32, "blocks": 1}
INFO = TranslatorInfo(
    method="cyclegan", config=OPTIONS, domains=("a", "b"), size=32, step=7,
    fingerprint="f", source="somewhere", version="0.1.0",
)  # fmt: skip


def _method(seed: int = 0, **options: Any) -> Any:
    torch.manual_seed(seed)
    return build("cyclegan", make_config("cyclegan", OPTIONS | options), (3, 3))


def _state(step: int) -> dict[str, Any]:
    return {"step": step, "weights": {"w": torch.full((9,), float(step))}, "rng": torch.arange(5)}


def _refused(load: Callable[[Path], Any], path: Path) -> str:
    with pytest.raises(InputError) as caught:
        load(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


# --- states ------------------------------------------------------------------------


def test_state_round_trip_and_the_one_before_is_kept(tmp_path):
    for step in (1, 2, 3):
        save_state(tmp_path, _state(step))
        state = load_state(tmp_path)
        assert state["step"] == step
        assert torch.equal(state["weights"]["w"], torch.full((9,), float(step)))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["state.previous.pt", "state.pt"]
    (tmp_path / "state.pt").unlink()
    assert load_state(tmp_path)["step"] == 2


def test_a_new_state_that_was_not_yet_renamed_is_the_newest(tmp_path):
    save_state(tmp_path, _state(1))
    save_state(tmp_path, _state(2))
    (tmp_path / "state.pt").rename(tmp_path / "state.new.pt")  # killed between the renames
    assert load_state(tmp_path)["step"] == 2
    assert [p.name for p in tmp_path.glob("state.*")].count("state.pt") == 1  # it is now
    save_state(tmp_path, _state(3))
    assert load_state(tmp_path)["step"] == 3
    assert not (tmp_path / "state.new.pt").exists()


def test_any_flipped_bit_is_harmless_or_falls_back_with_a_warning(tmp_path, caplog):
    save_state(tmp_path, _state(1))
    save_state(tmp_path, _state(2))
    path = tmp_path / "state.pt"
    whole = path.read_bytes()
    draws = random.Random(0)
    directory = whole.index(b"PK\x01\x02")  # the zip's headers, where checksums do not reach
    places = [*range(directory, len(whole), 3), *draws.sample(range(len(whole)), 300)]
    steps = []
    for place in places:
        content = bytearray(whole)
        content[place] ^= 1 << draws.randrange(8)
        path.write_bytes(content)
        caplog.clear()
        with caplog.at_level(logging.WARNING, "diptych"):
            state = load_state(tmp_path)
        assert torch.equal(state["weights"]["w"], torch.full((9,), float(state["step"])))
        assert bool(caplog.messages) == (state["step"] == 1)
        steps.append(state["step"])
    assert set(steps) == {1, 2}
    assert steps.count(1) > len(places) / 2


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_truncated_state_falls_back(tmp_path, share, caplog):
    save_state(tmp_path, _state(1))
    save_state(tmp_path, _state(2))
    path = tmp_path / "state.pt"
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    assert load_state(tmp_path)["step"] == 1
    assert f"{path} is damaged" in caplog.text


def test_no_good_state_is_an_input_error(tmp_path):
    assert "is it a run's folder?" in _refused(load_state, tmp_path)
    save_state(tmp_path, _state(1))
    save_state(tmp_path, _state(2))
    for name in ("state.pt", "state.previous.pt"):
        (tmp_path / name).write_bytes(b"PK")
    assert "no undamaged checkpoint beside it" in _refused(load_state, tmp_path)


def test_another_format_is_refused_and_not_passed_over(tmp_path):
    save_state(tmp_path, _state(1))
    torch.save({"format": 99}, tmp_path / "state.pt")
    assert "has format 99, this version of Diptych reads 2" in _refused(load_state, tmp_path)


class _Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("evil"),))


def test_a_strangers_pickle_is_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"format": 1, "x": _Evil()}, tmp_path / "state.pt")
    _refused(load_state, tmp_path)
    (tmp_path / "state.pt").write_bytes(pickle.dumps(_Evil()))
    _refused(load_state, tmp_path)
    assert not (tmp_path / "evil").exists()


# --- translators ---------------------------------------------------------------------


def test_translator_round_trip_gives_the_same_translation_and_all_that_its_header_says(tmp_path):
    method, file = _method(), tmp_path / "t.safetensors"
    save_translator(file, inference_weights(method), INFO)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    loaded, info = load_translator(file)
    assert torch.equal(torch.get_rng_state(), before)
    assert info == INFO
    assert not loaded.training
    assert not any(p.requires_grad for p in loaded.parameters())
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    for to in (0, 1):
        with torch.no_grad():
            assert torch.equal(loaded.translate(image, (to,)), method.translate(image, (to,)))


def test_a_translator_holds_the_generators_only(tmp_path):
    weights = inference_weights(_method())
    assert {name.split(".")[0] for name in weights} == {"G", "F"}
    file = tmp_path / "t.safetensors"
    save_translator(file, weights, INFO)
    assert read_translator(file)[0].keys() == weights.keys()


def test_a_runs_folder_stands_for_its_translator(tmp_path):
    save_translator(tmp_path / "translator.safetensors", inference_weights(_method()), INFO)
    assert read_translator(tmp_path)[1] == INFO


def _rewrite_header(file: Path, header: Any) -> None:
    weights = {k: v.contiguous() for k, v in inference_weights(_method()).items()}
    save_file(weights, file, metadata={"diptych": json.dumps(header)})


def test_what_is_no_translator_is_named_in_one_line(tmp_path):
    file = tmp_path / "t.safetensors"
    assert "no such run or file" in _refused(read_translator, file)
    assert "holds no translator.safetensors" in _refused(read_translator, tmp_path)
    file.write_bytes(b"no safetensors")
    assert "damaged or not a translator" in _refused(read_translator, file)
    save_translator(file, inference_weights(_method()), INFO)
    file.write_bytes(file.read_bytes()[:-10])
    assert "damaged" in _refused(read_translator, file)
    save_file({"w": torch.ones(1)}, file)
    assert "not one of Diptych's" in _refused(read_translator, file)
    _rewrite_header(file, {"format": 2, "version": "9.0"})
    assert "written by Diptych 9.0" in _refused(read_translator, file)
    _rewrite_header(file, {"format": 1, "domains": ["a", "b"]})
    assert "unusable header" in _refused(read_translator, file)


def test_weights_of_another_shape_or_name_are_refused_in_one_line(tmp_path):
    weights = inference_weights(_method())
    with pytest.raises(InputError, match=r"one\.safetensors does not fit .*is .*not") as caught:
        load_weights(_method(width=3), weights, "one.safetensors")
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="is not in both"):
        load_weights(_method(blocks=2), weights, "one.safetensors")
    file = tmp_path / "t.safetensors"
    save_translator(file, weights, replace(INFO, config=OPTIONS | {"colour": 1}))
    with pytest.raises(InputError, match="no option 'colour'"):
        load_translator(file)
