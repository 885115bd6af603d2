"""docs/your-own-method.md does what it says: its blocks run one after another, as in a notebook."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import diptych

PAGE = Path(__file__).parents[2] / "docs" / "your-own-method.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)


def test_the_method_takes_forty_lines_of_code():
    method = BLOCKS[0][BLOCKS[0].index("class SharpCycleGAN") :]
    lines = [line for line in method.splitlines() if line.strip() and line.strip()[0] not in '#"']
    assert len(lines) <= 40


@pytest.mark.slow
def test_the_blocks_of_the_page_run_one_after_another(tmp_path):
    source = Path(diptych.__file__).parents[1]
    # From standard input __main__ has no file, as in a notebook.
    done = subprocess.run(
        [sys.executable, "-W", "error", "-"],
        input="\n".join([*BLOCKS, "print(run.folder, photo.size)"]),
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    folder = Path("runs") / "SharpCycleGAN-earth-climate"
    assert done.stdout.split("\n")[-2] == f"{folder} (50, 40)"
    assert 'method = "SharpCycleGAN"' in (tmp_path / folder / "config.toml").read_text("utf-8")
    assert (tmp_path / folder / "report.html").stat().st_size > 10_000
