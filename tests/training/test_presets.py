"""Presets: settings that hold for every method."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from diptych.methods import build, list_methods, make_config
from diptych.training.presets import PRESETS, chosen
from diptych.training.settings import Settings


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("method", list_methods())
def test_a_preset_is_valid_for_every_method(method: str, preset: str) -> None:
    config, run = chosen(method, preset=preset)
    make_config(method, config)
    Settings(**run)


@pytest.mark.parametrize("method", list_methods())
def test_the_papers_preset_changes_nothing(method: str) -> None:
    config, run = chosen(method, preset="paper")
    assert make_config(method, config) == make_config(method, {})
    assert Settings(**run) == Settings()


def test_a_method_of_one_size_keeps_it_in_a_preset() -> None:
    config, run = chosen("unit_adaptation", preset="fast")
    assert config["size"] == 32
    assert (config["width"], config["batch_size"], config["decay_from"]) == (16, 32, 0.75)
    assert config["lr"] * run["lr_scale"] == pytest.approx(1.5e-3)
    assert run == {"lr_scale": 3.0, "ema": 0.999}


def test_a_preset_can_hold_a_methods_own_rate() -> None:
    config, run = chosen("unit", preset="fast")
    assert config["lr"] * run["lr_scale"] == pytest.approx(9e-4)
    assert chosen("unit", recipe="street")[0].get("lr") is None


@pytest.mark.parametrize("method", list_methods())
def test_fast_batches_are_large_enough_for_the_batch_norm_of_a_method_that_has_it(
    method: str,
) -> None:
    config = make_config(method, chosen(method, preset="fast")[0])
    with torch.device("meta"):
        network = build(method, config, (3, 3))
    has_norm = any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in network.modules())
    assert config.batch_size >= (8 if has_norm else 1)
