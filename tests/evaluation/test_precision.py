"""Precision and recall on points whose balls can be drawn on paper."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from diptych.evaluation.precision import kth_nearest, precision_and_recall


def _line(*places: float) -> Tensor:
    return torch.tensor(places)[:, None]


def test_points_on_a_line_have_the_precision_and_recall_of_their_balls() -> None:
    # With k = 1, each real point's ball reaches to the next: [-1, 1], [0, 2] (nearest of 1
    # is 0 or 3: 1 away), [1, 5] around 3. Fakes have [4, 6], [4, 6] and [5, 95] around 50.
    real, fake = _line(0, 1, 3), _line(5, 6, 50)
    found = precision_and_recall(real, fake, k=1)
    assert found["precision"] == {"value": pytest.approx(1 / 3), "images": 3, "neighbours": 1}
    # Balls of fakes: 5 ± 1, 6 ± 1, 50 ± 44 = [6, 94]: no real point lies in one.
    assert found["recall"]["value"] == 0.0
    # A real point at 4 lies in the first fake's ball, on its border: Eq. (1) has ≤.
    assert precision_and_recall(_line(0, 1, 4), fake, k=1)["recall"]["value"] == pytest.approx(
        1 / 3
    )


def test_a_set_is_covered_by_itself_and_one_mode_covers_half_of_two() -> None:
    rng = torch.Generator().manual_seed(0)
    near, far = (torch.randn(20, 4, generator=rng) + shift for shift in (0.0, 100.0))
    both = torch.cat([near, far])
    same = precision_and_recall(both, both)
    assert same["precision"]["value"] == same["recall"]["value"] == 1.0
    # Translations of one mode alone: all are like real ones, and half of these are missed.
    collapsed = precision_and_recall(both, torch.cat([near, near + 0.01]))
    assert collapsed["precision"]["value"] == 1.0
    assert collapsed["recall"]["value"] == 0.5


def test_sets_are_compared_in_equal_numbers_and_too_small_ones_are_refused() -> None:
    rng = torch.Generator().manual_seed(0)
    real, fake = torch.randn(30, 3, generator=rng), torch.randn(12, 3, generator=rng)
    found = precision_and_recall(real, fake)
    assert found["precision"]["images"] == found["recall"]["images"] == 12
    every_other = real[torch.arange(12) * 30 // 12]
    assert found == precision_and_recall(every_other, fake)
    refused = precision_and_recall(real, fake[:3])
    assert refused["precision"] == refused["recall"]
    assert refused["recall"]["why_not"] == (
        "3 nearest neighbours need 4 images a set; there are 30 and 3"
    )


def test_the_kth_nearest_is_worked_out_in_parts_as_at_once() -> None:
    rng = torch.Generator().manual_seed(0)
    x, y = torch.randn(1500, 2, generator=rng).double(), torch.randn(7, 2, generator=rng).double()
    plain = (x[:, None] - y[None]).norm(dim=2).sort(dim=1).values[:, 2]
    assert torch.allclose(kth_nearest(x, y, 3), plain)
