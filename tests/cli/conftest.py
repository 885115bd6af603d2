"""Small trainings by the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from diptych.cli.main import main
from diptych.training.settings import read_plan

SMALL = ["--width", "4", "--size", "32", "--blocks", "1", "--device", "cpu", "--workers", "0"]
SMALL += ["--precision", "fp32", "--threads", "1", "--no-evaluate"]


@pytest.fixture
def folders(picture_folders) -> list[str]:
    x, y = picture_folders()
    return ["--x", x, "--y", y]


@pytest.fixture
def run(folders: list[str], tmp_path: Path) -> Path:
    """A run of two steps."""
    out = tmp_path / "run"
    assert main(["train", "cyclegan", *folders, "--steps", "2", "--out", str(out), *SMALL]) == 0
    return out


def folder_of_photos(path: Path, count: int = 3, side: int = 40) -> Path:
    path.mkdir()
    for i in range(count):
        Image.new("RGB", (side, side), (40 * i, 90, 200 - 40 * i)).save(path / f"{i}.jpg")
    return path


def domains_of(run: Path) -> list[str]:
    return list(read_plan(run).resolved.domains)
