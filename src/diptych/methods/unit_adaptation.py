"""UNIT for domain adaptation (Liu, Breuel, Kautz 2017, arXiv:1703.00848, Sec. 4).

A classifier for a target domain of which no image is labelled. Translation between
the labelled source (domain 1) and the target (domain 2), and classification of the
source by the discriminator's features, are learnt together. The high layers of D1 and
D2 are tied, so that what classifies the source classifies the target; and the features
of each pair of images that is generated from one code are drawn together in L1.

The networks, the reductions and all weights are those of the authors' code for
SVHN→MNIST (the appendix's small network); the paper names no weights for this. Where
the code sums over an image, a code or the features, here are means with the weight
multiplied by the number of elements at its width of 64, so that neither width nor size
shifts the balance.

Where code and paper differ, this file follows
- the paper in the L1 distance of the features; the code squares it (`feature_loss`);
- the code in a code whose deviation is learnt, where the paper's Sec. 3 has unit
  variance; in a Gaussian likelihood, squared errors, where Sec. 3 has a Laplacian; in
  a GAN that judges reconstructions as well as translations; and in no cycle
  consistency, which the paper, too, found unnecessary here.

Beyond both, and off by default: classifying translated source images by the source's
labels (`translated_weight`), and random turns, scales and shifts (`augment`).

Deviations: the last weights are used, where the code keeps those with the best score on
the target's labelled test images; KL has its ½ and its -1 (the weight makes up for the
½); one sigmoid where the code has a softmax of two; D is updated first, then E and G, by
the same draw of the codes, where the code draws again in between; the features of a
pair are compared with the same dropout in both, where the code has none there and
features that were nothing without it satisfied distance and classifier; D's verdict on
a source image and its class come from one pass, dropout included; grey images have
three equal channels, where the code has one (`grey`); E and G begin like D by Glorot's
rule, where the code has N(0, 0.02²), whose scale batch norm undoes; E2, G2 and D2 begin as
copies of E1, G1 and D1, so that every pair is one image at first and has one class.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import ClassVar, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diptych.errors import InputError, check_bounds, equal_channel_count, two_channel_counts
from diptych.networks.augmentation import augmented, half_inverted
from diptych.objectives import LOG, l1
from diptych.types import Adapting, Clock, Group, Recipe, Update, adam

SUMMARY = "UNIT with a classifier: labels of one domain, predictions in the other"

SIZE = 32
"""The encoders end, and the generators begin, in maps of 1x1."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """The options; the defaults are those of the authors' code."""

    width: int = 64
    """Channels of the first layer of each network; 64 in the appendix."""
    size: int = SIZE
    """Pixels a side; the networks are made for 32."""
    batch_size: int = 64
    """Images of each domain a step; 64 in the authors' code."""
    classes: int = 10
    """Classes that the source is labelled with."""
    gan_weight: float = 1.0
    """Weight of the adversarial losses; 1 in the authors' code. 0 is the classifier alone."""
    classification_weight: float = 10.0
    """Weight of the source's cross-entropy; 10 in the authors' code."""
    feature_weight: float = 0.2048
    """Weight of the pairs' distance; 1e-4 in the authors' code for a sum over 2,048 features."""
    feature_loss: Literal["l1", "l2"] = "l1"
    """The distance: |·| in Sec. 4, squares in the authors' code."""
    kl_weight: float = 0.1024
    """Weight of the codes' divergence; 1e-4 in the authors' code for twice a sum over 512
    elements."""
    reconstruction_weight: float = 3.072
    """Weight of the squared error; 1e-3 in the authors' code for a sum over 3,072 elements."""
    coordinates: bool = True
    """Show the encoders each pixel's place as two more channels, as the authors' code does."""
    grey: Literal["neither", "source", "target", "both"] = "neither"
    """Which domains are grey: the generators' three channels are averaged for them."""
    invert_target: bool = False
    """Turn every other target image into its negative: the authors' code, for MNIST."""
    invert_source: bool = False
    """The same for the source, where that is MNIST."""
    translated_weight: float = 0.0
    """Weight of the cross-entropy of translated source images, labelled as these; not in the
    paper."""
    augment: bool = False
    """Turn, scale and shift every image a little, at random; not in the paper."""
    lr: float = 2e-4
    """Adam's learning rate; 2e-4 in the authors' code."""
    beta1: float = 0.5
    """Adam's momentum; 0.5 in the authors' code."""
    weight_decay: float = 5e-4
    """Adam's; 5e-4 in the authors' code."""
    decay_from: float = 1.0
    """Share of the budget at a constant rate before its linear fall to 0; the paper has none."""

    def __post_init__(self) -> None:
        least = {"width": 1, "batch_size": 2, "classes": 2, "lr": 0, "weight_decay": 0}
        weights = ("gan", "classification", "translated", "feature", "kl", "reconstruction")
        least |= {f"{name}_weight": 0 for name in weights}
        check_bounds(self, least, shares=("decay_from", "beta1"))
        if self.size != SIZE:
            raise InputError(f"size is {self.size}: unit_adaptation's networks are for {SIZE}")
        if not (self.gan_weight or self.classification_weight):
            raise InputError("gan_weight and classification_weight are both 0")

    @property
    def adapts(self) -> bool:
        """Whether there is more than the source's classifier to train."""
        return self.gan_weight > 0


