"""DiscoGAN (Kim, Cha, Kim, Lee, Kim 2017, arXiv:1703.05192).

G_AB: A -> B and G_BA: B -> A, each against a discriminator, and each held to undo
the other. What sets it apart from CycleGAN is its networks: images pass through a
bottleneck of 100 numbers, which loses detail and leaves the shape free, where
CycleGAN's generator keeps the layout. Implements Secs. 2 and 3.1.

The paper states Eqs. (3) to (8) without weights, and its networks and training in
a paragraph. The authors' code decides the rest, and we follow it. It has two
scripts, and the default here takes the bottleneck of the one and the weights of the
other: `--recipe code` is image_translation.py, without a bottleneck, and `--recipe
angles` is angle_pairing.py, where reconstruction is 0.9 of the loss throughout.
- d of Eq. (3) is a squared error of pixels in [0, 1].
- Feature matching: the squared distance of the means, over real and generated
  images, of D's features after each of its inner layers. It is 0.9 of the
  adversarial part, Eq. (4) 0.1.
- Reconstruction is 0.5 of the loss and that part 0.5, but 0.01 and 0.99 at the
  start: for 10,000 updates there, here for 2% of the budget.
- One step of the discriminators, then two of the generators, each on a batch of
  its own.
- The bottleneck: a 4x4 convolution to 100 channels that sees the 4x4 map whole.
  No layer has a bias. Weights start as PyTorch's do.
The code halves the discriminators' terms, which Adam does not notice; Eq. (6) does not.

Deviations: images in [-1, 1] and a tanh replace [0, 1] and a sigmoid. Translating
uses batch norm's running averages, so that an image's translation does not depend
on its batch; they are those of real inputs, not of translated ones. Batches of one
train without batch norm's noise and poorly: the bottleneck's norm is left out for
them, as it cannot be computed. Other sizes than 64 have as many convolutions as it
takes to get to a 4x4 map.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from diptych.errors import check_bounds, check_size, two_channel_counts
from diptych.networks.norm import AveragesKept
from diptych.objectives import LOG, l2
from diptych.types import Clock, Group, Recipe, Unpaired, Update, adam

SUMMARY = "two generators with a narrow bottleneck, which frees shapes"


@dataclass(frozen=True, kw_only=True)
class Config:
    """DiscoGAN's options; the defaults are the paper's, or where it is silent the code's."""

    width: int = 64
    """Channels of the first layer of each network; 64 in the code."""
    size: int = 64
    """Pixels a side that the networks see; 64 in Sec. 3.1."""
    batch_size: int = 200
    """Images of each domain a step; 200 in Sec. 3.1."""
    bottleneck: int = 100
    """Numbers that an image passes through; 0 leaves the 4x4 map, as the code for translation."""
    reconstruction_rate: float = 0.5
    """Share of Eq. (3) in the generators' loss; 0.5 in the code."""
    starting_rate: float = 0.01
    """That share at the start; 0.01 in the code."""
    curriculum: float = 0.02
    """Share of the budget that counts as the start; 10,000 updates in the code."""
    matching_rate: float = 0.9
    """Share of feature matching in the adversarial part; 0.9 in the code, 0 is Eq. (4) alone."""
    generator_steps: int = 2
    """Steps of the generators after one of the discriminators; 2 in the code."""
    lr: float = 2e-4
    """Adam's learning rate; 2e-4 in Sec. 3.1."""
    beta1: float = 0.5
    """Adam's momentum; 0.5 in Sec. 3.1."""
    weight_decay: float = 1e-4
    """Decay of all weights; 1e-4 in Sec. 3.1, 1e-5 in the code."""
    decay_from: float = 1.0
    """Share of the budget at a constant rate before its linear fall to 0; the paper has none."""

    def __post_init__(self) -> None:
        least = {"width": 1, "size": 16, "batch_size": 1, "bottleneck": 0, "lr": 0}
        least |= {"generator_steps": 1, "weight_decay": 0}
        shares = ("reconstruction_rate", "starting_rate", "curriculum", "matching_rate")
        check_bounds(self, least, shares=(*shares, "beta1", "decay_from"))
        check_size(self.size, needs_power_of_two=True)


