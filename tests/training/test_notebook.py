"""Training in a real Jupyter kernel: one bar and one picture, updated in place."""

from __future__ import annotations

import base64
from io import BytesIO
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from PIL import Image

from diptych.training.notebook import find_notebook

TRAIN = """
import os, signal
import diptych
options = dict(
    x={x!r}, y={y!r}, out={out!r}, steps=6, preview_every=2, width=4, size=32, blocks=1,
    device="cpu", workers=0, precision="fp32", threads=1, logger="none",
)

def interrupt(step, losses):  # what the button Interrupt sends
    if step == 3:
        os.kill(os.getpid(), signal.SIGINT)

run = diptych.train("cyclegan", **options, **{more})
"""


def executed(picture_folders, tmp_path: Path, more: str, *cells: str) -> list[list[Any]]:
    """The outputs of a cell that trains, and of further `cells`, in a kernel of their own."""
    x, y = picture_folders()
    code = TRAIN.format(x=x, y=y, out=str(tmp_path / "run"), more=more)
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell(text) for text in (code, *cells)]
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    return [cell.outputs for cell in notebook.cells]


def test_where_no_kernel_runs_there_is_no_notebook() -> None:
    assert find_notebook() is None


@pytest.mark.slow
def test_a_kernel_shows_one_bar_and_one_picture_that_are_updated_in_place(
    picture_folders, tmp_path: Path
) -> None:
    (bar, picture), (result,) = executed(picture_folders, tmp_path, "{}", "run")
    assert '<progress value="1.0000"' in bar.data["text/html"]
    assert "step 6/6  100%  adversarial " in bar.data["text/html"]
    *notes, line = bar.data["text/plain"].splitlines()
    assert line.startswith("step 6/6  100%  adversarial ")
    assert len(notes) == 2  # what the data path decided
    assert picture.data["text/plain"] == "preview of step 6"
    with (
        Image.open(BytesIO(base64.b64decode(picture.data["image/png"]))) as shown,
        Image.open(tmp_path / "run" / "previews" / "00000006.png") as kept,
    ):
        kept.thumbnail((1200, 1200))
        assert np.array_equal(np.asarray(shown), np.asarray(kept))
    assert "data:image/" in result.data["text/html"]


@pytest.mark.slow
def test_an_interrupt_stops_a_training_as_ctrl_c_does_and_the_next_cell_goes_on(
    picture_folders, tmp_path: Path
) -> None:
    first, second = executed(
        picture_folders,
        tmp_path,
        '{"on_log": interrupt}',
        "run = diptych.resume(run)\nprint(run.folder)",
    )
    (words,) = [output.text for output in first if output.output_type == "stream"]
    folder = str(tmp_path / "run")
    assert words == (f"stopped and saved at step 3 of 6; go on with: diptych.resume({folder!r})\n")
    assert [output.output_type for output in first].count("display_data") == 2
    assert "step 3/6" in first[0].data["text/plain"]
    displays = [output for output in second if output.output_type == "display_data"]
    assert "step 6/6" in displays[0].data["text/plain"]
    assert [output.text for output in second if output.output_type == "stream"] == [f"{folder}\n"]


@pytest.mark.slow
def test_a_callback_that_fails_shows_its_own_error(picture_folders, tmp_path: Path) -> None:
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        executed(picture_folders, tmp_path, '{"on_preview": lambda grid: 1 / 0}')
