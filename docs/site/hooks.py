"""What MkDocs does not do by itself: the command line's reference, and links out of docs/.

A page may link to a file anywhere in the repository, as it does where the repository is
browsed. Such a file becomes a page below `repository/` of the site: Markdown as it is, a source
file as a block of code, anything else as a copy. A link to nothing is a warning, and so an error.
"""

from __future__ import annotations

import logging
import posixpath
import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).parent))
import cli_reference

ROOT = Path(__file__).parents[2]
OUTSIDE = "repository/"
COPIED = {".png", ".jpg", ".webp", ".svg", ".html"}
LINK = re.compile(r"(\]\()([^)\s]+)(\))")
FENCE = re.compile(r"^\s*(```+|~~~+)")
log = logging.getLogger("mkdocs.hooks.repository")


def on_files(files: Files, *, config: Any) -> Files:
    """Add every file outside docs/ that a page links to, and what those pages link to."""
    pages = [file for file in files.documentation_pages() if file.inclusion.is_included()]
    todo = [(_own_path(file.src_uri), file.content_string) for file in pages]
    todo += [(name, f"[]({name})") for name in ("CONTRIBUTING.md", "CHANGELOG.md")]
    while todo:
        path, text = todo.pop()
        base = "" if text == f"[]({path})" else posixpath.dirname(path)
        for target in _targets(text, base):
            uri = _site_uri(target)
            if target.startswith("docs/") or files.get_file_from_path(uri) is not None:
                continue
            source = ROOT / target
            if not source.is_file():
                log.warning("%s links to %s, which is not there", path, target)
                continue
            files.append(_added(config, target, uri))
            if source.suffix == ".md":
                todo.append((target, source.read_text("utf-8")))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Files) -> str:
    """Point links out of docs/ at the pages that stand for them."""
    own = page.file.src_uri
    if own == cli_reference.PAGE:
        markdown = markdown.replace(cli_reference.MARK, cli_reference.reference())
    base = posixpath.dirname(_own_path(own))

    def mended(match: re.Match[str]) -> str:
        target, anchor = _resolved(match[2], base)
        if target is None:
            return match[0]
        link = posixpath.relpath(_site_uri(target), posixpath.dirname(own) or ".")
        return f"{match[1]}{link}{anchor}{match[3]}"

    return "".join(
        line if is_code else LINK.sub(mended, line) for line, is_code in _lines(markdown)
    )


def _added(config: Any, target: str, uri: str) -> File:
    source = ROOT / target
    if source.suffix == ".md" or source.suffix in COPIED:
        return File.generated(config, uri, abs_src_path=str(source))
    language = {".py": "python", ".toml": "toml", ".json": "json"}.get(source.suffix, "text")
    text = source.read_text("utf-8")
    page = f"---\nsearch:\n  exclude: true\n---\n# {target}\n\n~~~~~~{language}\n{text}\n~~~~~~\n"
    return File.generated(config, uri, content=page)


def _own_path(uri: str) -> str:
    """Where a page of the site is written, from the repository's root."""
    return uri.removeprefix(OUTSIDE) if uri.startswith(OUTSIDE) else f"docs/{uri}"


def _site_uri(target: str) -> str:
    """A file of the repository, as a file of the site."""
    if target.startswith("docs/"):
        return target.removeprefix("docs/")
    path = Path(target)
    is_shown_as_it_is = path.suffix == ".md" or path.suffix in COPIED
    return f"{OUTSIDE}{target}" if is_shown_as_it_is else f"{OUTSIDE}{target}.md"


def _targets(text: str, base: str) -> list[str]:
    found = [
        _resolved(match[2], base)[0]
        for line, is_code in _lines(text)
        if not is_code
        for match in LINK.finditer(line)
    ]
    return [target for target in found if target is not None]


def _resolved(link: str, base: str) -> tuple[str | None, str]:
    """The file that a link in `base` names and its anchor; no file for one of the same page."""
    path, mark, anchor = link.partition("#")
    if not path or re.match(r"[a-z]+:", path):
        return None, ""
    return posixpath.normpath(posixpath.join(base, path)), mark + anchor


def _lines(text: str) -> list[tuple[str, bool]]:
    """Each line with its end, and whether it is in a fenced block."""
    fence, lines = "", []
    for line in text.splitlines(keepends=True):
        found = FENCE.match(line)
        if not fence and found:
            fence = found[1]
            lines.append((line, True))
        elif fence:
            lines.append((line, True))
            if found and found[1].startswith(fence):
                fence = ""
        else:
            lines.append((line, False))
    return lines
