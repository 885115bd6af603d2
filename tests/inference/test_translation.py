"""What a translation says of itself."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from PIL import Image

from diptych.errors import command_line
from diptych.inference.translation import Translation


def test_it_shows_its_image_in_a_notebook():
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 4), np.uint8)
    png = Translation(Image.fromarray(pixels))._repr_png_()
    assert np.array_equal(np.asarray(Image.open(BytesIO(png))), pixels)


def test_the_note_names_what_its_reader_can_set():
    made = Translation(Image.new("RGB", (30, 20)), tiles=4, sweeps=2, whole_gib=3.1)
    assert made.note == (
        "30x20 was translated in 4 tiles with the whole image's statistics (2 sweeps);"
        " memory_gib=3.1 would take it whole"
    )
    with command_line():
        assert made.note.endswith("; --memory 3.1 would take it whole")
    assert Translation(made.image).note is None
