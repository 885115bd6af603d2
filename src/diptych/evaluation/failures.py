"""Failures that averages hide: unchanged translations, negatives, swapped classes and collapse.

Zhu et al. 2017, Sec. 6: dog → cat "often degenerates to making minimal changes", and labels
of tree and building are permuted in photos → labels. KID, cycle error and even paired scores
of such a translator can look good.

*Unchanged* is 1 - d(G(x), x) / d(y, x). The first mean is over inputs x, the second over pairs
of an input and any image y of the target domain. The identity has 1. A translation that is as
far from its input as the target domain's images has 0, and so has one that is further away. d
is the mean absolute difference of pixels, or the Euclidean distance of features, which tolerates
a shift or another hue.

A high value alone is not a failure, since horse → zebra should keep the meadow. So it counts as
a failure only if the *gain* is low. Where true pairs exist, the truth's own value is given too.
Pixels count only in comparison with the truth, since most of a picture may rightly stay.

*Gain* is 1 - KID(G(X), Y) / KID(X, Y): the share of the inputs' KID that translating removes. It
is negative if translating makes KID worse.

*Brightness* is the correlation of the brightness of G(x) and x over all pixels. A negative has
-1. A negative can satisfy cycle consistency too, so chance decides whether a run learns one, and
then which classes swap. It counts as a failure if the correlation is far below 0 while the
truth's is not.

*Classes swap* if each of two classes is mostly taken for the other. In photos → labels, the
nearest colour gives the class. In labels → photos, the FCN of `segmentation.py` reads the photos.
Classes that the FCN also swaps in real photos are its own error and are not reported.

*Collapse* is described in `collapse.py`.

The names and the thresholds are this project's own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from diptych.evaluation import collapse, paired
from diptych.evaluation.labels import Confusion

UNCHANGED = 0.5
"""At this value or above, a translation keeps more of its input than it changes."""
BEYOND_TRUTH = 0.25
"""For pixels, *unchanged* must also exceed the truth's value by this much."""
GAIN = 0.25
"""An unchanged translation with less gain than this counts as a failure."""
NEGATIVE = -0.5
"""A correlation of brightness at or below this counts as a negative."""
Pair = tuple[int, int]
"""Two classes, the lower first."""
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
_ROWS = 1024


def _brightness(images: Tensor) -> Tensor:
    """Return (B, H, W): the luma of colours, or the mean of other channels."""
    if images.shape[1] != len(_LUMA):
        return images.double().mean(1)
    return images.double().movedim(1, -1) @ torch.tensor(_LUMA, dtype=torch.float64)


@dataclass
class Brightness:
    """The correlation of two sets of images' brightness, pixel by pixel."""

    sums: Tensor = field(default_factory=lambda: torch.zeros(6, dtype=torch.float64))
    """The sums of 1, a, b, a², b² and ab over all pixels, for brightnesses a and b."""

    def add(self, image: Tensor, other: Tensor) -> None:
        """Add a batch. Both are (B, C, H, W) in [-1, 1]."""
        a, b = (_brightness(i) for i in (image, other))
        self.sums += torch.stack([x.sum() for x in (torch.ones_like(a), a, b, a * a, b * b, a * b)])

    @property
    def correlation(self) -> float | None:
        """Pearson's correlation in [-1, 1]; None if one side has the same brightness everywhere."""
        n, a, b, aa, bb, ab = self.sums.tolist()
        spread = (n * aa - a * a) * (n * bb - b * b)
        return (n * ab - a * b) / spread**0.5 if spread > 1e-9 * n**4 else None


@dataclass
class Changes:
    """The distance of one direction's translations from their inputs, in pixels."""

    others: Tensor
    """(R, 3, H, W) in [-1, 1]: any images of the target domain."""
    made: float = 0.0
    of_truth: float = 0.0
    of_others: float = 0.0
    has_truth: bool = field(default=False)
    brightness: Brightness = field(default_factory=Brightness)
    brightness_of_truth: Brightness = field(default_factory=Brightness)

    def add(self, fake: Tensor, image: Tensor, truth: Tensor | None) -> None:
        """Add a batch. All are (B, C, H, W) in [-1, 1]; `truth` is None without true pairs."""
        self.made += _sum(paired.mean_absolute_error(fake, image))
        self.brightness.add(fake, image)
        self.of_others += sum(
            _sum(paired.mean_absolute_error(y[None], image)) for y in self.others
        ) / len(self.others)
        if truth is not None:
            self.has_truth = True
            self.of_truth += _sum(paired.mean_absolute_error(truth, image))
            self.brightness_of_truth.add(truth, image)

    def scores(self) -> dict[str, float]:
        """Return `unchanged` and `brightness`, and with true pairs both `_of_truth`."""
        result = {"unchanged": unchanged(self.made, self.of_others)}
        if self.has_truth:
            result["unchanged_of_truth"] = unchanged(self.of_truth, self.of_others)
        known = {
            "brightness": self.brightness.correlation,
            "brightness_of_truth": self.brightness_of_truth.correlation,
        }
        return result | {name: value for name, value in known.items() if value is not None}


def unchanged(from_input: float, of_others: float) -> float:
    """Return 1 - d(G(x), x) / d(y, x), clamped at 0, in [0, 1]. See the module's docstring."""
    if of_others == 0:  # every image of the target domain equals the input
        return float(from_input == 0)
    return max(0.0, 1 - from_input / of_others)


