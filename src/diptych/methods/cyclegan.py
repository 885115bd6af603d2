"""CycleGAN (Zhu, Park, Isola, Efros 2017, arXiv:1703.10593).

G: X -> Y and F: Y -> X, each against a discriminator, made each other's inverse
by a cycle-consistency loss. Implements Secs. 3, 4, 5.1.4 (the ablations), 5.2
(the identity loss) and the appendix (Sec. 7).

Where the paper is silent or ambiguous:
- The objectives' expectations of norms are means over pixels, as in the
  authors' code, not sums.
- G and F are stepped together on the summed objective, then D_X and D_Y; the
  first code steps G, D_Y, F, D_X one by one, the second as here.
- "We also tried replacing the L1 norm with an adversarial loss between
  F(G(x)) and x" (Sec. 3.2) does not say what its discriminator sees. Here it
  sees pairs: (x, x) is real and (x, F(G(x))) is not, since a discriminator of
  F(G(x)) alone asks for realism, not for x.
- "Several discriminators" average their losses, as GMAN's arithmetic mean
  (Durugkar et al. 2016); they start from different weights.

Deviations: the U-Net has instance norm and no dropout, and the whole-image
discriminator no batch norm, so that an image's translation does not depend on
its batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, cast

import torch
from torch import Tensor, nn

from diptych.errors import (
    InputError,
    check_bounds,
    check_size,
    equal_channel_count,
    option,
    two_channel_counts,
)
from diptych.networks import init_normal, together
from diptych.networks.patchgan import Patch, check_discriminator_size, make_discriminator
from diptych.networks.replay import ReplayBuffer
from diptych.networks.resnet import ResNetGenerator, blocks_for
from diptych.networks.unet import UNetGenerator
from diptych.objectives import GAN_LOSSES, l1
from diptych.types import Clock, Group, Recipe, Unpaired, Update, adam

SUMMARY = "two generators, trained to be each other's inverse"


@dataclass(frozen=True, kw_only=True)
class Config:
    """CycleGAN's options; the defaults are the paper's."""

    width: int = 64
    """Channels of the first layer of each network; 64 in the paper's appendix."""
    size: int = 256
    """Pixels a side that the networks see in training; 256 in the paper, 128 for Cityscapes."""
    batch_size: int = 1
    """Images of each domain a step; 1 in Sec. 4."""
    generator: Literal["resnet", "unet"] = "resnet"
    """Johnson et al.'s network (Sec. 4), or the U-Net that the authors tried first."""
    blocks: int | None = None
    """Residual blocks; by default 6 below 256 pixels and 9 from there (Sec. 4)."""
    discriminator: Patch = "70x70"
    """The patch, in pixels, that a score of D judges; 70x70 in Sec. 4."""
    discriminators: int = 1
    """How many a domain, averaged: another cure for oscillation, at the price of memory."""
    gan_loss: Literal["lsgan", "log", "log-saturating", "hinge"] = "lsgan"
    """Least squares (Sec. 4), Eq. (1)'s logarithms (G non-saturating or as written), or hinge."""
    gan_weight: float = 1.0
    """Weight of Eq. (1) in Eq. (3); 0 is the ablation "cycle alone"."""
    cycle: Literal["both", "forward", "backward", "none"] = "both"
    """Which halves of Eq. (2): forward is F(G(x)) = x, backward G(F(y)) = y (Sec. 5.1.4)."""
    cycle_weight: float = 10.0
    """λ in Eq. (3); 10 in Sec. 4."""
    cycle_loss: Literal["l1", "adversarial"] = "l1"
    """Eq. (2)'s L1, or the adversarial loss that brought no improvement (Sec. 3.2)."""
    identity_weight: float = 0.0
    """Weight of the identity loss relative to λ; 0.5 for painting -> photo (Sec. 5.2)."""
    buffer_size: int = 50
    """Generated images kept for D (Sec. 4); 0 shows it the latest only."""
    lr: float = 2e-4
    """Adam's learning rate; 2e-4 in Sec. 4."""
    beta1: float = 0.5
    """Adam's momentum; 0.5 in the authors' code."""
    decay_from: float = 0.5
    """Share of the budget at a constant rate before its linear fall to 0; 0.5 in Sec. 4."""

    def __post_init__(self) -> None:
        least = {"width": 1, "size": 16, "batch_size": 1, "discriminators": 1, "buffer_size": 0}
        least |= {"gan_weight": 0, "cycle_weight": 0, "identity_weight": 0, "lr": 0}
        check_bounds(self, least, shares=("decay_from", "beta1"))
        if self.blocks is not None and self.blocks < 1:
            raise InputError(f"blocks is {self.blocks}: it must be at least 1")
        self._check_size()
        if not self.gan_weight and (self.cycle == "none" or not self.cycle_weight):
            raise InputError("gan_weight is 0 and there is no cycle: nothing is left to learn")

    def _check_size(self) -> None:
        check_size(self.size, needs_power_of_two=self._needs_power_of_two)
        check_discriminator_size(self.discriminator, self.size)

    @property
    def _needs_power_of_two(self) -> bool:
        return self.generator == "unet" or self.discriminator == "image"

    @property
    def residual_blocks(self) -> int:
        """As many as asked for, else as many as Sec. 4 says."""
        return self.blocks or blocks_for(self.size)

    @property
    def has_forward_cycle(self) -> bool:
        return self.cycle_weight > 0 and self.cycle in ("both", "forward")

    @property
    def has_backward_cycle(self) -> bool:
        return self.cycle_weight > 0 and self.cycle in ("both", "backward")


