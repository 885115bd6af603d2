"""Serve the study as a web page, with a few fixed addresses and JSON requests.

The page loads nothing from other sites. The server logs no requests, because addresses and
browser names are personal data. No address, file name or header reveals which image is real,
and no response does so before the participant has answered.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from ipaddress import ip_address
from typing import Any, cast
from urllib.parse import urlsplit

from diptych.errors import InputError, option
from diptych.study.store import Answer, NotInvitedError, Study

_PAGES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
        " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_COOKIE_SECONDS = 180 * 24 * 3600
_MOST_BYTES = 4096
_WORD = re.compile(r"[\w-]{1,64}", re.ASCII)
_NOBODYS_CODE = "-"  # replaces a malformed code, which must not get into a header
_LONGEST_MS = 1e8  # about 28 hours; the page sends no more, however long it is left open
_OTHER_HOST = (
    "this study can only be opened on its own machine: to open it to others, serve it with --url"
    " and its public address, or with --host"
)


class _BadRequestError(Exception):
    """A request that the study's page would not send."""

    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status = status


class StudyServer(ThreadingHTTPServer):
    """Serves one study until it is stopped. No answer is lost, even if it is killed."""

    daemon_threads = True
    allow_reuse_address = os.name != "nt"  # on Windows, two servers could share a port

    def __init__(self, study: Study, host: str, port: int, url: str | None = None) -> None:
        """Listen at `host` and `port`. Port 0 means any free port.

        `url` is the public address of the study, if another web server forwards requests to
        this one.

        Raises:
            InputError: the server cannot listen there, or `url` is not a web address.
        """
        self.study = study
        self.origin, self.public_name = _origin(url)
        folder = resources.files("diptych.study") / "page"
        self.pages = {
            address: ((folder / name).read_bytes(), kind)
            for address, (name, kind) in _PAGES.items()
        }
        try:
            super().__init__((host, port), _Handler)
        except (OSError, OverflowError) as error:
            raise InputError(
                f"cannot listen at {host}, port {port} ({error}): give another"
                f" {option('port')} or {option('host')}"
            ) from error
        self.is_for_this_machine = _is_loopback(str(self.server_address[0]))

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore broken connections. Other errors print a traceback."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, "a participant")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "diptych"
    sys_version = ""
    timeout = 30  # seconds after which a silent connection is closed

    @property
    def _own_server(self) -> StudyServer:
        return cast(StudyServer, self.server)

    @property
    def _study(self) -> Study:
        return self._own_server.study

    @property
    def _cookie(self) -> str:
        """The cookie's name. Each study has its own, since a host's ports share their cookies."""
        return f"participant-{self._study.id}"

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing, since each line would hold an address."""

    def do_GET(self) -> None:  # the base class's name
        if "Content-Length" in self.headers or "Transfer-Encoding" in self.headers:
            self.close_connection = True  # an unread body would be taken for the next request
        path = self.path.partition("?")[0]
        pages = self._own_server.pages
        if not self._is_host_known():
            self._fail(HTTPStatus.FORBIDDEN, _OTHER_HOST)
        elif path in pages:
            self._send(HTTPStatus.OK, *pages[path])
        elif path.startswith("/image/"):
            self._send_image(path.removeprefix("/image/"))
        else:
            self._fail(HTTPStatus.NOT_FOUND, "no such page")

    def do_POST(self) -> None:
        routes = {
            "/api/state": self._tell_state,
            "/api/join": self._join,
            "/api/show": self._show,
            "/api/answer": self._answer,
        }
        try:
            body = self._body()
            route = routes.get(self.path.partition("?")[0])
            if route is None:
                raise _BadRequestError(HTTPStatus.NOT_FOUND, "no such page")
            route(body)
        except _BadRequestError as error:
            self._fail(error.status, str(error))

    # --- what a page asks for ------------------------------------------------

    def _facts(self) -> dict[str, Any]:
        """Return the facts about the study that anyone may know, without methods and images."""
        settings = self._study.settings
        return {
            "title": settings.title,
            "contact": settings.contact,
            "practice": settings.practice,
            "counted": settings.counted,
            "exposure_ms": 1000 * settings.exposure_seconds,
            "presentation": settings.presentation,
        }

    def _tell_state(self, body: Mapping[str, Any]) -> None:
        code = self._code(body)
        state = self._own_state(code)
        if state is None and (refusal := self._study.refusal(code)) is not None:
            state = {"stage": "refused", "error": refusal}
        elif state is None:
            state = {"stage": "welcome", "is_by_invitation": self._study.is_by_invitation()}
        self._send_json(self._facts() | state)

    def _own_state(self, code: str) -> dict[str, Any] | None:
        """Return the state of this browser's participant; None if there is none for this link."""
        token, own_code = self._identity()
        return self._study.state(token) if code in ("", own_code) else None

    def _code(self, body: Mapping[str, Any]) -> str:
        """Return the code in the page's link, or "" if the study is not by invitation."""
        code = body.get("code", "")
        if not isinstance(code, str):
            raise _BadRequestError(HTTPStatus.BAD_REQUEST, "code must be a text")
        if not self._study.is_by_invitation():
            return ""
        return code if code == "" or _WORD.fullmatch(code) else _NOBODYS_CODE

    def _send_image(self, image_token: str) -> None:
        path = self._study.image(self._identity()[0], image_token)
        if path is None:
            self._fail(HTTPStatus.NOT_FOUND, "no such image")
        else:
            self._send(HTTPStatus.OK, path.read_bytes(), "image/png")

    def _join(self, body: Mapping[str, Any]) -> None:
        request, code = body.get("request"), self._code(body)
        if body.get("agrees") is not True:
            raise _BadRequestError(HTTPStatus.BAD_REQUEST, "agrees must be true")
        if not (isinstance(request, str) and _WORD.fullmatch(request)):
            raise _BadRequestError(HTTPStatus.BAD_REQUEST, "request must be one word")
        state = self._own_state(code)  # a participant continues and does not join again
        if state is not None:
            self._send_json(state)
            return
        try:
            token = self._study.join(request, code)
        except NotInvitedError as error:
            raise _BadRequestError(HTTPStatus.FORBIDDEN, str(error)) from None
        # After the last answer, only this cookie links the participant and the code.
        value = f"{token}.{code}" if code else token
        options = f"Path=/; Max-Age={_COOKIE_SECONDS}; HttpOnly; SameSite=Strict"
        cookie = f"{self._cookie}={value}; {options}"
        self._send_json(self._study.state(token), {"Set-Cookie": cookie})

    def _show(self, body: Mapping[str, Any]) -> None:
        if self._study.show(self._identity()[0], _trial(body)):
            self._send_json({"is_shown": True})
        else:
            self._fail(HTTPStatus.CONFLICT, "another trial is next")

    def _answer(self, body: Mapping[str, Any]) -> None:
        choice, was_hidden = body.get("choice"), body.get("was_hidden", False)
        if choice not in ("left", "right"):
            raise _BadRequestError(HTTPStatus.BAD_REQUEST, "choice must be left or right")
        if not isinstance(was_hidden, bool):
            raise _BadRequestError(HTTPStatus.BAD_REQUEST, "was_hidden must be true or false")
        answer = Answer(choice, _ms(body, "response_ms"), _ms(body, "exposure_ms"), was_hidden)
        result = self._study.answer(self._identity()[0], _trial(body), answer)
        if result is None:
            raise _BadRequestError(HTTPStatus.FORBIDDEN, "this browser has no participant")
        self._send_json(result)

    # --- reading and writing -------------------------------------------------

    def _identity(self) -> tuple[str, str]:
        """Return the participant's token and code from the cookie; empty if there are none.

        The header may also hold cookies of other programs on this host, in any form.
        """
        pairs = (pair.strip().partition("=") for pair in self.headers.get("Cookie", "").split(";"))
        value = next((value for name, _, value in pairs if name == self._cookie), "")
        token, _, code = value.partition(".")
        return token, code

    def _is_host_known(self) -> bool:
        """Whether the request's host is allowed.

        A study for this machine refuses foreign host names, which prevents DNS rebinding.
        """
        server, host = self._own_server, self.headers.get("Host", "")
        return (
            not server.is_for_this_machine
            or _is_loopback(host)
            or _name(host) == server.public_name
        )

    def _check_site(self) -> None:
        """Check that the request comes from the study's own page.

        Over TLS and on this machine, browsers send `Sec-Fetch-Site`. Otherwise `Origin` is
        compared.
        """
        if not self._is_host_known():
            raise _BadRequestError(HTTPStatus.FORBIDDEN, _OTHER_HOST)
        site, origin = self.headers.get("Sec-Fetch-Site"), self.headers.get("Origin")
        if site is not None:
            is_own = site == "same-origin"
        else:
            is_own = origin in (None, self._own_server.origin) or (
                origin.partition("://")[2] == self.headers.get("Host")
            )
        if not is_own:
            raise _BadRequestError(HTTPStatus.FORBIDDEN, "sent by another site")

    def _body(self) -> Mapping[str, Any]:
        """Read the request's JSON object, after checking its size and its origin."""
        self.close_connection = True  # until the body has been read
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()) or "Transfer-Encoding" in self.headers:
            raise _BadRequestError(HTTPStatus.LENGTH_REQUIRED, "Content-Length is missing")
        if len(length) > 9 or int(length) > _MOST_BYTES:
            raise _BadRequestError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too long")
        text = self.rfile.read(int(length))
        self.close_connection = self.headers.get("Connection", "").lower() == "close"
        self._check_site()
        # Forms on other sites cannot send this type, and their scripts would need permission.
        if self.headers.get_content_type() != "application/json":
            raise _BadRequestError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "application/json expected")
        try:
            body = json.loads(text)
        except (ValueError, RecursionError):
            raise _BadRequestError(HTTPStatus.BAD_REQUEST, "not JSON") from None
        if not isinstance(body, dict):
            raise _BadRequestError(HTTPStatus.BAD_REQUEST, "a JSON object expected")
        return body

    def _send_json(
        self,
        value: object,
        headers: Mapping[str, str] | None = None,
        status: HTTPStatus = HTTPStatus.OK,
    ) -> None:
        self._send(status, json.dumps(value).encode(), "application/json", headers or {})

    def _fail(self, status: HTTPStatus, why: str) -> None:
        self._send_json({"error": why}, status=status)

    def _send(
        self,
        status: HTTPStatus,
        body: bytes,
        kind: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.send_response_only(status)  # no Server and no Date
        for name, value in {**_HEADERS, **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer requests that are not HTTP, or that are neither GET nor POST."""
        self.close_connection = True
        self._fail(HTTPStatus(code), message or HTTPStatus(code).phrase)


def _origin(url: str | None) -> tuple[str | None, str | None]:
    """Return the Origin that browsers at `url` send, and its host name; None without `url`."""
    if url is None:
        return None, None
    try:
        parts = urlsplit(url.lower())
        name = parts.hostname or ""
    except ValueError:
        name = ""
    if not name or parts.scheme not in ("http", "https"):
        raise InputError(
            f"{option('url', url)}: expected an address such as https://study.example.org/"
        )
    return f"{parts.scheme}://{parts.netloc}", name


def _name(host: str) -> str:
    """Return the host name without the port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_loopback(host: str) -> bool:
    name = _name(host)
    try:
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False


def _trial(body: Mapping[str, Any]) -> int:
    trial = body.get("trial")
    if not isinstance(trial, int) or isinstance(trial, bool) or not 1 <= trial <= 10**6:
        raise _BadRequestError(HTTPStatus.BAD_REQUEST, "trial must be a trial's number")
    return trial


def _ms(body: Mapping[str, Any], name: str) -> float | None:
    value = body.get(name)
    if value is None:
        return None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= _LONGEST_MS:  # also refuses NaN
        raise _BadRequestError(HTTPStatus.BAD_REQUEST, f"{name} must be milliseconds")
    return float(value)
