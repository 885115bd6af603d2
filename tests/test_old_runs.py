"""Runs of earlier versions still load, translate and go on.

`old_runs/VERSION/` holds runs that were stopped at step 4 of 8 by that version, without
what can be made again, and `whole.json`, the losses of all 8 steps without a stop.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

import diptych

OLD = Path(__file__).parent / "old_runs"
TRANSLATORS = sorted(OLD.glob("*/*/translator.safetensors"))
STATES = sorted(OLD.glob("*/*/state.pt"))


@pytest.mark.parametrize("file", TRANSLATORS, ids=lambda f: f"{f.parent.name}-{f.parts[-3]}")
def test_a_translator_of_an_earlier_version_translates(file):
    translator = diptych.load(file)
    assert translator.domains == ("x", "y")
    image = Image.open(OLD / "0.1.0" / "photos" / "trainA" / "0.png")
    assert translator(image, to="y").size == (16, 16)


@pytest.mark.parametrize("file", STATES, ids=lambda f: f"{f.parent.name}-{f.parts[-3]}")
def test_a_run_of_an_earlier_version_goes_on_as_it_would_have_there(file, tmp_path, monkeypatch):
    shutil.copytree(file.parents[1], tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)  # its data are named as "photos"
    run = diptych.resume(file.parent.name)
    lines = (run.folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    whole = json.loads((run.folder / "whole.json").read_text(encoding="utf-8"))
    assert len(lines) == len(whole) == 8
    for line, losses in zip(lines, whole, strict=True):
        # Close, not equal: other processors and versions of PyTorch round otherwise.
        assert json.loads(line)["losses"] == pytest.approx(losses, rel=1e-3, abs=1e-5)
