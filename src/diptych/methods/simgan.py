"""SimGAN (Shrivastava et al. 2016, arXiv:1612.07828).

A refiner G makes images of X look like those of Y, which D judges patch by patch,
and is held to its input by an L1 distance in pixels: self-regularisation. Follows
Algorithm 1 and Secs. 2.1 to 2.3 (the local adversarial loss, the history of
refined images), on the networks of CycleGAN, whose authors compare with it so
(CycleGAN's Sec. 5.1.2).

Each direction is a SimGAN of its own: G and D_Y from X to Y, F and D_X from Y to
X. They are trained at once and share nothing, so the weights are those of two runs.

Differences from SimGAN's own paper, by CycleGAN's authors: the refiner is
CycleGAN's ResNet rather than one at full resolution, D its 70x70 PatchGAN; least
squares replace the logarithms; Adam, the rate and the batch of 1 are CycleGAN's,
as are the weight of 10 of the regularisation (their code) and 50 images of
history. D's loss is halved, as CycleGAN's. Its authors step G once a step of D:
`--recipe cyclegan-comparison`; theirs steps D first, and both on the same batch.

Where the paper is silent or ambiguous:
- Its D says how likely an image is to be synthetic; here D says how likely it is
  to be real, as everywhere in Diptych. The losses are the same.
- ψ is the identity, as in most of its experiments, and ‖·‖₁ a mean over pixels. The
  local losses are means over patches, where its Sec. 2.2 sums.
- Half of a batch of one is an older image every other time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, cast

import torch
from torch import Tensor, nn

from diptych.errors import check_bounds, check_size, equal_channel_count, two_channel_counts
from diptych.networks import init_normal, together
from diptych.networks.patchgan import Patch, check_discriminator_size, make_discriminator
from diptych.networks.replay import ReplayBuffer
from diptych.networks.resnet import ResNetGenerator, blocks_for
from diptych.objectives import GAN_LOSSES, l1
from diptych.types import Clock, Group, Recipe, Unpaired, Update, adam

SUMMARY = "a refiner kept close to its input by an L1 loss on pixels"


@dataclass(frozen=True, kw_only=True)
class Config:
    """SimGAN's options; the defaults are Algorithm 1's and CycleGAN's comparison's."""

    width: int = 64
    """Channels of the first layer of each network; CycleGAN's appendix."""
    size: int = 256
    """Pixels a side that the networks see in training."""
    batch_size: int = 1
    """Images of each domain a step; 1 in CycleGAN's Sec. 4."""
    discriminator: Patch = "70x70"
    """The patch, in pixels, that a score of D judges: the local loss of Sec. 2.2."""
    gan_loss: Literal["lsgan", "log", "hinge"] = "lsgan"
    """Least squares, as CycleGAN's authors compare, Eqs. (2, 3)'s logarithms, or hinge."""
    regularisation_weight: float = 10.0
    """λ in Eq. (4); 10 in the code of CycleGAN's authors."""
    refiner_steps: int = 2
    """K_g in Algorithm 1; 2 in Sec. 3.1, 1 in CycleGAN's comparison."""
    discriminator_steps: int = 1
    """K_d in Algorithm 1; 1 in Sec. 3.1."""
    refiner_warm_up: int = 0
    """Steps of self-regularisation alone at the start; 1000 in Sec. 3.1."""
    discriminator_warm_up: int = 0
    """Steps of D alone after those; 200 in Sec. 3.1."""
    buffer_size: int = 50
    """Refined images kept for D (Sec. 2.3); 0 shows it the latest only."""
    lr: float = 2e-4
    """Adam's learning rate; 2e-4 in CycleGAN's Sec. 4."""
    beta1: float = 0.5
    """Adam's momentum; 0.5 in the code of CycleGAN's authors."""
    decay_from: float = 0.5
    """Share of the budget at a constant rate before its linear fall to 0; CycleGAN's Sec. 4."""

    def __post_init__(self) -> None:
        least = {"width": 1, "size": 16, "batch_size": 1, "buffer_size": 0, "lr": 0}
        least |= {"regularisation_weight": 0, "refiner_steps": 1, "discriminator_steps": 1}
        least |= {"refiner_warm_up": 0, "discriminator_warm_up": 0}
        check_bounds(self, least, shares=("beta1", "decay_from"))
        check_size(self.size, needs_power_of_two=self.discriminator == "image")
        check_discriminator_size(self.discriminator, self.size)


