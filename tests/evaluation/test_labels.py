from itertools import permutations

import pytest
import torch

from diptych.data import Palette
from diptych.evaluation.labels import Confusion, nearest_class

PALETTE = Palette(("sea", "forest", "ice"), ((0, 0, 128), (0, 128, 0), (255, 255, 255)))


def test_the_nearest_colour_decides_the_class() -> None:
    colours = torch.tensor([[10.0, 0, 100], [0, 80, 60], [200, 190, 210], [0, 64, 64]])
    image = (colours / 127.5 - 1).T.reshape(1, 3, 2, 2)
    # The last is equally far from sea and forest: the first of them wins.
    assert nearest_class(image, PALETTE).tolist() == [[[0, 1], [2, 0]]]


def test_scores_follow_from_the_confusion_matrix_by_hand() -> None:
    confusion = Confusion.zeros(3)
    true = torch.tensor([0, 0, 0, 0, 0, 0, 1, 1, 1, 1])
    predicted = torch.tensor([0, 0, 0, 1, 1, 2, 1, 1, 1, 0])
    confusion.add(predicted[:5], true[:5])
    confusion.add(predicted[5:], true[5:])
    assert confusion.counts.tolist() == [[3, 2, 1], [1, 3, 0], [0, 0, 0]]
    assert confusion.pixel_accuracy == pytest.approx(6 / 10)
    assert confusion.class_accuracies == [3 / 6, 3 / 4, None]
    assert confusion.class_ious == [3 / (6 + 4 - 3), 3 / (4 + 5 - 3), None]
    # ice does not occur in the truth: it is left out of both means.
    assert confusion.class_accuracy == pytest.approx((1 / 2 + 3 / 4) / 2)
    assert confusion.mean_iou == pytest.approx((3 / 7 + 1 / 2) / 2)


def test_the_best_renaming_swaps_what_was_swapped_and_keeps_the_rest() -> None:
    confusion = Confusion(torch.tensor([[1, 8, 0], [6, 2, 1], [0, 0, 5]]))
    assert confusion.best_renaming == [1, 0, 2]
    assert confusion.pixel_accuracy == pytest.approx(8 / 23)
    assert confusion.matched_accuracy == pytest.approx((8 + 6 + 5) / 23)
    # Giving each class its best name first would take 10 and leave 0.
    assert Confusion(torch.tensor([[10, 9], [9, 0]])).best_renaming == [1, 0]


def test_names_are_kept_where_renaming_gains_nothing() -> None:
    assert Confusion(torch.tensor([[2, 2], [2, 2]])).best_renaming == [0, 1]
    assert Confusion.zeros(3).best_renaming == [0, 1, 2]
    assert Confusion.zeros(3).matched_accuracy is None
    # Class 1 is all called 0, which takes its name; 0 occurs nowhere and gets what is left.
    assert Confusion(torch.tensor([[0, 0], [4, 0]])).best_renaming == [1, 0]


def test_no_permutation_has_more_pixels_right() -> None:
    draw = torch.Generator().manual_seed(0)
    for _ in range(20):
        counts = torch.randint(0, 100, (5, 5), generator=draw)
        best = max(sum(int(counts[i, j]) for j, i in enumerate(p)) for p in permutations(range(5)))
        found = Confusion(counts)
        assert found.matched_accuracy == best / int(counts.sum())
        assert sorted(found.best_renaming) == list(range(5))
