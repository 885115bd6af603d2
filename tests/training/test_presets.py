"""Presets: settings that hold for every method."""

from __future__ import annotations

import pytest

from diptych.api import chosen
from diptych.registry import make_config, method_names
from diptych.training.presets import PRESETS
from diptych.training.settings import Settings


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("method", method_names())
def test_a_preset_is_valid_for_every_method(method: str, preset: str) -> None:
    config, run = chosen(method, preset=preset)
    make_config(method, config)
    Settings(**run)


@pytest.mark.parametrize("method", method_names())
def test_the_papers_preset_changes_nothing(method: str) -> None:
    config, run = chosen(method, preset="paper")
    assert make_config(method, config) == make_config(method, {})
    assert Settings(**run) == Settings()


def test_a_method_of_one_size_keeps_it_in_a_preset() -> None:
    config, run = chosen("unit_adaptation", preset="fast")
    assert config == {"size": 32, "width": 32, "batch_size": 4, "decay_from": 0.75}
    assert run == {"lr_scale": 3.0, "ema": 0.999}


def test_a_preset_can_hold_a_methods_own_rate() -> None:
    config, run = chosen("unit", preset="fast")
    assert config["lr"] * run["lr_scale"] == pytest.approx(9e-4)
    assert chosen("unit", recipe="street")[0].get("lr") is None
