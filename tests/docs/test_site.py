"""Links of the pages, and the parts of the site that are made when it is built."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from diptych.cli.main import main
from diptych.methods import list_methods
from tests.docs.pages import ROOT, pages

LINK = re.compile(r"\]\(([^)\s]+)\)")
SITE = ROOT / "docs" / "site"


def module(name: str) -> ModuleType:
    """One of the site's own modules, which are no package."""
    spec = importlib.util.spec_from_file_location(name, SITE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.fixture(scope="module")
def reference() -> str:
    return str(module("cli_reference").reference())


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_of_a_page_lead_to_files_and_headings_that_are_there(page: Path):
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.M | re.S)
    for link in LINK.findall(text):
        path, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", link):
            continue
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link} in {page}"
        if anchor and target.suffix == ".md":
            assert anchor in _anchors(target), f"{link} in {page}"


def _anchors(page: Path) -> set[str]:
    """The headings' anchors, as forges and the site make them."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.M | re.S)
    titles = re.findall(r"^#+ (.*)$", text, re.M)
    plain = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).strip().lower() for title in titles]
    return {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in plain}


def test_every_page_stands_in_the_navigation():
    navigation = (ROOT / "mkdocs.yml").read_text("utf-8").partition("\nnav:")[2]
    for page in (ROOT / "docs").rglob("*.md"):
        assert f" {page.relative_to(ROOT / 'docs').as_posix()}\n" in navigation, page


@pytest.mark.parametrize(
    "command", ["translate", "evaluate", "generate", "interpolate", "report", "bench", "train"]
)
def test_the_reference_has_every_option_that_help_has(
    command: str, reference: str, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit):
        main([command, *(["cyclegan"] if command == "train" else []), "--help"])
    options = set(re.findall(r"^\W (--[a-z][a-z0-9-]*)", capsys.readouterr().out, re.M))
    section = re.split(r"^## ", reference, flags=re.M)
    text = next(part for part in section if part.startswith(f"diptych {command}\n"))
    assert "--method" in options or command in ("bench", "train")
    assert len(options) > 10 or command in ("report", "generate", "interpolate")
    missing = {option for option in options if f"`{option}" not in text}
    assert not missing


def test_the_reference_has_every_method_and_each_options_meaning(reference: str):
    for method in list_methods():
        assert f"\n### diptych train {method}\n" in reference
    told = re.findall(r'<div class="option" markdown="1">\n.*?\n\n(.*?)\n</div>', reference, re.S)
    assert len(told) > 200
    assert sum(not text.strip() for text in told) < 20


def test_a_link_out_of_docs_leads_to_a_page_of_the_site(monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("mkdocs", reason="make docs installs MkDocs")
    monkeypatch.syspath_prepend(str(SITE))
    hooks = module("hooks")
    monkeypatch.delitem(sys.modules, "cli_reference", raising=False)
    page = type("Page", (), {"file": type("File", (), {"src_uri": "methods/cyclegan.md"})})
    text = "[code](../../src/diptych/a.py#b) [same](#here) [far](https://a.b/c) [doc](../x.md)\n"
    assert hooks.on_page_markdown(text, page=page, config=None, files=None) == (
        "[code](../repository/src/diptych/a.py.md#b) [same](#here) [far](https://a.b/c)"
        " [doc](../x.md)\n"
    )
    code = "```\n[code](../../src/diptych/a.py)\n```\n"
    assert hooks.on_page_markdown(code, page=page, config=None, files=None) == code
