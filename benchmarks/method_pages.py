"""Pictures and scores on each method's page in docs/, from a bench that has run.

    diptych bench benchmarks/plans/five-minutes.toml --out benchmarks/results/five-minutes
    python -m benchmarks.method_pages

The pages link the bench's own pictures and hold its figures, row by row, between two
markers; the same small files give the same pages.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.harness import HERE, exit_code, replace_block
from diptych.bench.page import markdown_pictures
from diptych.bench.place import Place
from diptych.bench.render import markdown
from diptych.bench.results import Measured, read_report
from diptych.bench.tables import groups_of

BLOCK = "bench"


def blocks_of(place: Place, folder: Path) -> dict[str, str]:
    """What stands on a method's page, by the method; pages lie in `folder`.

    Raises:
        InputError: there is no bench in `place`.
    """
    report = read_report(place)
    found: dict[str, list[str]] = {}
    for data, rows in report.sections():
        where = f"`{data['source']}` at {data['size']} pixels"
        for row in rows:
            if row.scored:
                method = row.scored[0]["trained"]["method"]
                text = "\n\n".join(_about(place, data, row, rows, folder))
                found.setdefault(method, []).append(f"### {row.label}: {where}\n\n{text}")
    link = os.path.relpath(place.out / "report.md", folder).replace(os.sep, "/")
    last = f"[All methods beside each other]({link})"
    return {method: "\n\n".join([*texts, last]) for method, texts in found.items()}


def _about(
    place: Place, data: Mapping[str, Any], row: Measured, rows: Sequence[Measured], folder: Path
) -> Iterator[str]:
    group = groups_of(data, [row], everyone=rows)[0]
    yield from markdown_pictures(place, data, group, folder)
    for table in group.tables:
        if not table.is_detail:
            yield markdown(table).rstrip()


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.method_pages",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--bench", type=Path, default=HERE / "results" / "five-minutes")
    parser.add_argument("--pages", type=Path, default=HERE.parent / "docs" / "methods")
    return exit_code("method_pages", partial(_do, parser.parse_args(arguments)))


def _do(options: argparse.Namespace) -> int:
    blocks = blocks_of(Place(options.bench, options.bench), options.pages)
    for method, block in blocks.items():
        replace_block(options.pages / f"{method}.md", BLOCK, [block])
    return 0


if __name__ == "__main__":
    sys.exit(main())
