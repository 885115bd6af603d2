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