PRESETS: Mapping[str, Mapping[str, int]] = {"fast": {"batch_size": 16}}
"""Batch norm wants more than the preset's four, of which all images became one."""

RECIPES: Mapping[str, Recipe] = {
    "code": Recipe(
        "the authors' code for translation: no bottleneck, its batches and weight decay",
        {"bottleneck": 0, "batch_size": 64, "weight_decay": 1e-5},
    ),
    "angles": Recipe(
        "the authors' code for cars, faces and chairs by their angle: more reconstruction",
        {"reconstruction_rate": 0.9, "starting_rate": 0.9, "batch_size": 64, "weight_decay": 1e-5},
    ),
    "equations": Recipe(
        "Eqs. (3) to (8) alone: no feature matching, equal weights throughout",
        {"matching_rate": 0.0, "curriculum": 0.0},
    ),
}


class DiscoGAN(nn.Module):
    """Two generators and their discriminators; domain 0 is A and domain 1 is B."""

    batch_type: ClassVar[type[Unpaired]] = Unpaired
    inference_modules: ClassVar[tuple[str, ...]] = ("G_AB", "G_BA")
    exportable: ClassVar[bool] = True

    def __init__(self, config: Config, channels: Sequence[int] = (3, 3)) -> None:
        super().__init__()
        x_channels, y_channels = two_channel_counts("discogan", channels)
        self.config = config
        self.G_AB = _generator(config, x_channels, y_channels)
        self.G_BA = _generator(config, y_channels, x_channels)
        self.D_A, self.D_B = Discriminator(config, x_channels), Discriminator(config, y_channels)

    @property
    def size_multiple(self) -> int:
        return self.config.size

    @property
    def fixed_size(self) -> int:
        """The bottleneck sees the whole image, of the size that was trained."""
        return self.config.size

    def groups(self) -> dict[str, Group]:
        c = self.config
        group = partial(adam, c, weight_decay=c.weight_decay)
        return {
            "discriminators": group(self.D_A, self.D_B),
            "generators": group(self.G_AB, self.G_BA),
        }

    def iteration(self, batches: Iterator[Unpaired], clock: Clock) -> Iterator[Update]:
        c = self.config
        yield self._tell_apart(next(batches))
        rate = c.starting_rate if clock.fraction < c.curriculum else c.reconstruction_rate
        for _ in range(c.generator_steps):
            yield self._generate(next(batches), rate)

    def _tell_apart(self, batch: Unpaired) -> Update:
        """The discriminators' part: Eq. (8)."""
        with torch.no_grad():
            fake_b, fake_a = self.G_AB(batch.x), self.G_BA(batch.y)
        terms = {}
        for name, D, real, fake in (
            ("D_A", self.D_A, batch.x, fake_a),
            ("D_B", self.D_B, batch.y, fake_b),
        ):
            # One after the other: batch norm must not see which is which.
            terms[name] = LOG.tell_apart(D(real)[0], D(fake)[0])  # Eq. (6)
        return Update("discriminators", terms["D_A"] + terms["D_B"], terms)

    def _generate(self, batch: Unpaired, rate: float) -> Update:
        """The generators' part: Eq. (7), weighted as in the code."""
        a, b = batch.x, batch.y
        fake_b, fake_a = self.G_AB(a), self.G_BA(b)  # Eq. (1)
        with AveragesKept(self.G_AB, self.G_BA):  # which are of what they translate: real images
            again_a, again_b = self.G_BA(fake_b), self.G_AB(fake_a)  # Eq. (2)
        score_a, of_fake_a = self.D_A(fake_a)
        score_b, of_fake_b = self.D_B(fake_b)
        adversarial = LOG.fool(score_a) + LOG.fool(score_b)  # Eq. (4)
        reconstruction = in_unit_range(again_a, a) + in_unit_range(again_b, b)  # Eq. (3)
        terms = {"adversarial": adversarial, "reconstruction": reconstruction}
        loss = (1 - self.config.matching_rate) * adversarial
        if self.config.matching_rate:
            with torch.no_grad():
                (_, of_a), (_, of_b) = self.D_A(a), self.D_B(b)
            terms["matching"] = matching(of_a, of_fake_a) + matching(of_b, of_fake_b)
            loss = loss + self.config.matching_rate * terms["matching"]
        return Update("generators", (1 - rate) * loss + rate * reconstruction, terms)

    def translate(
        self, image: Tensor, to: tuple[int, ...], rng: torch.Generator | None = None
    ) -> Tensor:
        """(B, C, size, size) in [-1, 1]: G_AB(image) for to=(1,), G_BA(image) for to=(0,)."""
        assert to in ((0,), (1,)), to
        return cast(Tensor, (self.G_BA, self.G_AB)[to[0]](image))


