"""VAE/GAN (Larsen et al. 2015, arXiv:1512.09300): the {E1, G1, D1} of UNIT's Table 1.

A VAE whose decoder is a GAN's generator, and whose reconstructions are compared with their
originals not by pixels but by what the GAN's discriminator sees in them. Implements
Algorithm 1 and the networks of Table 1. Each domain of the data has an Enc, a Dec and a Dis
of its own that share nothing: a code means something in its own domain alone, and nothing
is translated.

Where the paper is silent or ambiguous:
- Algorithm 1 has Dis descend L_GAN and Dec ascend it, which the sum of logarithms that it
  writes turns round: Dis has to ascend that, and does here. Dec then descends log(1 - Dis)
  as written, or takes the non-saturating loss (`gan_loss`).
- It computes all losses before the three updates. Here they follow each other, Enc, Dec, Dis,
  each at the weights that the one before has stepped, by the same images, noise and prior
  samples. The authors' code takes the three gradients at the same weights.
- L_prior and L_llike are sums over a code and over a map of features, as the density says, and
  means over the batch. The terms that are logged are means over the elements.
- The weight γ has no value in the paper: 1e-5 is that of the code which goes with its last
  version (commit 1906387; 1e-6 for faces later), where the GAN's loss is weighted by 1 - γ besides.
- Dis_l is the output of the last convolution, before its norm, as in that code. For L_GAN Dis
  sees originals, reconstructions and samples as one batch and Dec decodes both kinds of codes
  as one, as there; here L_llike comes of the same maps, there of a batch without the samples.
- The encoder's last layer, to means and logarithms of variances of 128 numbers, RMSProp's
  smoothing of 0.9 and biases only where no norm follows are the code's.

Deviations: the code skips updates of Dec or Dis while one of them is far ahead, lowers the
learning rate, weighs what is real against what is generated and decays weights by 1e-5; the
paper says none of it, and we do none. Weights begin as DCGAN's. In use, batch norm takes its
running averages and an image's code is its mean, so that neither draws nor depends on others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal, cast

import torch
from torch import Tensor, nn

from diptych.errors import InputError, check_bounds
from diptych.networks import init_normal
from diptych.networks.dcgan import doubling
from diptych.objectives import GAN_LOSSES
from diptych.types import Clock, Group, PerDomain, Update

SUMMARY = "a VAE that compares images by a GAN discriminator's features"

_HALVINGS = 3
"""How often Enc and Dis halve an image down to their last maps, and Dec doubles its first."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """VAE/GAN's options; the defaults are the paper's."""

    width: int = 64
    """Channels of Enc's first layer, which all others are multiples of; 64 in Table 1."""
    size: int = 64
    """Pixels a side that the networks see and make; 64 in the paper."""
    batch_size: int = 64
    """Images of each domain a step; 64 in the paper."""
    z_size: int = 128
    """Numbers in a code; 128 in the code."""
    similarity_weight: float = 1e-5
    """γ of L_llike in Dec's update; 1e-5 in the code."""
    gan_loss: Literal["log-saturating", "log", "hinge"] = "log-saturating"
    """Algorithm 1's logarithms (Dec as written or non-saturating), or hinge."""
    lr: float = 3e-4
    """RMSProp's learning rate; 3e-4 in the paper."""
    decay_from: float = 1.0
    """Share of the budget at a constant rate before its linear fall to 0; the paper has none."""

    def __post_init__(self) -> None:
        least = {"width": 2, "size": 16, "batch_size": 2, "z_size": 1}
        check_bounds(self, least | {"similarity_weight": 0, "lr": 0}, shares=("decay_from",))
        if self.width % 2:
            raise InputError(f"width is {self.width}: it must be even, since Dis begins with half")
        if self.size % 2**_HALVINGS:
            raise InputError(f"size is {self.size}: it must be a multiple of {2**_HALVINGS}")

    @property
    def side(self) -> int:
        """The side of the smallest maps: 8 at 64 pixels."""
        return self.size >> _HALVINGS


PRESETS: Mapping[str, Mapping[str, int | float | str]] = {
    "fast": {"batch_size": 8, "lr": 1e-4, "gan_loss": "log"}
}
"""The paper's rate once the preset has tripled it: at three times that the codes ran away, their
KL at 2,000 a number after 17 steps. Batch norm wants more than four images, and a short run
gradients that are strong from the start."""


