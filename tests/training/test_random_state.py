"""Whoever trains from Python has the random numbers that they would have had without it."""

from __future__ import annotations

import random
import signal
from typing import Any

import numpy as np
import pytest
import torch

import diptych
from diptych.training.random_state import random_state, random_state_kept, set_random_state

CPU = torch.device("cpu")


def _states() -> tuple[Any, ...]:
    name, keys, *rest = np.random.get_state()  # noqa: NPY002, the one that a caller may use
    return torch.get_rng_state().tolist(), random.getstate(), name, keys.tolist(), rest


@pytest.fixture
def options(picture_folders, tmp_path):
    x, y = picture_folders()
    options = {"x": x, "y": y, "out": str(tmp_path / "run"), "device": "cpu", "workers": 0}
    return options | {"precision": "auto", "width": 4, "size": 32, "blocks": 1, "steps": 3}


def test_training_and_resuming_leave_the_callers_random_numbers_alone(
    options, at_step, monkeypatch
):
    torch.manual_seed(11)
    before = _states()
    with monkeypatch.context() as patch:
        at_step(patch, 1, lambda: signal.raise_signal(signal.SIGINT))
        run = diptych.train("cyclegan", **options)
    assert _states() == before
    diptych.resume(run.folder)
    assert _states() == before
    drawn = torch.rand(3)
    torch.manual_seed(11)
    assert torch.equal(drawn, torch.rand(3))


def test_a_training_that_fails_leaves_them_alone_too(options):
    before = _states()
    with pytest.raises(diptych.InputError):
        diptych.train("cyclegan", **options | {"init": "nothing.safetensors"})
    assert _states() == before


def test_a_state_that_is_set_again_repeats_its_numbers():
    state = random_state(CPU)
    first = torch.rand(4)
    set_random_state(state, CPU)
    assert torch.equal(torch.rand(4), first)
    assert state["cuda_rng"] is None
    assert state["mps_rng"] is None


def test_generators_of_all_gpus_are_put_back_whichever_trains(monkeypatch):
    gpus = {0: torch.tensor([1]), 1: torch.tensor([2])}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_rng_state_all", lambda: [g.clone() for g in gpus.values()])
    monkeypatch.setattr(torch.cuda, "set_rng_state_all", lambda new: gpus.update(enumerate(new)))
    with random_state_kept():
        gpus[0] = gpus[1] = torch.tensor([3])
    assert [int(g) for g in gpus.values()] == [1, 2]
