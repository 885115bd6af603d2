"""Pairs of images that show the same scene, told from those that do not."""

import pytest
import torch

from diptych.evaluation.correspondence import correspondence, edges


def scenes(count: int, seed: int) -> torch.Tensor:
    """(count, 3, 32, 32): a square of one colour on another, anywhere."""
    rng = torch.Generator().manual_seed(seed)
    images = torch.full((count, 3, 32, 32), -0.5)
    for image in images:
        top, left = torch.randint(0, 20, (2,), generator=rng).tolist()
        image[:, top : top + 12, left : left + 12] = 0.5
    return images


def test_the_same_scenes_in_other_colours_correspond_wholly() -> None:
    x = scenes(12, seed=0)
    other_colours = -0.3 * x + torch.tensor([0.1, 0.4, -0.2])[:, None, None]
    assert correspondence(x, other_colours) == 1.0


def test_unrelated_scenes_correspond_by_chance() -> None:
    values = [correspondence(scenes(40, seed), scenes(40, seed + 100)) for seed in range(5)]
    assert sum(values) / 5 == pytest.approx(0.5, abs=0.03)


def test_it_is_the_share_of_wrong_partners_that_are_less_alike() -> None:
    x = scenes(3, seed=1)
    # Right for the first; the other two are exchanged. Of 3 rows and 3 columns with 2 wrong
    # partners each, the first's row and column win both. In the rows of the others the exact
    # copy, which is wrong, wins over their own; the remaining partner is what they are given.
    alike = edges(x) @ edges(x).T
    wins = 4.0
    for own, other in ((1, 2), (2, 1)):
        wins += 2 * float(alike[own, other] > alike[own, 0])  # own is alike[own, other]
    assert correspondence(x, x[[0, 2, 1]]) == pytest.approx(wins / 12)


def test_images_without_an_edge_are_no_better_than_chance() -> None:
    flat = torch.zeros(4, 3, 8, 8)
    assert correspondence(flat, flat) == 0.5
    assert edges(flat).abs().max() == 0


def test_one_pair_and_different_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="two or more pairs"):
        correspondence(scenes(1, 0), scenes(1, 0))
    with pytest.raises(ValueError, match="two or more pairs"):
        correspondence(scenes(3, 0), scenes(2, 0))