def unchanged_features(fakes: Tensor, inputs: Tensor, others: Tensor) -> float:
    """Return `unchanged` for features.

    `fakes` and `inputs` are (N, D) of the same images. `others` is (M, D) of any images of the
    target domain.
    """
    parts = torch.split(inputs.double(), _ROWS)
    of_others = sum(float(torch.cdist(part, others.double()).sum()) for part in parts)
    made = float((fakes.double() - inputs.double()).norm(dim=1).mean())
    return unchanged(made, of_others / (len(inputs) * len(others)))


def gain(made: Mapping[str, Any], untranslated: Mapping[str, Any], real: Mapping[str, Any]) -> Any:
    """Return the gain from three results of `kid` against the target's images.

    The result has `value`, or `why_not` if there is no KID, or if the inputs are no further
    from the target domain than its own training images.
    """
    if "mean" not in made or "mean" not in untranslated:
        return {"why_not": "there is no KID"}
    if untranslated["mean"] <= max(0.0, real.get("mean", 0.0)):
        return {"why_not": "the inputs are as near to the target domain as its own images"}
    return {"value": 1 - made["mean"] / untranslated["mean"]}


def findings(direction: str, scores: Mapping[str, Any]) -> list[str]:
    """Return the failures of a direction, one sentence each.

    If outputs have collapsed, that is the only one, because nothing else follows from them.
    """
    collapsed = collapse.finding(direction, scores)
    if collapsed is not None:
        return [collapsed]
    found = []
    kept = _kept(scores)
    gained = scores.get("kid_gain", {}).get("value")
    if kept is not None and gained is not None and gained < GAIN:
        better = f"{gained:.0%}" if gained > 0 else "no"
        found.append(f"{direction} {kept}, and KID is {better} better than for untranslated inputs")
    negative = _negative(scores)
    if negative is not None:
        found.append(f"{direction} {negative}")
    found += [f"{direction}: {line}" for line in _swaps_in(scores)]
    read, real = scores.get("fcn", {}), scores.get("fcn_of_real", {})
    found += [
        f"{direction}, its photos read by the FCN: {line}"
        for line in _swaps_in(read, but=_swaps_of(real))
    ]
    return found


def lacks_brightness(scores: Mapping[str, Any]) -> bool:
    """Whether old scores lack `brightness`, so that negatives cannot be found in them."""
    return "unchanged" in scores and not {"brightness", "brightness_of_truth"} & scores.keys()


def _kept(scores: Mapping[str, Any]) -> str | None:
    """Describe an unchanged translation, by features, or by pixels compared with the truth."""
    features, pixels = scores.get("unchanged_features", 0.0), scores.get("unchanged", 0.0)
    of_truth = scores.get("unchanged_of_truth", 1.0)
    if features >= UNCHANGED:
        return f"hardly changes its inputs: {features:.0%} unchanged in features"
    if pixels >= UNCHANGED and pixels - of_truth >= BEYOND_TRUTH:
        return f"keeps {pixels:.0%} of its inputs in pixels, where the truth keeps {of_truth:.0%}"
    return None


def _negative(scores: Mapping[str, Any]) -> str | None:
    """Describe inverted brightness, unless the truth's brightness is inverted too."""
    brightness, of_truth = scores.get("brightness", 0.0), scores.get("brightness_of_truth")
    if brightness > NEGATIVE or (of_truth is not None and of_truth < 0):
        return None
    beside = "which few domains want"
    if of_truth is not None:
        beside = f"where the truth's does at {of_truth:.2f}"
    figure = f"{brightness:.2f}".replace("-", "−")
    return (
        f"makes negatives of its inputs: brightness correlates at {figure}, {beside}; another seed"
        " may not"
    )


def _swaps_in(scores: Mapping[str, Any], but: Collection[Pair] = ()) -> list[str]:
    """Return the `swaps` of the scores' `confusion`, if there is one."""
    table = scores.get("confusion")
    return [] if table is None else swaps(_counted(table), table["classes"], but)


def _swaps_of(scores: Mapping[str, Any]) -> list[Pair]:
    return list(_swapped(_counted(scores["confusion"]))) if "confusion" in scores else []


def _counted(table: Mapping[str, Any]) -> Confusion:
    return Confusion(torch.tensor(table["counts"]))


def swaps(confusion: Confusion, names: Sequence[str], but: Collection[Pair] = ()) -> list[str]:
    """Describe the pairs of classes, except those in `but`, that are mostly taken for each other.

    Mostly means more than half of the pixels of each class.
    """
    return [
        f"{names[i]} and {names[j]} are swapped ({there:.0%} of {names[i]} is {names[j]},"
        f" {back:.0%} of {names[j]} is {names[i]})"
        for (i, j), (there, back) in _swapped(confusion).items()
        if (i, j) not in but
    ]


def _swapped(confusion: Confusion) -> dict[Pair, tuple[float, float]]:
    """Return swapped pairs, the lower class first: the share of each taken for the other."""
    share = confusion.counts.double() / confusion.counts.sum(1, keepdim=True).clamp_min(1)
    both = torch.minimum(share, share.T).triu(1)
    return {
        (i, j): (float(share[i, j]), float(share[j, i])) for i, j in (both > 0.5).nonzero().tolist()
    }


def _sum(values: Tensor) -> float:
    return float(values.double().sum())
