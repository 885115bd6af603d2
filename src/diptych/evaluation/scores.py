"""All scores that a translator and its data allow, direction by direction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from torch import Tensor

from diptych.data import Data, Images, Split, evaluation_pairs
from diptych.data.collections import evenly_spaced
from diptych.data.label_maps import LabelSquares
from diptych.data.raster import alike, view
from diptych.errors import InputError
from diptych.evaluation.adaptation import Classify, accuracies
from diptych.evaluation.attributes import attribute_scores
from diptych.evaluation.collapse import CollapseSums, finding, finite
from diptych.evaluation.distances import fid, kid
from diptych.evaluation.failures import Changes, findings, gain, unchanged_features
from diptych.evaluation.notes import channel_notes, score_notes
from diptych.evaluation.paired import PairedScores, mean_absolute_error
from diptych.evaluation.perceptual import Perceptual
from diptych.evaluation.precision import precision_and_recall
from diptych.evaluation.segmentation import FCNScore, Segmenter
from diptych.networks.features import FeatureNetwork, load_features

Translate = Callable[[Tensor, Any], Tensor]
"""Takes (B, C, H, W) images in [-1, 1] and a domain's name; returns images of that domain. If
domains are attributes, it takes a tuple of the names of all attributes of the result."""

_BATCH = 16


@dataclass(frozen=True)
class Scores:
    """The scores of a translator, a classifier or a generator, and how they were measured."""

    split: str
    features: str | None
    """The network whose features KID and FID compare; None if neither was computed."""
    directions: Mapping[str, Mapping[str, Any]]
    """Scores by direction, such as "climate→aerial", then by score."""
    notes: tuple[str, ...]
    domains: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Scores of a classifier, a segmenter or images made from noise, by domain, then by score."""
    resizing: str | None = None
    """How images were resized for the feature network."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """The failures, one sentence each."""
        found = [line for name, part in self.directions.items() for line in findings(name, part)]
        collapsed = (finding(name, part) for name, part in self.domains.items())
        return (*found, *filter(None, collapsed))

    def to_dict(self) -> dict[str, Any]:
        """Return a nested mapping of plain values.

        Directions and domains are keys beside "split", "features", "warnings" and "notes".
        Numbers that are not finite are None, so that the mapping is valid JSON.
        """
        facts = {"split": self.split, "features": self.features or "none"}
        if self.resizing is not None:
            facts["resizing"] = self.resizing
        parts = {k: dict(v) for k, v in [*self.directions.items(), *self.domains.items()]}
        return {**facts, **finite(parts), "warnings": self.warnings, "notes": self.notes}


def evaluate(
    translate: Translate,
    data: Data,
    split: str = "test",
    *,
    size: int,
    features: FeatureNetwork | Literal["auto"] | None = "auto",
    vgg16: FeatureNetwork | None = None,
    most: int | None = None,
    classify: Classify | None = None,
    segmenter: Segmenter | None = None,
    seed: int = 0,
    console: Console | None = None,
    memory: Memory | None = None,
) -> Scores:
    """Score translations in every direction between the data's domains.

    Images come from `split` (test, validation or train), scaled and cropped to `size` pixels.
    `most` limits the number of images translated in a direction; they are evenly spread.

    - Always: the cycle error, how much stays unchanged, and whether outputs have collapsed
      (`evaluation.collapse`). If outputs are not finite, their scores are None.
    - With `features` ("auto" is EfficientNet-Lite0 if it is installed): KID, precision and
      recall, and FID if there are enough images. `seed` draws KID's subsets.
    - With true pairs: L1, PSNR, SSIM, the share of pixels within 16, and perceptual distances
      (LPIPS and DISTS with `vgg16`). If the target shows labels, also per-pixel and per-class
      accuracy and mean class IoU. `untranslated` has the scores of the inputs themselves,
      except for perceptual distances.
    - With `classify`: its accuracy in each domain whose images are labelled.
    - With `segmenter`: the FCN score of each direction from labels to photos with true pairs,
      of the real photos, and of the label images themselves.

    If domains are attributes, a direction is a change of one attribute: see `attribute_scores`.
    `memory` keeps the features of real images for later calls with the same data, split, size
    and network.

    Raises:
        InputError: the split does not exist, or has no usable images.
        ValueError: `segmenter` was trained at another size.
    """
    if segmenter is not None and segmenter.size != size:
        raise ValueError(f"images have {size} pixels, but the segmenter needs {segmenter.size}")
    network = installed() if features == "auto" else features
    chosen = choose_split(data, split)
    paired_by = vgg16 or network
    perceptual = Perceptual(paired_by) if chosen.pairs is not None and paired_by else None
    options: Any = {"size": size, "most": most, "seed": seed}
    options["console"] = console or Console(stderr=True)
    if chosen.attributes is not None:
        results = attribute_scores(translate, data, chosen, network, **options)
    else:
        options |= {"segmenter": segmenter, "memory": memory}
        results = _between_domains(translate, data, chosen, network, perceptual, **options)
    return Scores(
        split=split,
        features=None if network is None else network.name,
        resizing=None if network is None else network.resizing,
        directions=results,
        notes=(
            *score_notes(chosen, network, perceptual, most),
            *channel_notes(data),
            *([segmenter.note] if segmenter else []),
        ),
        domains={} if classify is None else accuracies(classify, data, chosen, size=size),
    )


def _between_domains(
    translate: Translate,
    data: Data,
    chosen: Split,
    network: FeatureNetwork | None,
    perceptual: Perceptual | None,
    *,
    size: int,
    most: int | None,
    seed: int,
    console: Console,
    segmenter: Segmenter | None,
    memory: Memory | None,
) -> dict[str, dict[str, Any]]:
    """Return the scores of each direction, from each domain to each other domain."""
    images = chosen.pairs if chosen.pairs is not None else chosen.domains
    real = RealFeatures(data, images, network, size, memory)
    directions = [
        (source, target)
        for source in range(len(data.domains))
        for target in range(len(data.domains))
        if source != target
    ]
    results = {}
    bars = Progress(console=console, transient=True, disable=not console.is_terminal)
    with bars, torch.no_grad():
        for source, target in directions:
            names = data.domains[source], data.domains[target]
            name = "→".join(names)
            fcn = None if segmenter is None else segmenter.score(*names)
            others = real.some(target)
            if len({len(data.pixels[place].channels) for place in (source, target)}) > 1:
                others = view(others, data.pixels[target])
            palette = data.palettes.get(names[1])
            against_truth = PairedScores(palette), PairedScores(palette)
            one = _Direction(data, source, target, perceptual, Changes(others), fcn, *against_truth)
            one.collapse.targets.add(others)
            total = min(len(images[source]), most or len(images[source]))
            shown = one.sides(images, size) if chosen.pairs is not None else (images[source],)
            task = bars.add_task(escape(name), total=total)
            for image, *truth in _batches(shown, size, data.is_tiled, most):
                one.add(translate, network, image, *truth)
                bars.advance(task, len(image))
            results[name] = one.scores(real, seed, most)
    return results


@dataclass
class _Direction:
    """Sums over the batches of one direction."""

    data: Data
    source: int
    target: int
    perceptual: Perceptual | None
    changes: Changes
    fcn: FCNScore | None
    made: PairedScores
    """Scores of the translations."""
    untranslated: PairedScores
    """Scores of the inputs as they are."""
    collapse: CollapseSums = field(default_factory=CollapseSums)
    count: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    features: list[Tensor] = field(default_factory=list)

    def sides(self, pairs: Sequence[Images], size: int) -> tuple[Images, ...]:
        """Return source and target images, and the unmixed labels if labels are scored."""
        has_palette = self.made.palette is not None
        if not has_palette and self.fcn is None:
            return pairs[self.source], pairs[self.target]
        labels = self.target if has_palette else self.source
        unmixed = LabelSquares(pairs[labels], size=size, is_tiled=self.data.is_tiled)
        return pairs[self.source], pairs[self.target], unmixed

    def add(
        self,
        translate: Translate,
        network: FeatureNetwork | None,
        image: Tensor,
        truth: Tensor | None = None,
        labels: Tensor | None = None,
    ) -> None:
        """Add a batch of images, with true pairs also their truth and the labels of `sides`."""
        fake = translate(image, self.data.domains[self.target]).cpu()
        fake = self.collapse.add(fake, image)
        cycled = translate(fake, self.data.domains[self.source]).cpu()
        self.count += len(image)
        self._sum("cycle", mean_absolute_error(cycled, image))
        pixels = self.data.pixels
        source, target = pixels[self.source], pixels[self.target]
        comparable, input_ = alike(fake, target, image, source)
        true = None if truth is None else alike(truth, target, image, source)[0]
        self.changes.add(comparable, input_, true)
        shown = view(fake, target)
        if network is not None:
            self.features.append(network(shown).cpu())
        if truth is None or true is None:
            return
        self.made.add(fake, truth, labels)
        self.untranslated.add(input_, true, labels)
        if self.perceptual is not None:
            for name, values in self.perceptual(shown, view(truth, target)).items():
                self._sum(name, values)
        if self.fcn is not None and labels is not None:
            self.fcn.add(shown, view(truth, target), view(image, source), labels)

    def scores(self, real: RealFeatures, seed: int, most: int | None) -> dict[str, Any]:
        result: dict[str, Any] = {}
        if self.features:
            result |= self._of_features(real, torch.cat(self.features), seed, most)
        result |= {name: total / self.count for name, total in self.sums.items()}
        result |= self.changes.scores()
        if self.made.count:
            result |= self.made.scores()
            result["untranslated"] = self.untranslated.figures()
        if self.fcn is not None:
            result |= self.fcn.scores()
        return self.collapse.scores(result)

    def _of_features(
        self, real: RealFeatures, fakes: Tensor, seed: int, most: int | None
    ) -> dict[str, Any]:
        theirs, inputs = real.of(self.target), real.of(self.source, most)
        result: dict[str, Any] = {}
        result["kid"] = kid(theirs, fakes, seed=seed)
        result["kid_untranslated"] = kid(theirs, real.of(self.source), seed=seed)
        result["kid_of_real"] = kid(theirs, real.of_training(self.target), seed=seed)
        result["kid_gain"] = gain(*result.values())
        result["fid"] = fid(theirs, fakes)
        result |= precision_and_recall(theirs, fakes)
        if len(inputs) == len(fakes):  # not if a pair was left out because its partner is broken
            result["unchanged_features"] = unchanged_features(fakes, inputs, theirs)
            if self.changes.has_truth and len(theirs) == len(fakes):
                of_truth = unchanged_features(theirs, inputs, theirs)
                result["unchanged_features_of_truth"] = of_truth
        return result

    def _sum(self, name: str, values: Tensor) -> None:
        self.sums[name] = self.sums.get(name, 0.0) + float(values.double().sum())


Memory = dict[tuple[str, int, int], Tensor]
"""Features of real images, for one data set, split, size and network. The keys name the images."""


class RealFeatures:
    """Features of the real images. Each domain's are computed once."""

    def __init__(
        self,
        data: Data,
        images: Sequence[Images],
        network: FeatureNetwork | None,
        size: int,
        memory: Memory | None = None,
    ) -> None:
        self._data, self._images, self._network, self._size = data, images, network, size
        self._known: Memory = {} if memory is None else memory

    def of(self, domain: int, most: int | None = None) -> Tensor:
        """Return (N, D) features of at most `most` images of the scored split, evenly spread."""
        length = len(self._images[domain])
        return self._features("split", domain, self._images[domain], min(length, most or length))

    def some(self, domain: int) -> Tensor:
        """Return at most 16 images of the scored split, evenly spread, as (N, C, H, W)."""
        return next(_batches((self._images[domain],), self._size, self._data.is_tiled, _BATCH))[0]

    def of_training(self, domain: int) -> Tensor:
        """Return (N, D) features of as many training images as the split has, evenly spread."""
        return self._features(
            "train", domain, self._data.train.domains[domain], len(self._images[domain])
        )

    def _features(self, which: str, domain: int, images: Images, most: int) -> Tensor:
        key = (which, domain, most)
        if key not in self._known:
            assert self._network is not None
            batches = _batches((images,), self._size, self._data.is_tiled, most)
            parts = [self._network(view(batch, images.pixels)).cpu() for (batch,) in batches]
            self._known[key] = torch.cat(parts)
        return self._known[key]