RECIPES: Mapping[str, Recipe] = {
    "algorithm-1": Recipe(
        "SimGAN's own loss and warm-up of 1,200 steps (Sec. 3.1)",
        {"gan_loss": "log", "refiner_warm_up": 1000, "discriminator_warm_up": 200},
    ),
    "cyclegan-comparison": Recipe(
        "one step of each, as CycleGAN's authors compare with it", {"refiner_steps": 1}
    ),
}


class SimGAN(nn.Module):
    """A refiner and its discriminator, once a direction; domain 0 is X and domain 1 is Y."""

    batch_type: ClassVar[type[Unpaired]] = Unpaired
    inference_modules: ClassVar[tuple[str, ...]] = ("G", "F")
    exportable: ClassVar[bool] = True
    fixed_size: ClassVar[int | None] = None
    size_multiple: ClassVar[int] = 4

    def __init__(self, config: Config, channels: Sequence[int] = (3, 3)) -> None:
        super().__init__()
        x_channels, y_channels = two_channel_counts("simgan", channels)
        equal_channel_count(channels, "simgan compares images with their translations by pixels")
        c = self.config = config
        self.G = ResNetGenerator(c.width, blocks_for(c.size), x_channels, y_channels)
        self.F = ResNetGenerator(c.width, blocks_for(c.size), y_channels, x_channels)
        self.D_X = make_discriminator(c.discriminator, c.width, c.size, x_channels)
        self.D_Y = make_discriminator(c.discriminator, c.width, c.size, y_channels)
        self.fakes_x, self.fakes_y = ReplayBuffer(c.buffer_size), ReplayBuffer(c.buffer_size)
        init_normal(self)

    def groups(self) -> dict[str, Group]:
        c = self.config
        return {
            "refiners": adam(c, self.G, self.F),
            "discriminators": adam(c, self.D_X, self.D_Y),
        }

    def iteration(self, batches: Iterator[Unpaired], clock: Clock) -> Iterator[Update]:
        c = self.config
        warms_refiners = clock.step < c.refiner_warm_up
        warms_discriminators = 0 <= clock.step - c.refiner_warm_up < c.discriminator_warm_up
        if not warms_discriminators:
            for _ in range(1 if warms_refiners else c.refiner_steps):
                yield self._refine(next(batches), is_judged=not warms_refiners)
        if not warms_refiners:
            for _ in range(1 if warms_discriminators else c.discriminator_steps):
                yield self._tell_apart(next(batches), clock.rng)

    def _refine(self, batch: Unpaired, *, is_judged: bool) -> Update:
        """The refiners' part: Eq. (4), both ways."""
        fake_y, fake_x = self.G(batch.x), self.F(batch.y)
        terms = {"self_regularisation": l1(fake_y, batch.x) + l1(fake_x, batch.y)}  # ℓ_reg
        loss = self.config.regularisation_weight * terms["self_regularisation"]
        if is_judged:
            gan = GAN_LOSSES[self.config.gan_loss]
            terms["adversarial"] = gan.fool(self.D_Y(fake_y)) + gan.fool(
                self.D_X(fake_x)
            )  # Eq. (3)
            loss = terms["adversarial"] + loss  # Eq. (4)
        return Update("refiners", loss, terms)

    def _tell_apart(self, batch: Unpaired, rng: torch.Generator) -> Update:
        """The discriminators' part: Eq. (2), both ways, half of the fakes from the history."""
        with torch.no_grad():
            fake_y, fake_x = self.G(batch.x), self.F(batch.y)
        gan = GAN_LOSSES[self.config.gan_loss]
        past_y, past_x = self.fakes_y.mix(fake_y, rng), self.fakes_x.mix(fake_x, rng)  # Sec. 2.3
        terms = {  # Eq. (2), halved as CycleGAN's appendix does
            "D_Y": 0.5 * gan.tell_apart(*together(self.D_Y, batch.y, past_y)),
            "D_X": 0.5 * gan.tell_apart(*together(self.D_X, batch.x, past_x)),
        }
        return Update("discriminators", terms["D_Y"] + terms["D_X"], terms)

    def translate(
        self, image: Tensor, to: tuple[int, ...], rng: torch.Generator | None = None
    ) -> Tensor:
        """(B, C, H, W) in [-1, 1]: G(image) for to=(1,), F(image) for to=(0,)."""
        assert to in ((0,), (1,)), to
        return cast(Tensor, (self.F, self.G)[to[0]](image))
