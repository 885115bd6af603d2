"""The frame of a page that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from importlib import resources
from typing import Any


def whole_page(title: str, blocks: Sequence[str], *, style: str = "", script: str = "") -> str:
    """The page of `blocks`, which are HTML, in the style of reports.

    Args:
        title: plain text.
        style: added to the style sheet of reports.
        script: runs at the end; without one the page allows none.
    """
    style = resources.files("diptych.report").joinpath("report.css").read_text("utf-8") + style
    # The policy is a second lock: even a mistake in escaping could not load or send anything.
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    policy += "; script-src 'unsafe-inline'" if script else ""
    end = f"\n<script>\n{script}</script>" if script else ""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        + "\n".join(block for block in blocks if block)
        + f"{end}\n</body>\n</html>\n"
    )


def plain(value: Any, number: Callable[[float], str] = str) -> str:
    """Return an option's or a score's value as HTML: numbers by `number`, a dash for None."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return number(value)
    if isinstance(value, list | tuple):
        return ", ".join(plain(entry, number) for entry in value)
    return escape(str(value))
