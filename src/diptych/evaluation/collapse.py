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
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

Verdict = Literal["alike", "black", "white", "constant", "not finite"]
ALIKE = 0.07
"""Outputs whose spread across images is below this part of the reference are alike."""
CONSTANT = 0.05
"""Outputs whose spread within images is below this part of the reference have one colour."""
FEWEST = 3
"""Fewer outputs are never called alike: two sound ones can be alike by chance."""
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
        values = images.detach().cpu().double()  # MPS has no float64
        is_finite = values.isfinite().flatten(1).all(1)
        self._images += len(values)
        self._not_finite += int((~is_finite).sum())
        if not is_finite.any():
            return
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
    """The figures of real images of the target domain."""

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

        None for fewer than `FEWEST` outputs, or if the reference is below `LEAST`.
        """
        if self.outputs.images < FEWEST:
            return None
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


@dataclass
class CollapseSums:
    """Sums over the batches of one direction, from which its `Collapse` follows."""

    outputs: SpreadSums = field(default_factory=SpreadSums)
    inputs: SpreadSums = field(default_factory=SpreadSums)
    targets: SpreadSums = field(default_factory=SpreadSums)

    def add(self, outputs: Tensor, inputs: Tensor | None = None) -> Tensor:
        """Add a batch; return its outputs with 0 in place of values that are not finite.

        So scores can be computed of them in any case. `scores` then removes these.
        """
        self.outputs.add(outputs)
        if inputs is not None:
            self.inputs.add(inputs)
        return outputs.nan_to_num(0.0, 0.0, 0.0)

    @property
    def collapse(self) -> Collapse:
        """The figures of all images added so far."""
        inputs = self.inputs.spread
        return Collapse(self.outputs.spread, inputs if inputs.images else None, self.targets.spread)

    def scores(self, others: Mapping[str, Any]) -> dict[str, Any]:
        """Return `others`, the direction's scores, with those of `Collapse.scores`.

        If outputs are not finite, scores of outputs are None, or `why_not` where a score is a
        mapping. Scores of real images stay as they are.
        """
        found, scores = self.collapse, dict(others)
        if found.verdict == "not finite":
            scores = _without_outputs(others)
        return {"images": found.outputs.images, **found.scores(), **scores}


_OF_REAL_IMAGES = {
    "images", "kid_untranslated", "kid_of_real", "unchanged_of_truth", "brightness_of_truth",
    "unchanged_features_of_truth", "untranslated", "fcn_of_real", "fcn_untranslated",
}  # fmt: skip
"""Scores that do not depend on outputs."""
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
    return Collapse(spread(outputs), None if inputs is None else spread(inputs), spread(targets))


def finding(direction: str, scores: Mapping[str, Any]) -> str | None:
    """Return `Collapse.sentence` from a direction's scores; None if they hold no spread."""
    found = scores.get("spread")
    if found is None:
        return None
    inputs = found["inputs"]
    known = Collapse(
        Spread(**found["outputs"]),
        None if inputs is None else Spread(**inputs),
        Spread(**found["targets"]),
    )
    return known.sentence(direction)


def _without_outputs(scores: Mapping[str, Any]) -> dict[str, Any]:
    """Return scores in which those of outputs are empty; tables and groups of them are left out."""
    found: dict[str, Any] = {}
    for name, score in scores.items():
        if name in _OF_REAL_IMAGES:
            found[name] = score
        elif not isinstance(score, Mapping):
            found[name] = None
        elif score.keys() & {"mean", "value", "why_not"}:
            found[name] = {"why_not": "outputs are not finite"}
    return found


def finite(value: Any) -> Any:
    """Return nested scores with None in place of numbers that are not finite, for valid JSON.

    A mapping whose `mean` or `value` is not finite becomes one with `why_not`.
    """
    if isinstance(value, Mapping):
        main = (value.get("mean"), value.get("value"))
        if any(isinstance(one, float) and not math.isfinite(one) for one in main):
            return {"why_not": "it is not finite"}
        return {key: finite(one) for key, one in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


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
