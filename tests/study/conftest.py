"""Small studies, and a server for each."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from diptych.study.items import Item, make_study
from diptych.study.server import StudyServer
from diptych.study.settings import StudySettings
from diptych.study.store import Study

REAL, FAKE = 200, 60  # grey levels by which the tests tell the images apart

MakeStudy = Callable[..., Path]


def grey_items(level: int, count: int, scenes: str = "scene") -> list[Item]:
    """Images of one grey level; their second channel is their number."""
    return [
        Item(f"{scenes}-{i}", Image.new("RGB", (32, 32), (level, i, level))) for i in range(count)
    ]


@pytest.fixture
def new_study(tmp_path: Path) -> MakeStudy:
    """Makes a study of two methods, real images light and fakes dark, and returns its folder."""

    def make(name: str = "study", images: int = 12, **options: Any) -> Path:
        settings = {"direction": "map→photo", "methods": ("alpha", "beta"), "practice": 2,
                    "counted": 4} | options  # fmt: skip
        fakes = {method: grey_items(FAKE, images) for method in settings["methods"]}
        make_study(tmp_path / name, grey_items(REAL, images), fakes, StudySettings(**settings))
        return tmp_path / name

    return make


@contextmanager
def served(folder: Path, port: int = 0) -> Iterator[StudyServer]:
    """A server of the study, in a thread."""
    with StudyServer(Study(folder), "127.0.0.1", port) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