def in_unit_range(image: Tensor, target: Tensor) -> Tensor:
    """d of Eq. (3): the mean squared difference of images in [0, 1]; they are given in [-1, 1]."""
    return l2(image, target) / 4


def matching(real: list[Tensor], fake: list[Tensor]) -> Tensor:
    """Feature matching: squared distances of the batches' means, averaged within each layer."""
    losses = [l2(r.float().mean(0), f.float().mean(0)) for r, f in zip(real, fake, strict=True)]
    return torch.stack(losses).sum()


def _widths(config: Config) -> list[int]:
    """Channels of each convolution down to a 4x4 map: 64, 128, 256, 512 for 64 pixels."""
    return [config.width * min(2**i, 8) for i in range(config.size.bit_length() - 3)]


def _generator(config: Config, source: int, target: int) -> nn.Sequential:
    """Convolutions to the bottleneck and as many transposed ones back."""
    widths, bottleneck = _widths(config), config.bottleneck
    modules: list[nn.Module] = [
        nn.Conv2d(source, widths[0], 4, stride=2, padding=1, bias=False),
        nn.LeakyReLU(0.2, inplace=True),
    ]
    for k, more in pairwise(widths):
        modules += [
            nn.Conv2d(k, more, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(more),
            nn.LeakyReLU(0.2, inplace=True),
        ]
    if bottleneck:
        deepest = widths[-1]
        # A single value has no variance to norm by.
        norm = [nn.BatchNorm2d(bottleneck)] if config.batch_size > 1 else []
        modules += [nn.Conv2d(deepest, bottleneck, 4, bias=False), *norm]  # 4x4 to 1x1
        modules += [nn.LeakyReLU(0.2, inplace=True)]
        modules += [nn.ConvTranspose2d(bottleneck, deepest, 4, bias=False)]
        modules += [nn.BatchNorm2d(deepest), nn.ReLU(inplace=True)]
    for k, less in pairwise(reversed(widths)):
        modules += [
            nn.ConvTranspose2d(k, less, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(less),
            nn.ReLU(inplace=True),
        ]
    out = nn.ConvTranspose2d(widths[0], target, 4, stride=2, padding=1, bias=False)
    return nn.Sequential(*modules, out, nn.Tanh())


class Discriminator(nn.Module):
    """(B, C, size, size) to raw scores (B, 1, 1, 1) and the features after each inner layer."""

    def __init__(self, config: Config, channels: int) -> None:
        super().__init__()
        widths = _widths(config)
        self.first = nn.Sequential(
            nn.Conv2d(channels, widths[0], 4, stride=2, padding=1, bias=False), nn.LeakyReLU(0.2)
        )
        self.inner = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(k, more, 4, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(more),
                nn.LeakyReLU(0.2),
            )
            for k, more in pairwise(widths)
        )
        self.last = nn.Conv2d(widths[-1], 1, 4, bias=False)  # without the sigmoid

    def forward(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        h, features = self.first(image), []
        for block in self.inner:
            h = block(h)
            features.append(h)
        return self.last(h), features
