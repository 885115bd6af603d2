"""Detect images that are unlike a translator's training images.

In Zhu et al. 2017, Sec. 6, a horse with a rider becomes a zebra with a striped rider, because no
training image showed a rider. A translator accepts any image without a warning, so we check
its inputs.

Whole images (Sun et al. 2022, arXiv:2204.06507): the distance of an image to a domain is the
Euclidean distance of its features to those of its k-th nearest training image. Features come
from a pretrained network and have unit length. We flag an image whose distance exceeds the
⌈0.99 (n + 1)⌉-th smallest distance of n validation images, which about one in a hundred
held-out images exceeds. With fewer than 99 validation images, this is their largest distance,
which one in n + 1 exceeds. Then each training image is also compared with all the others, and
the larger of the two thresholds is used. Without a validation split, only the second is used.

Parts (PatchCore, Roth et al. 2022, arXiv:2106.08265): a picture with a rider may look ordinary
as a whole, so we check its parts too. A part is the mean of 3x3 places in a middle map. An image
is as far away as its furthest part, and the threshold follows the same rule. At most about two
in a hundred held-out images exceed one of the two thresholds.

Deviations from the papers:

- k is 5 of at most 512 images, evenly spread. Sun et al. use 50 to 1,000 of thousands.
- Of the 49 parts of each image, 16 are kept in rotation, where PatchCore selects them.
- Parts come from one layer, not two, and the fifth nearest counts, not the first.
- Images are scaled to 112 pixels, not 224, which takes a quarter of the time.
- The quantile is 99%, not 95%, because people read the warnings.
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
from diptych.errors import InputError, counted
from diptych.evaluation.precision import kth_nearest
from diptych.files import atomic_write
from diptych.networks.features import FeatureNetwork, load_features

FAMILIARITY_FILE = "familiarity.safetensors"
"""The file lies beside a run's translator. A translator copied without it gives no warnings."""
NEIGHBOURS = 5
MOST = 512
"""Training images kept per domain, as features in half precision: 1.3 MB."""
QUANTILE = 0.99
PARTS = 16
"""Parts kept per training image, of 49: another 1.8 MB."""
_ENOUGH = 99
"""With fewer held-out images, more than one in a hundred similar images exceed the largest
distance."""
_SIDE = 112
_BATCH = 16
_NAMED = 5  # of unlike inputs
_FORMAT = 1
_LAYER = "stage5"
"""A layer of EfficientNet-Lite0, with 7x7 places for 112 pixels."""
_OF_PARTS = "parts/"
"""The prefix of a domain's parts in the file. Older versions ignore these tensors."""


class Look(NamedTuple):
    """Features of images, of unit length."""

    whole: Tensor
    """(B, D), one per image."""
    parts: Tensor
    """(B, P, C), at the same P places of each image."""


@dataclass(frozen=True)
class Familiarity:
    """Features of each domain's training images, and thresholds for the distances to them."""

    features: Mapping[str, Tensor]
    """(N, D) of unit length, by domain."""
    thresholds: Mapping[str, float]
    """The largest distance of a familiar image, by domain."""
    network: str
    fingerprint: str
    """The fingerprint of the data."""
    parts: Mapping[str, Tensor] = field(default_factory=dict)
    """(M, C) of unit length, by domain; empty in files of older versions."""
    part_thresholds: Mapping[str, float] = field(default_factory=dict)

    def distances(self, features: Tensor, domain: str) -> Tensor:
        """Return (B,) distances of (B, D) unit-length features to the domain's training images."""
        known = self.features[domain]
        return kth_nearest(features.double(), known.double(), min(NEIGHBOURS, len(known)))

    def is_unlike(self, seen: Look, domains: Sequence[str]) -> Tensor:
        """Return (B,) bool: whether an image, or a part of it, is unlike each of `domains`."""
        found = torch.ones(len(seen.whole), dtype=torch.bool)
        for name in domains:
            if found.any():  # otherwise the remaining domains cannot change the result
                found &= self._is_unlike(seen, name)
        return found

    def _is_unlike(self, seen: Look, domain: str) -> Tensor:
        found = self.distances(seen.whole, domain) > self.thresholds[domain]
        if domain in self.parts:
            furthest = part_distances(seen.parts, self.parts[domain])
            found |= furthest > self.part_thresholds[domain]
        return found


