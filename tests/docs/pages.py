"""The pages of the documentation, and the blocks of code in them."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
RUN = "<!-- run -->"
_FENCE = re.compile(r"^(?:(<!-- run -->)\n+)?(`{3,})(\w*)\n(.*?)^\2$", re.M | re.S)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: str
    line: int
    language: str
    text: str
    runs: bool
    """Whether the page marks it as one that runs."""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    def commands(self) -> list[list[str]]:
        """The words after `diptych` of each command in it."""
        text = self.text.replace("\\\n", " ")
        found = (re.search(r"(?:^|\s)(?:-m )?diptych (.*)", line) for line in text.splitlines())
        starts = (r"diptych ", r"torchrun .* -m diptych ", r"\S*python -m diptych ")
        return [
            shlex.split(match[1], comments=True)
            for match in found
            if match and any(re.match(start, match.string.strip()) for start in starts)
        ]


def pages() -> list[Path]:
    """README and its neighbours, all of docs/, and the benchmarks' page."""
    first = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "benchmarks/README.md")]
    return [*first, *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path) -> list[Block]:
    """All fenced blocks of a page."""
    text = page.read_text("utf-8")
    return [
        Block(
            page=page.relative_to(ROOT).as_posix(),
            line=text.count("\n", 0, match.start()) + 1,
            language=match[3],
            text=match[4],
            runs=match[1] is not None,
        )
        for match in _FENCE.finditer(text)
    ]


def shell(block: Block) -> bool:
    """Whether it holds commands: by its language, or as most blocks without one do."""
    return block.language in ("", "bash", "console", "sh")
