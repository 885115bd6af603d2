"""Images larger than memory."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from diptych.data.images import to_image, to_tensor
from diptych.errors import InputError
from diptych.inference.translator import Translator
from tests.inference.test_translator import cyclegan, difference, photo


@pytest.fixture(scope="module")
def translator() -> Translator:
    return cyclegan(blocks=2)


@pytest.mark.slow
def test_tiles_agree_with_the_whole_image_and_the_user_is_told(caplog):
    image = photo(321, 214)
    whole = cyclegan().translate(image, to="zebra")
    assert (whole.tiles, whole.note) == (1, None)
    small = cyclegan(memory_gib=0.005)
    with caplog.at_level(logging.INFO, logger="diptych"):
        tiled = small.translate(image, to="zebra")
    assert tiled.image.size == (321, 214)
    assert tiled.tiles > 4
    assert difference(tiled.image, whole.image) <= 2
    assert tiled.note is not None
    assert tiled.note in caplog.messages
    assert "321x214" in tiled.note
    assert f"memory_gib={whole.whole_gib:.1f} would take it whole" in tiled.note
    assert cyclegan(memory_gib=whole.whole_gib).fits(214, 321)
    again = small.translate(image, to="zebra")
    assert np.array_equal(again.image, tiled.image)
    batch = small.translate_batch(to_tensor(image)[None], "zebra")
    assert np.array_equal(to_image(batch[0]), tiled.image)


def test_progress_counts_tiles():
    translator = cyclegan(blocks=1, memory_gib=0.003)
    seen = []
    made = translator.translate(photo(200, 100), to="zebra", progress=lambda *a: seen.append(a))
    assert seen[-1] == ("translating", made.tiles, made.tiles)
    assert len(seen) == made.tiles * (made.sweeps + 1)


def test_too_little_memory_for_a_tile_is_refused():
    with pytest.raises(
        InputError, match=r"too little for a tile of this 200x100 image: raise memory_gib to 0\.1"
    ):
        cyclegan(blocks=1, memory_gib=1e-6)(photo(200, 100), to="zebra")


MEASURE_PEAKS = """
import torch
from test_translator import cyclegan, photo
torch.set_num_threads(1)

def peak_mib():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))

image = photo(768, 640)
for memory_gib in (0.06, 2.0):
    translator = cyclegan(width=32, blocks=1, memory_gib=memory_gib)
    translator(photo(64, 64), to="zebra")
    before = peak_mib()
    translator(image, to="zebra")
    print(peak_mib() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads a process's peak memory from /proc")
def test_memory_stays_within_what_was_asked_for_beyond_the_image():
    command = [sys.executable, "-c", MEASURE_PEAKS]
    # By default glibc keeps freed blocks of up to 32 MiB, as many as chance has it.
    env = os.environ | {"MALLOC_MMAP_THRESHOLD_": str(2**20)}
    here = Path(__file__).parent
    done = subprocess.run(command, cwd=here, env=env, check=True, capture_output=True, text=True)
    tiled, whole = (float(line) for line in done.stdout.split())
    image = 768 * 640 * (3 + 12 + 12 + 3) / 2**20  # in and out, as bytes and as floats
    assert tiled < 0.06 * 1024 + image
    assert tiled + whole > 2 * (0.06 * 1024 + image)  # `whole` counts from the tiles' peak
