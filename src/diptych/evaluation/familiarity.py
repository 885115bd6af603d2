"""Whether an image is like those that a translator was trained on.

Zhu et al. 2017, Sec. 6: a horse with a rider becomes a zebra with a striped rider, as no
training image showed one. A translator takes any image and says nothing. Here an image's
distance to a domain is that of its features to the k-th nearest of the domain's training
images (Sun et al. 2022, arXiv:2204.06507): unit-length features of a pretrained network,
Euclidean distance. It is *unlike* the domain beyond a threshold that at most about one in a
hundred held-out images exceed: the ⌈0.99 (n + 1)⌉-th smallest of n distances of validation
images. Where there are fewer than 99 that is their largest, which one in n + 1 exceeds; then,
and without a validation split, the training images themselves are held out, each from all the
others, and the further of the two thresholds holds.

A rider is a part of a picture that as a whole is like others. So parts are judged too (Roth et
al. 2022, arXiv:2106.08265, PatchCore): a middle map's features, each the mean of 3x3 places,
against those of the training images; an image is as far off as its furthest part, with a
threshold of its own by the same rule. Both together are exceeded by at most about two in a hundred.

Deviations: k is 5 of at most 512 images, evenly spread (the paper: 50 to 1,000 of
thousands); of the 49 parts of each 16 are kept, by turns, where PatchCore selects; their layer is
one, not two, and the fifth nearest counts, not the first; images are seen as squares of 112
pixels, not 224, for a quarter of the time; the threshold's quantile is 99%, not 95%, as it is a
person who reads the warnings.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as safetensors_bytes
from torch import Tensor

from diptych.data import Data, Images
from diptych.data.collections import evenly_spaced
from diptych.data.images import to_tensor
from diptych.errors import InputError
from diptych.evaluation.precision import kth_nearest
from diptych.files import atomic_write
from diptych.networks.features import FeatureNetwork, load_features

FAMILIARITY_FILE = "familiarity.safetensors"
"""Beside a run's translator; who passes the translator on alone has no warnings."""
NEIGHBOURS = 5
MOST = 512
"""Training images of a domain that are kept, as features of half precision: 1.3 MB."""
QUANTILE = 0.99
PARTS = 16
"""Parts kept of the 49 of each training image: 1.8 MB more."""
_ENOUGH = 99
"""Held-out images: of fewer, more than one in a hundred images like them exceed the largest."""
_SIDE = 112
_BATCH = 16
_NAMED = 5  # of unlike inputs
_FORMAT = 1
_LAYER = "stage5"
"""EfficientNet-Lite0's, of 7x7 places for 112 pixels."""
_OF_PARTS = "parts/"
"""Before a domain's name, in a file: older versions read on."""


class Look(NamedTuple):
    """Features of images, of unit length."""

    whole: Tensor
    """(B, D)."""
    parts: Tensor
    """(B, P, C), of the same P places of each."""


@dataclass(frozen=True)
class Familiarity:
    """What the training images of each domain look like to a feature network."""

    features: Mapping[str, Tensor]
    """By domain, (N, D) of unit length."""
    thresholds: Mapping[str, float]
    """By domain: distances above it are unlike."""
    network: str
    fingerprint: str
    """The fingerprint of the data."""
    parts: Mapping[str, Tensor] = field(default_factory=dict)
    """By domain, (M, C) of unit length; none in the files of older versions."""
    part_thresholds: Mapping[str, float] = field(default_factory=dict)

    def distances(self, features: Tensor, domain: str) -> Tensor:
        """(B,), of (B, D) features of unit length, to the domain's training images."""
        known = self.features[domain]
        return kth_nearest(features.double(), known.double(), min(NEIGHBOURS, len(known)))

    def is_unlike(self, seen: Look, domains: Sequence[str]) -> Tensor:
        """(B,) bool: whether images are unlike every one of `domains`, as a whole or in a part."""
        found = torch.ones(len(seen.whole), dtype=torch.bool)
        for name in domains:
            if found.any():  # else the other domains need not be asked
                found &= self._is_unlike(seen, name)
        return found

    def _is_unlike(self, seen: Look, domain: str) -> Tensor:
        found = self.distances(seen.whole, domain) > self.thresholds[domain]
        if domain in self.parts:
            furthest = part_distances(seen.parts, self.parts[domain])
            found |= furthest > self.part_thresholds[domain]
        return found