def _batches(
    sides: Sequence[Images], size: int, is_tiled: bool, most: int | None = None
) -> Iterator[tuple[Tensor, ...]]:
    """Yield batches of at most `most` images, evenly spread, without unusable ones."""
    length = len(sides[0])
    indices = evenly_spaced(length, most or length)
    count = len(indices)
    problem: InputError | None = None
    is_empty = True
    for start in range(0, count, _BATCH):
        try:
            batch = evaluation_pairs(
                sides, indices[start : start + _BATCH], size=size, is_tiled=is_tiled
            )
        except InputError as error:  # every image of this batch is broken; others may be fine
            problem = problem or error
            continue
        is_empty = False
        yield batch
    if is_empty and problem is not None:
        raise problem


def installed() -> FeatureNetwork | None:
    """Return EfficientNet-Lite0 if it is installed, else None."""
    try:
        return load_features()
    except InputError:  # the features extra is not installed, which the scores' notes say
        return None


def choose_split(data: Data, split: str) -> Split:
    """Return the split called `split`: train, validation or test.

    Raises:
        InputError: there is no such split.
    """
    splits = {"train": data.train, "validation": data.validation, "test": data.test}
    if split not in splits:
        raise InputError(f"no split {split!r}; there are: {', '.join(splits)}")
    chosen = splits[split]
    if chosen is None:
        there = [name for name, value in splits.items() if value is not None]
        raise InputError(f"{data.source} has no {split} images; it has: {', '.join(there)}")
    return chosen
