"""Detect collapse: outputs that are alike for unlike inputs, of one colour, or not finite.

A generator that has collapsed ignores its inputs. Scores of sets can miss that. Precision is 1
if every output is the same real image of the target domain.

Two figures describe a set of images, both in units of [-1, 1]:

- The spread *across* images is the standard deviation of a value over the images, at one place
  of one channel. The variances of all places are averaged before the root is taken. It is 0 if
  all images are the same.
- The spread *within* images is the standard deviation over the places of one channel of one
  image, averaged in the same way. It is 0 if each image has one colour.

Outputs have collapsed if a spread is a small part of what the inputs and the real images of the
target domain have, whichever of the two is smaller. So alike outputs are right if the inputs are
alike or if the target's images are, as in a domain of dark images. `benchmarks/collapse.py`
measures what sound and collapsed outputs have. The names and the thresholds are this project's
own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import Tensor

Verdict = Literal["alike", "black", "white", "constant", "not finite"]
ALIKE = 0.1
"""Outputs whose spread across images is below this part of the reference are alike."""
CONSTANT = 0.05
"""Outputs whose spread within images is below this part of the reference have one colour."""
LEAST = 2 / 255
"""A smaller spread of inputs or of real images, one level of 255, is no reference."""
EXTREME = 0.98
"""Constant images are black if their mean is at most -0.98, and white if it is at least 0.98."""


@dataclass(frozen=True)
class Spread:
    """How much images differ from one another, and the places of an image from each other.

    Images that hold a value that is not finite are counted, and left out of the other figures.
    """

    images: int
    across: float | None
    """None for fewer than two images."""
    within: float | None
    mean: float | None
    """The mean of all values; None, as `within`, if there is no finite image."""
    not_finite: int = 0
    """The number of images with a NaN or an infinity."""


class SpreadSums:
    """Sums over batches of images, from which their `spread` follows."""

    def __init__(self) -> None:
        self._images = self._not_finite = 0
        self._values = self._squares = torch.zeros(())
        self._within = 0.0

    def add(self, images: Tensor) -> None:
        """Add a batch, (N, C, H, W) in [-1, 1], of the same shape in every call but for N."""
        values = images.detach().double().cpu()
        is_finite = values.isfinite().flatten(1).all(1)
        self._images += len(values)
        self._not_finite += int((~is_finite).sum())
        values = values[is_finite]
        self._values = self._values + values.sum(0)
        self._squares = self._squares + values.square().sum(0)
        self._within += float(values.var((2, 3), correction=0).mean(1).sum())

    @property
    def spread(self) -> Spread:
        """The figures of all images added so far."""
        count = self._images - self._not_finite
        across = None
        if count > 1:
            variance = (self._squares - self._values.square() / count) / (count - 1)
            across = math.sqrt(max(0.0, float(variance.mean())))
        return Spread(
            images=self._images,
            across=across,
            within=math.sqrt(self._within / count) if count else None,
            mean=float(self._values.mean()) / count if count else None,
            not_finite=self._not_finite,
        )


@dataclass(frozen=True)
class Collapse:
    """Spreads of outputs, of their inputs and of real images, and what follows from them."""

    outputs: Spread
    inputs: Spread | None
    """None for images made from noise."""
    targets: Spread
    """Of real images of the target domain."""

    @property
    def verdict(self) -> Verdict | None:
        """The name of the failure, or None if there is none."""
        if self.outputs.not_finite:
            return "not finite"
        is_constant = is_below(self.within_share, CONSTANT)
        if not is_constant and not is_below(self.across_share, ALIKE):
            return None
        within, mean = self.outputs.within or 0.0, self.outputs.mean or 0.0
        if abs(mean) >= EXTREME and within < CONSTANT * (self.targets.within or 0.0):
            return "black" if mean < 0 else "white"
        return "constant" if is_constant else "alike"

    @property
    def across_share(self) -> float | None:
        """The outputs' spread across images, as a part of the reference.

        None if there are fewer than two images, or if the reference is below `LEAST`.
        """
        inputs = () if self.inputs is None else (self.inputs.across,)
        return _share(self.outputs.across, *inputs, self.targets.across)

    @property
    def within_share(self) -> float | None:
        """The same for the spread within images."""
        inputs = () if self.inputs is None else (self.inputs.within,)
        return _share(self.outputs.within, *inputs, self.targets.within)

    def sentence(self, direction: str) -> str | None:
        """Return what has failed in `direction`, with figures and what helps; None if nothing has.

        `direction` is what the outputs are called, such as "horse→zebra".
        """
        verdict = self.verdict
        if verdict is None:
            return None
        if verdict == "not finite":
            bad, count = self.outputs.not_finite, self.outputs.images
            fact = f"{bad} of {count} outputs hold values that are not finite"
        elif verdict == "alike":
            fact = f"outputs are alike for unlike inputs ({self._compared('across')})"
            if self.inputs is None:
                fact = f"outputs are alike ({self._compared('across')})"
        else:
            colour = "of one colour each" if verdict == "constant" else verdict
            fact = f"outputs are {colour} ({self._compared('within')})"
        return f"{direction} has collapsed: {fact}; what helps: {_HELP[verdict]}"

    def _compared(self, name: str) -> str:
        """Put the outputs' spread beside those of inputs and real images."""
        others = {"inputs": self.inputs, "real images": self.targets}
        known = [f"{key} {_figure(vars(value)[name])}" for key, value in others.items() if value]
        return f"spread {name} images {_figure(vars(self.outputs)[name])}, of {', '.join(known)}"

    def scores(self) -> dict[str, Any]:
        """Return `collapse`, the verdict or None, and `spread`, the figures, as plain values."""
        return {"collapse": self.verdict, "spread": asdict(self)}


_HELP: Mapping[Verdict, str] = {
    "alike": "another seed, a lower learning rate, or more weight on the loss that ties outputs"
    " to inputs",
    "black": "a lower learning rate, or another seed",
    "white": "a lower learning rate, or another seed",
    "constant": "a lower learning rate, or another seed",
    "not finite": "precision fp32, or an earlier checkpoint and a lower learning rate",
}


def spread(images: Tensor) -> Spread:
    """Return the spread of (N, C, H, W) images in [-1, 1]."""
    sums = SpreadSums()
    sums.add(images)
    return sums.spread


def collapse(outputs: Tensor, inputs: Tensor | None, targets: Tensor) -> Collapse:
    """Compare outputs with their inputs and with real images of the target domain.

    Each is (N, C, H, W) in [-1, 1]. Numbers, channels and sizes may differ. `inputs` is None for
    images made from noise.
    """
    return Collapse(
        spread(outputs), None if inputs is None else spread(inputs), spread(targets)
    )


def of_scores(scores: Mapping[str, Any]) -> Collapse | None:
    """Return what `Collapse.scores` has put into a direction's scores; None if it is not there."""
    found = scores.get("spread")
    if found is None:
        return None
    inputs = found["inputs"]
    return Collapse(
        Spread(**found["outputs"]),
        None if inputs is None else Spread(**inputs),
        Spread(**found["targets"]),
    )


def is_below(share: float | None, threshold: float) -> bool:
    """Whether a share is known and below a threshold."""
    return share is not None and share < threshold


def _share(output: float | None, *references: float | None) -> float | None:
    known = [value for value in references if value is not None]
    if output is None or len(known) < len(references) or min(known) < LEAST:
        return None
    return output / min(known)


def _figure(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"
