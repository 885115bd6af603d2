"""Training in a real Jupyter kernel: one bar and one picture, updated in place."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from diptych.training.notebook import find_notebook

CELL = """
import diptych
run = diptych.train(
    "cyclegan", x={x!r}, y={y!r}, out={out!r}, steps=6, preview_every=2, width=4, size=32,
    blocks=1, device="cpu", workers=0, precision="fp32", threads=1, logger="none",
)
"""


def test_where_no_kernel_runs_there_is_no_notebook() -> None:
    assert find_notebook() is None


@pytest.mark.slow
# The kernel's sockets and its event loop, all of them outside our process's training.
@pytest.mark.filterwarnings("ignore::DeprecationWarning:jupyter_client")
@pytest.mark.filterwarnings("ignore::DeprecationWarning:nbclient")
def test_a_kernel_shows_one_bar_and_one_picture_that_are_updated_in_place(
    picture_folders, tmp_path: Path
) -> None:
    x, y = picture_folders()
    notebook = nbformat.v4.new_notebook()
    code = CELL.format(x=x, y=y, out=str(tmp_path / "run"))
    notebook.cells = [nbformat.v4.new_code_cell(code), nbformat.v4.new_code_cell("run")]
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    training, shown = (cell.outputs for cell in notebook.cells)
    displays = [o for o in training if o.output_type == "display_data"]
    kinds = [sorted({"image/png", "text/html"} & o.data.keys()) for o in displays]
    assert kinds == [["text/html"], ["image/png"]]  # the bar first
    (bar,) = [o.data["text/html"] for o in displays if "text/html" in o.data]
    assert '<progress value="1.0000"' in bar
    assert "step 6/6  100%" in bar
    assert "cycle" in bar
    (picture,) = [o.data["image/png"] for o in displays if "image/png" in o.data]
    assert len(picture) > 1000
    texts = "".join(o.text for o in training if o.output_type == "stream")
    assert "step 2/6" not in texts  # nothing grows below the bar
    (result,) = shown
    assert "data:image/" in result.data["text/html"]
