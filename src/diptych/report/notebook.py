"""A run in a notebook: its newest picture and links, as HTML."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from html import escape
from io import BytesIO
from pathlib import Path

from diptych.data.images import read_image

_LARGEST = 1600
"""Pixels a side, so that notebooks stay small."""


def picture_and_links(about: str, picture: Path | None, links: Mapping[str, Path]) -> str:
    """A line of `about`, the step that `picture` is of and `links`; then the picture."""
    items = [escape(about)]
    if picture is not None:
        items.append(f"step {int(picture.stem)}")
    items += [f'<a href="{escape(_address(to))}">{escape(name)}</a>' for name, to in links.items()]
    line = f"<p>{' · '.join(items)}</p>"
    if picture is None:
        return line
    source = base64.b64encode(_small(picture)).decode()
    return f'{line}<img style="max-width:100%" src="data:image/webp;base64,{source}">'


def _address(path: Path) -> str:
    """A link that works in a notebook, whose pages are below the folder that it runs in."""
    whole, here = path.resolve(), Path.cwd()
    return whole.relative_to(here).as_posix() if whole.is_relative_to(here) else whole.as_uri()


def _small(picture: Path) -> bytes:
    """The picture as WebP, of at most `_LARGEST` pixels a side."""
    image, file = read_image(picture), BytesIO()
    image.thumbnail((_LARGEST, _LARGEST))
    image.save(file, format="WEBP", quality=90)
    return file.getvalue()
