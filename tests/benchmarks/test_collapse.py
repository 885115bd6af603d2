"""The thresholds of collapse lie between what sound and collapsed outputs were measured to have."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmarks import collapse
from diptych.evaluation.collapse import ALIKE, CONSTANT

RESULTS = Path(collapse.__file__).parent / "results" / "collapse.json"
VERDICTS = dict(
    zip(
        collapse.COLLAPSED,
        ("alike", "alike", "alike", "black", "white", "constant", "constant"),
        strict=True,
    )
)


def _found() -> dict[str, Any]:
    known: dict[str, Any] = json.loads(RESULTS.read_text("utf-8"))
    assert set(known) == {*collapse.SAMPLES, collapse.UNTRAINED, *collapse.TOYS}
    return known


def _made() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Direction, output and what was measured."""
    for sample in collapse.SAMPLES:
        for direction, outputs in _found()[sample]["rows"].items():
            yield from ((direction, name, row) for name, row in outputs.items())


def _trained(*, is_sound: bool) -> list[dict[str, Any]]:
    names = [name for name, toy in collapse.TOYS.items() if toy.is_sound == is_sound]
    rows = [part for name in names for part in _found()[name]["rows"].values()]
    return [row for part in rows for row in part.values()]


def _untrained(method: str) -> list[dict[str, Any]]:
    rows = _found()[collapse.UNTRAINED]["rows"]
    return [part["0"] for name, part in rows.items() if name.startswith(method)]


def _least(rows: list[dict[str, Any]], key: str) -> float:
    return min(value for row in rows for value in row[key] if value is not None)


def test_no_sound_output_is_near_a_threshold_and_none_is_named() -> None:
    rows = [row for _, name, row in _made() if name not in collapse.COLLAPSED]
    rows += _trained(is_sound=True)
    rows += [*_untrained("cyclegan"), *_untrained("pix2pix")]
    assert sum(sum(row["verdicts_of_draws"].values()) for row in rows) == 7400
    assert _least(rows, "across") > 1.5 * ALIKE
    assert _least(rows, "within") > 3 * CONSTANT
    assert {row["verdict"] for row in rows} == {None}
    assert {name for row in rows for name in row["verdicts_of_draws"]} == {"none"}


def test_every_collapsed_output_is_named_in_every_draw() -> None:
    alike = [row for _, name, row in _made() if VERDICTS.get(name) == "alike"]
    assert max(value for row in alike for value in row["across"]) < 0.7 * ALIKE
    assert _least(alike, "within") > 1.5 * CONSTANT  # so it is alike, and not constant
    for direction, name, row in _made():
        if name in collapse.COLLAPSED:
            # In a dark domain the colour of an input can be as good as black.
            allowed = {VERDICTS[name]} | ({"black"} if "dark" in direction else set())
            assert {row["verdict"], *row["verdicts_of_draws"]} <= allowed, (direction, name)


def test_units_first_weights_are_of_one_colour_so_no_line_is_printed_for_them_alone() -> None:
    assert {row["verdict"] for row in _untrained("unit")} == {"constant"}


def test_trainings_set_up_to_collapse_are_named_at_each_moment_and_in_most_draws() -> None:
    rows = _trained(is_sound=False)
    assert {row["verdict"] for row in rows} == {"alike", "black", "constant"}
    missed = sum(row["verdicts_of_draws"].get("none", 0) for row in rows)
    assert missed < 0.005 * len(rows) * collapse.DRAWS


def _images(seed: int) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.rand((12, 3, 16, 16), generator=rng) * 2 - 1


def test_outputs_are_made_and_measured_of_all_images_and_of_draws() -> None:
    x, y = _images(0), _images(1)
    outputs = collapse.made(x, y, is_paired=True)
    rows = {name: collapse.measured(o, x, y, is_paired=True) for name, o in outputs.items()}
    assert rows["true pairs, a quarter of contrast"]["across"][0] == pytest.approx(0.25, abs=0.01)
    assert {name: rows[name]["verdict"] for name in VERDICTS} == VERDICTS
    assert rows["black"]["verdicts_of_draws"] == {"black": collapse.DRAWS}
    assert rows["inputs as they are"]["verdicts_of_draws"] == {"none": collapse.DRAWS}
    name, dark_x, dark_y, _ = collapse.dark(("a→b", x, y, True))
    assert name == "a→b, dark"
    assert (float(dark_x.min()), float(dark_y.max())) == pytest.approx((-1, -0.9), abs=1e-3)


def test_the_tables_hold_ranges_and_verdicts() -> None:
    x, y = _images(0), _images(1)
    row = collapse.measured(y[:1].expand_as(y), x, y, is_paired=False)
    found = {
        "emoji": {"rows": {"a→b": {"one real image": row}}, "commit": "c" * 40},
        "UNIT, climate": {"rows": {"a→b": {"20": row}}, "commit": "c" * 40},
    }
    lines = list(collapse.lines(found))
    assert lines[2].startswith("| one real image | 0.00 to 0.00 | ")
    assert lines[2].endswith("| alike 50 |")
    assert lines[6].startswith("| UNIT, climate: a→b | 0.00 to 0.00 | ")
    assert lines[-1].endswith("Commit cccccccccc.")
