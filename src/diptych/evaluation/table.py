"""Scores as a table on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

LABELS = {
    "images": "images",
    "kid": "KID ↓",
    "kid_untranslated": "  of the inputs, untranslated",
    "kid_of_real": "  of real training images",
    "fid": "FID ↓",
    "cycle": "cycle error ↓",
    "l1": "L1 to the truth ↓",
    "psnr": "PSNR, dB ↑",
    "ssim": "SSIM ↑",
    "within_16": "pixels within 16 of 255 ↑",
    "accuracy": "classes named rightly ↑",
    "pixel_accuracy": "per-pixel accuracy ↑",
    "class_accuracy": "per-class accuracy ↑",
    "mean_iou": "mean class IoU ↑",
}
"""Rows, in the order in which they are shown; arrows say which way is better."""


def scores_table(scores: Mapping[str, Any]) -> Table:
    """A column for each direction of `Scores.as_json()`, a row for each score."""
    directions = {name: part for name, part in scores.items() if isinstance(part, Mapping)}
    table = Table(
        title=f"{scores['split']} images",
        caption=_caption(scores, directions),
        title_justify="left",
    )
    table.add_column("score")
    for name in directions:
        table.add_column(name, justify="right")
    for key, label in LABELS.items():
        if any(key in part for part in directions.values()):
            table.add_row(label, *(_cell(part.get(key)) for part in directions.values()))
    return table


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if not isinstance(value, Mapping):
        return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"
    if "why_not" in value:
        return "–"
    number = value.get("mean", value.get("value"))
    spread = f" ± {value['std']:.4f}" if "std" in value else ""
    return f"{number:.4f}{spread}"


def _caption(scores: Mapping[str, Any], directions: Mapping[str, Mapping[str, Any]]) -> str:
    """Which features, how many images and why something is missing."""
    facts = [f"features: {scores['features']}"]
    for part in directions.values():
        kid, fid = part.get("kid", {}), part.get("fid", {})
        if "subset_size" in kid:
            facts.append(
                f"KID ± over {kid['subsets']} subsets of {kid['subset_size']} of"
                f" {kid['images']} images against {kid['real_images']} real ones"
            )
        facts += [f"no {name}: {s['why_not']}" for name, s in (("KID", kid), ("FID", fid))
                  if "why_not" in s]  # fmt: skip
    return "; ".join(dict.fromkeys([*facts, *scores["notes"]]))
