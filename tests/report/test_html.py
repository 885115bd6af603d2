"""The frame of a page."""

from __future__ import annotations

from pathlib import Path

from tests.report.test_page import Page, write


def test_content_policy_forbids_the_network(tmp_path: Path) -> None:
    [policy] = [a["content"] for a in Page(write(tmp_path)).named("meta") if "http-equiv" in a]
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:;")
