"""Which loggers there are, and callbacks as one of them."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
from PIL import Image

import diptych
from diptych.errors import InputError
from diptych.training.log import METRICS_FILE, read_metrics
from diptych.training.loggers import Callbacks, LoggedRun, check_logger, open_logger
from diptych.training.settings import read_plan

SMALL = {"width": 4, "size": 32, "blocks": 1, "device": "cpu", "workers": 0, "precision": "fp32"}


def _train(picture_folders, out: Path, **options):
    x, y = picture_folders()
    return diptych.train("cyclegan", x=x, y=y, out=out, **{**SMALL, "logger": "none"} | options)


def test_none_opens_nothing_and_leaves_no_events(picture_folders, tmp_path: Path) -> None:
    assert open_logger("none", LoggedRun(tmp_path, None, {})) is None
    run = _train(picture_folders, tmp_path / "run", steps=2)
    assert len(read_metrics(run.folder / METRICS_FILE)) == 2
    assert not (run.folder / "tensorboard").exists()


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_missing_library_is_named_before_anything_is_written(
    picture_folders, tmp_path: Path, monkeypatch, name
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n: None if n == name else real(n))
    with pytest.raises(InputError, match=rf"logger='{name}' needs .*'diptych\[{name}\]'"):
        check_logger(name)
    with pytest.raises(InputError):
        _train(picture_folders, tmp_path / "run", logger=name, steps=1)
    assert not (tmp_path / "run").exists()


def test_callbacks_get_what_is_logged_and_each_preview(picture_folders, tmp_path: Path) -> None:
    losses: dict[int, dict[str, float]] = {}
    sizes: list[tuple[int, int]] = []
    run = _train(
        picture_folders,
        tmp_path / "run",
        steps=4,
        preview_every=2,
        on_log=lambda step, values: losses.update({step: values}),
        on_preview=lambda grid: sizes.append(grid.size),
    )
    lines = read_metrics(run.folder / METRICS_FILE)
    assert list(losses) == [1, 2, 3, 4]
    assert losses[3] == pytest.approx(lines[2]["losses"])
    kept = sorted((run.folder / "previews").glob("*.png"))
    assert [file.name for file in kept] == ["00000000.png", "00000002.png", "00000004.png"]
    for size, file in zip(sizes, kept, strict=True):
        with Image.open(file) as image:
            assert image.size == size


def test_a_callback_that_fails_ends_the_training_with_its_step_saved(
    picture_folders, tmp_path: Path
) -> None:
    def fail(step: int, losses: dict[str, float]) -> None:
        if step == 2:
            raise LookupError("no such thing")

    with pytest.raises(LookupError, match="no such thing"):
        _train(picture_folders, tmp_path / "run", steps=4, on_log=fail)
    seen: list[int] = []
    run = diptych.resume(tmp_path / "run", on_log=lambda step, losses: seen.append(step))
    assert seen == [3, 4]
    assert [line["step"] for line in read_metrics(run.folder / METRICS_FILE)] == [1, 2, 3, 4]


def test_the_option_of_earlier_versions_is_the_one_of_now(picture_folders, tmp_path: Path) -> None:
    run = _train(picture_folders, tmp_path / "run", steps=2, sample_every=1)
    assert read_plan(run.folder).run.preview_every == 1
    text = (run.folder / "config.toml").read_text()
    (run.folder / "config.toml").write_text(text.replace("preview_every", "sample_every"))
    assert read_plan(run.folder).run.preview_every == 1


def test_callbacks_alone_do_no_harm() -> None:
    logger = Callbacks()
    logger.log(1, {"losses/cycle": 1.0})
    logger.preview(1, Image.new("RGB", (2, 2)))
    logger.close()
    got: list[str] = []
    Callbacks(on_log=lambda step, losses: got.append(json.dumps([step, losses]))).log(
        7, {"losses/cycle": 0.5, "learning_rates/generators": 2e-4}
    )
    assert got == ['[7, {"cycle": 0.5}]']
