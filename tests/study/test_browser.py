"""Whole sessions in a real Chromium, by keyboard and by touch."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from diptych.study.store import Study
from tests.study.conftest import served

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
try:
    from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
except ImportError:
    sync_playwright = None  # type: ignore[assignment]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        CHROMIUM is None or sync_playwright is None,
        reason="needs Chromium and Playwright: apt-get install chromium; pip install playwright",
    ),
]
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
LOOK = """() => ({
  bar: document.querySelector("#bar").value,
  kind: document.querySelector("#kind").textContent,
  images: document.querySelectorAll("img").length,
  visible: document.querySelectorAll("img.visible").length,
  left: document.querySelector("#left .tag").textContent,
  right: document.querySelector("#right .tag").textContent,
})"""
# Every change of what is visible, with the time of its frame, as an observer of its own sees it.
OBSERVE = """
window.seen = [];
let before = "";
const look = (now) => {
  const shown = [...document.querySelectorAll("img")].map(
    (image) => getComputedStyle(image).visibility === "visible" ? image.closest("button").id : "");
  const state = shown.filter(Boolean).sort().join("+");
  if (state !== before) window.seen.push([now, state]);
  before = state;
  requestAnimationFrame(look);
};
requestAnimationFrame(look);
"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        is_root = hasattr(os, "geteuid") and os.geteuid() == 0
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"] if is_root else []
        )
        yield browser
        browser.close()


@contextmanager
def opened(browser: Browser, **options: Any) -> Iterator[BrowserContext]:
    """A window of its own, in which nothing is asked of any other place and nothing goes wrong."""
    context = browser.new_context(**options)
    context.set_default_timeout(20_000)
    elsewhere: list[str] = []
    problems: list[str] = []

    def watch(page: Page) -> None:
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda m: problems.append(m.text) if m.type == "error" else None)

    context.on("page", watch)
    context.on("request", lambda request: elsewhere.append(request.url))
    yield context
    context.close()
    assert all(url.startswith("http://127.0.0.1:") for url in elsewhere)
    # Chromium itself reports requests to a server that is away.
    assert [p for p in problems if "ERR_CONNECTION" not in p] == []


