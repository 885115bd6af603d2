"""Over HTTP: what a page needs, and nothing that tells which image is real."""

from __future__ import annotations

import json
import re
import socket
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

import diptych.study
from diptych.errors import InputError
from diptych.study.server import StudyServer
from diptych.study.store import Study
from tests.study.conftest import Client

PNG_CHUNKS = {b"IHDR", b"IDAT", b"IEND"}


def test_addresses_that_are_none_get_an_answer(client) -> None:
    assert client.get("//[").status == 404
    body = json.dumps({"agrees": True, "request": "r1"}).encode()
    kind = "application/json"
    reply = client.ask("POST", "/api/join", body, Content_Type=kind, Origin="http://[")
    assert reply.status == 403


def test_a_session_over_http(client, folder) -> None:
    welcome = client.state()
    assert welcome == {
        "title": "Which image is real?", "contact": "", "practice": 2, "counted": 4,
        "exposure_ms": 1000.0, "presentation": "together", "stage": "welcome",
        "is_by_invitation": False,
    }  # fmt: skip
    state = client.join().json
    for number in range(1, 7):
        assert state["number"] == number
        for side in ("left", "right"):
            assert client.get(f"/image/{state[side]}").headers["Content-Type"] == "image/png"
        assert client.post("/api/show", trial=number).json == {"is_shown": True}
        reply = client.post("/api/answer", trial=number, choice="right", response_ms=812,
                            exposure_ms=1001.5, was_hidden=True).json  # fmt: skip
        assert (reply["feedback"] is None) == (number > 2)
        state = reply["state"]
    assert state["stage"] == "done"
    assert client.join("r2").json == state  # who has finished cannot begin again
    records = Study(folder).records()
    assert [(r["choice"], r["views"], r["exposure_ms"], r["was_hidden"]) for r in records] == [
        ("right", 1, 1001.5, 1)
    ] * 6


def test_the_cookie_is_for_this_server_alone(client) -> None:
    cookie = client.join().headers["Set-Cookie"]
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))


def test_every_reply_forbids_what_is_from_elsewhere(client) -> None:
    client.join()
    for reply in (client.get("/"), client.get("/page.js"), client.get("/nothing"),
                  client.post("/api/state"), client.ask("PUT", "/")):  # fmt: skip
        policy = reply.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none';")
        assert "unsafe" not in policy
        assert "*" not in policy
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert reply.headers["Cache-Control"] == "no-store"
        assert {"Server", "Date"}.isdisjoint(reply.headers)


def test_pages_name_no_other_place() -> None:
    page = Path(diptych.study.__file__).parent / "page"
    names = {file.name for file in page.iterdir()}
    assert names == {"page.html", "page.css", "page.js", "icon.svg"}
    for file in page.iterdir():
        text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert re.findall(r"https?:|[\"'(]//|@import", text) == []


def test_nothing_tells_which_image_is_real_before_the_answer(client, folder) -> None:
    """All that a participant is sent, for every trial, but for the pixels themselves."""
    state = client.join().json
    records = Study(folder).records()
    names = {p.name for p in (folder / "images").iterdir()}
    for number in range(1, 7):
        page = client.state()
        assert set(page) - {"stage", "number", "left", "right"} == {
            "title", "contact", "practice", "counted", "exposure_ms", "presentation"
        }  # fmt: skip
        replies = [client.get(f"/image/{page[side]}") for side in ("left", "right")]
        heads = [{k: v for k, v in r.headers.items() if k != "Content-Length"} for r in replies]
        assert heads[0] == heads[1]
        shown = json.dumps([state, page, heads]) + client.get("/").body.decode()
        for secret in ("alpha", "beta", "scene", records[number - 1]["fake_scene"], *names):
            assert secret not in shown
        for reply in replies:
            assert chunks(reply.body) <= PNG_CHUNKS
        client.post("/api/show", trial=number)
        state = client.post("/api/answer", trial=number, choice="left").json["state"]


def chunks(png: bytes) -> set[bytes]:
    """The kinds of chunks of a PNG: text or times would be among them."""
    kinds, place = set(), 8
    while place < len(png):
        length, kind = struct.unpack_from(">I4s", png, place)
        assert zlib.crc32(png[place + 4 : place + 8 + length]) >= 0
        kinds.add(kind)
        place += 12 + length
    return kinds


def test_stored_files_say_nothing_by_name_or_order(folder) -> None:
    levels = []
    for path in sorted((folder / "images").iterdir()):
        assert len(path.stem) == 24
        assert set(path.stem) <= set("0123456789abcdef")
        with Image.open(path) as image:
            levels.append(image.getpixel((0, 0))[0])
    assert levels != sorted(levels)
    assert levels != sorted(levels, reverse=True)