_PAPER = {"epochs": 200.0}  # 100 at a constant rate, 100 decaying: Sec. 4

RECIPES: Mapping[str, Recipe] = {
    "object-transfiguration": Recipe("horse <-> zebra, apple <-> orange (Sec. 5.2)", run=_PAPER),
    "season-transfer": Recipe("winter <-> summer (Sec. 5.2)", run=_PAPER),
    "style-transfer": Recipe("photographs <-> a painter's collection (Sec. 5.2)", run=_PAPER),
    "painting-to-photo": Recipe(
        "paintings -> photographs: identity loss, crops of full-size images (Sec. 5.2, appendix)",
        config={"identity_weight": 0.5},
        run=_PAPER | {"load_size": 0},
    ),
    "photo-enhancement": Recipe(
        "smartphone -> SLR photographs: identity loss (Sec. 5.2, appendix)",
        config={"identity_weight": 0.5},
        run=_PAPER,
    ),
    "cityscapes": Recipe(
        "labels <-> photographs at 128 pixels (Sec. 5.1, appendix)",
        config={"size": 128},
        run=_PAPER,
    ),
    "edges-shoes": Recipe(
        "edges <-> photographs, 5 epochs of many (appendix)", run={"epochs": 5.0}
    ),
    "cycle-alone": Recipe("ablation: no adversarial loss (Tables 4, 5)", {"gan_weight": 0.0}),
    "gan-alone": Recipe("ablation: no cycle-consistency loss (Tables 4, 5)", {"cycle": "none"}),
    "gan-forward": Recipe("ablation: F(G(x)) = x only (Tables 4, 5)", {"cycle": "forward"}),
    "gan-backward": Recipe("ablation: G(F(y)) = y only (Tables 4, 5)", {"cycle": "backward"}),
}


