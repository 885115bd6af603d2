"""The report's scores: any nested mapping of numbers as tables, with what they mean."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from diptych.report.html import plain

MEANINGS = {
    "images": ("Images", "translated or made, and scored"),
    "collapse": (
        "Collapse",
        "outputs alike for unlike inputs, of one colour or not finite; – is none",
    ),
    "kid": ("KID", "distance between the sets' features; 0 is no difference, lower is better"),
    "kid_untranslated": ("KID of the inputs", "untranslated: what a translation has to beat"),
    "kid_of_real": ("KID of real images", "of the training set: what a perfect one would have"),
    "kid_gain": ("Gain", "share of the inputs' KID that translating takes away; 1 is all of it"),
    "fid": ("FID", "Fréchet distance between the features' Gaussians; lower is better"),
    "precision": ("Precision", "share of translations among the real images' neighbours"),
    "recall": ("Recall", "share of real images among the translations' neighbours"),
    "unchanged": (
        "Unchanged",
        "1 − |translation − input| / |other domain − input| of pixels: 1 is the input itself",
    ),
    "unchanged_of_truth": ("Unchanged, of the truth", "what a perfect translation would have"),
    "unchanged_features": ("Unchanged in features", "the same by what a network sees"),
    "unchanged_features_of_truth": (
        "Unchanged in features, of the truth",
        "what a perfect translation would have",
    ),
    "brightness": ("Brightness", "its correlation with the input's, −1 (a negative) to 1"),
    "brightness_of_truth": ("Brightness, of the truth", "what a perfect translation would have"),
    "cycle": ("Cycle error", "mean |there and back again − original|, 0 to 1; lower is better"),
    "l1": ("L1", "mean |translation − truth|, 0 to 1; lower is better"),
    "psnr": ("PSNR", "decibels against the true pair; higher is better"),
    "ssim": ("SSIM", "structural similarity to the true pair, up to 1; higher is better"),
    "within_16": ("Within 16", "share of pixels at most 16 of 255 from the truth"),
    "lpips": ("LPIPS", "learnt perceptual distance to the true pair; lower is better"),
    "dists": ("DISTS", "of structure and texture, to the true pair; lower is better"),
    "perceptual": ("Perceptual distance", "LPIPS without learnt weights; lower is better"),
    "structure_texture": ("Structure and texture", "DISTS without learnt weights; lower is better"),
    "accuracy": ("Accuracy", "share of images whose class the classifier names rightly"),
    "pixel_accuracy": ("Pixel accuracy", "share of pixels of the right class"),
    "matched_accuracy": (
        "Pixel accuracy, classes renamed",
        "one to one at best: what was told apart, by whatever colours",
    ),
    "class_accuracy": ("Class accuracy", "the same a class, then averaged over the classes"),
    "mean_iou": ("Mean class IoU", "overlap over union a class, then averaged over the classes"),
    "majority_share": ("Share of the most frequent class", "what naming it always would score"),
}
"""Names and explanations of the scores that this project computes, by their key."""

_MATRIX = "confusion"
_READ = {"fcn": "photos read by the FCN", "fcn_of_real": "real photos read by the FCN"}
"""Groups of scores below a direction's whose matrix is drawn too, and what it is of."""
_GROUPS = {
    "fcn": ("FCN score", "of photos made from labels, by a segmentation network"),
    "fcn_of_real": ("FCN of real photos", "the same of real ones: the ceiling"),
    "fcn_untranslated": ("FCN of the label images", "taken as photos: what doing nothing scores"),
    "untranslated": ("Untranslated", "of the inputs as they are: what doing nothing scores"),
}
"""Titles and explanations of scores that hold several."""
_DETAIL_KEYS = {"per_class", "accuracy_per_class", "iou_per_class"}
_VALUE_KEYS = ("mean", "value", "why_not")
_Row = tuple[str, ...]


def scores_section(scores: Mapping[str, Any]) -> str:
    """Tables of scores: a column for each top-level mapping (a direction), a row a score.

    A score is a number, a text, a list, or a mapping with a `mean` (and `std`),
    a `value` or a `why_not`; what else such a mapping holds is set below it.
    Deeper mappings become rows named by their path. Top-level values that are
    no mappings are told in the text above, `warnings` before all else. A direction's
    `confusion`, of `classes` and `counts`, is drawn as a matrix, and so are those of its FCN score.
    """
    matrices = dict(_matrices(scores))
    warnings = [str(warning) for warning in scores.get("warnings", ())]
    scores = {name: _without_matrix(part) for name, part in scores.items() if name != "warnings"}
    columns = {name: dict(_leaves(part)) for name, part in scores.items() if _is_branch(part)}
    rows = list(dict.fromkeys(path for leaves in columns.values() for path in leaves))
    main = [path for path in rows if not _is_detail(path)]
    details = [path for path in rows if _is_detail(path)]
    facts = {name: value for name, value in scores.items() if not _is_branch(value)}
    items = "".join(f"<li>{escape(warning)}.</li>" for warning in warnings)
    parts = [f'<ul class="notes">{items}</ul>'] if items else []
    parts += [f'<p class="quiet">{_facts(facts)}</p>'] if facts else []
    if main:
        parts.append(_table(columns, main))
    if details:
        parts.append(f"<details><summary>In detail</summary>{_table(columns, details)}</details>")
    parts += [confusion_matrix(name, m["classes"], m["counts"]) for name, m in matrices.items()]
    return "".join(parts)


