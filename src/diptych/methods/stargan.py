"""StarGAN (Choi, Choi, Kim, Ha, Kim, Choo 2017, arXiv:1711.09020).

One generator G(x, c) for any number of domains: the label c of the domain to go to
comes in as planes beside the image. One discriminator tells real from generated,
patch by patch, and names the label. G has to fool the one half, please the other,
and find its way back by the label that the image came with. Implements Secs. 3.1, 4
and 5.3 with the appendix's networks (Sec. 7.2).

Labels are one-hot where a folder is a domain, and classified by cross-entropy; from
a table of attributes they are binary vectors, and classified by a binary
cross-entropy each, summed. Attributes that exclude each other, as colours of hair,
are no special case in training: every label that is asked for is one that some image
of the batch has.

Where the paper is silent or ambiguous:
- "We randomly generate the target domain label": as in the authors' code, the labels
  of the batch in another order, so that they are as frequent as in the data. Some
  images are asked to stay as they are.
- A step is `critic_steps` updates of D, each on a batch of its own, and then one of G
  on the last of these batches and labels. The code counts D's updates: its 200,000
  iterations are 40,000 steps here.
- D is stepped once on the whole of Eq. (5); the authors' first code stepped it a
  second time on the gradient penalty alone, their second code does it as here.
- D scores patches: the Wasserstein terms of Eq. (8) are means over them, and the
  penalty is of the gradient of their sum, both as in the code.
- Instance norms have a factor and a shift that are learnt, convolutions beside them
  and D's last two no bias, weights begin as PyTorch's do, and images are continued by
  zeros, all as in the code; 8,430,528 and 44,762,048 parameters for five attributes.
- The code's instance norms keep running statistics, but take an image's own in use,
  as here.

Deviations: below 128 pixels D has fewer layers, so that it always sees four patches
or more, as with 128. Several sets of data at a time, with a mask that says whose
labels are known (Sec. 3.2), are left out. The recipes crop at random what the paper cuts
to the middle beforehand: 178x178 of CelebA, the face of RaFD.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diptych.errors import InputError, check_bounds, equal_channel_count
from diptych.networks.norm import InstanceNorm2d
from diptych.objectives import WGAN, gradient_penalty, l1
from diptych.types import Attributed, Clock, Group, Labelled, Recipe, Update, adam

SUMMARY = "one generator for all domains, told which one to translate to"

_D_LAYERS = 6


@dataclass(frozen=True, kw_only=True)
class Config:
    """StarGAN's options; the defaults are the paper's."""

    width: int = 64
    """Channels of the first layer of each network; 64 in the appendix."""
    size: int = 128
    """Pixels a side that the networks see in training; 128 in Sec. 5.2."""
    batch_size: int = 16
    """Images a batch, of all domains together; 16 in Sec. 5.3."""
    blocks: int = 6
    """Residual blocks of the generator; 6 in Sec. 4."""
    critic_steps: int = 5
    """Updates of the discriminator for each of the generator; 5 in Sec. 5.3."""
    penalty_weight: float = 10.0
    """λ_gp in Eq. (8); 10 in Sec. 4."""
    classification_weight: float = 1.0
    """λ_cls in Eqs. (5, 6); 1 in Sec. 3.1."""
    reconstruction_weight: float = 10.0
    """λ_rec in Eq. (6); 10 in Sec. 3.1."""
    lr: float = 1e-4
    """Adam's learning rate; 1e-4 in Sec. 5.3."""
    beta1: float = 0.5
    """Adam's momentum; 0.5 in Sec. 5.3."""
    decay_from: float = 0.5
    """Share of the budget at a constant rate before its linear fall to 0; 0.5 in Sec. 5.3."""

    def __post_init__(self) -> None:
        least = {"width": 1, "size": 16, "batch_size": 2, "blocks": 1, "critic_steps": 1, "lr": 0}
        least |= {f"{name}_weight": 0 for name in ("penalty", "classification", "reconstruction")}
        check_bounds(self, least, shares=("decay_from", "beta1"))
        if self.size % (multiple := 1 << self.discriminator_layers):
            raise InputError(f"size is {self.size}: it must be a multiple of {multiple}")

    @property
    def discriminator_layers(self) -> int:
        """Six halvings, from 128 to 2 pixels (Sec. 7.2); fewer for smaller images."""
        return min(_D_LAYERS, self.size.bit_length() - 2)


