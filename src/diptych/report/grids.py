"""Grids: pictures in rows and columns, either named, as PNG files.

A grid's file remembers where its tiles lie (a PNG text chunk), so that the
report can lay them out anew for any screen.
"""

from __future__ import annotations

import json
import math
import os
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache

from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from diptych.data.images import to_image
from diptych.files import atomic_write

TILE_TARGET = 128
"""Pixels across which a picture is easy to read; smaller ones are enlarged to about this."""
_INFO_KEY = "diptych-grid"
_INK, _PAPER = (38, 38, 42), (255, 255, 255)
_FONT_SIZE, _SMALLEST_FONT = 15, 10


@dataclass(frozen=True, kw_only=True)
class GridLayout:
    """Where the tiles of a grid lie, in pixels."""

    columns: tuple[str, ...]
    groups: tuple[int, ...]
    """Columns that belong together, by count; a wider gap parts the groups."""
    rows: int
    tile: tuple[int, int]
    """Width and height."""
    left: int = 0
    """Width of the rows' names, if they have any."""

    @property
    def gap(self) -> int:
        return max(4, self.tile[0] // 16)

    @property
    def margin(self) -> int:
        return 2 * self.gap

    @property
    def heading(self) -> int:
        """Height above the first row."""
        return self.margin + (_FONT_SIZE + 9 if any(self.columns) else 0)

    @property
    def size(self) -> tuple[int, int]:
        right, bottom = self.box(self.rows - 1, len(self.columns) - 1)[2:]
        return right + self.margin, bottom + self.margin

    def box(self, row: int, column: int) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of a tile, as Pillow's crop takes them."""
        width, height = self.tile
        left = self.margin + column * (width + self.gap) + self._groups_before(column) * self.margin
        left += self.left + self.gap if self.left else 0
        top = self.heading + row * (height + self.gap)
        return left, top, left + width, top + height

    def _groups_before(self, column: int) -> int:
        starts = [sum(self.groups[: i + 1]) for i in range(len(self.groups))]
        return sum(column >= start for start in starts)


def picture_grid(
    rows: Sequence[Sequence[Tensor]],
    columns: Sequence[str],
    *,
    scale: int | None = None,
    groups: Sequence[int] | None = None,
    row_names: Sequence[str] = (),
) -> Image.Image:
    """Pictures in rows under named columns, on white; `row_names` stand on the left.

    Each picture is (3, H, W) in [-1, 1], all of one shape. `scale` enlarges by
    a whole factor, without smoothing; by default to about 128 pixels across.
    `groups` says how many columns belong together, such as (3, 3) for the two
    directions. Save the result with `write_grid`.

    Raises:
        ValueError: no pictures, ragged rows, groups that miss columns, or names that miss rows.
    """
    groups = tuple(groups) if groups is not None else (len(columns),)
    if not rows or not columns or any(len(row) != len(columns) for row in rows):
        raise ValueError(f"a grid needs rows of {len(columns)} pictures, one for each column")
    if sum(groups) != len(columns) or min(groups) < 1:
        raise ValueError(f"groups {groups} do not add up to {len(columns)} columns")
    if row_names and len(row_names) != len(rows):
        raise ValueError(f"{len(row_names)} names for {len(rows)} rows")
    height, width = rows[0][0].shape[-2:]
    scale = scale if scale is not None else max(1, round(TILE_TARGET / width))
    layout = GridLayout(
        columns=tuple(columns),
        groups=groups,
        rows=len(rows),
        tile=(width * scale, height * scale),
        left=_names_width(row_names, width * scale),
    )
    grid = Image.new("RGB", layout.size, _PAPER)
    draw = ImageDraw.Draw(grid)
    for j, name in enumerate(columns):
        left, top, *_ = layout.box(0, j)
        _draw_label(draw, name, left=left, bottom=top - 6, width=layout.tile[0])
    for i, name in enumerate(row_names):
        _, top, _, bottom = layout.box(i, 0)
        middle = (top + bottom + _FONT_SIZE) // 2 - 2
        _draw_label(draw, name, left=layout.margin, bottom=middle, width=layout.left)
    for i, row in enumerate(rows):
        for j, picture in enumerate(row):
            tile = to_image(picture.detach().cpu()).resize(layout.tile, Image.Resampling.NEAREST)
            grid.paste(tile, layout.box(i, j)[:2])
    grid.info[_INFO_KEY] = json.dumps(asdict(layout))
    return grid


def write_grid(path: str | os.PathLike[str], grid: Image.Image) -> None:
    """Save a grid as PNG, whole or not at all, with the places of its tiles."""
    info = PngInfo()
    if _INFO_KEY in grid.info:
        info.add_itxt(_INFO_KEY, grid.info[_INFO_KEY])
    with atomic_write(path) as file:
        grid.save(file, "PNG", pnginfo=info)


def read_grid(path: str | os.PathLike[str]) -> tuple[Image.Image, GridLayout | None]:
    """A grid's picture, and its layout if the file tells one that fits.

    Raises OSError where the file is missing or no picture.
    """
    with Image.open(path) as file:
        picture = file.convert("RGB")
        text = file.info.get(_INFO_KEY)
    return picture, _parse_layout(text, picture.size) if isinstance(text, str) else None


def _parse_layout(text: str, size: tuple[int, int]) -> GridLayout | None:
    try:
        known = json.loads(text)
        layout = GridLayout(
            columns=tuple(str(name) for name in known["columns"]),
            groups=tuple(int(count) for count in known["groups"]),
            rows=int(known["rows"]),
            tile=(int(known["tile"][0]), int(known["tile"][1])),
            left=int(known.get("left", 0)),
        )
    except (ValueError, TypeError, KeyError, IndexError):
        return None
    whole = sum(layout.groups) == len(layout.columns) and all(n > 0 for n in layout.groups)
    return layout if whole and layout.columns and layout.size == size else None


def _names_width(names: Sequence[str], most: int) -> int:
    """Pixels of the longest name, `most` at most; 0 without names."""
    widths = [math.ceil(_label_width(_drawable(name), _FONT_SIZE)) for name in names]
    return min(max(widths), most) if widths else 0


def _draw_label(
    draw: ImageDraw.ImageDraw, text: str, *, left: int, bottom: int, width: int
) -> None:
    """Write `text` in at most `width` pixels: smaller if it must be, then cut short."""
    text = _drawable(text)
    size = _FONT_SIZE
    while size > _SMALLEST_FONT and _label_width(text, size) > width:
        size -= 1
    if _label_width(text, size) > width:
        while text and _label_width(text + "…", size) > width:
            text = text[:-1]
        text += "…"
    x = float(left)
    for i, part in enumerate(text.split("→")):
        if i > 0:
            _draw_arrow(draw, x, bottom - 0.33 * size, size)
            x += _arrow_width(size)
        draw.text((x, bottom), part, fill=_INK, font=_font(size), anchor="ls")
        x += _font(size).getlength(part)


def _draw_arrow(draw: ImageDraw.ImageDraw, x: float, y: float, size: int) -> None:
    # Pillow's built-in font has no arrows.
    tip, head = x + 0.85 * size, 0.26 * size
    draw.line([(x + 1, y), (tip, y)], fill=_INK, width=1)
    draw.line([(tip - head, y - head), (tip, y), (tip - head, y + head)], fill=_INK, width=1)


def _arrow_width(size: int) -> float:
    return 0.95 * size


def _label_width(text: str, size: int) -> float:
    return _font(size).getlength(text.replace("→", "")) + text.count("→") * _arrow_width(size)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _drawable(text: str) -> str:
    """`text` in the letters that Pillow's built-in font has: accents go, the rest becomes '?'."""
    plain = (c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return "".join(c if c in "→…" or " " <= c <= "~" else "?" for c in plain)
