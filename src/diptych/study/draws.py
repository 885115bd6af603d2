"""Draw the method and the trials of each participant.

The draws depend on the study's seed, the participant's number and, for the method, the numbers
of earlier participants of each method.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from diptych.study.settings import Pairing, StudySettings

Side = Literal["left", "right"]


@dataclass(frozen=True)
class Candidate:
    """An image that a trial can show."""

    image: int
    """Its id."""
    scene: str
    """What it shows. A real image and its translations have the same scene."""


@dataclass(frozen=True)
class Trial:
    """One pair, by the ids of its images."""

    real: int
    fake: int
    real_side: Side


def draw_method(settings: StudySettings, counts: Mapping[str, int], participant: int) -> str:
    """Return a method with the fewest participants so far. The seed decides between equals.

    `counts` is the number of participants of each method.
    """
    fewest = min(counts.get(method, 0) for method in settings.methods)
    least = [method for method in settings.methods if counts.get(method, 0) == fewest]
    return random.Random(f"{settings.seed}/method/{participant}").choice(least)


def draw_trials(
    settings: StudySettings,
    real: Sequence[Candidate],
    fake: Sequence[Candidate],
    participant: int,
) -> list[Trial]:
    """Draw all trials of a session. No image occurs twice, and the sides are random.

    `real` and `fake` must be enough for `settings.total` trials: see `possible_trials`.
    """
    draws = random.Random(f"{settings.seed}/trials/{participant}")
    pairs = (_same if settings.pairing == "same" else _different)(draws, real, fake, settings.total)
    return [Trial(r.image, f.image, draws.choice(("left", "right"))) for r, f in pairs]


def possible_trials(pairing: Pairing, real: Sequence[Candidate], fake: Sequence[Candidate]) -> int:
    """Return the number of trials that these images are enough for."""
    if pairing == "same":
        return len({r.scene for r in real} & {f.scene for f in fake})
    return min(len(real), len(fake))


def _same(
    draws: random.Random, real: Sequence[Candidate], fake: Sequence[Candidate], count: int
) -> list[tuple[Candidate, Candidate]]:
    reals, fakes = ({c.scene: c for c in side} for side in (real, fake))
    scenes = draws.sample(sorted(reals.keys() & fakes.keys()), count)
    return [(reals[scene], fakes[scene]) for scene in scenes]


def _different(
    draws: random.Random, real: Sequence[Candidate], fake: Sequence[Candidate], count: int
) -> list[tuple[Candidate, Candidate]]:
    """Draw pairs of different scenes. As few scenes as possible occur as both real and fake."""
    fakes = draws.sample(list(fake), count)
    reals = draws.sample(list(real), len(real))
    shown = {f.scene for f in fakes}
    reals = sorted(reals, key=lambda r: r.scene in shown)[:count]  # stable, so the draw's order
    draws.shuffle(reals)
    for i, one in enumerate(fakes):
        if reals[i].scene == one.scene:  # the neighbour has another scene, so they can swap
            j = (i + 1) % count
            reals[i], reals[j] = reals[j], reals[i]
    return list(zip(reals, fakes, strict=True))
