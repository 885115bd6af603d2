"""Devices and precisions, as far as a CPU can tell."""

from __future__ import annotations

import os

import pytest
import torch

from diptych.errors import InputError
from diptych.networks import device as devices
from diptych.networks.device import find_device, find_precision, keep_kernels, make_autocast

CPU = torch.device("cpu")


def test_the_cpu_is_found_by_name():
    assert find_device("cpu") == CPU


def test_auto_takes_the_cpu_where_there_is_nothing_faster(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert find_device("auto") == CPU
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert find_device("auto") == torch.device("mps")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert find_device("auto") == torch.device("cuda")


@pytest.mark.parametrize("name", ["cuda:97", "gpu", "tpu:0", ""])
def test_a_device_that_is_not_here_is_named_in_one_line(name: str):
    with pytest.raises(InputError) as caught:
        find_device(name)
    assert f"no device {name!r} here" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_half_floats_on_a_cpu_are_refused():
    with pytest.raises(InputError, match="precision='fp16' needs a GPU"):
        find_precision("fp16", CPU)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_named_precision_is_taken_as_it_is(precision):
    assert find_precision(precision, CPU) == precision


@pytest.mark.parametrize(("speedup", "expected"), [(0.4, "fp32"), (1.19, "fp32"), (2.0, "bf16")])
def test_auto_takes_bf16_on_a_cpu_only_where_it_is_faster(monkeypatch, speedup, expected):
    monkeypatch.setattr(devices, "_bf16_speedup", lambda: speedup)
    assert find_precision("auto", CPU) == expected


def test_measuring_the_precision_leaves_the_random_state_alone():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    assert find_precision("auto", CPU) in ("fp32", "bf16")
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)]
)
def test_autocast_computes_in_its_precision(precision, dtype):
    layer = torch.nn.Linear(2, 2)
    with make_autocast(precision, CPU)():
        assert layer(torch.ones(1, 2)).dtype == dtype
    assert layer(torch.ones(1, 2)).dtype == torch.float32


def test_compiled_kernels_are_kept_in_the_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("DIPTYCH_CACHE", str(tmp_path))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "")  # so that it is put back afterwards
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    keep_kernels()
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(tmp_path / "kernels")
    assert (tmp_path / "kernels").is_dir()


def test_where_a_user_wants_kernels_or_nothing_can_be_kept_all_stays_as_it_is(
    monkeypatch, tmp_path
):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "elsewhere")
    monkeypatch.setenv("DIPTYCH_CACHE", str(tmp_path))
    keep_kernels()
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == "elsewhere"
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    (tmp_path / "file").touch()
    monkeypatch.setenv("DIPTYCH_CACHE", str(tmp_path / "file"))
    keep_kernels()
    assert "TORCHINDUCTOR_CACHE_DIR" not in os.environ
