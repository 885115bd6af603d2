"""Plot a report: each method's share with its interval, and chance."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from diptych.errors import InputError
from diptych.files import atomic_write
from diptych.study.report import StudyReport

SUFFIXES = (".png", ".svg", ".pdf")
_INK, _QUIET, _POINT = "#1c1c1f", "#6a6a72", "#2f62c9"


def write_plot(reports: Sequence[StudyReport], path: Path) -> None:
    """Plot the shares with their 95% intervals as PNG, SVG or PDF, with a panel per direction.

    Raises:
        InputError: the suffix is another one, matplotlib is missing, or the file cannot be
            written.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"cannot plot to {path}: its name must end in {', '.join(SUFFIXES)}")
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError("the plot needs matplotlib: pip install 'diptych[bench]'") from error
    methods = list(dict.fromkeys(method for report in reports for method in report.methods))
    size = (2.2 + 3.6 * len(reports), 1.3 + 0.42 * len(methods))
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(1, len(reports), squeeze=False, sharey=True)[0]
    highest = max(
        (c.interval[1] for r in reports for c in r.methods.values() if c.interval), default=0
    )
    for axes, report in zip(panels, reports, strict=True):
        axes.axvline(50, color=_QUIET, linewidth=1, linestyle=(0, (4, 3)))
        for place, method in enumerate(methods):
            cell = report.methods.get(method)
            if cell is None or cell.share is None or cell.interval is None:
                axes.text(1, place, "no one yet", color=_QUIET, fontsize=9, va="center")
                continue
            low, high = (100 * end for end in cell.interval)
            axes.plot([low, high], [place, place], color=_POINT, linewidth=2.5, alpha=0.45)
            axes.plot([100 * cell.share], [place], "o", color=_POINT, markersize=7, clip_on=False)
        axes.set_title(report.direction, fontsize=11, color=_INK, loc="left")
        axes.set_xlim(0, max(60.0, min(100.0, 100 * highest + 5)))
        axes.set_ylim(len(methods) - 0.5, -0.5)
        axes.set_yticks(range(len(methods)), methods, fontsize=10)
        axes.text(50, 1.01, "chance", transform=axes.get_xaxis_transform(), fontsize=8,
                  color=_QUIET, ha="center", va="bottom")  # fmt: skip
        axes.tick_params(length=0, colors=_INK, labelsize=9)
        axes.grid(axis="x", color="#e4e3de")
        axes.set_axisbelow(True)
        axes.spines[["top", "right", "left"]].set_visible(False)
    figure.supxlabel(
        "% of trials in which people were fooled, with 95% intervals", fontsize=9, color=_QUIET
    )
    try:
        with atomic_write(path) as file:
            figure.savefig(file, format=path.suffix[1:].lower(), dpi=150)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error
