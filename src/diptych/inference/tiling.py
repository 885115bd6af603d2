"""Images larger than memory: translated in tiles that agree with the whole.

Instance normalisation divides by statistics of the whole image. Tiles with
statistics of their own differ by more than the content does, and show as
squares. Here every tile is normalised with the same statistics, those that the
whole image would have, found without ever holding its maps:

Let F(s) be what the norms of a forward pass measure over the full image while
they apply the statistics s; the pass over the whole image has the s for which
F(s) = s. F(s) can be had from tiles, as moments add up, at the price of one
sweep. But s <- F(s) is a poor iteration: each norm is corrected for inputs that
its predecessors' own corrections then change, and the errors grow from layer
to layer before they vanish. So the same image at a scale that fits in memory,
with its own F', stands in for the change: the next s solves

    s = F'(s) * F(s_old) / F'(s_old)      (means: by their difference)

which is one pass over the small image, each norm in turn being given what it
has just measured, corrected by the defect. The mean error falls by a factor of
5 to 10 with a sweep, where s <- F(s) doubles it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from diptych.inference.footprint import Forward, normalise, replaced_norms

Progress = Callable[[str, int, int], None]
"""What is being done, tiles done, tiles in all."""

MAX_SWEEPS = 6
SETTLED = 2.0 / 127.5
"""A sweep that changes the small image by no more than 2/255 on average is the
last: the error that remains is a fifth of that or less."""

MIN_MARGIN = 8
"""Pixels that a tile sees around its core, however little memory there is."""
_UNBOUNDED_MARGIN = 96
_MAX_OVERHEAD = 4.0  # full margins may make the work this many times the image's


@dataclass(frozen=True)
class Span:
    """One tile along one axis, in pixels; ends are exclusive."""

    core: tuple[int, int]
    """Cores partition the axis."""
    box: tuple[int, int]
    """What is translated: the core and its margins, inside the image."""


@dataclass(frozen=True)
class Grid:
    """A plan of tiles: every row span with every column span."""

    rows: tuple[Span, ...]
    columns: tuple[Span, ...]
    ramp: int
    """Results are blended over this many pixels to either side of a core's border."""

    @property
    def tiles(self) -> int:
        return len(self.rows) * len(self.columns)

    @property
    def work(self) -> int:
        """Pixels translated by a sweep."""
        heights = sum(span.box[1] - span.box[0] for span in self.rows)
        return heights * sum(span.box[1] - span.box[0] for span in self.columns)


@dataclass(frozen=True)
class Moments:
    """What one call of a norm saw."""

    mean: Tensor
    """(C,)"""
    variance: Tensor
    """(C,), over `count`, not one less."""
    count: int


