"""Small runs, and things that happen to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from diptych.methods import make_config
from diptych.methods.cyclegan import CycleGAN
from diptych.training.run import Outcome, train
from diptych.training.settings import Settings

Start = Callable[..., Outcome]
AtStep = Callable[[pytest.MonkeyPatch, int, Callable[[], Any]], None]


@pytest.fixture
def start(picture_folders, tmp_path: Path) -> Start:
    """Trains a small run; its folder is run/ unless `out` says otherwise."""
    x, y = picture_folders()

    def begin(config: dict[str, Any] | None = None, overwrite: bool = False, **run: Any) -> Outcome:
        options = {"width": 4, "size": 32, "blocks": 1, "buffer_size": 2} | (config or {})
        given = {"x": x, "y": y, "out": str(tmp_path / "run"), "device": "cpu", "workers": 0}
        given |= {"precision": "fp32"} | run
        if not given.keys() & {"steps", "epochs", "minutes"}:
            given["steps"] = 4
        config_ = make_config("cyclegan", options)
        return train("cyclegan", config_, Settings(**given), overwrite=overwrite)

    return begin


@pytest.fixture
def paired_folders(parted_folders) -> Path:
    """A folder with train, val and test of two domains, with equal names: true pairs."""
    return parted_folders("train", "val", "test")


@pytest.fixture
def at_step() -> AtStep:
    """`at_step(monkeypatch, step, action)` calls `action` amid the iteration after `step`."""

    def arrange(patch: pytest.MonkeyPatch, step: int, action: Callable[[], Any]) -> None:
        real = CycleGAN.iteration

        def iteration(self: CycleGAN, batches: Any, clock: Any) -> Iterator[Any]:
            for update in real(self, batches, clock):
                if clock.step == step and update.group == "generators":
                    action()
                yield update

        patch.setattr(CycleGAN, "iteration", iteration)

    return arrange
