"""ACGAN (Odena, Olah, Shlens 2016, arXiv:1610.09585).

One generator makes images of a class from noise z and the class c, and a discriminator
says of an image whether it is real and of which class. The classes are the domains of the
data, any number of them. Implements the objective of the paper's section on AC-GANs and
the networks of its appendix's tables, for ImageNet and for CIFAR-10. Nothing is translated.

Where the paper is silent or ambiguous:
- Its tables give G's linear layer 768 (384) feature maps without a size. Four (three)
  transposed convolutions of stride 2 make 128 (32) pixels of 8x8 (4x4) maps, so it has as
  many numbers as those maps. Sizes from 128 pixels take the first table, smaller ones the second.
- Convolutions are padded so that the maps keep their size or halve.
- Noise is drawn from N(0, I), and the class of what is generated evenly from all.
- D is stepped first, then G with new noise and classes, as in Goodfellow et al. 2014. D's
  batch norm sees real and generated images apart.
- Of the values that were searched over, the learning rate is the middle one, 2e-4, and no
  noise is added to the activations.
- Each ACGAN of the paper has ten classes of ImageNet; here it has those of the data.

Deviation: in use, batch norm takes its running averages, so that an image does not depend
on the others that are made with it. We know of no code of the authors'.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diptych.errors import InputError, check_bounds, equal_channel_count
from diptych.networks import init_normal
from diptych.networks.dcgan import maps_to_image
from diptych.objectives import GAN_LOSSES
from diptych.types import Attributed, Clock, Group, Labelled, Update, adam

SUMMARY = "one generator for all classes; the discriminator also names the class"

_SLOPE = 0.2
"""The slope of D's leaky ReLUs; 0.2 in the appendix."""
_G_LARGE, _G_SMALL = (48, 24, 16, 12), (24, 12, 6)
"""Maps of G over the width: 768, 384, 256, 192 for ImageNet and 384, 192, 96 for CIFAR-10."""
_FROM_PIXELS = 128
"""The smallest size that takes the first of them."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """ACGAN's options; the defaults are the paper's for ImageNet."""

    width: int = 16
    """Channels of D's first layer; G has 48 times as many at first, below 128 pixels 24."""
    size: int = 128
    """Pixels a side of what is made; 128 for ImageNet, 32 for CIFAR-10."""
    batch_size: int = 100
    """Images a step, of all classes together; 100 in the appendix."""
    z_size: int = 100
    """Numbers in z; with ten classes G sees 110, as in the appendix."""
    dropout: float = 0.5
    """Share of D's activations that are dropped after each convolution; 0.5 in the appendix."""
    gan_loss: Literal["log-saturating", "log", "hinge"] = "log-saturating"
    """L_S's logarithms (G as written or non-saturating), or hinge."""
    lr: float = 2e-4
    """Adam's learning rate; of 1e-4, 2e-4 and 3e-4 in the appendix."""
    beta1: float = 0.5
    """Adam's momentum; 0.5 in the appendix."""
    decay_from: float = 1.0
    """Share of the budget at a constant rate before its linear fall to 0; the paper has none."""

    def __post_init__(self) -> None:
        least = {"width": 1, "size": 16, "batch_size": 2, "z_size": 1, "lr": 0}
        check_bounds(self, least, shares=("beta1", "decay_from", "dropout"))
        multiple = 2 ** len(self.factors)
        if self.size % multiple:
            raise InputError(f"size is {self.size}: it must be a multiple of {multiple}")

    @property
    def factors(self) -> tuple[int, ...]:
        """Maps of G over the width, from the smallest map on."""
        return _G_LARGE if self.size >= _FROM_PIXELS else _G_SMALL


PRESETS: Mapping[str, Mapping[str, float | str]] = {
    "fast": {"width": 8, "batch_size": 16, "dropout": 0.1, "gan_loss": "log", "lr": 1e-4}
}
"""So narrow that batches of 16, which batch norm needs, leave time for enough steps; of four
images all became one lattice. With 0.5 or 0.3 of D's activations dropped one of two domains
stayed a lattice, and none was no better. The rate is the paper's largest once the preset has
tripled it; at twice that the two classes came out alike."""


