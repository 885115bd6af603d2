"""Which loggers there are, and callbacks as one of them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
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
@pytest.mark.parametrize("is_empty", [False, True])
def test_a_missing_library_is_named_before_anything_is_written(
    picture_folders, tmp_path: Path, monkeypatch, name, is_empty
) -> None:
    # A folder of the library's name, such as it makes itself, is an empty package.
    monkeypatch.setitem(sys.modules, name, ModuleType(name) if is_empty else None)
    monkeypatch.delitem(sys.modules, f"diptych.training.loggers.{name}_events", raising=False)
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

    with pytest.raises(LookupError, match="no such thing") as caught:
        _train(picture_folders, tmp_path / "run", steps=4, on_log=fail)
    assert caught.traceback[-1].name == "fail"  # where it went wrong is shown
    assert "2 steps" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    seen: list[int] = []
    run = diptych.resume(tmp_path / "run", on_log=lambda step, losses: seen.append(step))
    assert seen == [3, 4]
    assert [line["step"] for line in read_metrics(run.folder / METRICS_FILE)] == [1, 2, 3, 4]


def test_a_failure_in_the_first_preview_stops_before_the_first_step(
    picture_folders, tmp_path: Path
) -> None:
    def fail(grid: Image.Image) -> None:
        raise LookupError(f"{grid.mode}")

    with pytest.raises(LookupError, match="RGB"):
        _train(picture_folders, tmp_path / "run", steps=2, on_preview=fail)
    assert read_metrics(tmp_path / "run" / METRICS_FILE) == []
    assert len(read_metrics(diptych.resume(tmp_path / "run").folder / METRICS_FILE)) == 2


def test_callbacks_that_draw_change_nothing_of_the_run(picture_folders, tmp_path: Path) -> None:
    def draw(grid: Image.Image) -> None:
        torch.manual_seed(3)
        grid.paste((255, 0, 0), (0, 0, *grid.size))

    x, y = picture_folders()
    plain, drawn = (
        # Its discriminator's dropout draws from PyTorch's global random numbers.
        diptych.train(
            "acgan", x=x, y=y, out=tmp_path / name, steps=3, preview_every=1, logger="none",
            size=32, width=4, batch_size=4, device="cpu", workers=0, precision="fp32",
            on_preview=on_preview,
        ).folder
        for name, on_preview in (("plain", None), ("drawn", draw))
    )  # fmt: skip
    one, other = (
        [line["losses"] for line in read_metrics(folder / METRICS_FILE)]
        for folder in (plain, drawn)
    )
    assert one == other
    for file in ("00000000.png", "00000003.png"):
        assert (plain / "previews" / file).read_bytes() == (drawn / "previews" / file).read_bytes()


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
