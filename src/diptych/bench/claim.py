"""A bench's folders are its own: no other bench takes them by accident and trains over its runs."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from diptych.bench.place import Place, read_json, write_json
from diptych.data import Data
from diptych.errors import InputError
from diptych.training.settings import Settings

CLAIM_FILE = "claim.json"


def claim(place: Place, runs: Collection[Settings], data: Collection[Data]) -> None:
    """Note in `place.runs` whose they are: of which `place.out`, and of which data.

    Raises:
        InputError: as of `check_claim`.
    """
    write_json(place.runs / CLAIM_FILE, check_claim(place, runs, data))


def check_claim(place: Place, runs: Collection[Settings], data: Collection[Data]) -> dict[str, Any]:
    """What a claim notes; the folders need not be there.

    Data are the same where they lie in the same place, if with other files by now, or have the
    same fingerprint. `runs` are the rows' settings, `data` what they name.

    Raises:
        InputError: `place.runs` belong to another bench, or there is a bench of other data.
    """
    known = read_json(place.runs / CLAIM_FILE) or {"out": None, "places": [], "fingerprints": []}
    out = _from(place.runs, place.out)
    if known["out"] not in (None, out):
        owner = os.path.normpath(place.runs / known["out"])
        raise InputError(f"{place.runs} holds the runs of {owner}: give another --runs")
    places = sorted({where for run in runs for where in _places(run)})
    fingerprints = sorted({one.fingerprint for one in data})
    plan = read_json(place.plan) or {"rows": []}
    before = {*known["fingerprints"], *(row["data"] for row in plan["rows"])}
    is_known = before & set(fingerprints) or set(known["places"]) & set(places)
    if before and not is_known:
        raise InputError(
            f"{place.out} holds a bench of other data than {' and '.join(places)}: give another"
            f" --out, or remove {place.out} and {place.runs} if they are not wanted any more"
        )
    return {"out": out, "places": places, "fingerprints": fingerprints}


def _places(run: Settings) -> list[str]:
    """Where the data of a run lie, wherever the command is given."""
    given = [place for place in (run.data, run.x, run.y) if place is not None]
    return [one if one.startswith("sample:") else str(Path(one).resolve()) for one in given]


def _from(folder: Path, other: Path) -> str:
    """`other` as seen from `folder`, so that both may move together."""
    try:
        return Path(os.path.relpath(other, folder)).as_posix()
    except ValueError:  # on another drive
        return str(other.resolve())