class ACGAN(nn.Module):
    """G(c, z), and D(x), whose first number is of the source and whose others are of classes."""

    batch_type: ClassVar[type[Labelled]] = Labelled
    inference_modules: ClassVar[tuple[str, ...]] = ("G",)

    def __init__(self, config: Config, channels: Sequence[int] = (3, 3)) -> None:
        super().__init__()
        self.config, self.classes = config, len(channels)
        count = equal_channel_count(channels, "acgan has one network for all domains")
        self.G = _generator(config, self.classes, count)
        self.D = _discriminator(config, self.classes, count)
        init_normal(self)

    def groups(self) -> dict[str, Group]:
        c = self.config
        return {"discriminator": adam(c, self.D), "generator": adam(c, self.G)}

    def iteration(self, batches: Iterator[Labelled], clock: Clock) -> Iterator[Update]:
        gan = GAN_LOSSES[self.config.gan_loss]
        batch = next(batches)
        may_differ = clock.step == 0 or isinstance(batch, Attributed)
        if may_differ and (others := int((batch.label.sum(1) != 1).sum())):
            raise InputError(
                f"acgan takes images of one class each, and {others} of a batch of"
                f" {len(batch.label)} have several or none: put them in one folder a class"
            )
        x, c_real = batch.image, batch.label.argmax(1)
        c_fake, z = self._draw(len(x), clock.rng, x)
        with torch.no_grad():
            fake = self.make(c_fake, z)
        real_source, real_class = self.judge(x)
        fake_source, fake_class = self.judge(fake)
        terms = {
            "D_S": gan.tell_apart(real_source, fake_source),  # -L_S
            "D_C": _wrong(real_class, c_real) + _wrong(fake_class, c_fake),  # -L_C
        }
        yield Update("discriminator", terms["D_S"] + terms["D_C"], terms)  # maximises L_S + L_C

        # Resumed here only after the trainer has stepped D.
        c_fake, z = self._draw(len(x), clock.rng, x)
        source, kind = self.judge(self.make(c_fake, z))
        terms = {
            "source": gan.fool(source),  # L_S
            "class": _wrong(kind, c_fake),  # -L_C
        }
        yield Update("generator", terms["source"] + terms["class"], terms)  # maximises L_C - L_S

    def generate(self, n: int, to: int, rng: torch.Generator) -> Tensor:
        """(n, C, size, size) in [-1, 1] of class `to`; of one `rng`, all classes share their z."""
        device = next(self.parameters()).device
        z = torch.randn((n, self.config.z_size), generator=rng).to(device)
        return self.make(torch.full((n,), to, device=device), z)

    def make(self, c: Tensor, z: Tensor) -> Tensor:
        """X_fake = G(c, z): (B,) int64 and (B, z_size) to (B, C, size, size) in [-1, 1]."""
        return cast(Tensor, self.G(torch.cat([z, F.one_hot(c, self.classes).to(z)], dim=1)))

    def judge(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """The logits of P(S = real | X), (B, 1), and of P(C | X), (B, classes)."""
        source, kind = self.D(image).split([1, self.classes], dim=1)
        return source, kind

    def _draw(self, count: int, rng: torch.Generator, like: Tensor) -> tuple[Tensor, Tensor]:
        """c ~ p_c and z ~ p_z, on `like`'s device."""
        c = torch.randint(self.classes, (count,), generator=rng)
        z = torch.randn((count, self.config.z_size), generator=rng)
        return c.to(like.device), z.to(like)


def _wrong(kind: Tensor, c: Tensor) -> Tensor:
    """-E[log P(C = c | X)]: a half of L_C, negated."""
    return F.cross_entropy(kind.float(), c)


def _generator(config: Config, classes: int, channels: int) -> nn.Sequential:
    """Noise and class, (B, z_size + classes), to an image."""
    widths = [factor * config.width for factor in config.factors]
    side = config.size // 2 ** len(widths)
    layers = [
        nn.Linear(config.z_size + classes, widths[0] * side**2),  # no batch norm here
        nn.Unflatten(1, (widths[0], side, side)),
        nn.ReLU(inplace=True),
    ]
    return nn.Sequential(*layers, *maps_to_image(widths, channels))


def _discriminator(config: Config, classes: int, channels: int) -> nn.Sequential:
    """3x3 convolutions, every other one of stride 2, each with dropout; to (B, 1 + classes)."""
    widths = [channels, *(config.width * 2**i for i in range(6))]
    layers: list[nn.Module] = []
    for i, (k, more) in enumerate(pairwise(widths)):
        layers.append(nn.Conv2d(k, more, 3, stride=2 - i % 2, padding=1, bias=i == 0))
        layers += [nn.BatchNorm2d(more)] if i > 0 else []
        layers += [nn.LeakyReLU(_SLOPE, inplace=True), nn.Dropout(config.dropout)]
    side = config.size // 8
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(widths[-1] * side**2, 1 + classes))
