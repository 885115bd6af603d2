"""Progress and previews in a Jupyter notebook: a bar and a picture that are updated in place."""

from __future__ import annotations

import base64
import sys
from collections.abc import Mapping
from html import escape
from io import BytesIO
from typing import Any

from PIL import Image

_ZMQ_SHELL = "ZMQInteractiveShell"
"""IPython's shell where a kernel runs it: in Jupyter, VS Code and Colab."""
_LARGEST = 1200
"""Pixels a side of the picture, so that notebooks stay small; previews/ has the whole one."""


def find_notebook() -> Notebook | None:
    """The notebook whose kernel this process is, if it is one.

    IPython is looked for, never imported: where it runs, it is loaded already.
    """
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    if shell is None or _ZMQ_SHELL not in {kind.__name__ for kind in type(shell).__mro__}:
        return None
    return Notebook()


class Notebook:
    """Shows a bar of progress with what is to be told, and below it the newest preview; a logger.

    That is two outputs, however long the training.
    """

    def __init__(self) -> None:
        self._share, self._line = 0.0, ""
        self._messages: list[str] = []
        self._bar: Any = None
        self._picture: Any = None

    def progress(self, share: float, line: str) -> None:
        """Show that `share` of the steps, 0 to 1, is done, and a line on losses and speed."""
        self._share, self._line = share, line
        self._show_bar()

    def message(self, text: str) -> None:
        """Add a line above the bar."""
        self._messages.append(text)
        self._show_bar()

    def _show_bar(self) -> None:
        lines = [f"<div>{escape(line)}</div>" for line in (*self._messages, self._line)]
        style = "width: 100%; max-width: 50em"
        lines.insert(-1, f'<progress value="{self._share:.4f}" style="{style}"></progress>')
        html = f'<div style="font-family: monospace">{"".join(lines)}</div>'
        text = "\n".join((*self._messages, self._line))
        self._bar = _shown({"text/html": html, "text/plain": text}, self._bar)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Losses are in the line of progress."""

    def preview(self, step: int, grid: Image.Image) -> None:
        """Show the grid in the place of the one before."""
        small, file = grid.convert("RGB"), BytesIO()
        small.thumbnail((_LARGEST, _LARGEST))
        small.save(file, format="PNG")
        data = base64.b64encode(file.getvalue()).decode()
        text = f"preview of step {step}"
        self._picture = _shown({"image/png": data, "text/plain": text}, self._picture)

    def close(self) -> None:
        """What is shown stays."""


def _shown(bundle: dict[str, str], handle: Any) -> Any:
    """Display one thing by its media types, in the place of what `handle` shows if it is given."""
    from IPython.display import display

    if handle is None:
        return display(bundle, raw=True, display_id=True)
    handle.update(bundle, raw=True)
    return handle
