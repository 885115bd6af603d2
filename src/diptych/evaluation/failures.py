"""Failures that averages hide: translations that change nothing, negatives, classes that swap.

Zhu et al. 2017, Sec. 6: dog → cat "often degenerates to making minimal changes", and labels
of tree and building are permuted in photos → labels. KID, cycle and even paired scores
of such a translator can look fair.

*Unchanged* is 1 - d(G(x), x) / d(y, x), the means over inputs x and over pairs of an input
and any image y of the target domain: 1 for the identity, 0 for translations as far from
their inputs as another domain's images are from them (further counts as 0). d is the
mean absolute difference of pixels, or the Euclidean distance of features, which does not
mind a shift or another hue. A high value alone is no failure, since horse → zebra should
keep the meadow: where true pairs exist the truth's own value stands beside it, and
only with a low *gain* is it called a failure. Pixels say so only beside the truth, as most of a
picture may rightly stay. Gain is 1 - KID(G(X), Y) / KID(X, Y): the share
of what untranslated inputs lack that translating makes up for; negative where it harms.

*Brightness* is the correlation of G(x)'s with x's over all pixels: a negative's is -1. Cycle
consistency holds for a negative as well, so that luck decides, and with it which classes swap.
It is called a failure where it is far below 0 and not the truth's.

*Classes swap* where each of two is mostly taken for the other: by the nearest colour in
photos → labels, and in labels → photos by the FCN of `segmentation.py`, which reads the photos;
what it swaps in real photos, too, is its own error.
The names and the thresholds are this project's own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from diptych.evaluation import paired
from diptych.evaluation.labels import Confusion

UNCHANGED = 0.5
"""From here on a translation keeps more of its input than it changes."""
BEYOND_TRUTH = 0.25
"""By so much more than the truth it keeps of the pixels, too."""
GAIN = 0.25
"""Below it, and that unchanged, translating has failed."""
NEGATIVE = -0.5
"""A correlation of brightness as low as this is a negative's."""
Pair = tuple[int, int]
"""Two classes, the lower first."""
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
_ROWS = 1024


@dataclass
class Brightness:
    """How the brightness of some images' pixels goes with that of others' at the same place."""

    sums: Tensor = field(default_factory=lambda: torch.zeros(6, dtype=torch.float64))
    """The coefficients of 1, a, b, a², b² and ab."""

    def add(self, image: Tensor, other: Tensor) -> None:
        """(B, 3, H, W) each, in [-1, 1]."""
        luma = torch.tensor(_LUMA, dtype=torch.float64)
        a, b = (i.double().movedim(1, -1) @ luma for i in (image, other))
        self.sums += torch.stack([x.sum() for x in (torch.ones_like(a), a, b, a * a, b * b, a * b)])

    @property
    def correlation(self) -> float | None:
        """Pearson's, -1 to 1; None where one of both has one brightness everywhere."""
        n, a, b, aa, bb, ab = self.sums.tolist()
        spread = (n * aa - a * a) * (n * bb - b * b)
        return (n * ab - a * b) / spread**0.5 if spread > 1e-9 * n**4 else None


@dataclass
class Changes:
    """How far the translations of one direction are from their inputs, in pixels."""

    others: Tensor
    """(R, 3, H, W) in [-1, 1]: images of the target domain, any."""
    made: float = 0.0
    of_truth: float = 0.0
    of_others: float = 0.0
    has_truth: bool = field(default=False)
    brightness: Brightness = field(default_factory=Brightness)
    brightness_of_truth: Brightness = field(default_factory=Brightness)

    def add(self, fake: Tensor, image: Tensor, truth: Tensor | None) -> None:
        """(B, 3, H, W) each, in [-1, 1]."""
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
        """`unchanged` and `brightness`, and where pairs exist the same `_of_truth`."""
        result = {"unchanged": unchanged(self.made, self.of_others)}
        if self.has_truth:
            result["unchanged_of_truth"] = unchanged(self.of_truth, self.of_others)
        known = {
            "brightness": self.brightness.correlation,
            "brightness_of_truth": self.brightness_of_truth.correlation,
        }
        return result | {name: value for name, value in known.items() if value is not None}


