"""A method in a file of its own, and what tests of methods from outside ask of runs."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from diptych.errors import InputError

TINY = {"width": 4, "size": 32, "blocks": 1, "buffer_size": 2}
RUN: dict[str, Any] = {"steps": 2, "device": "cpu", "workers": 0, "precision": "fp32", "threads": 1}

SHARP = '''\
"""Sharp CycleGAN: a method in a file."""

from dataclasses import dataclass

from diptych.methods.cyclegan import Config, CycleGAN
from diptych.types import Recipe

SUMMARY = "edges too"
RECIPES = {"crisp": Recipe("very sharp", config={"sharp_weight": 9.0})}


@dataclass(frozen=True, kw_only=True)
class SharpConfig(Config):
    sharp_weight: float = 1.0


class Sharp(CycleGAN):
    """CycleGAN, sharper."""

    def __init__(self, config: SharpConfig, channels: tuple[int, ...] = (3, 3)) -> None:
        super().__init__(config, channels)
'''


def method_of(folder: Path) -> str:
    return str(tomllib.loads((folder / "config.toml").read_text("utf-8"))["method"])


def refusal(function: Callable[[], Any]) -> str:
    with pytest.raises(InputError) as caught:
        function()
    assert "\n" not in str(caught.value)
    return str(caught.value)