def plan_grid(
    height: int, width: int, *, tile_pixels: int, radius: int | None, multiple: int
) -> Grid | None:
    """The cheapest grid whose tiles have at most `tile_pixels`; None if there is none.

    Margins as wide as `radius` make the tiles exact, given their statistics.
    Where that costs too much, or the radius is None, they are narrower and the
    tiles are blended.
    """
    full = _UNBOUNDED_MARGIN if radius is None else radius
    margin = -(-full // multiple) * multiple
    while margin >= max(MIN_MARGIN, multiple) or margin >= full:
        is_exact = radius is not None and margin >= radius
        grid = _cheapest(height, width, margin, is_exact, tile_pixels, multiple)
        if grid is not None and grid.work <= _MAX_OVERHEAD * height * width:
            return grid
        margin = margin // 2 // multiple * multiple
        full = margin + 1  # only the first margin may be below the minimum
    return None


def _cheapest(
    height: int, width: int, margin: int, is_exact: bool, tile_pixels: int, multiple: int
) -> Grid | None:
    best: tuple[int, int, int] | None = None  # work, rows, columns
    for n_rows in range(1, height // multiple + 1):
        tallest = _longest(height, n_rows, margin, multiple)
        n_columns = _fewest(width, tile_pixels // tallest, margin, multiple)
        if n_columns is not None:
            work = (height + 2 * margin * (n_rows - 1)) * (width + 2 * margin * (n_columns - 1))
            best = min(best or (work, n_rows, n_columns), (work, n_rows, n_columns))
    if best is None:
        return None
    rows, columns = (
        _spans(height, best[1], margin, multiple),
        _spans(width, best[2], margin, multiple),
    )
    thinnest = min(span.core[1] - span.core[0] for span in (*rows, *columns))
    return Grid(rows, columns, 0 if is_exact else min(margin, thinnest) // 2)


def _longest(length: int, n: int, margin: int, multiple: int) -> int:
    """The longest box of `_spans`, or a little more."""
    return min(length, -(-length // (multiple * n)) * multiple + min(n - 1, 2) * margin)


def _fewest(width: int, tile_width: int, margin: int, multiple: int) -> int | None:
    """In how few columns `width` is cut, so that none is wider than `tile_width`."""
    for n in (1, 2):
        if _longest(width, n, margin, multiple) <= tile_width:
            return n
    core = (tile_width - 2 * margin) // multiple * multiple
    return -(-width // core) if core > 0 else None


def _spans(length: int, n: int, margin: int, multiple: int) -> tuple[Span, ...]:
    """`length` in `n` cores, whose borders are multiples and which differ by one multiple."""
    units = length // multiple
    cuts = [units * k // n * multiple for k in range(n + 1)]
    return tuple(
        Span((a, b), (max(a - margin, 0), min(b + margin, length)))
        for a, b in itertools.pairwise(cuts)
    )


def find_statistics(
    forward: Forward,
    norms: Sequence[nn.InstanceNorm2d],
    image: Tensor,
    *,
    small: Tensor,
    grid: Grid,
    progress: Progress | None = None,
) -> tuple[list[Moments], int]:
    """The statistics of the norms' calls for the whole image, and the sweeps that it took.

    `image` is (C, H, W) in [-1, 1] and stays where it is; `small`, the same
    picture as (1, C, h, w), is on the device that translates. Without norms
    there is nothing to find: no sweeps.
    """
    if not norms:
        return [], 0
    statistics, output = _solve(forward, norms, small)
    for sweep in range(1, MAX_SWEEPS + 1):
        full = _sweep(forward, norms, image, grid, statistics, small.device, sweep, progress)
        seen, _ = _observe(forward, norms, small, statistics)
        statistics, corrected = _solve(forward, norms, small, (full, seen))
        change = (corrected - output).abs().mean().item()
        output = corrected
        if change <= SETTLED:
            return statistics, sweep
    return statistics, MAX_SWEEPS


def translate_tiles(
    forward: Forward,
    norms: Sequence[nn.InstanceNorm2d],
    image: Tensor,
    *,
    statistics: Sequence[Moments],
    grid: Grid,
    device: torch.device,
    progress: Progress | None = None,
) -> Iterator[tuple[int, Tensor]]:
    """Strips of the result from top to bottom: (first row, (C, rows, W) on the CPU).

    Beyond the image, a strip and a tile are all that is held.
    """
    width = image.shape[2]
    carried: Tensor | None = None
    done = 0
    for row in grid.rows:
        top, bottom, weight_y = _zone(row, image.shape[1], grid.ramp)
        strip: Tensor | None = None
        for column in grid.columns:
            left, right, weight_x = _zone(column, width, grid.ramp)
            tile = _crop(image, row, column, device)
            _, output = _observe(forward, norms, tile, statistics, keep=False)
            y0, x0 = row.box[0], column.box[0]
            part = output[0, :, top - y0 : bottom - y0, left - x0 : right - x0].float().cpu()
            if strip is None:
                strip = torch.zeros(len(part), bottom - top, width)
            strip[..., left:right] += part * weight_x
            done += 1
            if progress is not None:
                progress("translating", done, grid.tiles)
        assert strip is not None
        strip *= weight_y[:, None]
        if carried is not None:
            strip[:, : carried.shape[1]] += carried
        finished = bottom - top if bottom == image.shape[1] else bottom - top - 2 * grid.ramp
        yield top, strip[:, :finished]
        carried = strip[:, finished:].clone()


def _zone(span: Span, length: int, ramp: int) -> tuple[int, int, Tensor]:
    """The part of a tile that counts, and its weights, which add up to 1 over all tiles."""
    start = max(span.core[0] - ramp, 0) if span.core[0] else 0
    end = min(span.core[1] + ramp, length)
    weight = torch.ones(end - start)
    if ramp:
        rising = (torch.arange(2 * ramp) + 0.5) / (2 * ramp)
        if span.core[0] > 0:
            weight[: 2 * ramp] *= rising
        if span.core[1] < length:
            weight[-2 * ramp :] *= 1 - rising
    return start, end, weight


def _crop(image: Tensor, row: Span, column: Span, device: torch.device) -> Tensor:
    return image[None, :, slice(*row.box), slice(*column.box)].to(device)


def _sweep(
    forward: Forward,
    norms: Sequence[nn.InstanceNorm2d],
    image: Tensor,
    grid: Grid,
    statistics: Sequence[Moments],
    device: torch.device,
    number: int,
    progress: Progress | None,
) -> list[Moments]:
    """What the norms measure over the full image while they apply `statistics`."""
    total: list[Moments] = []
    done = 0
    for row in grid.rows:
        for column in grid.columns:
            tile = _crop(image, row, column, device)
            seen, _ = _observe(forward, norms, tile, statistics, spans=(row, column))
            total = [_merge(a, b) for a, b in zip(total, seen, strict=True)] if total else seen
            done += 1
            if progress is not None:
                progress(f"measuring, sweep {number}", done, grid.tiles)
    return total


def _observe(
    forward: Forward,
    norms: Sequence[nn.InstanceNorm2d],
    image: Tensor,
    statistics: Sequence[Moments],
    *,
    spans: tuple[Span, Span] | None = None,
    keep: bool = True,
) -> tuple[list[Moments], Tensor]:
    """Apply `statistics`, and measure, over the core of a tile or all of an image."""
    given = iter(statistics)
    seen: list[Moments] = []

    def call(norm: nn.InstanceNorm2d, x: Tensor) -> Tensor:
        if keep:
            core = x if spans is None else _core(x, spans)
            seen.append(_moments(core))
        now = next(given)
        return normalise(norm, x, now.mean, now.variance)

    with replaced_norms(norms, call):
        output = forward(image)
    assert next(given, None) is None, "the network normalised less often than for the small image"
    return seen, output


def _solve(
    forward: Forward,
    norms: Sequence[nn.InstanceNorm2d],
    small: Tensor,
    defect: tuple[Sequence[Moments], Sequence[Moments]] | None = None,
) -> tuple[list[Moments], Tensor]:
    """Apply to each call what it measures, corrected by what (full, small) measured before."""
    pairs = iter(zip(*defect, strict=True)) if defect is not None else None
    solved: list[Moments] = []

    def call(norm: nn.InstanceNorm2d, x: Tensor) -> Tensor:
        now = _moments(x)
        if pairs is not None:
            full, seen = next(pairs)
            gain = (now.variance + norm.eps) / (seen.variance + norm.eps)
            variance = ((full.variance + norm.eps) * gain - norm.eps).clamp_min(0)
            now = Moments(now.mean + (full.mean - seen.mean) * gain.sqrt(), variance, now.count)
        solved.append(now)
        return normalise(norm, x, now.mean, now.variance)

    with replaced_norms(norms, call):
        output = forward(small)
    return solved, output


def _core(x: Tensor, spans: tuple[Span, Span]) -> Tensor:
    """The part of a map of a tile that belongs to the tile's core."""
    slices = []
    for span, size in zip(spans, x.shape[2:], strict=True):
        scale = size / (span.box[1] - span.box[0])
        start, end = (round((edge - span.box[0]) * scale) for edge in span.core)
        slices.append(slice(start, max(end, start + 1)))  # a map may be coarser than a core
    return x[:, :, slices[0], slices[1]]


def _moments(x: Tensor) -> Moments:
    assert x.shape[0] == 1, "tiles are translated one at a time"
    variance, mean = torch.var_mean(x.float(), dim=(0, 2, 3), correction=0)
    return Moments(mean, variance, math.prod(x.shape[2:]))


def _merge(a: Moments, b: Moments) -> Moments:
    """Return the moments of two disjoint parts: Eq. (1.5) of Chan et al. 1979, without its
    cancellation."""
    count = a.count + b.count
    share = b.count / count
    delta = b.mean - a.mean
    variance = a.variance * (1 - share) + b.variance * share + delta**2 * (share * (1 - share))
    return Moments(a.mean + delta * share, variance, count)
