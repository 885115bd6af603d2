"""Who sees what: a function of the study's seed and the participant's number alone."""

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
    """What it shows: images of one scene are the real one and its translations."""


@dataclass(frozen=True)
class Trial:
    """One pair."""

    real: int
    fake: int
    real_side: Side


def draw_method(settings: StudySettings, counts: Mapping[str, int], participant: int) -> str:
    """One of those with the fewest participants so far; the seed decides between equals."""
    fewest = min(counts.get(method, 0) for method in settings.methods)
    least = [method for method in settings.methods if counts.get(method, 0) == fewest]
    return random.Random(f"{settings.seed}/method/{participant}").choice(least)


def draw_trials(
    settings: StudySettings,
    real: Sequence[Candidate],
    fake: Sequence[Candidate],
    participant: int,
) -> list[Trial]:
    """The whole session: no image twice, each side by the toss of a coin.

    `real` and `fake` hold enough for that: `possible_trials` says how many there are.
    """
    draws = random.Random(f"{settings.seed}/trials/{participant}")
    pairs = (_same if settings.pairing == "same" else _different)(draws, real, fake, settings.total)
    return [Trial(r.image, f.image, draws.choice(("left", "right"))) for r, f in pairs]


def possible_trials(pairing: Pairing, real: Sequence[Candidate], fake: Sequence[Candidate]) -> int:
    """How many trials these images are enough for."""
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
    """No pair of one scene; as few scenes as possible occur both as a real and a fake image."""
    fakes = draws.sample(list(fake), count)
    reals = draws.sample(list(real), len(real))
    shown = {f.scene for f in fakes}
    reals = sorted(reals, key=lambda r: r.scene in shown)[:count]  # stable: else as drawn
    draws.shuffle(reals)
    for i, one in enumerate(fakes):
        if reals[i].scene == one.scene:  # then its neighbour's is another, and fits here
            j = (i + 1) % count
            reals[i], reals[j] = reals[j], reals[i]
    return list(zip(reals, fakes, strict=True))
