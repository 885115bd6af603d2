"""Opening a run, as a notebook does it and as an editor sees it."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import diptych
from diptych.errors import InputError, command_line

OLD = Path(__file__).parents[1] / "old_runs" / "0.1.0"
ROOT = Path(__file__).parents[2]


def test_options_are_spelt_out_and_reach_the_translator():
    parameters = inspect.signature(diptych.load).parameters
    assert {"path", "styles", "device", "precision", "memory_gib", "draws"} <= set(parameters)
    assert not any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    translator = diptych.load(
        OLD / "unit", device=torch.device("cpu"), precision="bf16", memory_gib=0.5, draws=True
    )
    assert repr(translator) == "Translator(unit, x ↔ y, 16 px, cpu, bf16)"
    assert translator.memory_gib == 0.5
    image = Image.open(OLD / "photos" / "trainA" / "0.png")
    first, second = (translator(image, to="y", seed=seed) for seed in (0, 1))
    assert not np.array_equal(first, second)
    with pytest.raises(TypeError, match="memory"):
        diptych.load(OLD / "unit", memory=0.5)


def test_styles_are_refused_by_methods_that_have_none_in_the_words_of_the_caller():
    with pytest.raises(InputError, match=r"diptych.train\('gatys'\) makes what does"):
        diptych.load(OLD / "cyclegan", styles="starry.jpg")
    with command_line(), pytest.raises(InputError, match="diptych train gatys makes what does"):
        diptych.load(OLD / "cyclegan", styles=["starry.jpg"])


SNIPPET = """
from pathlib import Path
from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

import diptych

run = diptych.Run(Path("runs/x"))
translator = diptych.load(run, device="cpu", precision="bf16", memory_gib=1.0, draws=False)
assert_type(translator, diptych.Translator)
assert_type(run.translator(), diptych.Translator)


def kinds(image: Image.Image, array: NDArray[np.uint8], tensor: Tensor) -> None:
    assert_type(translator(image, "zebra"), Image.Image)
    assert_type(translator("photo.jpg", to="zebra", seed=1), Image.Image)
    assert_type(translator(Path("photo.jpg"), to=["Male", "Young"]), Image.Image)
    assert_type(translator(array, source="horse"), NDArray[Any])
    assert_type(translator(tensor), Tensor)
    assert_type(translator([image, image]), list[Image.Image])
    assert_type(translator(["a.jpg", "b.jpg"]), list[Image.Image])
    assert_type(translator((Path("a.jpg"),)), list[Image.Image])
    assert_type(translator([tensor]), list[Tensor])
    assert_type(translator.translate(image), diptych.Translation)
    assert_type(translator.translate_batch(tensor, "zebra"), Tensor)


network: nn.Module = translator.network("zebra")
assert_type(translator.network("zebra").size_multiple, int)
classifier = diptych.load_classifier("runs/y")
assert_type(classifier, diptych.Classifier)
assert_type(classifier("photo.jpg", "dark"), str)
print(diptych.translate_files(translator, "album/", "out/", to="zebra").written[0].name)
diptych.load("runs/x", precision="fp8")  # type: ignore[arg-type]
diptych.load("runs/x", memory=1.0)  # type: ignore[call-arg]
translator(5)  # type: ignore[call-overload]
"""


@pytest.mark.slow
def test_a_type_checker_sees_the_public_names(tmp_path: Path):
    file = tmp_path / "snippet.py"
    file.write_text(SNIPPET, encoding="utf-8")
    config = ["--config-file", os.devnull, "--strict", "--cache-dir", str(tmp_path / "cache")]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *config, str(file)],
        env=os.environ | {"MYPYPATH": str(ROOT / "src")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines()[-1] == "Success: no issues found in 1 source file", done.stdout
