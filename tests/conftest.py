"""Shared by all tests: little folders of pictures, and one thread."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from diptych.cli.main import main

# Shells start background jobs deaf to Ctrl-C, and children inherit that; some tests send it.
signal.signal(signal.SIGINT, signal.default_int_handler)
torch.set_num_threads(1)  # the tests' tensors are small: more threads only wait for each other

MakeFolders = Callable[..., tuple[str, str]]
Fails = Callable[..., str]


@pytest.fixture
def picture_folders(tmp_path: Path) -> MakeFolders:
    """Makes two folders of PNG noise and returns their names: x is dark, y is bright.

    With `classes`, the images lie in so many folders within, 0, 1 and on, by turns.
    """

    def make(
        count: int = 6, side: int = 32, where: str = "data", classes: int = 0
    ) -> tuple[str, str]:
        draws = np.random.default_rng(0)
        folders = []
        for name, low in (("dark", 0), ("bright", 128)):
            folder = tmp_path / where / name
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = draws.integers(low, low + 128, (side, side, 3), dtype=np.uint8)
                place = folder / str(i % classes) if classes else folder
                place.mkdir(exist_ok=True)
                Image.fromarray(pixels).save(place / f"{i}.png")
            folders.append(str(folder))
        return folders[0], folders[1]

    return make


@pytest.fixture
def parted_folders(picture_folders: MakeFolders, tmp_path: Path) -> Callable[..., Path]:
    """Makes a folder of two domains, with a trainA and a trainB for the part "train".

    The images have equal names in both: true pairs.
    """

    def make(*parts: str) -> Path:
        root = tmp_path / "dark2bright"
        root.mkdir()
        for part in parts:
            for letter, made in zip("AB", picture_folders(where=f"made-{part}"), strict=True):
                Path(made).rename(root / f"{part}{letter}")
        return root

    return make


@pytest.fixture
def fails(capsys: pytest.CaptureFixture[str]) -> Fails:
    """Runs a command that must end with exit code 2 and one line, which it returns."""

    def run(*arguments: object, code: int = 2) -> str:
        capsys.readouterr()
        assert main([str(a) for a in arguments]) == code
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1, lines
        assert lines[0].startswith("diptych: ")
        return lines[0].removeprefix("diptych: ")

    return run
