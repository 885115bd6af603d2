"""Scores as a table on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from diptych.evaluation.segmentation_adaptation import ROWS

_UNTRANSLATED = "  of the inputs, untranslated"
LABELS = {
    "images": "images",
    "collapse": "collapse",
    "kid": "KID ↓",
    "kid_untranslated": _UNTRANSLATED,
    "kid_of_real": "  of real training images",
    "kid_gain": "  share that translating gains ↑",
    "fid": "FID ↓",
    "precision": "precision ↑",
    "recall": "recall ↑",
    "unchanged": "unchanged, pixels",
    "unchanged_of_truth": "  of the truth",
    "unchanged_features": "unchanged, features",
    "unchanged_features_of_truth": "  of the truth",
    "brightness": "brightness, correlation with the input's",
    "brightness_of_truth": "  of the truth",
    "cycle": "cycle error ↓",
    "l1": "L1 to the truth ↓",
    "untranslated.l1": _UNTRANSLATED,
    "psnr": "PSNR, dB ↑",
    "untranslated.psnr": _UNTRANSLATED,
    "ssim": "SSIM ↑",
    "untranslated.ssim": _UNTRANSLATED,
    "within_16": "pixels within 16 of 255 ↑",
    "untranslated.within_16": _UNTRANSLATED,
    "lpips": "LPIPS to the truth ↓",
    "dists": "DISTS to the truth ↓",
    "perceptual": "perceptual distance to it ↓",
    "structure_texture": "structure and texture to it ↓",
    "accuracy": "classes named rightly ↑",
    "pixel_accuracy": "per-pixel accuracy ↑",
    "untranslated.pixel_accuracy": _UNTRANSLATED,
    "majority_share": "  of one class everywhere",
    "class_accuracy": "per-class accuracy ↑",
    "untranslated.class_accuracy": _UNTRANSLATED,
    "mean_iou": "mean class IoU ↑",
    "untranslated.mean_iou": _UNTRANSLATED,
    "matched_accuracy": "per-pixel, classes renamed ↑",
    "untranslated.matched_accuracy": _UNTRANSLATED,
    "fcn.pixel_accuracy": "FCN score, per pixel ↑",
    "fcn_of_real.pixel_accuracy": "  of real photos",
    "fcn_untranslated.pixel_accuracy": _UNTRANSLATED,
    "fcn.class_accuracy": "FCN score, per class ↑",
    "fcn_of_real.class_accuracy": "  of real photos",
    "fcn_untranslated.class_accuracy": _UNTRANSLATED,
    "fcn.mean_iou": "FCN score, class IoU ↑",
    "fcn_of_real.mean_iou": "  of real photos",
    "fcn_untranslated.mean_iou": _UNTRANSLATED,
    "fcn.matched_accuracy": "FCN score, classes renamed ↑",
    "fcn_of_real.matched_accuracy": "  of real photos",
    "fcn_untranslated.matched_accuracy": _UNTRANSLATED,
}
"""Labels of the rows, in the order of the table. Arrows say which way is better. A key with a
dot names a score within a score."""

_GROUPS = ("fcn", "fcn_of_real", "fcn_untranslated", "untranslated")


def scores_table(scores: Mapping[str, Any]) -> RenderableType:
    """Return a table of `Scores.to_dict()`, with a column per direction and a row per score.

    Scores of adaptation have their own table below, since their columns are networks.
    """
    parts = {name: _flat(part) for name, part in scores.items() if isinstance(part, Mapping)}
    adapted = {str(name): parts.pop(name) for name in ROWS if name in parts}
    table = _table(f"{scores['split']} images", parts)
    table.caption = _caption(scores, parts)
    if not adapted:
        return table
    return Group(table, "", _table("segmentation of the target, by what was trained on", adapted))


def _table(title: str, parts: Mapping[str, Mapping[str, Any]]) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("score")
    for name in parts:
        table.add_column(escape(name), justify="right")
    for key, label in LABELS.items():
        found = [part.get(key) for part in parts.values()]
        if any(value is not None for value in found):
            table.add_row(label, *map(_cell, found))
        spreads = [value.get("spreads") if isinstance(value, Mapping) else None for value in found]
        if key == "kid" and any(spreads):
            table.add_row("  spread over subsets, by run", *map(_spreads, spreads))
    return table


def _flat(part: Mapping[str, Any]) -> dict[str, Any]:
    """Add the scores within scores, under keys with a dot."""
    groups = {name: part[name] for name in _GROUPS if name in part}
    return dict(part) | {f"{g}.{key}": v for g, own in groups.items() for key, v in own.items()}


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, str):
        return escape(value)
    if not isinstance(value, Mapping):
        return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"
    if "why_not" in value:
        return "–"
    number = value.get("mean", value.get("value"))
    spread = value.get("interval", value.get("std"))
    decimals = 4 if "std" in value or "spreads" in value else 3
    return f"{number:.{decimals}f}" + ("" if spread is None else f" ± {spread:.{decimals}f}")


def _spreads(values: Sequence[float] | None) -> str:
    return "–" if values is None else ", ".join(f"{value:.4f}" for value in values)


def _caption(scores: Mapping[str, Any], directions: Mapping[str, Mapping[str, Any]]) -> str:
    """Name the features, the numbers of images, and why a score is missing."""
    facts = [f"features: {scores['features']}"]
    if "resizing" in scores:
        facts.append(f"images resized by {scores['resizing']}")
    for part in directions.values():
        kid, fid = part.get("kid", {}), part.get("fid", {})
        if "subset_size" in kid:
            over = "over" if "spreads" in kid else "± over"
            facts.append(
                f"KID {over} {kid['subsets']} subsets of {kid['subset_size']} of"
                f" {kid['images']} images against {kid['real_images']} real ones"
            )
        missing = (("KID", kid), ("FID", fid), ("precision or recall", part.get("precision", {})))
        facts += [f"no {name}: {s['why_not']}" for name, s in missing if "why_not" in s]
    return escape("; ".join(dict.fromkeys([*facts, *scores["notes"]])))