PRESETS: Mapping[str, Mapping[str, int]] = {
    "fast": {"width": 16, "batch_size": 16, "critic_steps": 2}
}
"""The paper's batches, at a width that leaves time for them. With the preset's four images, at
32 channels or at 16, the pictures had blots and a frame, and at 32 got worse as it trained."""

RECIPES: Mapping[str, Recipe] = {
    "celeba": Recipe(
        "faces with attributes: 20 passes of the images, at five batches a step (Secs. 5.2, 5.3)",
        run={"epochs": 4.0, "load_size": 128},
    ),
    "rafd": Recipe(
        "facial expressions, one folder each: 200 passes, at five batches a step (Sec. 5.3)",
        run={"epochs": 40.0, "load_size": 128},
    ),
}


class StarGAN(nn.Module):
    """G makes an image and a label into an image; D scores patches and a label."""

    batch_type: ClassVar[type[Labelled]] = Labelled
    inference_modules: ClassVar[tuple[str, ...]] = ("G",)
    exportable: ClassVar[bool] = True
    fixed_size: ClassVar[int | None] = None
    size_multiple: ClassVar[int] = 4

    def __init__(self, config: Config, channels: Sequence[int] = (3, 3)) -> None:
        super().__init__()
        self.config = config
        self.domains = len(channels)
        count = equal_channel_count(channels, "stargan has one network for all domains")
        self.G = _generator(config.width, config.blocks, self.domains, count)
        self.D = Discriminator(config, self.domains, count)

    def groups(self) -> dict[str, Group]:
        c = self.config
        return {"discriminator": adam(c, self.D), "generator": adam(c, self.G)}

    def iteration(self, batches: Iterator[Labelled], clock: Clock) -> Iterator[Update]:
        for _ in range(self.config.critic_steps):
            batch = next(batches)
            order = torch.randperm(len(batch.label), generator=clock.rng)
            target = batch.label[order.to(batch.label.device)]
            yield self._judge(batch, target, clock.rng)
        # Resumed here only after the trainer has stepped D for the last time.
        yield self._translate_and_back(batch, target)

    def _judge(self, batch: Labelled, target: Tensor, rng: torch.Generator) -> Update:
        """D's part: Eq. (5) with Eq. (8) for the adversarial loss."""
        c, x = self.config, batch.image
        with torch.no_grad():
            fake = self._run(x, target)
        scores, logits = self.D(torch.cat([x, fake]))
        real_score, fake_score = scores.chunk(2)
        share = torch.rand(len(x), generator=rng)
        terms = {
            "D": WGAN.tell_apart(real_score, fake_score),  # Eq. (8)
            "penalty": gradient_penalty(lambda image: self.D(image)[0], x, fake, share),  # Eq. (8)
            "D_classification": classification(logits[: len(x)], batch.label, batch),  # Eq. (2)
        }
        loss = terms["D"] + c.penalty_weight * terms["penalty"]
        loss = loss + c.classification_weight * terms["D_classification"]  # Eq. (5)
        return Update("discriminator", loss, terms)

    def _translate_and_back(self, batch: Labelled, target: Tensor) -> Update:
        """G's part: Eq. (6)."""
        c, x = self.config, batch.image
        fake = self._run(x, target)
        score, logits = self.D(fake)
        terms = {
            "adversarial": WGAN.fool(score),  # Eq. (8)
            "classification": classification(logits, target, batch),  # Eq. (3)
            "reconstruction": l1(self._run(fake, batch.label), x),  # Eq. (4)
        }
        loss = terms["adversarial"] + c.classification_weight * terms["classification"]
        loss = loss + c.reconstruction_weight * terms["reconstruction"]  # Eq. (6)
        return Update("generator", loss, terms)

    def translate(
        self, image: Tensor, to: tuple[int, ...], rng: torch.Generator | None = None
    ) -> Tensor:
        """(B, C, H, W) in [-1, 1]: G(image, c), where the label c has ones at `to` alone.

        So of attributes all those that the result is to have are named, and all others
        are such that it is not to have.
        """
        assert all(0 <= i < self.domains for i in to), to
        label = torch.zeros(len(image), self.domains, device=image.device)
        label[:, list(to)] = 1.0
        return self._run(image, label)

    def _run(self, image: Tensor, label: Tensor) -> Tensor:
        """G(`image`, `label`): the label's entries stand beside the image as planes (Fig. 3)."""
        planes = label.to(image.dtype)[:, :, None, None].expand(-1, -1, *image.shape[2:])
        return cast(Tensor, self.G(torch.cat([image, planes], dim=1)))


