"""GAN (Goodfellow et al. 2014, arXiv:1406.2661): the {G1, D1} of UNIT's Table 1.

A generator G makes images of noise z, and a discriminator D tells them from real ones.
Implements Algorithm 1 and the two losses of G in Sec. 3. Each domain of the data has a G
and a D of its own that share nothing: as many GANs as there are domains, trained side by
side. CoGAN is what ties two of them. Nothing is translated.

Where the paper is silent or ambiguous:
- Algorithm 1 has G descend log(1 - D(G(z))), and Sec. 3 recommends that it ascend
  log D(G(z)), whose gradient is strong while D is sure. The second is the default, as in
  the authors' code.
- The authors' code steps both at once, by the same noise, and halves D's loss; here the
  order is Algorithm 1's, each step with a minibatch of its own.

Deviations: the paper's networks are for digits and other images of up to 48 pixels, fully connected
or with few maps, maxout units and dropout, trained by momentum. Here they are those of DCGAN
(Radford et al. 2015, arXiv:1511.06434) with its initial weights, noise, batch size and Adam.
Of those,
- kernels are 5x5 and the noise uniform, as in that paper's figure and its authors' code;
- the first norm of G is a map's, where their code norms each number of the 4x4 maps;
- their code decays weights by 1e-5, which the paper does not say and we do not, and has no
  biases in D's first and last layers and G's last;
- sizes other than its 64 pixels have as many layers as it takes from a 4x4 map;
- in use, batch norm takes its running averages, so that an image does not depend on the
  others that are made with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal, cast

import torch
from torch import Tensor, nn

from diptych.errors import check_bounds, check_size
from diptych.networks import init_normal
from diptych.networks.dcgan import maps_to_image
from diptych.objectives import GAN_LOSSES
from diptych.types import Clock, Group, PerDomain, Update, adam

SUMMARY = "a generator and a discriminator for each domain"

_SLOPE = 0.2
"""The slope of D's leaky ReLUs (DCGAN)."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """GAN's options; those of the networks and of Adam default to DCGAN's."""

    width: int = 128
    """Channels of D's first layer and of G's last hidden one; 128 in DCGAN."""
    size: int = 64
    """Pixels a side of what is made, a power of two; 64 in DCGAN."""
    batch_size: int = 128
    """Images of each domain a step of D; 128 in DCGAN, 100 in the paper's code for digits."""
    z_size: int = 100
    """Numbers in z; 100 in DCGAN and in the paper's code."""
    discriminator_steps: int = 1
    """k of Algorithm 1: steps of D before one of G; 1 in the paper."""
    gan_loss: Literal["log", "log-saturating", "hinge"] = "log"
    """Eq. (1)'s logarithms (G non-saturating, Sec. 3, or as written), or hinge."""
    lr: float = 2e-4
    """Adam's learning rate; 2e-4 in DCGAN."""
    beta1: float = 0.5
    """Adam's momentum; 0.5 in DCGAN."""
    decay_from: float = 1.0
    """Share of the budget at a constant rate before its linear fall to 0; the paper has none."""

    def __post_init__(self) -> None:
        least = {"width": 1, "size": 16, "batch_size": 2, "z_size": 1, "discriminator_steps": 1}
        check_bounds(self, least | {"lr": 0}, shares=("beta1", "decay_from"))
        check_size(self.size, needs_power_of_two=True)

    @property
    def widths(self) -> list[int]:
        """Channels of D's maps, largest map first: 128, 256, 512, 1024; G's the other way."""
        return [self.width * 2**i for i in range(self.size.bit_length() - 3)]


PRESETS: Mapping[str, Mapping[str, int]] = {"fast": {"batch_size": 16}}
"""Batch norm wants more than the preset's four; with its learning rate D and G stay level."""


class GAN(nn.Module):
    """G[k] and D[k] are those of domain k."""

    batch_type: ClassVar[type[PerDomain]] = PerDomain
    inference_modules: ClassVar[tuple[str, ...]] = ("G",)

    def __init__(self, config: Config, channels: Sequence[int] = (3, 3)) -> None:
        super().__init__()
        self.config = config
        self.G = nn.ModuleList(_generator(config, count) for count in channels)
        self.D = nn.ModuleList(_discriminator(config, count) for count in channels)
        init_normal(self)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.weight, 1.0, 0.02)  # DCGAN's code

    def groups(self) -> dict[str, Group]:
        c = self.config
        return {
            "discriminators": adam(c, *self.D),
            "generators": adam(c, *self.G),
        }

    def iteration(self, batches: Iterator[PerDomain], clock: Clock) -> Iterator[Update]:
        gan = GAN_LOSSES[self.config.gan_loss]
        terms: dict[str, Tensor] = {}
        for _ in range(self.config.discriminator_steps):  # Algorithm 1: k steps
            images = next(batches).images
            terms = {}
            for k, x in enumerate(images):
                with torch.no_grad():
                    fake = self.G[k](self._draw(len(x), clock.rng).to(x))
                # Eq. (1), negated.
                terms[f"D{k + 1}"] = gan.tell_apart(self.D[k](x), self.D[k](fake))
            yield Update("discriminators", torch.stack([*terms.values()]).sum(), terms)

        # Resumed here only after the trainer has stepped the discriminators.
        terms = {}
        for k, x in enumerate(images):
            fake = self.G[k](self._draw(len(x), clock.rng).to(x))
            terms[f"G{k + 1}"] = gan.fool(self.D[k](fake))
        yield Update("generators", torch.stack([*terms.values()]).sum(), terms)

    def generate(self, n: int, to: int, rng: torch.Generator) -> Tensor:
        """(n, C, size, size) in [-1, 1] of domain `to`; images of two domains are unrelated."""
        z = self._draw(n, rng).to(next(self.parameters()).device)
        return cast(Tensor, self.G[to](z))

    def _draw(self, count: int, rng: torch.Generator) -> Tensor:
        """z ~ U[-1, 1] (DCGAN), on the CPU."""
        return torch.rand((count, self.config.z_size), generator=rng) * 2 - 1


def _generator(config: Config, channels: int) -> nn.Sequential:
    """z to 4x4 maps, and from there to an image by transposed convolutions of stride 2."""
    widths = config.widths[::-1]
    layers = [
        nn.Linear(config.z_size, widths[0] * 16, bias=False),
        nn.Unflatten(1, (widths[0], 4, 4)),
        nn.BatchNorm2d(widths[0]),
        nn.ReLU(inplace=True),
    ]
    return nn.Sequential(*layers, *maps_to_image(widths, channels))


def _discriminator(config: Config, channels: int) -> nn.Sequential:
    """Convolutions of stride 2 from an image to 4x4 maps; (B, C, size, size) to (B, 1)."""
    widths = config.widths
    layers: list[nn.Module] = [
        nn.Conv2d(channels, widths[0], 5, stride=2, padding=2),
        nn.LeakyReLU(_SLOPE, inplace=True),
    ]
    for k, more in pairwise(widths):
        layers += [
            nn.Conv2d(k, more, 5, stride=2, padding=2, bias=False),
            nn.BatchNorm2d(more),
            nn.LeakyReLU(_SLOPE, inplace=True),
        ]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(widths[-1] * 16, 1))
