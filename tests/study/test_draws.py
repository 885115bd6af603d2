"""Who sees what: balanced, at random, and the same for the same seed."""

from __future__ import annotations

from collections import Counter

import pytest

from diptych.study.draws import Candidate, draw_method, draw_trials, possible_trials
from diptych.study.settings import StudySettings

REAL = [Candidate(i, f"s{i}") for i in range(60)]
FAKE = [Candidate(100 + i, f"s{i}") for i in range(60)]


def settings(**options: object) -> StudySettings:
    return StudySettings(**{"direction": "x→y", "methods": ("a", "b", "c")} | options)  # type: ignore[arg-type]


def test_the_method_with_the_fewest_participants_is_next() -> None:
    assert draw_method(settings(), {"a": 2, "b": 1, "c": 2}, 6) == "b"
    assert draw_method(settings(), {"a": 1, "b": 1}, 3) == "c"
    counts: Counter[str] = Counter()
    for participant in range(1, 31):
        counts[draw_method(settings(), counts, participant)] += 1
        assert max(counts.values()) - min(counts[m] for m in "abc") <= 1
    assert counts == {"a": 10, "b": 10, "c": 10}


def test_the_seed_decides_between_equals() -> None:
    first = [draw_method(settings(seed=s), {}, 1) for s in range(40)]
    assert first == [draw_method(settings(seed=s), {}, 1) for s in range(40)]
    assert set(first) == {"a", "b", "c"}


def test_a_session_shows_no_image_twice_and_no_pair_of_one_scene() -> None:
    for participant in range(50):
        trials = draw_trials(settings(), REAL, FAKE, participant)
        assert len({t.real for t in trials}) == len({t.fake for t in trials}) == 50
        assert all(t.fake - 100 != t.real for t in trials)


def test_where_there_are_images_enough_no_scene_comes_twice() -> None:
    trials = draw_trials(settings(practice=5, counted=25), REAL, FAKE, 1)
    assert {t.real for t in trials}.isdisjoint(t.fake - 100 for t in trials)


@pytest.mark.parametrize("total", [2, 3, 60])
def test_pairs_differ_in_scene_even_where_every_image_is_needed(total: int) -> None:
    one = settings(practice=0, counted=total)
    for participant in range(200):
        trials = draw_trials(one, REAL[:total], FAKE[:total], participant)
        assert sorted(t.real for t in trials) == list(range(total))
        assert all(t.fake - 100 != t.real for t in trials)


def test_pairs_of_the_same_scene_are_of_the_same_scene() -> None:
    trials = draw_trials(settings(pairing="same"), REAL, FAKE, 1)
    assert [t.fake - 100 for t in trials] == [t.real for t in trials]
    assert len({t.real for t in trials}) == 50


def test_sides_and_order_are_random_and_follow_from_the_seed() -> None:
    one = draw_trials(settings(), REAL, FAKE, 1)
    assert one == draw_trials(settings(), REAL, FAKE, 1)
    assert one != draw_trials(settings(), REAL, FAKE, 2)
    assert one != draw_trials(settings(seed=1), REAL, FAKE, 1)
    sides = Counter(t.real_side for p in range(100) for t in draw_trials(settings(), REAL, FAKE, p))
    # 5000 tosses of a coin: five standard deviations are 177.
    assert abs(sides["left"] - 2500) < 177
    first = {draw_trials(settings(), REAL, FAKE, p)[0].fake for p in range(100)}
    assert len(first) > 40


def test_possible_trials_counts_images_or_common_scenes() -> None:
    assert possible_trials("different", REAL[:7], FAKE[:9]) == 7
    assert possible_trials("same", REAL[:7], FAKE[4:9]) == 3
