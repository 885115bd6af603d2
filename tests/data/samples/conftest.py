"""A place without the user's own files."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.data.test_packed import write_mnist


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own, MNIST of 50 images, no USPS."""
    monkeypatch.setenv("DIPTYCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DIPTYCH_MNIST", str(write_mnist(tmp_path / "mnist")))
    monkeypatch.delenv("DIPTYCH_USPS", raising=False)
    return tmp_path
