"""Presets: settings for every method, and what one method adds to them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from diptych.errors import InputError
from diptych.registry import make_config, method_names
from diptych.train import presets
from diptych.train.presets import PRESETS, find_preset
from diptych.train.settings import Settings
from diptych.types import Recipe


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("method", method_names())
def test_a_preset_is_valid_for_every_method(method: str, preset: str) -> None:
    found = find_preset(method, preset)
    make_config(method, found.config)
    Settings(**found.run)


@pytest.mark.parametrize("method", method_names())
def test_the_papers_preset_changes_nothing(method: str) -> None:
    found = find_preset(method, "paper")
    assert make_config(method, found.config) == make_config(method, {})
    assert Settings(**found.run) == Settings()


def test_what_a_method_adds_wins_over_what_holds_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    own = Recipe("its own", config={"batch_size": 7, "more": 1}, run={"ema": 0.5})
    module = SimpleNamespace(PRESETS={"fast": own})
    monkeypatch.setattr(presets, "find_method", lambda name: module)
    found = find_preset("any", "fast")
    assert found.config == {**PRESETS["fast"].config, "batch_size": 7, "more": 1}
    assert found.run == {**PRESETS["fast"].run, "ema": 0.5}
    assert found.summary == f"{PRESETS['fast'].summary}; its own"
    assert find_preset("any", "paper") == PRESETS["paper"]


def test_an_unknown_preset_is_named_with_those_that_there_are() -> None:
    with pytest.raises(InputError, match="no preset 'foo'; there are: paper, fast"):
        find_preset("cyclegan", "foo")
