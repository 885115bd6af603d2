"""The frame of a page that needs nothing but itself."""

from __future__ import annotations

from pathlib import Path

from diptych.report.html import plain, whole_page
from tests.report.test_page import Page, write


def test_a_page_without_a_script_allows_none() -> None:
    page = whole_page("a < b", ["<p>one</p>", "", "<p>two</p>"], style="p { color: red; }")
    assert "<title>a &lt; b</title>" in page
    assert "<p>one</p>\n<p>two</p>\n</body>" in page
    assert page.count("p { color: red; }") == 1
    assert "<script" not in page
    assert "script-src" not in page


def test_a_script_stands_at_the_end_and_is_allowed() -> None:
    page = whole_page("t", ["<p>one</p>"], script="let a = 1;")
    assert "script-src 'unsafe-inline'" in page
    assert page.endswith("<script>\nlet a = 1;</script>\n</body>\n</html>\n")


def test_content_policy_forbids_the_network(tmp_path: Path) -> None:
    [policy] = [a["content"] for a in Page(write(tmp_path)).named("meta") if "http-equiv" in a]
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:;")


def test_values_are_escaped_text_and_numbers_have_the_form_that_is_asked_for() -> None:
    assert [plain(v) for v in (None, True, False, 0.5, 3)] == ["–", "yes", "no", "0.5", "3"]
    assert plain(["<b>", [None, 2.0]], number=lambda v: f"{v:.2f}") == "&lt;b&gt;, –, 2.00"