def part_distances(parts: Tensor, known: Tensor) -> Tensor:
    """(B,): of (B, P, C) images' parts the furthest from its k-th nearest of (M, C) known ones."""
    k, found = min(NEIGHBOURS, len(known)), []
    for some in torch.split(parts, _BATCH):
        apart = torch.cdist(some.flatten(0, 1), known)
        nearest = apart.topk(k, largest=False).values[:, -1]  # eight times as fast as kthvalue
        found.append(nearest.reshape(len(some), -1).amax(1))
    return torch.cat(found)


def square(image: Image.Image) -> Tensor:
    """The middle of an RGB image as (3, 112, 112) in [-1, 1]."""
    return to_tensor(ImageOps.fit(image, (_SIDE, _SIDE), Image.Resampling.BICUBIC))


def look(network: FeatureNetwork, squares: Sequence[Tensor]) -> Look:
    """Features of images: the deepest map's mean, and a middle map's means of 3x3 places."""
    deepest = network.layers[-1]
    with torch.no_grad():
        maps = network.maps(torch.stack(list(squares)), [_LAYER, deepest], is_resized=False)
    parts = F.avg_pool2d(maps[_LAYER], 3, stride=1, padding=1, count_include_pad=False)
    return Look(F.normalize(maps[deepest].mean((2, 3))), F.normalize(parts.flatten(2).mT, dim=2))


def learn_familiarity(network: FeatureNetwork, data: Data) -> Familiarity:
    """From the training images of each domain, and thresholds from held-out ones.

    Raises:
        InputError: none of a domain's images can be used.
    """
    features, thresholds, parts, part_thresholds = {}, {}, {}, {}
    for index, name in enumerate(data.domains):
        known = _looks(network, data.train.domains[index])
        held_out = None if data.validation is None else data.validation.domains[index]
        others = Look(known.whole[:0], known.parts[:0])
        if held_out is not None and len(held_out):
            others = _looks(network, held_out)
        features[name] = known.whole.half().float()  # as it is saved
        thresholds[name] = _limit(known.whole.double(), others.whole.double())
        parts[name] = _kept(known.parts).flatten(0, 1).half().float()
        part_thresholds[name] = _limit_of_parts(known.parts, others.parts)
    return Familiarity(features, thresholds, network.name, data.fingerprint, parts, part_thresholds)


def _kept(parts: Tensor) -> Tensor:
    """At most `PARTS` of each image's (N, P, C) parts, so that all places have their turn."""
    count, places, channels = parts.shape
    step = max(1, places // PARTS)
    chosen = torch.arange(min(PARTS, places)) * step + torch.arange(count)[:, None]
    return parts.gather(1, (chosen % places)[..., None].expand(-1, -1, channels))


def _limit(known: Tensor, held_out: Tensor) -> float:
    """The threshold of a domain, of (N, D) training images and (n, D) others, n = 0 included."""
    limits = []
    if len(held_out):
        limits.append(threshold(kth_nearest(held_out, known, min(NEIGHBOURS, len(known)))))
    if len(held_out) < _ENOUGH:  # the nearest of each is itself
        limits.append(threshold(kth_nearest(known, known, min(NEIGHBOURS + 1, len(known)))))
    return max(limits)


def _limit_of_parts(known: Tensor, held_out: Tensor) -> float:
    """The same of (N, P, C) parts and (n, P, C)."""
    kept, limits = _kept(known), []
    if len(held_out):
        limits.append(threshold(part_distances(held_out, kept.flatten(0, 1))))
    if len(held_out) < _ENOUGH and len(kept) > 1:
        apart = [
            part_distances(known[i : i + 1], torch.cat([kept[:i], kept[i + 1 :]]).flatten(0, 1))
            for i in range(len(kept))
        ]
        limits.append(threshold(torch.cat(apart)))
    return max(limits, default=0.0)


def threshold(distances: Tensor) -> float:
    """What about one in a hundred further distances exceed, of (N,) held-out ones."""
    place = min(math.ceil(QUANTILE * (len(distances) + 1)), len(distances))
    return float(distances.sort().values[place - 1])


def save_familiarity(path: Path, known: Familiarity) -> None:
    """One safetensors file, whole or not at all. Raises InputError where it cannot be written."""
    facts = {
        "format": _FORMAT,
        "thresholds": dict(known.thresholds),
        "network": known.network,
        "fingerprint": known.fingerprint,
        "part_thresholds": dict(known.part_thresholds),
    }
    kept = {**known.features, **{_OF_PARTS + name: part for name, part in known.parts.items()}}
    tensors = {name: value.half().contiguous() for name, value in kept.items()}
    data = safetensors_bytes(tensors, metadata={"familiarity": json.dumps(facts)})
    try:
        with atomic_write(path) as file:
            file.write(data)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error}") from error


