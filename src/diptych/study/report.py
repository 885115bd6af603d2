"""How often people were fooled, with intervals over participants and their trials.

The intervals follow the script of the papers' authors (phillipi/AMT_Real_vs_Fake,
process_csv.py). The bootstrap draws participants with replacement, and then trials of each
participant with replacement. ± is the standard deviation of the share over these draws.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diptych.errors import InputError, option
from diptych.study.settings import StudySettings
from diptych.study.store import Study

RESAMPLES = 10_000
_LATE_MS = 50.0  # three frames of most screens


@dataclass(frozen=True)
class Fooled:
    """The results of one method, from the counted trials of participants who finished."""

    participants: int
    trials: int
    fooled: int
    """Trials in which the generated image was chosen."""
    share: float | None
    """Share of trials in which the fake was taken for real, in [0, 1]; None if nobody finished."""
    deviation: float | None
    """Standard deviation of the share over the bootstrap's draws."""
    interval: tuple[float, float] | None
    """The 2.5th and the 97.5th percentile of these draws."""


@dataclass(frozen=True)
class StudyReport:
    """The results of one study."""

    direction: str
    methods: Mapping[str, Fooled]
    unfinished: int
    """Number of participants who did not answer every trial. None of their answers counts."""
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the report as nested plain values."""
        return {
            "direction": self.direction,
            "methods": {name: asdict(fooled) for name, fooled in self.methods.items()},
            "unfinished": self.unfinished,
            "notes": list(self.notes),
        }


def measure(folder: Path, *, seed: int = 0, resamples: int = RESAMPLES) -> StudyReport:
    """Return the report of the study in `folder`, with the answers so far.

    `seed` and `resamples` are for the bootstrap.

    Raises:
        InputError: there is no study, `resamples` is less than 1, or `seed` is below 0.
    """
    if resamples < 1:
        raise InputError(f"{resamples} draws of the bootstrap: expected at least 1")
    if seed < 0:
        raise InputError(f"{option('seed')} is {seed}: it must be at least 0")
    study = Study(folder)
    settings = study.settings
    sessions: dict[int, list[dict[str, Any]]] = {}
    for record in study.records():
        sessions.setdefault(record["participant"], []).append(record)
    finished = [s for s in sessions.values() if all(r["choice"] is not None for r in s)]
    counts: dict[str, list[int]] = {method: [] for method in settings.methods}
    for session in finished:
        fooled = sum(r["choice"] != r["real_side"] for r in _counted(session, settings))
        counts[session[0]["method"]].append(fooled)
    return StudyReport(
        direction=settings.direction,
        methods={
            method: fooled_shares(np.array(counts[method], np.int64), settings.counted,
                                  seed=seed, resamples=resamples)
            for method in settings.methods
        },
        unfinished=len(sessions) - len(finished),
        notes=_notes([r for s in finished for r in _counted(s, settings)], settings),
    )  # fmt: skip


def fooled_shares(
    fooled: NDArray[np.int64], trials: int, *, seed: int = 0, resamples: int = RESAMPLES
) -> Fooled:
    """Return the share of one method and its bootstrap.

    `fooled` (P,) holds each participant's number of fooled trials, out of `trials` each. Drawing
    n trials with replacement from n trials, k of them fooled, is a draw from a binomial
    (n, k / n).
    """
    people = len(fooled)
    if people == 0:
        return Fooled(0, 0, 0, None, None, None)
    draws = np.random.default_rng(seed)
    shares = np.empty(resamples)
    for i in range(resamples):
        drawn = fooled[draws.integers(people, size=people)]
        shares[i] = draws.binomial(trials, drawn / trials).sum() / (people * trials)
    low, high = np.quantile(shares, (0.025, 0.975))
    total = int(fooled.sum())
    return Fooled(
        participants=people,
        trials=people * trials,
        fooled=total,
        share=total / (people * trials),
        deviation=float(shares.std()),
        interval=(float(low), float(high)),
    )


def answer_rows(folder: Path) -> list[dict[str, Any]]:
    """Return every answered trial as a mapping, for other statistics.

    Raises:
        InputError: there is no study in `folder`.
    """
    study = Study(folder)
    return [
        record | {"is_practice": record["number"] <= study.settings.practice}
        for record in study.records()
        if record["choice"] is not None
    ]


def _counted(session: Sequence[dict[str, Any]], settings: StudySettings) -> list[dict[str, Any]]:
    return [record for record in session if record["number"] > settings.practice]


def _notes(records: Sequence[dict[str, Any]], settings: StudySettings) -> tuple[str, ...]:
    """Describe the exposures. No trial is left out because of its exposure."""
    if not records:
        return ()
    total = f"{len(records):,}"
    times = [r["exposure_ms"] for r in records if r["exposure_ms"] is not None]
    asked = 1000 * settings.exposure_seconds
    notes = [f"images were visible for {asked:g} ms" + _measured(times, asked)]
    again = sum(r["views"] > 1 for r in records)
    hidden = sum(bool(r["was_hidden"]) for r in records)
    if again:
        notes.append(f"{again:,} of {total} pairs were shown again, after a reload")
    if hidden:
        notes.append(f"in {hidden:,} of {total} the page was out of sight meanwhile")
    return tuple(notes)


def _measured(times: Sequence[float], asked: float) -> str:
    if not times:
        return ""
    off = sum(abs(time - asked) > _LATE_MS for time in times)
    return f" (measured: median {np.median(times):.0f}, {off:,} off by more than {_LATE_MS:g})"