@pytest.fixture
def port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(folder: Path, port: int) -> subprocess.Popen[bytes]:
    """The server as users start it, ready."""
    command = [sys.executable, "-m", "diptych", "study", "serve", str(folder), "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    for _ in range(600):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).close()
            return process
        except OSError:
            assert process.poll() is None, "the server ended"
            time.sleep(0.05)
    raise AssertionError("the server does not answer")


def other(side: str) -> str:
    return "right" if side == "left" else "left"


class Person:
    """Does what a participant does; knows from the database which image is real."""

    def __init__(self, page: Page, folder: Path, *, touches: bool) -> None:
        self.page, self.study, self.touches = page, Study(folder), touches

    def wait_for(self, question: str) -> dict[str, Any]:
        """Until the page says `question`; what else it then shows."""
        asked = "text => document.querySelector('#question').textContent === text"
        self.page.wait_for_function(asked, arg=question)
        shown: dict[str, Any] = self.page.evaluate(LOOK)
        return shown

    def show(self, number: int) -> None:
        """Ask for the pair, and see it come and go."""
        self.page.wait_for_function(
            "text => document.querySelector('#progress').textContent === text",
            arg=f"{number} of 50",
        )
        shown = self.wait_for("Ready?")
        assert (shown["bar"], shown["images"], shown["visible"]) == (number - 1, 2, 0)
        assert shown["kind"] == ("Practice" if number <= 10 else "")
        self.press("Space")
        assert self.wait_for("Which one was real?")["visible"] == 0

    def press(self, key: str) -> None:
        """The page's one large button, shown by now."""
        self.page.locator("#next").tap() if self.touches else self.page.keyboard.press(key)

    def wants(self, number: int) -> str:
        """Right in every trial but each third."""
        real: str = self.study.records()[number - 1]["real_side"]
        return other(real) if number % 3 == 0 else real

    def choose(self, side: str, number: int) -> None:
        if self.touches:
            self.page.locator(f"#{side}").tap()
        else:
            keys = {"left": ("ArrowLeft", "1"), "right": ("ArrowRight", "2")}[side]
            self.page.keyboard.press(keys[number % 2])

    def after(self, number: int) -> None:
        """Feedback in practice, with both images in sight again, and none later."""
        if number > 10:
            return
        shown = self.wait_for("Not right." if number % 3 == 0 else "Right.")
        real = self.study.records()[number - 1]["real_side"]
        tags = {real: "Real", other(real): "Generated"}
        assert (shown["visible"], shown["left"], shown["right"]) == (2, tags["left"], tags["right"])
        self.press("Enter")

    def trials(self, first: int, last: int) -> None:
        for number in range(first, last + 1):
            self.show(number)
            self.choose(self.wants(number), number)
            self.after(number)


def test_a_whole_session_by_keyboard_and_touch_through_a_reload_and_a_killed_server(
    chromium, new_study, port
) -> None:
    folder = new_study(
        images=60, practice=10, counted=40, exposure_seconds=0.05, methods=("alpha",)
    )
    url = f"http://127.0.0.1:{port}/"
    server = start(folder, port)
    try:
        with opened(chromium) as desk:
            page = desk.new_page()
            page.goto(url)
            person = Person(page, folder, touches=False)
            page.get_by_role("button", name="I agree, begin").press("Enter")
            person.trials(1, 4)
            person.show(5)
            page.reload()  # the choice was not made: the very same pair comes again
            person.trials(5, 13)
            person.show(14)
            server.send_signal(signal.SIGTERM if os.name == "nt" else signal.SIGKILL)
            server.wait()
            person.choose(person.wants(14), 14)
            expect(page.get_by_role("alert")).to_contain_text("is saved")
            server = start(folder, port)
            page.get_by_role("button", name="Try again").press("Enter")
            person.trials(15, 25)
            expect(page.locator("#progress")).to_have_text("26 of 50")
            cookies = desk.storage_state()
        with opened(chromium, storage_state=cookies, **PHONE) as phone:
            page = phone.new_page()
            page.goto(url)
            Person(page, folder, touches=True).trials(26, 50)
            expect(page.get_by_role("heading", name="Thank you!")).to_be_visible()
            # Wrong in each third trial: of 11 to 50 these are 13.
            expect(page.locator("#correct")).to_have_text("27")
            page.reload()
            expect(page.get_by_role("heading", name="Thank you!")).to_be_visible()
            expect(page.locator("button:visible")).to_have_count(0)
    finally:
        server.kill()
        server.wait()
    records = Study(folder).records()
    assert len(records) == 50
    assert {r["participant"] for r in records} == {1}
    for record in records:
        is_right = record["choice"] == record["real_side"]
        assert is_right == (record["number"] % 3 != 0)
        assert record["views"] == (2 if record["number"] == 5 else 1)
        assert record["exposure_ms"] >= 46
        assert record["response_ms"] > 0
        assert not record["was_hidden"]


def begin(page: Page, url: str) -> None:
    page.add_init_script(OBSERVE)
    page.goto(url)
    page.get_by_role("button", name="I agree, begin").click()
    page.get_by_role("button", name="Show the pair").click()
    expect(page.locator("#question")).to_have_text("Which one was real?")


def test_both_images_are_visible_at_once_for_one_second(chromium, new_study) -> None:
    folder = new_study(practice=0, counted=2)
    with served(folder) as server, opened(chromium) as context:
        page = context.new_page()
        begin(page, f"http://127.0.0.1:{server.server_address[1]}/")
        page.keyboard.press("ArrowLeft")
        expect(page.locator("#progress")).to_have_text("2 of 2")
        (came, what), (went, nothing) = page.evaluate("window.seen")
    assert (what, nothing) == ("left+right", "")
    stored = Study(folder).records()[0]["exposure_ms"]
    assert 995 <= stored < 1300  # frames may be late where other work is done
    assert abs((went - came) - stored) < 70  # the observer may look a frame or two later


def test_images_come_one_after_the_other_where_that_is_asked_for(chromium, new_study) -> None:
    folder = new_study(practice=0, counted=2, exposure_seconds=0.3, presentation="in-turn")
    with served(folder) as server, opened(chromium) as context:
        page = context.new_page()
        begin(page, f"http://127.0.0.1:{server.server_address[1]}/")
        seen = page.evaluate("window.seen")
    assert [what for _, what in seen] == ["left", "", "right", ""]
    times = [now for now, _ in seen]
    for early, late in ((0, 1), (2, 3)):
        assert 250 < times[late] - times[early] < 600
    assert times[2] - times[1] > 550


def test_a_page_out_of_sight_hides_its_images_and_says_so(chromium, new_study) -> None:
    folder = new_study(practice=0, counted=2, exposure_seconds=30.0)
    with served(folder) as server, opened(chromium) as context:
        page = context.new_page()
        page.goto(f"http://127.0.0.1:{server.server_address[1]}/")
        page.get_by_role("button", name="I agree, begin").click()
        page.get_by_role("button", name="Show the pair").click()
        expect(page.locator("img.visible")).to_have_count(2)
        page.evaluate(
            "Object.defineProperty(document, 'hidden', { value: true });"
            "document.dispatchEvent(new Event('visibilitychange'))"
        )
        expect(page.locator("#question")).to_have_text("Which one was real?")
        assert page.locator("img.visible").count() == 0
        page.keyboard.press("2")
        expect(page.locator("#progress")).to_have_text("2 of 2")
    first = Study(folder).records()[0]
    assert first["was_hidden"] == 1
    assert first["exposure_ms"] < 20_000


def test_keys_do_nothing_out_of_turn(chromium, new_study) -> None:
    folder = new_study(practice=1, counted=2, exposure_seconds=0.05)
    with served(folder) as server, opened(chromium) as context:
        page = context.new_page()
        page.goto(f"http://127.0.0.1:{server.server_address[1]}/")
        page.get_by_role("button", name="I agree, begin").click()
        expect(page.locator("#question")).to_have_text("Ready?")
        for key in ("ArrowLeft", "1", "2"):
            page.keyboard.press(key)
        expect(page.locator("#left")).to_be_disabled()
        page.locator("body").evaluate("document.activeElement.blur()")
        page.keyboard.press("Space")  # works wherever the focus is
        expect(page.locator("#question")).to_have_text("Which one was real?")
        page.keyboard.press("Space")  # chooses nothing
        page.keyboard.press("Control+1")
        expect(page.locator("#left")).to_be_enabled()
        page.locator("#right").focus()
        page.keyboard.press("Enter")  # as any button
        expect(page.get_by_role("button", name="Next")).to_be_focused()
    assert [r["choice"] for r in Study(folder).records()] == ["right", None, None]


def test_an_invitation_opens_the_study_and_nothing_else_does(chromium, new_study) -> None:
    folder = new_study(practice=0, counted=2)
    (code,) = Study(folder).invite(1)
    with served(folder) as server:
        url = f"http://127.0.0.1:{server.server_address[1]}/"
        with opened(chromium) as context:
            page = context.new_page()
            page.goto(url)
            expect(page.get_by_text("This study is by invitation")).to_be_visible()
            page.goto(f"{url}#{code}")  # into the same window: no new page is asked for
            expect(page.get_by_text("The link you used is stored")).to_be_visible()
            page.get_by_role("button", name="I agree, begin").click()
            expect(page.locator("#progress")).to_have_text("1 of 2")
    assert len({r["participant"] for r in Study(folder).records()}) == 1


def test_a_link_opens_its_own_session_where_another_has_begun(chromium, new_study) -> None:
    folder = new_study(practice=0, counted=2, exposure_seconds=0.05)
    first, second = Study(folder).invite(2)
    with served(folder) as server, opened(chromium) as laptop:
        url = f"http://127.0.0.1:{server.server_address[1]}/"
        page = laptop.new_page()

        def take_pair() -> None:
            page.get_by_role("button", name="Show the pair").click()
            expect(page.locator("#question")).to_have_text("Which one was real?")
            page.keyboard.press("1")

        page.goto(f"{url}#{first}")
        page.get_by_role("button", name="I agree, begin").click()
        take_pair()
        expect(page.locator("#progress")).to_have_text("2 of 2")
        page.goto(f"{url}#{second}")
        page.get_by_role("button", name="I agree, begin").click()
        expect(page.locator("#progress")).to_have_text("1 of 2")
        page.goto(f"{url}#{first}")
        page.get_by_role("button", name="I agree, begin").click()
        take_pair()
        for _ in range(2):
            expect(page.get_by_role("heading", name="Thank you!")).to_be_visible()
            page.reload()
        page.goto(f"{url}#{second}")
        page.get_by_role("button", name="I agree, begin").click()
        expect(page.locator("#progress")).to_have_text("1 of 2")
        page.goto(f"{url}#{first}")
        expect(page.get_by_text("This link was already used")).to_be_visible()
    choices = [(r["participant"], r["choice"]) for r in Study(folder).records()]
    assert choices == [(1, "left"), (1, "left"), (2, None), (2, None)]


def test_a_refusal_that_is_no_missing_invitation_is_said(chromium, new_study) -> None:
    # Not `opened`, to which Chromium's own report of the refusal would be a problem.
    with served(new_study()) as server, chromium.new_page() as page:
        page.route("**/api/state", lambda route: route.fulfill(
            status=403, json={"error": "sent by another site"}
        ))  # fmt: skip
        page.goto(f"http://127.0.0.1:{server.server_address[1]}/")
        expect(page.get_by_text("The server refused: sent by another site.")).to_be_visible()
        expect(page.get_by_text("by invitation")).to_be_hidden()


def test_a_choice_after_days_is_taken(chromium, new_study) -> None:
    folder = new_study(practice=0, counted=2, exposure_seconds=0.05)
    with served(folder) as server, opened(chromium) as context:
        page = context.new_page()
        begin(page, f"http://127.0.0.1:{server.server_address[1]}/")
        page.evaluate("const now = performance.now(); performance.now = () => now + 3 * 86_400_000")
        page.keyboard.press("ArrowLeft")
        expect(page.locator("#progress")).to_have_text("2 of 2")
    assert Study(folder).records()[0]["response_ms"] == 1e8