class VAEGAN(nn.Module):
    """Enc[k], Dec[k] and Dis[k] are those of domain k; Dis is `Dis_end` after `Dis_l`."""

    batch_type: ClassVar[type[PerDomain]] = PerDomain
    inference_modules: ClassVar[tuple[str, ...]] = ("Enc", "Dec")

    def __init__(self, config: Config, channels: Sequence[int] = (3, 3)) -> None:
        super().__init__()
        self.config = config
        self.Enc = nn.ModuleList(_encoder(config, count) for count in channels)
        self.Dec = nn.ModuleList(_decoder(config, count) for count in channels)
        self.Dis_l = nn.ModuleList(_features(config, count) for count in channels)
        self.Dis_end = nn.ModuleList(_discriminator_end(config) for _ in channels)
        init_normal(self)

    @property
    def size_multiple(self) -> int:
        return self.config.size

    @property
    def fixed_size(self) -> int:
        """Fully connected layers take maps of one size."""
        return self.config.size

    def groups(self) -> dict[str, Group]:
        c = self.config
        group = partial(
            Group, lr=c.lr, betas=(0.0, 0.9), optimiser="rmsprop", decay_from=c.decay_from
        )
        return {
            "encoders": group(modules=tuple(self.Enc)),
            "decoders": group(modules=tuple(self.Dec)),
            "discriminators": group(modules=(*self.Dis_l, *self.Dis_end)),
        }

    def iteration(self, batches: Iterator[PerDomain], clock: Clock) -> Iterator[Update]:
        """Algorithm 1, domain by domain; each update's graph is built at the stepped weights."""
        gan = GAN_LOSSES[self.config.gan_loss]
        images = next(batches).images
        eps = [self._draw(len(x), clock.rng).to(x) for x in images]
        Z_p = [self._draw(len(x), clock.rng).to(x) for x in images]  # from the prior N(0, I)
        losses: list[Tensor] = []
        terms: dict[str, Tensor] = {}
        for k, X in enumerate(images):
            mu, log_variance = self._moments(k, X)
            prior = kl(mu, log_variance)  # L_prior
            X_tilde = self.Dec[k](sample(mu, log_variance, eps[k]))
            maps = self._see(k, X, X_tilde)
            llike = gaussian(*maps)  # L_llike of Dis_l
            losses.append(prior + llike)
            terms[f"prior{k + 1}"] = prior / self.config.z_size
            terms[f"similarity{k + 1}"] = llike / maps[0][0].numel()
        yield Update("encoders", torch.stack(losses).sum(), terms)

        with torch.no_grad():  # of the encoders as they are now
            Z = [sample(*self._moments(k, X), eps[k]) for k, X in enumerate(images)]
        losses, terms = [], {}
        for k, X in enumerate(images):
            fakes = self.Dec[k](torch.cat([Z[k], Z_p[k]])).chunk(2)
            maps = self._see(k, X, *fakes)
            _, score_tilde, score_p = self._judge(k, maps)
            adversarial = gan.fool(score_tilde) + gan.fool(score_p)
            losses.append(self.config.similarity_weight * gaussian(maps[0], maps[1]) + adversarial)
            terms[f"G{k + 1}"] = adversarial
        yield Update("decoders", torch.stack(losses).sum(), terms)

        terms = {}
        for k, X in enumerate(images):
            with torch.no_grad():  # of the decoders as they are now
                fakes = self.Dec[k](torch.cat([Z[k], Z_p[k]])).chunk(2)
            score, score_tilde, score_p = self._judge(k, self._see(k, X, *fakes))
            fake = gan.D_loss(score_tilde, real=False) + gan.D_loss(score_p, real=False)
            terms[f"D{k + 1}"] = gan.D_loss(score, real=True) + fake  # L_GAN, negated
        yield Update("discriminators", torch.stack([*terms.values()]).sum(), terms)

    def encode(self, image: Tensor, source: int) -> Tensor:
        """(B, C, size, size) in [-1, 1] of domain `source` to the mean (B, z_size) of its code."""
        return self._moments(source, image)[0]

    def decode(self, z: Tensor, to: int) -> Tensor:
        """(B, z_size) to (B, C, size, size) in [-1, 1] of domain `to`."""
        return cast(Tensor, self.Dec[to](z))

    def generate(self, n: int, to: int, rng: torch.Generator) -> Tensor:
        """(n, C, size, size) in [-1, 1], decoded from z ~ N(0, I)."""
        return self.decode(self._draw(n, rng).to(next(self.parameters()).device), to)

    def _moments(self, k: int, x: Tensor) -> tuple[Tensor, Tensor]:
        """Means and logarithms of the variances of q(z|x), (B, z_size) each."""
        mu, log_variance = self.Enc[k](x).chunk(2, dim=1)
        return mu, log_variance

    def _see(self, k: int, *images: Tensor) -> tuple[Tensor, ...]:
        """Dis_l of each, as one batch."""
        maps: Tensor = self.Dis_l[k](torch.cat(images))
        return maps.chunk(len(images))

    def _judge(self, k: int, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The logits of Dis, (B, 1), of each map of Dis_l, as one batch."""
        scores: Tensor = self.Dis_end[k](torch.cat([*maps]))
        return scores.chunk(len(maps))

    def _draw(self, count: int, rng: torch.Generator) -> Tensor:
        """(count, z_size) from N(0, I), on the CPU."""
        return torch.randn((count, self.config.z_size), generator=rng)


def kl(mu: Tensor, log_variance: Tensor) -> Tensor:
    """L_prior = KL(N(μ, σ²) || N(0, I)) = ½ Σ (μ² + σ² - log σ² - 1), a mean over the batch."""
    mu, log_variance = mu.float(), log_variance.float()
    each = 0.5 * (mu.square() + log_variance.exp() - log_variance - 1)
    return each.flatten(1).sum(1).mean()


def gaussian(features: Tensor, reconstructed: Tensor) -> Tensor:
    """-E[log N(Dis_l(x) | Dis_l(x̃), I)] = ½ Σ (·)², but for a constant; a mean over the batch."""
    difference = features.float() - reconstructed.float()
    return 0.5 * difference.square().flatten(1).sum(1).mean()


def sample(mu: Tensor, log_variance: Tensor, eps: Tensor) -> Tensor:
    """z ~ N(μ, σ²), by `eps` of N(0, I)."""
    return mu + (0.5 * log_variance).exp() * eps


def _down(k: int, more: int) -> list[nn.Module]:
    """5x5 conv. ↓, without a bias since a norm follows."""
    return [nn.Conv2d(k, more, 5, stride=2, padding=2, bias=False)]


def _norm(k: int) -> list[nn.Module]:
    return [nn.BatchNorm2d(k), nn.ReLU(inplace=True)]


def _fully_connected(k: int, more: int) -> list[nn.Module]:
    return [nn.Linear(k, more, bias=False), nn.BatchNorm1d(more), nn.ReLU(inplace=True)]


def _encoder(config: Config, channels: int) -> nn.Sequential:
    """Table 1, Enc: 64, 128, 256, 2048; then to means and logarithms of variances."""
    w = config.width
    return nn.Sequential(
        *_down(channels, w), *_norm(w),
        *_down(w, 2 * w), *_norm(2 * w),
        *_down(2 * w, 4 * w), *_norm(4 * w),
        nn.Flatten(),
        *_fully_connected(4 * w * config.side**2, 32 * w),
        nn.Linear(32 * w, 2 * config.z_size),
    )  # fmt: skip


def _decoder(config: Config, channels: int) -> nn.Sequential:
    """Table 1, Dec: 8·8·256, then 256, 128, 32 by conv. ↑, and an image."""
    w, side = config.width, config.side
    return nn.Sequential(
        *_fully_connected(config.z_size, 4 * w * side**2),
        nn.Unflatten(1, (4 * w, side, side)),
        doubling(4 * w, 4 * w, bias=False), *_norm(4 * w),
        doubling(4 * w, 2 * w, bias=False), *_norm(2 * w),
        doubling(2 * w, w // 2, bias=False), *_norm(w // 2),
        nn.Conv2d(w // 2, channels, 5, padding=2),
        nn.Tanh(),
    )  # fmt: skip


def _features(config: Config, channels: int) -> nn.Sequential:
    """Table 1, Dis, up to Dis_l: 32 at the image's size, then 128, 256, 256."""
    w = config.width
    return nn.Sequential(
        nn.Conv2d(channels, w // 2, 5, padding=2), nn.ReLU(inplace=True),
        *_down(w // 2, 2 * w), *_norm(2 * w),
        *_down(2 * w, 4 * w), *_norm(4 * w),
        *_down(4 * w, 4 * w),
    )  # fmt: skip


def _discriminator_end(config: Config) -> nn.Sequential:
    """Table 1, Dis, after Dis_l: its norm, 512 and 1, without the sigmoid."""
    w = config.width
    return nn.Sequential(
        *_norm(4 * w),
        nn.Flatten(),
        *_fully_connected(4 * w * config.side**2, 8 * w),
        nn.Linear(8 * w, 1),
    )
