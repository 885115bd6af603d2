"""Small studies, a server for each, and what asks it as a browser does."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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
def served(folder: Path, host: str = "127.0.0.1", url: str | None = None) -> Iterator[StudyServer]:
    """A server of the study, in a thread."""
    with StudyServer(Study(folder), host, 0, url) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """A browser's part: keeps the cookie, sends JSON."""

    def __init__(self, server: StudyServer) -> None:
        self.port = int(server.server_address[1])
        self.cookie = ""

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            names = {k.replace("_", "-"): v for k, v in headers.items()}
            connection.request(method, path, body, {"Cookie": self.cookie} | names)
            response = connection.getresponse()
            reply = Reply(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()
        if "Set-Cookie" in reply.headers:
            self.cookie = reply.headers["Set-Cookie"].partition(";")[0]
        return reply

    def get(self, path: str) -> Reply:
        return self.ask("GET", path)

    def post(self, path: str, **body: Any) -> Reply:
        return self.ask("POST", path, json.dumps(body).encode(), Content_Type="application/json")

    def state(self, code: str = "") -> Any:
        return self.post("/api/state", code=code).json

    def join(self, request: str = "r1", **more: Any) -> Reply:
        return self.post("/api/join", agrees=True, request=request, **more)


@pytest.fixture
def folder(new_study) -> Path:
    return new_study()


@pytest.fixture
def server(folder: Path) -> Iterator[StudyServer]:
    with served(folder) as running:
        yield running


@pytest.fixture
def client(server: StudyServer) -> Client:
    return Client(server)