def test_links_lead_to_this_trials_images_and_nowhere_else(client, folder) -> None:
    state = client.join().json
    for path in (
        "/image/../study.sqlite", "/image/..%2fstudy.sqlite", "/image/%2e%2e/study.sqlite",
        "/../study.sqlite", "/study.sqlite", "/images/", "//etc/passwd", "/image/",
        "/image/" + next((folder / "images").iterdir()).name, "/page/page.js", "/store.py",
        "/image/" + "x" * 3000, "/image/%00", "/image/' OR 1=1 --",
    ):  # fmt: skip
        reply = client.get(path.replace(" ", "%20"))
        assert reply.status == 404, path
        assert reply.headers["Content-Type"] == "application/json"
    stranger = Client.__new__(Client)
    stranger.port, stranger.cookie = client.port, ""
    assert stranger.get(f"/image/{state['left']}").status == 404
    assert client.get(f"/image/{state['left']}").status == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400), (b"nonsense", 400), (b"[]", 400), (b"[" * 4000, 400),
        (b'{"trial": 1}', 400), (b'{"trial": 1, "choice": "both"}', 400),
        (b'{"trial": "1", "choice": "left"}', 400), (b'{"trial": true, "choice": "left"}', 400),
        (b'{"trial": 0, "choice": "left"}', 400), (b'{"trial": 1e9, "choice": "left"}', 400),
        (b'{"trial": 1, "choice": "left", "response_ms": -1}', 400),
        (b'{"trial": 1, "choice": "left", "response_ms": NaN}', 400),
        (b'{"trial": 1, "choice": "left", "response_ms": 1' + b"0" * 3000 + b"}", 400),
        (b'{"trial": 1, "choice": "left", "was_hidden": "no"}', 400),
        (b'{"trial": 1, "choice": "left", "exposure_ms": "1"}', 400),
        (b'{"trial": 1, "choice": "left", "more": "' + b"x" * 5000 + b'"}', 413),
    ],
)  # fmt: skip
def test_what_no_page_sends_is_refused(client, folder, body: bytes, status: int) -> None:
    client.join()
    reply = client.ask("POST", "/api/answer", body, Content_Type="application/json")
    assert reply.status == status
    assert "error" in reply.json
    assert all(r["choice"] is None for r in Study(folder).records())


def test_huge_and_endless_bodies_are_not_read(server) -> None:
    head = b"POST /api/answer HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    for lengths, status in (
        (b"Content-Length: 99999999999999999999\r\n", b"413"),
        (b"Content-Length: 1000000\r\n", b"413"),
        (b"Content-Length: -5\r\n", b"411"),
        (b"Transfer-Encoding: chunked\r\n", b"411"),
        (b"", b"411"),
    ):
        with socket.create_connection(server.server_address[:2], timeout=10) as connection:
            connection.sendall(head + lengths + b"\r\n")
            reply = connection.makefile("rb").read()  # ends: the server closes the connection
        assert reply.startswith(b"HTTP/1.1 " + status), reply


def test_what_follows_a_get_as_its_body_is_no_request(server) -> None:
    hidden = b"GET /icon.svg HTTP/1.1\r\nHost: localhost\r\n\r\n"
    length = f"{len(hidden):x}\r\n".encode()
    for head, body in (
        (b"content-length: %d" % len(hidden), hidden),
        (b"Transfer-Encoding: chunked", length + hidden + b"\r\n0\r\n\r\n"),
    ):
        with socket.create_connection(server.server_address[:2], timeout=10) as connection:
            connection.sendall(b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n" + head)
            connection.sendall(b"\r\n\r\n" + body)
            reply = connection.makefile("rb").read()  # ends: the server closes the connection
        assert reply.startswith(b"HTTP/1.1 404")
        assert reply.count(b"HTTP/1.1") == 1
        assert b"Connection: close" in reply


def test_answers_of_strangers_are_refused(client, folder) -> None:
    Study(folder).join("someone")
    name = client.join("r9").headers["Set-Cookie"].partition("=")[0]
    for cookie in ("", f"{name}=", f"{name}=guess", "a=b; c", f'{name}="\\'):
        client.cookie = cookie
        assert client.post("/api/answer", trial=1, choice="left").status == 403
        assert client.post("/api/show", trial=1).status == 409
    assert all(r["choice"] is None for r in Study(folder).records())


def test_the_server_writes_no_log(client, capfd) -> None:
    client.get("/")
    client.get("/nothing")
    client.ask("BREW", "/")
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_a_port_that_is_taken_is_named(server, folder) -> None:
    port = server.server_address[1]
    with pytest.raises(InputError, match=f"cannot listen at 127.0.0.1, port {port}"):
        StudyServer(Study(folder), "127.0.0.1", port)
