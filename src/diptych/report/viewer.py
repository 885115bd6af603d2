"""The report's pictures: preview grids taken apart, recompressed and set as HTML."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Protocol, TypeVar

from PIL import Image, features

from diptych.report.grids import GridLayout, read_grid

LATEST_BYTES = 850_000
"""What the newest grid may take in the page before base64, which adds a third."""
EARLIER_BYTES = 1_000_000
"""What all earlier grids may take together."""
MAX_FRAMES = 9
"""Grids in the page, spread evenly over the run."""

_T = TypeVar("_T")
_Panel = tuple[Image.Image, tuple[str, ...], float]  # picture, column names, gap as a share


class PaletteLike(Protocol):
    """What the colours of a label domain mean, as `data.Palette` tells it."""

    @property
    def names(self) -> tuple[str, ...]: ...

    @property
    def colours(self) -> tuple[tuple[int, int, int], ...]: ...


def viewer(previews: Sequence[tuple[int, Path]], last_step: int) -> tuple[str, list[str]]:
    """The grids of (step, path) with a slider, newest first, and what went wrong.

    A grid that cannot be read is left out and named: a report at the end of a
    long run must not fail for one picture. Empty where there is none.
    """
    frames: list[str] = []
    problems: list[str] = []
    chosen = thinned(sorted(previews, key=lambda preview: preview[0]), MAX_FRAMES)
    for step, path in reversed(chosen):
        budget = EARLIER_BYTES // max(1, len(chosen) - 1) if frames else LATEST_BYTES
        try:
            grid, layout = read_grid(path)
        except (OSError, Image.DecompressionBombError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            problems.append(f"The picture {path.name} could not be read: {reason}")
            continue
        frames.append(_frame(step, last_step, panels(grid, layout), budget))
    if not frames:
        return "", problems
    slider = (
        '<div class="scrub"><input type="range" min="0" step="1" aria-label="Training step">'
        "<output></output></div>"
        if len(frames) > 1
        else ""
    )
    return (
        f'<div class="viewer"><div class="frames">{"".join(frames)}</div>{slider}</div>',
        problems,
    )


def thinned(items: Sequence[_T], most: int) -> list[_T]:
    """At most `most` of the items, evenly spread, the first and the last among them."""
    if len(items) <= most:
        return list(items)
    return [items[round(i * (len(items) - 1) / (most - 1))] for i in range(most)]


def panels(grid: Image.Image, layout: GridLayout | None) -> list[_Panel]:
    """One picture for each group of columns, without headings, its gaps transparent."""
    if layout is None:
        return [(grid, (), 0.0)]
    parts, start = [], 0
    width, height = layout.tile
    for count in layout.groups:
        names = layout.columns[start : start + count]
        full = count * (width + layout.gap) - layout.gap
        tall = layout.rows * (height + layout.gap) - layout.gap
        panel = Image.new("RGBA", (full, tall), (0, 0, 0, 0))
        for row in range(layout.rows):
            for column in range(count):
                tile = grid.crop(layout.box(row, start + column))
                place = (column * (width + layout.gap), row * (height + layout.gap))
                panel.paste(tile, place)
        parts.append((panel, names, layout.gap / full))
        start += count
    return parts


def compress(picture: Image.Image, budget: int) -> tuple[str, bytes]:
    """MIME type and data in at most `budget` bytes: lossless if it can be, then smaller.

    The last resort is a sixteenth of the size, even if that is still too much.
    """
    divisor = 1.0
    # Lossless photographs take half a byte a pixel and more: not worth the time to try.
    may_fit = picture.width * picture.height <= 2 * budget
    kind, data = "image/png", b""
    if may_fit or not features.check("webp"):
        data = _encoded(picture, "PNG")
    if not data or (len(data) > budget and features.check("webp")):
        kind, data = "image/webp", _as_webp(picture)
    while len(data) > budget and divisor < 16:
        # Bytes go with pixels, roughly; a tenth more so that the second try seldom fails.
        divisor = min(16.0, divisor * max(1.1, 1.1 * (len(data) / budget) ** 0.5))
        size = (max(1, int(picture.width / divisor)), max(1, int(picture.height / divisor)))
        smaller = picture.resize(size, Image.Resampling.BOX)
        data = _as_webp(smaller) if kind == "image/webp" else _encoded(smaller, "PNG")
    return kind, data


def palette_legend(palettes: Mapping[str, PaletteLike]) -> str:
    """What the colours of the label domains mean, a line a domain."""
    lines = []
    for domain, palette in palettes.items():
        swatches = "".join(
            f'<li><i style="background:rgb({int(r)},{int(g)},{int(b)})"></i>{escape(name)}</li>'
            for name, (r, g, b) in zip(palette.names, palette.colours, strict=True)
        )
        label = f"Colours of {escape(domain)}"
        lines.append(f'<ul class="palette" aria-label="{label}"><li>{label}</li>{swatches}</ul>')
    return "".join(lines)


def _as_webp(picture: Image.Image) -> bytes:
    return _encoded(picture, "WEBP", quality=90, method=2)


def _encoded(picture: Image.Image, kind: str, **options: int) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def _frame(step: int, last_step: int, parts: list[_Panel], budget: int) -> str:
    words = f"Step {step:,}" + (f" of {last_step:,}" if step < last_step else ", the last")
    cells = []
    for picture, names, gap in parts:
        kind, data = compress(picture, budget // len(parts))
        heads = "".join(f"<span>{escape(name)}</span>" for name in names)
        style = f"grid-template-columns:repeat({len(names)},1fr);column-gap:{gap:.2%}"
        heading = f'<div class="names" aria-hidden="true" style="{style}">{heads}</div>'
        alt = escape(", ".join(names) or "Previews")
        cells.append(
            f'<div class="panel">{heading if names else ""}<img alt="{alt}" '
            f'width="{picture.width}" height="{picture.height}" '
            f'src="data:{kind};base64,{base64.b64encode(data).decode()}"></div>'
        )
    one = " one" if len(parts) == 1 and len(parts[0][1]) < 5 else ""
    return (
        f'<figure class="frame" data-words="{words}">'
        f'<div class="panels{one}">{"".join(cells)}</div>'
        f"<figcaption>{words}</figcaption></figure>"
    )