def part_distances(parts: Tensor, known: Tensor) -> Tensor:
    """Return (B,): each image's largest distance of a part to its k-th nearest known part.

    `parts` is (B, P, C) and `known` is (M, C).
    """
    k, found = min(NEIGHBOURS, len(known)), []
    for some in torch.split(parts, _BATCH):
        apart = torch.cdist(some.flatten(0, 1), known)
        nearest = apart.topk(k, largest=False).values[:, -1]  # eight times as fast as kthvalue
        found.append(nearest.reshape(len(some), -1).amax(1))
    return torch.cat(found)


def square(image: Image.Image) -> Tensor:
    """Return the middle of an RGB image as (3, 112, 112) in [-1, 1]."""
    return to_tensor(ImageOps.fit(image, (_SIDE, _SIDE), Image.Resampling.BICUBIC))


def look(network: FeatureNetwork, squares: Sequence[Tensor]) -> Look:
    """Return features of (3, 112, 112) images in [-1, 1].

    `whole` is the mean of the deepest map. `parts` are means of 3x3 places of a middle map.
    """
    deepest = network.layers[-1]
    with torch.no_grad():
        maps = network.maps(torch.stack(list(squares)), [_LAYER, deepest], is_resized=False)
    parts = F.avg_pool2d(maps[_LAYER], 3, stride=1, padding=1, count_include_pad=False)
    return Look(F.normalize(maps[deepest].mean((2, 3))), F.normalize(parts.flatten(2).mT, dim=2))


def learn_familiarity(network: FeatureNetwork, data: Data) -> Familiarity:
    """Compute features of each domain's training images, and thresholds from held-out images.

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
        features[name] = known.whole.half().float()  # rounded as in the file
        thresholds[name] = _limit(known.whole.double(), others.whole.double())
        parts[name] = _kept(known.parts).flatten(0, 1).half().float()
        part_thresholds[name] = _limit_of_parts(known.parts, others.parts)
    return Familiarity(features, thresholds, network.name, data.fingerprint, parts, part_thresholds)


def _kept(parts: Tensor) -> Tensor:
    """Keep at most `PARTS` parts of each image, from (N, P, C), so that all places take turns."""
    count, places, channels = parts.shape
    step = max(1, places // PARTS)
    chosen = torch.arange(min(PARTS, places)) * step + torch.arange(count)[:, None]
    return parts.gather(1, (chosen % places)[..., None].expand(-1, -1, channels))


def _limit(known: Tensor, held_out: Tensor) -> float:
    """Return a domain's threshold from (N, D) training images and (n, D) others; n may be 0."""
    limits = []
    if len(held_out):
        limits.append(threshold(kth_nearest(held_out, known, min(NEIGHBOURS, len(known)))))
    if len(held_out) < _ENOUGH:  # one more neighbour, since each image's nearest is itself
        limits.append(threshold(kth_nearest(known, known, min(NEIGHBOURS + 1, len(known)))))
    return max(limits)


def _limit_of_parts(known: Tensor, held_out: Tensor) -> float:
    """Return a domain's threshold from (N, P, C) parts of training images and (n, P, C) others."""
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
    """Return the value that about one in a hundred new distances exceeds.

    `distances` is (N,), of held-out images.
    """
    place = min(math.ceil(QUANTILE * (len(distances) + 1)), len(distances))
    return float(distances.sort().values[place - 1])