PRESETS: Mapping[str, Mapping[str, int | float]] = {
    "fast": {"size": SIZE, "width": 16, "batch_size": 32, "lr": 5e-4}
}
"""Those of `benchmarks/adaptation.py`, its 1.5e-3 divided by the preset's three."""

RECIPES: Mapping[str, Recipe] = {
    "source-only": Recipe(
        "the same classifier without the target; the oracle, where the target comes first",
        {"gan_weight": 0.0},
    ),
    "svhn-mnist": Recipe(
        "SVHN to MNIST (Sec. 4, Table 3): the target is grey, and its negatives are seen too",
        {"grey": "target", "invert_target": True},
        {"steps": 200_000},
    ),
}


class UNITAdaptation(nn.Module):
    """D1 and D2 hold what is not tied; D_shared ends in the features that are classified."""

    batch_type: ClassVar[type[Adapting]] = Adapting
    inference_modules: ClassVar[tuple[str, ...]] = (
        "E1", "E2", "E_shared", "E_mu", "G_shared", "G1", "G2", "D1", "D2", "D_shared", "C",
    )  # fmt: skip
    exportable: ClassVar[bool] = True
    fixed_size: ClassVar[int | None] = SIZE
    size_multiple: ClassVar[int] = SIZE

    def __init__(self, config: Config, channels: Sequence[int] = (3, 3)) -> None:
        super().__init__()
        two_channel_counts("unit_adaptation", channels)
        count = equal_channel_count(
            channels, "unit_adaptation begins with the same weights for both domains"
        )
        self.config, w = config, config.width
        seen = count + 2 if config.coordinates else count
        self.E1, self.E2 = _down(seen, w, 5, 2), _down(seen, w, 5, 2)
        self.E_shared = nn.Sequential(  # 16x16 to 1x1
            *_down(w, 2 * w, 5, 2),
            *_down(2 * w, 4 * w, 8, 1, padding=0),
            *_down(4 * w, 8 * w, 1, 1),
        )
        self.E_mu, self.E_sigma = nn.Conv2d(8 * w, 8 * w, 1), nn.Conv2d(8 * w, 8 * w, 1)
        self.G_shared = nn.Sequential(  # 1x1 to 16x16
            *_up(8 * w, 8 * w, padding=0), *_up(8 * w, 4 * w), *_up(4 * w, 2 * w)
        )
        self.G1, self.G2 = _to_image(w, count), _to_image(w, count)
        self.D1, self.D2 = _pooled(count, w), _pooled(count, w)
        self.D_shared = nn.ModuleList(_pooled(a, b) for a, b in pairwise((w, 2 * w, 4 * w, 8 * w)))
        self.D_real = nn.Conv2d(8 * w, 1, 2)
        self.C = nn.Conv2d(8 * w, config.classes, 2)
        _init_xavier(self)
        if config.adapts:
            for second, first in ((self.E2, self.E1), (self.G2, self.G1), (self.D2, self.D1)):
                second.load_state_dict(first.state_dict())

    @property
    def classes(self) -> int:
        return self.config.classes

    def groups(self) -> dict[str, Group]:
        c = self.config
        group = partial(adam, c, weight_decay=c.weight_decay)
        if not c.adapts:
            return {"discriminators": group(self.D1, self.D_shared, self.C)}
        judges = (self.D1, self.D2, self.D_shared, self.D_real)
        classifier = (self.C,) if c.classification_weight or c.translated_weight else ()
        encoders = (self.E1, self.E2, self.E_shared, self.E_mu, self.E_sigma)
        return {
            "discriminators": group(*judges, *classifier),
            "vaes": group(*encoders, self.G_shared, self.G1, self.G2),
        }

    def iteration(self, batches: Iterator[Adapting], clock: Clock) -> Iterator[Update]:
        c = self.config
        batch = next(batches)
        x1, label, x2 = batch.x, batch.x_label, batch.y
        if c.augment:
            x1, x2 = augmented(x1, clock.rng), augmented(x2, clock.rng)
        if c.invert_source:
            x1 = half_inverted(x1, clock.rng)
        if not c.adapts:
            classification = F.cross_entropy(self._class_scores(self._features(self.D1(x1))), label)
            terms = {"classification": classification}
            yield Update("discriminators", c.classification_weight * classification, terms)
            return
        if c.invert_target:
            x2 = half_inverted(x2, clock.rng)

        mu, sigma = self._codes(x1, x2)
        h = self.G_shared(self._sample(mu, sigma, clock.rng))  # of x1, then of x2
        x11, x21 = self._image(h, 0).chunk(2)  # reconstructed, and translated from 2 to 1
        x12, x22 = self._image(h, 1).chunk(2)

        f1, f2 = self._features(torch.cat([self.D1(x1), self.D2(x2)])).chunk(2)
        h11, h21 = self.D1(torch.cat([x11, x21]).detach()).chunk(2)
        h12, h22 = self.D2(torch.cat([x12, x22]).detach()).chunk(2)
        fakes = self._features(torch.cat([h11, h21, h12, h22]), in_pairs=True)
        f11, f21, f12, f22 = fakes.chunk(4)
        terms = {
            # Half of the generated images are translations, half reconstructions.
            "D": LOG.tell_apart(self.D_real(torch.cat([f1, f2])), self.D_real(fakes)),
            "feature": self._distance(f11, f12) + self._distance(f21, f22),
        }
        loss = c.gan_weight * terms["D"] + c.feature_weight * terms["feature"]
        if c.classification_weight:
            terms["classification"] = F.cross_entropy(self._class_scores(f1), label)
            loss = loss + c.classification_weight * terms["classification"]
        if c.translated_weight:
            terms["translated"] = F.cross_entropy(self._class_scores(f12), label)
            loss = loss + c.translated_weight * terms["translated"]
        yield Update("discriminators", loss, terms)

        # Resumed here only after the trainer has stepped D1 and D2: Sec. 3.
        reconstructed = torch.cat([self.D1(x11), self.D2(x22)])
        translated = torch.cat([self.D1(x21), self.D2(x12)])
        terms = {
            "adversarial": LOG.fool(self.D_real(self._features(reconstructed)))
            + LOG.fool(self.D_real(self._features(translated))),
            "kl": 2 * kl(mu, sigma),  # of either domain, by the mean over both
            "reconstruction": F.mse_loss(x11.float(), x1) + F.mse_loss(x22.float(), x2),
        }
        loss = c.gan_weight * terms["adversarial"] + c.kl_weight * terms["kl"]
        loss = loss + c.reconstruction_weight * terms["reconstruction"]
        yield Update("vaes", loss, terms)

    def classify(self, image: Tensor, source: int) -> Tensor:
        """(B, C, 32, 32) in [-1, 1] of domain `source` to (B, classes) scores, by tied layers.

        Without a target in training, D1 sees its images too.
        """
        D = self.D2 if source == 1 and self.config.adapts else self.D1
        return self._class_scores(self._features(D(image)))

    def translate(
        self, image: Tensor, to: tuple[int, ...], rng: torch.Generator | None = None
    ) -> Tensor:
        """(B, C, 32, 32) in [-1, 1], by the mean of the code."""
        assert to in ((0,), (1,)), to
        return self.decode(self.encode(image, 1 - to[0]), to[0])

    def encode(self, image: Tensor, source: int) -> Tensor:
        """(B, C, 32, 32) in [-1, 1] of domain `source` to the mean (B, 8 width, 1, 1)."""
        E = (self.E1, self.E2)[source]
        return cast(Tensor, self.E_mu(self.E_shared(E(self._placed(image)))))

    def decode(self, z: Tensor, to: int) -> Tensor:
        """A code (B, 8 width, 1, 1) to an image (B, C, 32, 32) in [-1, 1] of domain `to`."""
        return self._image(self.G_shared(z), to)

    def generate(self, n: int, to: int, rng: torch.Generator) -> Tensor:
        """(n, C, 32, 32) in [-1, 1], decoded from z ~ N(0, I)."""
        z = torch.randn((n, 8 * self.config.width, 1, 1), generator=rng)
        return self.decode(z.to(next(self.parameters()).device), to)

    def _image(self, h: Tensor, to: int) -> Tensor:
        image = (self.G1, self.G2)[to](h)
        is_grey = self.config.grey in ("both", ("source", "target")[to])
        return image.mean(1, keepdim=True).expand_as(image) if is_grey else cast(Tensor, image)

    def _codes(self, x1: Tensor, x2: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and deviation of each, of x1 and then of x2; one batch to the batch norm."""
        own = torch.cat([self.E1(self._placed(x1)), self.E2(self._placed(x2))])
        h = self.E_shared(own)
        return self.E_mu(h), F.softplus(self.E_sigma(h).float())

    @staticmethod
    def _sample(mu: Tensor, sigma: Tensor, rng: torch.Generator) -> Tensor:
        return mu + sigma * torch.randn(mu.shape, generator=rng).to(mu)

    def _placed(self, image: Tensor) -> Tensor:
        """With row and column of each pixel, in [-1, 1), as two more channels."""
        if not self.config.coordinates:
            return image
        place = torch.arange(SIZE, device=image.device) / (SIZE / 2) - 1
        rows_columns = torch.stack(torch.meshgrid(place, place, indexing="ij"))
        return torch.cat([image, rows_columns.to(image).expand(len(image), -1, -1, -1)], 1)

    def _features(self, h: Tensor, *, in_pairs: bool = False) -> Tensor:
        """(B, 8 width, 2, 2): the highest features, of what D1 or D2 made of an image.

        `in_pairs`: dropout leaves the same ones of an image and of the one B/2 further on.
        """
        h = self._dropout(h, 0.1, in_pairs)
        for block, rate in zip(self.D_shared, (0.3, 0.5, 0.5), strict=True):
            h = self._dropout(block(h), rate, in_pairs)
        return h

    def _dropout(self, h: Tensor, rate: float, in_pairs: bool) -> Tensor:
        if not in_pairs:
            return F.dropout(h, rate, self.training)
        kept = F.dropout(torch.ones_like(h[: len(h) // 2]), rate, self.training)
        return h * kept.repeat(2, 1, 1, 1)

    def _class_scores(self, features: Tensor) -> Tensor:
        return cast(Tensor, self.C(features)).flatten(1).float()

    def _distance(self, features: Tensor, others: Tensor) -> Tensor:
        if self.config.feature_loss == "l1":
            return l1(features, others)
        return F.mse_loss(features.float(), others.float())


def kl(mu: Tensor, sigma: Tensor) -> Tensor:
    """KL(N(`mu`, `sigma`²) || N(0, I)), averaged over batch and code."""
    square = sigma.float().square()
    return 0.5 * (mu.float().square() + square - square.log() - 1).mean()


class _BatchNorm(nn.BatchNorm2d):
    """With a bias and no scale, as the authors' code has it."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, affine=False)
        self.shift = nn.Parameter(torch.zeros(channels))

    def forward(self, h: Tensor) -> Tensor:
        return super().forward(h) + self.shift[:, None, None]


def _down(
    channels: int, k: int, kernel: int, stride: int, padding: int | None = None
) -> nn.Sequential:
    """CONV-(N`k`,K`kernel`,S`stride`), batch norm, leaky ReLU."""
    around = kernel // 2 if padding is None else padding
    convolution = nn.Conv2d(channels, k, kernel, stride=stride, padding=around)
    return nn.Sequential(convolution, _BatchNorm(k), nn.LeakyReLU())


def _up(channels: int, k: int, padding: int = 1) -> nn.Sequential:
    """DCONV-(N`k`,K4,S2), batch norm, leaky ReLU."""
    convolution = nn.ConvTranspose2d(channels, k, 4, stride=2, padding=padding)
    return nn.Sequential(convolution, _BatchNorm(k), nn.LeakyReLU())


def _to_image(w: int, channels: int) -> nn.Sequential:
    """A generator's own layers: 16x16 to 32x32, DCONV-(N`w`,K4,S2) and DCONV-(N3,K1,S1)."""
    return nn.Sequential(*_up(2 * w, w), nn.ConvTranspose2d(w, channels, 1), nn.Tanh())


def _pooled(channels: int, k: int) -> nn.Sequential:
    """CONV-(N`k`,K5,S1), ReLU, 2x2 max pooling; these two commute, and this way costs less."""
    return nn.Sequential(nn.Conv2d(channels, k, 5, padding=2), nn.MaxPool2d(2), nn.ReLU())


def _init_xavier(network: nn.Module) -> None:
    """Glorot and Bengio's uniform weights, gain √2, biases of 0.1: the authors' code, for D."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.xavier_uniform_(module.weight, gain=2**0.5)
            assert module.bias is not None
            nn.init.constant_(module.bias, 0.1)