def unchanged(from_input: float, of_others: float) -> float:
    """1 - d(G(x), x) / d(y, x), from 0 to 1; see above."""
    if of_others == 0:  # all the target domain is this one input
        return float(from_input == 0)
    return max(0.0, 1 - from_input / of_others)


def unchanged_features(fakes: Tensor, inputs: Tensor, others: Tensor) -> float:
    """The same of features: (N, D) and (N, D) of the same images, and (M, D) of any others."""
    parts = torch.split(inputs.double(), _ROWS)
    of_others = sum(float(torch.cdist(part, others.double()).sum()) for part in parts)
    made = float((fakes.double() - inputs.double()).norm(dim=1).mean())
    return unchanged(made, of_others / (len(inputs) * len(others)))


def gain(made: Mapping[str, Any], untranslated: Mapping[str, Any], real: Mapping[str, Any]) -> Any:
    """A finding from three KIDs against the target's images, as `kid` gives them."""
    if "mean" not in made or "mean" not in untranslated:
        return {"why_not": "there is no KID"}
    if untranslated["mean"] <= max(0.0, real.get("mean", 0.0)):
        return {"why_not": "the inputs are as near to the target domain as its own images"}
    return {"value": 1 - made["mean"] / untranslated["mean"]}


def findings(direction: str, scores: Mapping[str, Any]) -> list[str]:
    """What has failed in a direction, a sentence each."""
    found = []
    kept = _kept(scores)
    gained = scores.get("kid_gain", {}).get("value")
    if kept is not None and gained is not None and gained < GAIN:
        better = f"{gained:.0%}" if gained > 0 else "no"
        found.append(
            f"{direction} {kept}, and KID is {better} better than of the inputs as they are"
        )
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
    """Whether a direction was scored before `brightness` was: negatives are then not found."""
    return "unchanged" in scores and not {"brightness", "brightness_of_truth"} & scores.keys()


def _kept(scores: Mapping[str, Any]) -> str | None:
    """What is kept, if it is more than is changed: in features, or in pixels beside the truth."""
    features, pixels = scores.get("unchanged_features", 0.0), scores.get("unchanged", 0.0)
    of_truth = scores.get("unchanged_of_truth", 1.0)
    if features >= UNCHANGED:
        return f"hardly changes its inputs: {features:.0%} unchanged in features"
    if pixels >= UNCHANGED and pixels - of_truth >= BEYOND_TRUTH:
        return f"keeps {pixels:.0%} of its inputs in pixels, where the truth keeps {of_truth:.0%}"
    return None


def _negative(scores: Mapping[str, Any]) -> str | None:
    """That brightness is turned round, if the truth's is not."""
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
    """`swaps` in the `confusion` of scores that may have none."""
    table = scores.get("confusion")
    return [] if table is None else swaps(_counted(table), table["classes"], but)


def _swaps_of(scores: Mapping[str, Any]) -> list[Pair]:
    return list(_swapped(_counted(scores["confusion"]))) if "confusion" in scores else []


def _counted(table: Mapping[str, Any]) -> Confusion:
    return Confusion(torch.tensor(table["counts"]))


def swaps(confusion: Confusion, names: Sequence[str], but: Collection[Pair] = ()) -> list[str]:
    """The pairs of classes each of which is mostly (over a half) taken for the other, without
    those of `but`."""
    return [
        f"{names[i]} and {names[j]} are swapped ({there:.0%} of {names[i]} is {names[j]},"
        f" {back:.0%} of {names[j]} is {names[i]})"
        for (i, j), (there, back) in _swapped(confusion).items()
        if (i, j) not in but
    ]


def _swapped(confusion: Confusion) -> dict[Pair, tuple[float, float]]:
    """Pairs of classes, the lower first, and the share of each that is taken for the other."""
    share = confusion.counts.double() / confusion.counts.sum(1, keepdim=True).clamp_min(1)
    both = torch.minimum(share, share.T).triu(1)
    return {
        (i, j): (float(share[i, j]), float(share[j, i])) for i, j in (both > 0.5).nonzero().tolist()
    }


def _sum(values: Tensor) -> float:
    return float(values.double().sum())