def read_familiarity(path: Path) -> Familiarity | None:
    """What `save_familiarity` wrote; None where there is none.

    Raises:
        InputError: the file is damaged, or of another version.
    """
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as tensors:
            facts = json.loads((tensors.metadata() or {}).get("familiarity", "null"))
            found = {name: tensors.get_tensor(name).float() for name in tensors.keys()}  # noqa: SIM118
        if facts["format"] != _FORMAT:
            raise InputError(
                f"{path} has format {facts['format']}: this version of Diptych reads {_FORMAT};"
                " remove it, and diptych evaluate writes it anew"
            )
        thresholds, of_parts = facts["thresholds"], facts.get("part_thresholds", {})
        features = {name: found[name] for name in thresholds}
        parts = {name: found[_OF_PARTS + name] for name in of_parts}
        return Familiarity(
            features, thresholds, facts["network"], facts["fingerprint"], parts, of_parts
        )
    except (SafetensorError, OSError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise InputError(
            f"{path} is damaged ({error}): remove it, and diptych evaluate writes it anew"
        ) from error


class Watch:
    """Looks at images on their way into a translator, and remembers those that are unlike."""

    def __init__(self, known: Familiarity, network: FeatureNetwork, domains: Sequence[str]) -> None:
        """`domains`: those that inputs may be of."""
        self._known, self._network, self._domains = known, network, tuple(domains)
        self._waiting: list[tuple[str, Tensor]] = []
        self.seen = 0
        self.unlike: list[str] = []
        """Names, in the order in which they came."""

    def see(self, name: str, image: Image.Image) -> None:
        """Note an image; several are looked at together."""
        self._waiting.append((name, square(image)))
        if len(self._waiting) == _BATCH:
            self._look()

    def finding(self) -> str | None:
        """One line on the images that are unlike the training's; None where all are like them."""
        if self._waiting:
            self._look()
        if not self.unlike:
            return None
        shown = ", ".join(self.unlike[:_NAMED])
        more = f" and {len(self.unlike) - _NAMED} more" if len(self.unlike) > _NAMED else ""
        are = "is" if len(self.unlike) == 1 else "are"
        return (
            f"{len(self.unlike)} of {self.seen} inputs {are} unlike the training images of"
            f" {' or '.join(self._domains)}, as a whole or in a part, so expect little:"
            f" {shown}{more}"
        )

    def _look(self) -> None:
        seen = look(self._network, [pixels for _, pixels in self._waiting])
        is_unlike = self._known.is_unlike(seen, self._domains).tolist()
        self.unlike += [n for (n, _), odd in zip(self._waiting, is_unlike, strict=True) if odd]
        self.seen += len(self._waiting)
        self._waiting.clear()


def watch(folder: Path, domains: Sequence[str], fingerprint: str) -> Watch | None:
    """For inputs of a translator in `folder`, trained on the data of `fingerprint`.

    None where there is nothing to go by: no scores were made since training, or the
    feature network is not installed.

    Raises:
        InputError: the file is damaged.
    """
    known = read_familiarity(folder / FAMILIARITY_FILE)
    if known is None or known.fingerprint != fingerprint or not domains:
        return None
    try:
        return Watch(known, load_features(known.network), domains)
    except InputError:  # not installed here
        return None


def _looks(network: FeatureNetwork, images: Images) -> Look:
    """Features of at most `MOST` images, evenly spread; unusable ones are left out."""
    indices = evenly_spaced(len(images), MOST)
    found: list[Look] = []
    batch: list[Tensor] = []
    problem: InputError | None = None
    for index in indices:
        try:
            batch.append(square(images.read(index)))
        except InputError as error:
            problem = problem or error
        if batch and (len(batch) == _BATCH or index == indices[-1]):
            found.append(look(network, batch))
            batch = []
    if not found:
        raise problem or InputError("there are no images to learn from")
    return joined(found)


def joined(looks: Sequence[Look]) -> Look:
    """Several as one."""
    return Look(*(torch.cat(tensors) for tensors in zip(*looks, strict=True)))