def confusion_matrix(
    direction: str, classes: Sequence[str], counts: Sequence[Sequence[int]]
) -> str:
    """A picture of `counts`, of pixels by true class (rows) and by what they are called.

    Each row's shares are of that class's pixels; the darker, the more.
    """
    heads = "".join(f'<th scope="col">{escape(name)}</th>' for name in classes)
    lines = []
    for true, row in zip(classes, counts, strict=True):
        total = sum(row)
        shares = [count / total if total else 0.0 for count in row]
        cells = "".join(
            f'<td style="--share:{share:.3f}"{" class=strong" if share > 0.5 else ""}>'
            f"{f'{share:.0%}' if total else '–'}</td>"
            for share in shares
        )
        lines.append(f'<tr><th scope="row">{escape(true)}</th>{cells}</tr>')
    caption = f"{escape(direction)}: what pixels of each class (rows) are called (columns)"
    return (
        f'<div class="wide"><table class="matrix"><caption>{caption}</caption>'
        f"<thead><tr><td></td>{heads}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
    )


def _matrices(scores: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """What each matrix is of, and its table."""
    for name, part in scores.items():
        if not _is_branch(part):
            continue
        groups = {name: part} | {f"{name}, {_READ[key]}": part.get(key, {}) for key in _READ}
        yield from ((title, group[_MATRIX]) for title, group in groups.items() if _MATRIX in group)


def _without_matrix(part: Any) -> Any:
    if not _is_branch(part):
        return part
    return {
        name: _without_matrix(value) if name in _READ else value
        for name, value in part.items()
        if name != _MATRIX
    }


def _facts(facts: Mapping[str, Any]) -> str:
    """Short values as "Name: value", the sentences of a list as they are."""
    texts = []
    for name, value in facts.items():
        if isinstance(value, list | tuple):
            texts += [_sentence(plain(entry, number)) for entry in value]
        else:
            texts.append(f"{_sentence(_words(name))}: {_cell(value, set())}")
    return "".join(f"{text.rstrip('.')}. " for text in texts).strip()


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def number(value: float) -> str:
    """A number to four significant digits, or whole, with a typographic minus."""
    if isinstance(value, int):
        return f"{value:,}"
    if not math.isfinite(value):
        return "not finite"
    if value != 0 and (abs(value) < 1e-4 or abs(value) >= 1e7):
        return f"{value:.3e}".replace("-", "−")
    decimals = 4 if abs(value) < 1 else max(0, 3 - math.floor(math.log10(abs(value))))
    return f"{value:,.{decimals}f}".replace("-", "−")


def _is_branch(value: Any) -> bool:
    return isinstance(value, Mapping) and not any(key in value for key in _VALUE_KEYS)


def _leaves(part: Mapping[str, Any], path: _Row = ()) -> Iterator[tuple[_Row, Any]]:
    for name, value in part.items():
        if _is_branch(value):
            yield from _leaves(value, (*path, str(name)))
        else:
            yield (*path, str(name)), value


def _is_detail(path: _Row) -> bool:
    return len(path) > 2 or any(key in _DETAIL_KEYS for key in path[:-1])


def _table(columns: Mapping[str, Mapping[_Row, Any]], rows: list[_Row]) -> str:
    heads = "".join(f'<th scope="col">{escape(name)}</th>' for name in columns)
    told: dict[str, set[str]] = {name: set() for name in columns}
    lines = []
    for path in rows:
        cells = "".join(
            f"<td>{_cell(leaves[path], told[name]) if path in leaves else '–'}</td>"
            for name, leaves in columns.items()
        )
        lines.append(f'<tr><th scope="row">{_heading(path)}</th>{cells}</tr>')
    few = ' class="few"' if len(columns) <= 3 else ""
    return (
        f'<div class="wide"><table{few} style="--columns:{len(columns)}">'
        f"<thead><tr><td></td>{heads}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
    )


def _heading(path: _Row) -> str:
    name, meaning = MEANINGS.get(path[-1], (None, ""))
    before = [_GROUPS.get(part, (part.replace("_", " "), "")) for part in path[:-1]]
    titles = [*(escape(group) for group, _ in before), escape(name) if name else _words(path[-1])]
    shown = before[0][1] if before else meaning
    return _sentence(" · ".join(titles)) + (f"<small>{escape(shown)}</small>" if shown else "")


def _cell(value: Any, told: set[str]) -> str:
    """A score, and in small print what is not yet `told` in its column."""
    if not isinstance(value, Mapping):
        return plain(value, number)
    if value.get("why_not"):
        return f"–<small>{escape(str(value['why_not']))}</small>"
    text = plain(value.get("mean", value.get("value")), number)
    spread = value.get("interval", value.get("std"))
    if spread is not None:
        text += f" ± {plain(spread, number)}"
    rest = ", ".join(
        f"{_words(name)} {plain(entry, number)}"
        for name, entry in value.items()
        if name not in ("mean", "value", "std", "interval", "why_not")
        and not isinstance(entry, Mapping)
    )
    if not rest or rest in told:
        return text
    told.add(rest)
    return f"{text}<small>{rest}</small>"


def _words(name: str) -> str:
    return escape(str(name).replace("_", " "))
