"""Failures that averages hide: translations that change nothing, and classes that swap.

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
The names and the thresholds are this project's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
_ROWS = 1024


@dataclass
class Changes:
    """How far the translations of one direction are from their inputs, in pixels."""

    others: Tensor
    """(R, 3, H, W) in [-1, 1]: images of the target domain, any."""
    made: float = 0.0
    of_truth: float = 0.0
    of_others: float = 0.0
    has_truth: bool = field(default=False)

    def add(self, fake: Tensor, image: Tensor, truth: Tensor | None) -> None:
        """(B, 3, H, W) each, in [-1, 1]."""
        self.made += _sum(paired.l1(fake, image))
        self.of_others += sum(_sum(paired.l1(y[None], image)) for y in self.others) / len(
            self.others
        )
        if truth is not None:
            self.has_truth = True
            self.of_truth += _sum(paired.l1(truth, image))

    def scores(self) -> dict[str, float]:
        """`unchanged`, and where pairs exist `unchanged_of_truth`."""
        result = {"unchanged": unchanged(self.made, self.of_others)}
        if self.has_truth:
            result["unchanged_of_truth"] = unchanged(self.of_truth, self.of_others)
        return result


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
    """Of three KIDs against the target's images, as `kid` gives them: `value`, or `why_not`."""
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
    if "confusion" in scores:
        table = scores["confusion"]
        counts = Confusion(torch.tensor(table["counts"]))
        found += [f"{direction}: {line}" for line in swaps(counts, table["classes"])]
    return found


def _kept(scores: Mapping[str, Any]) -> str | None:
    """What is kept, if it is more than is changed: in features, or in pixels beside the truth."""
    features, pixels = scores.get("unchanged_features", 0.0), scores.get("unchanged", 0.0)
    of_truth = scores.get("unchanged_of_truth", 1.0)
    if features >= UNCHANGED:
        return f"hardly changes its inputs: {features:.0%} unchanged in features"
    if pixels >= UNCHANGED and pixels - of_truth >= BEYOND_TRUTH:
        return f"keeps {pixels:.0%} of its inputs in pixels, where the truth keeps {of_truth:.0%}"
    return None


def swaps(confusion: Confusion, names: Sequence[str]) -> list[str]:
    """The pairs of classes each of which is mostly (over a half) taken for the other."""
    totals = confusion.counts.sum(1, keepdim=True).clamp_min(1)
    share = confusion.counts.double() / totals
    found = []
    for i, first in enumerate(names):
        for j, second in list(enumerate(names))[i + 1 :]:
            there, back = float(share[i, j]), float(share[j, i])
            if min(there, back) > 0.5:
                found.append(
                    f"{first} and {second} are swapped ({there:.0%} of {first} is {second},"
                    f" {back:.0%} of {second} is {first})"
                )
    return found


def _sum(values: Tensor) -> float:
    return float(values.double().sum())