def classification(logits: Tensor, label: Tensor, batch: Labelled) -> Tensor:
    """Eqs. (2, 3): -log D_cls(`label` | image), averaged over the batch.

    `logits` and `label` are (B, K). Where `batch` has attributes, D_cls is a
    probability of each by itself, and their logarithms add up.
    """
    logits, label = logits.float(), label.float()
    if isinstance(batch, Attributed):
        loss = F.binary_cross_entropy_with_logits(logits, label, reduction="sum")
        return loss / len(label)
    return F.cross_entropy(logits, label)


class Discriminator(nn.Module):
    """Strided convolutions, and on their last map scores of patches and of the whole's label."""

    def __init__(self, config: Config, domains: int, channels: int) -> None:
        super().__init__()
        layers = config.discriminator_layers
        widths = [channels, *(config.width * 2**i for i in range(layers))]
        modules: list[nn.Module] = []
        for k, more in pairwise(widths):
            modules += [nn.Conv2d(k, more, 4, stride=2, padding=1), nn.LeakyReLU(0.01)]
        self.hidden = nn.Sequential(*modules)  # CONV-(N64,K4x4,S2,P1) to CONV-(N2048,...)
        self.source = nn.Conv2d(widths[-1], 1, 3, padding=1, bias=False)  # D_src
        side = config.size >> layers
        self.label = nn.Conv2d(widths[-1], domains, side, bias=False)  # D_cls

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, size, size) to raw scores (B, 1, h, w) of patches and (B, K) of the label."""
        h = self.hidden(image)
        return self.source(h), self.label(h).flatten(1)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with instance norm, and a skip."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            InstanceNorm2d(channels, affine=True),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            InstanceNorm2d(channels, affine=True),
        )

    def forward(self, h: Tensor) -> Tensor:
        return h + cast(Tensor, self.body(h))


def _generator(w: int, blocks: int, domains: int, channels: int) -> nn.Sequential:
    """(B, C + K, H, W) to (B, C, H, W) in [-1, 1], for H and W multiples of 4."""

    def normed(convolution: nn.Conv2d | nn.ConvTranspose2d) -> list[nn.Module]:
        norm = InstanceNorm2d(convolution.out_channels, affine=True)
        return [convolution, norm, nn.ReLU(inplace=True)]

    def down(k: int) -> list[nn.Module]:
        return normed(nn.Conv2d(k, 2 * k, 4, stride=2, padding=1, bias=False))

    def up(k: int) -> list[nn.Module]:
        return normed(nn.ConvTranspose2d(2 * k, k, 4, stride=2, padding=1, bias=False))

    return nn.Sequential(
        # CONV-(N64,K7x7,S1,P3)
        *normed(nn.Conv2d(channels + domains, w, 7, padding=3, bias=False)),
        *down(w),  # CONV-(N128,K4x4,S2,P1)
        *down(2 * w),  # CONV-(N256,K4x4,S2,P1)
        *(ResidualBlock(4 * w) for _ in range(blocks)),
        *up(2 * w),  # DECONV-(N128,K4x4,S2,P1)
        *up(w),  # DECONV-(N64,K4x4,S2,P1)
        nn.Conv2d(w, channels, 7, padding=3, bias=False),  # CONV-(N3,K7x7,S1,P3)
        nn.Tanh(),
    )
