"""Scores of label maps, by the nearest colour of a palette (Zhu et al. 2017, Sec. 5.1.1).

Beyond the paper, we score the accuracy after the best one-to-one renaming of the predicted
classes, as for clusterings (Kuhn 1955's assignment; in segmentation, Ji et al. 2019). Without
pairs, a translator can learn which pixels belong together but not which label they have.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from diptych.data import Palette

IGNORED = -1
"""The class number of pixels that are not scored."""


def nearest_class(images: Tensor, palette: Palette) -> Tensor:
    """Return the class of the nearest colour in RGB for each pixel.

    `images` is (B, 3, H, W) in [-1, 1]; the result is (B, H, W) int64. If several colours are
    equally near, the first wins.
    """
    colours = torch.tensor(palette.colours, dtype=torch.float32, device=images.device)
    pixels = (images.float().movedim(1, -1) + 1) * 127.5  # (B, H, W, 3) in [0, 255]
    distances = (pixels.unsqueeze(-2) - colours).square().sum(-1)  # (B, H, W, K)
    return distances.argmin(-1)


def true_class(images: Tensor, palette: Palette) -> Tensor:
    """Do as `nearest_class`, but give `IGNORED` where the nearest colour is not scored."""
    everything = Palette((), (*palette.colours, *palette.ignored))
    classes = nearest_class(images, everything)
    return classes.masked_fill(classes >= len(palette.colours), IGNORED)


@dataclass
class Confusion:
    """Counts of pixels by true class (rows) and predicted class (columns)."""

    counts: Tensor
    """(K, K) int64; n_ij of Long et al. 2015, Sec. 5."""

    @staticmethod
    def zeros(classes: int) -> Confusion:
        return Confusion(torch.zeros(classes, classes, dtype=torch.int64))

    def add(self, predicted: Tensor, true: Tensor) -> None:
        """Count class maps of equal shape, except for pixels whose truth is `IGNORED`."""
        k = len(self.counts)
        cells = (true * k + predicted)[true != IGNORED]
        self.counts += torch.bincount(cells.cpu(), minlength=k * k).reshape(k, k)

    @property
    def pixel_accuracy(self) -> float | None:
        """Σ_i n_ii / Σ_i t_i, in [0, 1]; None if no pixel was counted."""
        return _ratio(int(self.counts.trace()), int(self.counts.sum()))

    @property
    def class_accuracies(self) -> list[float | None]:
        """n_ii / t_i for each class; None for a class that is not in the truth."""
        return [_ratio(hit, total) for hit, total in zip(*self._hits(), strict=True)]

    @property
    def class_ious(self) -> list[float | None]:
        """n_ii / (t_i + Σ_j n_ji - n_ii) for each class; None for a class not in the truth."""
        hits, totals = self._hits()
        predicted = self.counts.sum(0).tolist()
        return [
            _ratio(hit, total + got - hit) if total else None
            for hit, total, got in zip(hits, totals, predicted, strict=True)
        ]

    @property
    def class_accuracy(self) -> float | None:
        """The mean of `class_accuracies` over the classes in the truth; None if there are none."""
        return _mean(self.class_accuracies)

    @property
    def mean_iou(self) -> float | None:
        """The mean of `class_ious` over the classes in the truth; None if there are none."""
        return _mean(self.class_ious)

    @property
    def best_renaming(self) -> list[int]:
        """The true class that each predicted class best matches, one to one.

        This renaming has the most pixels right. If several do, it renames the fewest classes.
        """
        import networkx as nx  # slow to import

        k, pairs = len(self.counts), nx.Graph()
        for true, row in enumerate(self.counts.tolist()):
            for predicted, count in enumerate(row):
                weight = count * (k + 1) + (true == predicted)  # kept names only break ties
                if weight:
                    pairs.add_edge(("true", true), ("predicted", predicted), weight=weight)
        matched = (dict(pair) for pair in nx.max_weight_matching(pairs))
        names = {pair["predicted"]: pair["true"] for pair in matched}
        unused = iter(sorted(set(range(k)) - set(names.values())))
        return [names[j] if j in names else next(unused) for j in range(k)]

    @property
    def matched_accuracy(self) -> float | None:
        """Per-pixel accuracy after `best_renaming`, in [0, 1]; None if no pixel was counted."""
        names = torch.tensor(self.best_renaming)
        right = self.counts[names, torch.arange(len(names))]
        return _ratio(int(right.sum()), int(self.counts.sum()))

    @property
    def figures(self) -> dict[str, float | None]:
        """The paper's three scores over all classes, and `matched_accuracy`."""
        return {
            "pixel_accuracy": self.pixel_accuracy,
            "class_accuracy": self.class_accuracy,
            "mean_iou": self.mean_iou,
            "matched_accuracy": self.matched_accuracy,
        }

    def scores(self, palette: Palette) -> dict[str, Any]:
        """Return `figures`, the scores of each class by its name, and the confusion matrix."""
        accuracies = zip(palette.names, self.class_accuracies, strict=True)
        return {
            **self.figures,
            "accuracy_per_class": dict(accuracies),
            "iou_per_class": dict(zip(palette.names, self.class_ious, strict=True)),
            "confusion": {"classes": list(palette.names), "counts": self.counts.tolist()},
        }

    def _hits(self) -> tuple[list[int], list[int]]:
        return self.counts.diagonal().tolist(), self.counts.sum(1).tolist()


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