class CycleGAN(nn.Module):
    """Two generators and their discriminators; domain 0 is X and domain 1 is Y."""

    batch_type: ClassVar[type[Unpaired]] = Unpaired
    inference_modules: ClassVar[tuple[str, ...]] = ("G", "F")
    exportable: ClassVar[bool] = True
    fixed_size: ClassVar[int | None] = None

    def __init__(self, config: Config, channels: Sequence[int] = (3, 3)) -> None:
        super().__init__()
        x_channels, y_channels = two_channel_counts("cyclegan", channels)
        if config.identity_weight > 0 and config.cycle_weight > 0:
            equal_channel_count(
                channels,
                f"{option('identity_weight', config.identity_weight)} compares images with what"
                " the generator of their own domain makes of them",
            )
        self.config = config
        self.G = _generator(config, x_channels, y_channels)
        self.F = _generator(config, y_channels, x_channels)
        self.D_X = _discriminators(config, x_channels)
        self.D_Y = _discriminators(config, y_channels)
        # Judges of (x, F(G(x))) and (y, G(F(y))), only for the adversarial cycle loss.
        both_x, both_y = 2 * x_channels, 2 * y_channels
        self.C_X = _discriminators(config, both_x) if self._is_adversarial_x else nn.ModuleList()
        self.C_Y = _discriminators(config, both_y) if self._is_adversarial_y else nn.ModuleList()
        self.fakes_x = ReplayBuffer(config.buffer_size)
        self.fakes_y = ReplayBuffer(config.buffer_size)
        init_normal(self)

    @property
    def _is_adversarial_x(self) -> bool:
        return self.config.cycle_loss == "adversarial" and self.config.has_forward_cycle

    @property
    def _is_adversarial_y(self) -> bool:
        return self.config.cycle_loss == "adversarial" and self.config.has_backward_cycle

    @property
    def size_multiple(self) -> int:
        """4 for the ResNet; a U-Net halves down to one pixel."""
        return 4 if self.config.generator == "resnet" else self.config.size

    def groups(self) -> dict[str, Group]:
        c = self.config
        judges: list[nn.Module] = [self.D_X, self.D_Y] if c.gan_weight else []
        judges += [C for C in (self.C_X, self.C_Y) if len(C)]
        groups = {"generators": adam(c, self.G, self.F)}
        return groups | ({"discriminators": adam(c, *judges)} if judges else {})

    def iteration(self, batches: Iterator[Unpaired], clock: Clock) -> Iterator[Update]:
        c = self.config
        batch = next(batches)
        x, y = batch.x, batch.y
        has_identity = c.identity_weight > 0 and c.cycle_weight > 0
        # What a network is given at one time goes through it as one batch.
        fake_y, *same_y = together(self.G, x, y if has_identity else None)
        cycled = (fake_y,) if c.has_forward_cycle else ()
        fake_x, *rest = together(self.F, y, x if has_identity else None, *cycled)
        cycled_x = rest.pop() if c.has_forward_cycle else None
        cycled_y = self.G(fake_x) if c.has_backward_cycle else None
        terms: dict[str, Tensor] = {}
        loss = torch.zeros((), device=x.device)
        if c.gan_weight:
            terms["adversarial"] = self._fool(self.D_Y, fake_y) + self._fool(self.D_X, fake_x)
            loss = loss + c.gan_weight * terms["adversarial"]  # Eq. (1), both ways
        if cycled_x is not None or cycled_y is not None:
            terms["cycle"] = self._cycle(self.C_X, x, cycled_x) + self._cycle(self.C_Y, y, cycled_y)
            loss = loss + c.cycle_weight * terms["cycle"]  # Eq. (3)
        if has_identity:
            terms["identity"] = l1(same_y[0], y) + l1(rest[0], x)  # Sec. 5.2
            loss = loss + c.cycle_weight * c.identity_weight * terms["identity"]
        yield Update("generators", loss, terms)

        # Resumed here only after the trainer has stepped G and F.
        terms = {}
        if c.gan_weight:
            past_y = self.fakes_y.exchange(fake_y, clock.rng)
            past_x = self.fakes_x.exchange(fake_x, clock.rng)
            terms["D_Y"] = self._tell_apart(self.D_Y, y, past_y)
            terms["D_X"] = self._tell_apart(self.D_X, x, past_x)
        if len(self.C_X) and cycled_x is not None:
            terms["C_X"] = self._tell_apart(self.C_X, _pair(x, x), _pair(x, cycled_x.detach()))
        if len(self.C_Y) and cycled_y is not None:
            terms["C_Y"] = self._tell_apart(self.C_Y, _pair(y, y), _pair(y, cycled_y.detach()))
        if terms:
            yield Update("discriminators", torch.stack(list(terms.values())).sum(), terms)

    def translate(
        self, image: Tensor, to: tuple[int, ...], rng: torch.Generator | None = None
    ) -> Tensor:
        """(B, C, H, W) in [-1, 1]: G(image) for to=(1,), F(image) for to=(0,)."""
        assert to in ((0,), (1,)), to
        network = self.G if to == (1,) else self.F
        return cast(Tensor, network(image))

    def _fool(self, D: Iterable[nn.Module], fake: Tensor) -> Tensor:
        """G's part of Eq. (1), a mean over the discriminators: the fakes should pass for real."""
        gan = GAN_LOSSES[self.config.gan_loss]
        return _mean(gan.fool(d(fake)) for d in D)

    def _tell_apart(self, D: Iterable[nn.Module], real: Tensor, fake: Tensor) -> Tensor:
        """D's part of Eq. (1), to minimise, a mean over the discriminators."""
        gan = GAN_LOSSES[self.config.gan_loss]
        losses = (gan.tell_apart(*together(d, real, fake)) for d in D)
        return 0.5 * _mean(losses)  # halved to slow D relative to G: appendix

    def _cycle(self, C: nn.ModuleList, image: Tensor, cycled: Tensor | None) -> Tensor:
        """One half of Eq. (2), 0 where the configuration leaves it out."""
        if cycled is None:
            return torch.zeros((), device=image.device)
        return self._fool(C, _pair(image, cycled)) if len(C) else l1(cycled, image)


def _generator(config: Config, source: int, target: int) -> nn.Module:
    """From images of `source` channels to images of `target` channels."""
    if config.generator == "unet":
        return UNetGenerator(config.width, config.size.bit_length() - 1, source, target)
    return ResNetGenerator(config.width, config.residual_blocks, source, target)


def _discriminators(config: Config, channels: int) -> nn.ModuleList:
    c = config
    return nn.ModuleList(
        make_discriminator(c.discriminator, c.width, c.size, channels)
        for _ in range(c.discriminators)
    )


def _pair(image: Tensor, other: Tensor) -> Tensor:
    return torch.cat([image, other], dim=1)  # (B, 2C, H, W)


def _mean(losses: Iterable[Tensor]) -> Tensor:
    return torch.stack(list(losses)).mean()
