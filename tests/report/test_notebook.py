"""A run's newest picture and links, as a notebook shows them."""

from __future__ import annotations

import base64
import re
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from diptych.report.notebook import picture_and_links


def test_the_picture_is_shrunk_and_inline(tmp_path: Path):
    path = tmp_path / "00003000.png"
    Image.new("RGB", (2000, 500), (0, 0, 255)).save(path)
    page = picture_and_links("Run(x)", path, {})
    assert page.startswith("<p>Run(x) · step 3000</p><img ")
    (data,) = re.findall(r'src="data:image/webp;base64,([^"]+)"', page)
    image = Image.open(BytesIO(base64.b64decode(data)))
    assert image.size == (1600, 400)
    assert np.abs(np.asarray(image)[0, 0].astype(int) - (0, 0, 255)).max() <= 8


def test_links_are_relative_below_the_notebooks_folder(tmp_path: Path, monkeypatch):
    report = tmp_path / "runs" / "x" / "report.html"
    absolute = f'<p>a · <a href="{report.as_uri()}">report</a></p>'
    assert picture_and_links("a", None, {"report": report}) == absolute
    monkeypatch.chdir(tmp_path)
    relative = '<p>a · <a href="runs/x/report.html">report</a></p>'
    assert picture_and_links("a", None, {"report": report}) == relative


def test_names_are_escaped(tmp_path: Path):
    page = picture_and_links("<b>a", None, {"<b>x": tmp_path / "<b>x"})
    assert "<b>" not in page
    assert page.count("&lt;b&gt;") == 2
