"""The figures of studies as a plot."""

from __future__ import annotations

import pytest
from PIL import Image

from diptych.errors import InputError
from diptych.study.plot import write_plot
from tests.study.test_tables import REPORTS


def test_the_plot_is_a_picture(tmp_path) -> None:
    write_plot(REPORTS, tmp_path / "plot.png")
    with Image.open(tmp_path / "plot.png") as image:
        assert image.width > 1000
        assert len(image.convert("RGB").getcolors(1 << 20) or ()) > 10
    write_plot(REPORTS, tmp_path / "plot.svg")
    assert "<svg" in (tmp_path / "plot.svg").read_text()
    with pytest.raises(InputError, match="its name must end in"):
        write_plot(REPORTS, tmp_path / "plot.gif")
