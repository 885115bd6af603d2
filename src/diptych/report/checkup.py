"""The page of what a check of data found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from diptych.report.html import whole_page

_STYLE = """
td.number { text-align: right; font-variant-numeric: tabular-nums; }
details { margin: .4rem 0 1rem; } summary { cursor: pointer; color: var(--quiet); }
"""


def checkup_page(found: Mapping[str, Any]) -> str:
    """Return the page of `Checkup.to_dict()`, which needs nothing but itself."""
    seen = found["examination"]
    names = ", ".join(domain["name"] for domain in seen["domains"])
    looked, images = seen["looked_at"], seen["images"]
    of = (
        f"{images:,} images"
        if looked == images
        else f"{looked:,} of {images:,} images, evenly spread"
    )
    blocks = [
        f"<h1>{escape(names)}</h1>",
        f'<p class="lede">{escape(seen["source"])}: {of} were looked at.</p>',
        _section("Findings", _findings(seen["findings"])),
        _section("What is there", _table(*domain_table(found))),
        _section("How far apart", _table(*distance_table(found)) if found["distances"] else ""),
        _section("What to train with", _lines(found["advice"])),
        _section("What was decided", _lines(seen["notes"])),
    ]
    return whole_page(f"{names}: check of the data", blocks, style=_STYLE)


def domain_table(found: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return headings and rows: a column a domain."""
    domains = found["examination"]["domains"]
    rows = [
        ["images", *(_by(one["images"]) for one in domains)],
        ["kinds", *(_by(one["kinds"]) for one in domains)],
        ["pixels", *(one["pixels"] for one in domains)],
        ["sizes: least, middle, most", *(_sizes(one["sizes"]) for one in domains)],
        ["mean of each channel", *(_shares(one["mean"]) for one in domains)],
        ["spread of each channel", *(_shares(one["spread"]) for one in domains)],
    ]
    return ["", *(one["name"] for one in domains)], rows


def distance_table(found: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return headings and rows: KID of each direction, and that within the target."""
    rows = [
        [f"{one['source']}→{one['target']}", f"{one['kid']:.4f}", f"{one['within']:.4f}"]
        for one in found["distances"]
    ]
    return ["", "KID", "within the target"], rows


def _by(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items()) or "none"


def _sizes(sizes: Sequence[Sequence[int]] | None) -> str:
    return "–" if sizes is None else ", ".join(f"{width}x{height}" for width, height in sizes)


def _shares(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.2f}" for value in values) or "–"


def _findings(findings: Sequence[Mapping[str, Any]]) -> str:
    if not findings:
        return "<p>Nothing speaks against training on these data.</p>"
    return "".join(f"<p>{escape(one['text'])}</p>" + _details(one["images"]) for one in findings)


def _details(images: Sequence[str]) -> str:
    if len(images) < 2:
        return ""
    listed = "<br>".join(map(escape, images))
    return f"<details><summary>all {len(images):,}</summary>{listed}</details>"


def _lines(lines: Sequence[str]) -> str:
    return "".join(f"<p>{escape(line)}</p>" for line in lines)


def _section(title: str, body: str) -> str:
    return f"<section><h2>{title}</h2>{body}</section>" if body else ""


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"
