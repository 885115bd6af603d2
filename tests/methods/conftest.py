"""A process that has been given no method, a package with one, and a run of it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import diptych
from diptych import methods
from tests.methods.outside_cases import RUN, SHARP, TINY


@pytest.fixture
def nothing_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test begins as a process that has been given no method."""
    monkeypatch.setattr(methods, "_given", {})


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working directory, with a package `sharp_pkg` whose module `sharp` holds a method."""
    root = tmp_path / "work"
    (root / "sharp_pkg").mkdir(parents=True)
    (root / "sharp_pkg" / "__init__.py").touch()
    (root / "sharp_pkg" / "sharp.py").write_text(SHARP, encoding="utf-8")
    monkeypatch.chdir(root)
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)
    importlib.invalidate_caches()
    yield root
    for name in set(sys.modules) - before:  # others, such as torch's, stand being loaded once
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(root)):
            del sys.modules[name]


@pytest.fixture
def installed(package: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Installs a distribution with entry points, as pip leaves it."""
    monkeypatch.syspath_prepend(package)

    def install(distribution: str, **entries: str) -> None:
        info = package / f"{distribution.replace('-', '_')}-1.2.dist-info"
        info.mkdir()
        text = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n"
        (info / "METADATA").write_text(text, encoding="utf-8")
        lines = [f"{name} = {value}" for name, value in entries.items()]
        text = "\n".join(["[diptych.methods]", *lines, ""])
        (info / "entry_points.txt").write_text(text, encoding="utf-8")
        importlib.invalidate_caches()

    return install


@pytest.fixture
def trained(picture_folders, tmp_path: Path) -> Callable[..., Path]:
    """Trains a method for two steps; returns the run's folder."""
    x, y = picture_folders()

    def train(method: Any, **options: Any) -> Path:
        out = str(tmp_path / "run")
        given = TINY | RUN | {"x": x, "y": y, "out": out} | options
        return diptych.train(method, **given, overwrite=True).folder

    return train