def save_familiarity(path: Path, known: Familiarity) -> None:
    """Write one safetensors file, whole or not at all.

    Raises:
        InputError: the file cannot be written.
    """
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
    """Read a file of `save_familiarity`; return None if it does not exist.

    Raises:
        InputError: the file is damaged, or of another format version.
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
                " remove it, and diptych evaluate writes a new one"
            )
        thresholds, of_parts = facts["thresholds"], facts.get("part_thresholds", {})
        features = {name: found[name] for name in thresholds}
        parts = {name: found[_OF_PARTS + name] for name in of_parts}
        return Familiarity(
            features, thresholds, facts["network"], facts["fingerprint"], parts, of_parts
        )
    except (SafetensorError, OSError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise InputError(
            f"{path} is damaged ({error}): remove it, and diptych evaluate writes a new one"
        ) from error


class Watch:
    """Checks the inputs of a translator, and remembers those unlike the training images."""

    def __init__(self, known: Familiarity, network: FeatureNetwork, domains: Sequence[str]) -> None:
        """`domains` are the domains that an input may belong to."""
        self._known, self._network, self._domains = known, network, tuple(domains)
        self._waiting: list[tuple[str, Tensor]] = []
        self.seen = 0
        self.unlike: list[str] = []
        """Names of the unlike images, in the order of the inputs."""

    def see(self, name: str, image: Image.Image) -> None:
        """Check an RGB image. Images are collected and checked in batches."""
        self._waiting.append((name, square(image)))
        if len(self._waiting) == _BATCH:
            self._look()

    def finding(self) -> str | None:
        """Return one line about the images unlike the training images; None if there are none."""
        if self._waiting:
            self._look()
        if not self.unlike:
            return None
        shown = ", ".join(self.unlike[:_NAMED])
        more = f" and {len(self.unlike) - _NAMED} more" if len(self.unlike) > _NAMED else ""
        are = "is" if len(self.unlike) == 1 else "are"
        return (
            f"{len(self.unlike)} of {counted(self.seen, 'input')} {are} unlike the training images"
            f" of {' or '.join(self._domains)}, as a whole or in a part, so expect little:"
            f" {shown}{more}"
        )

    def _look(self) -> None:
        seen = look(self._network, [pixels for _, pixels in self._waiting])
        is_unlike = self._known.is_unlike(seen, self._domains).tolist()
        self.unlike += [n for (n, _), odd in zip(self._waiting, is_unlike, strict=True) if odd]
        self.seen += len(self._waiting)
        self._waiting.clear()


def watch(folder: Path, domains: Sequence[str], fingerprint: str) -> Watch | None:
    """Return a `Watch` for the translator in `folder`, trained on the data of `fingerprint`.

    Return None if the run was not scored since training, if no domain is given, or if the
    feature network is not installed.

    Raises:
        InputError: the familiarity file is damaged, or of another format version.
    """
    known = read_familiarity(folder / FAMILIARITY_FILE)
    if known is None or known.fingerprint != fingerprint or not domains:
        return None
    try:
        return Watch(known, load_features(known.network), domains)
    except InputError:  # not installed here
        return None


def _looks(network: FeatureNetwork, images: Images) -> Look:
    """Return features of at most `MOST` images, evenly spread, without unusable ones."""
    indices = evenly_spaced(len(images), MOST)
    found: list[Look] = []
    batch: list[Tensor] = []
    problem: InputError | None = None
    for index in indices:
        try:
            batch.append(square(images.read(index).picture(images.pixels)))
        except InputError as error:
            problem = problem or error
        if batch and (len(batch) == _BATCH or index == indices[-1]):
            found.append(look(network, batch))
            batch = []
    if not found:
        raise problem or InputError("there are no images to learn from")
    return joined(found)


def joined(looks: Sequence[Look]) -> Look:
    """Concatenate several looks."""
    return Look(*(torch.cat(tensors) for tensors in zip(*looks, strict=True)))
