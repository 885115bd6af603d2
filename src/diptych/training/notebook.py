"""Progress and previews in a Jupyter notebook, in place: two outputs a training."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from html import escape
from typing import Any

from PIL import Image

_ZMQ_SHELL = "ZMQInteractiveShell"
"""IPython's shell where a kernel runs it: in Jupyter, VS Code and Colab."""


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
    """Shows a bar of progress, and below it the newest preview; a logger."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._picture: Any = None

    def progress(self, share: float, line: str) -> None:
        """Show that `share` of the steps, 0 to 1, is done, and a line on losses and speed."""
        from IPython.display import HTML

        bar = f'<progress value="{share:.4f}" style="width: 20em"></progress>'
        self._bar = _shown(HTML(f"{bar} <code>{escape(line)}</code>"), self._bar)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Losses are in the line of progress."""

    def preview(self, step: int, grid: Image.Image) -> None:
        self._picture = _shown(grid, self._picture)

    def close(self) -> None:
        """What is shown stays."""


def _shown(what: Any, handle: Any) -> Any:
    """Display something, in the place of what `handle` shows if there is one."""
    from IPython.display import display

    if handle is None:
        return display(what, display_id=True)
    handle.update(what)
    return handle
