"""pix2pix (Isola, Zhu, Zhou, Efros 2016, arXiv:1611.07004).

A U-Net G that is shown pairs: G(x, z) should be close to y, and D, which sees the
input beside the output, should not tell (x, G(x, z)) from (x, y). The noise z is
dropout, in training and when translating. Implements Sec. 3, the losses of
Sec. 4.2 (Table 1), the patches of Sec. 4.4 and the appendix's networks.

Each direction is a pix2pix of its own: G and D_Y from X to Y, F and D_X from Y to
X. They are trained at once and share nothing, so the weights are those of two runs.

Where the paper is silent or ambiguous:
- The L1 distance of Eq. (3) is a mean over pixels, as in the authors' code.
- D is stepped before G, as in Sec. 3.3, and G by the D that has been; the authors' code takes
  G's gradient through scores that D gave before its own step.
- The U-Net has as many scales as the image has halvings (8 for 256 pixels, as in
  the paper), so the number of blocks with dropout stays three.
- One draw of z serves all images that are translated at once: an image's
  translation depends on the seed, not on its place in a batch.

Deviations: instance norm replaces the batch norm, without the gain and the shift that
the paper's learns after it. For a batch of one, the paper's choice for most data, both
take the same statistics, at test time too, as the paper applies those of the test batch;
for larger ones an image's translation does not depend on its batch here. CycleGAN's
authors compare with a pix2pix of their own networks and least squares:
`--recipe cyclegan-comparison`, with the λ = 10 that their code has for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, cast

import torch
from torch import Tensor, nn

from diptych.errors import InputError, check_bounds, check_size, two_channel_counts
from diptych.networks import init_normal, together
from diptych.networks.patchgan import Patch, check_discriminator_size, make_discriminator
from diptych.networks.replay import ReplayBuffer
from diptych.networks.resnet import ResNetGenerator, blocks_for
from diptych.networks.unet import UNetGenerator
from diptych.objectives import GAN_LOSSES, l1
from diptych.types import Clock, Group, Paired, Recipe, Update, adam

SUMMARY = "a conditional GAN with an L1 loss, trained on pairs"


@dataclass(frozen=True, kw_only=True)
class Config:
    """pix2pix's options; the defaults are the paper's."""

    width: int = 64
    """Channels of the first layer of each network; 64 in the appendix."""
    size: int = 256
    """Pixels a side that the networks see in training; 256 in the paper."""
    batch_size: int = 1
    """Pairs a step; 1 to 10 in Sec. 3.3 and in the appendix."""
    generator: Literal["unet", "resnet"] = "unet"
    """The paper's U-Net, or CycleGAN's network, which has no noise."""
    discriminator: Patch = "70x70"
    """The patch, in pixels, that a score of D judges; 70x70 in Sec. 4.4."""
    is_conditional: bool = True
    """Whether D sees the input too: Eq. (1), or without it Eq. (2)."""
    gan_loss: Literal["log", "lsgan", "hinge"] = "log"
    """Eqs. (1, 2)'s logarithms (G non-saturating, Sec. 3.3), least squares, or hinge."""
    gan_weight: float = 1.0
    """Weight of the adversarial loss in Eq. (4); 0 is the ablation "L1"."""
    l1_weight: float = 100.0
    """λ in Eq. (4); 100 in Sec. 4.2."""
    dropout: float = 0.5
    """Rate of the dropout that is the noise z; 0.5 in the appendix. 0 makes G deterministic."""
    buffer_size: int = 0
    """Generated images kept for D; the paper keeps none, CycleGAN's comparison 50."""
    lr: float = 2e-4
    """Adam's learning rate; 2e-4 in Sec. 3.3."""
    beta1: float = 0.5
    """Adam's momentum; 0.5 in Sec. 3.3."""
    decay_from: float = 1.0
    """Share of the budget at a constant rate before its linear fall to 0; the paper has none."""

    def __post_init__(self) -> None:
        least = {"width": 1, "size": 16, "batch_size": 1, "buffer_size": 0}
        least |= {"gan_weight": 0, "l1_weight": 0, "lr": 0}
        check_bounds(self, least, shares=("beta1", "decay_from"))
        if not 0 <= self.dropout < 1:
            raise InputError(f"dropout is {self.dropout}: it must be from 0 to below 1")
        needs_power = self.generator == "unet" or self.discriminator == "image"
        check_size(self.size, needs_power_of_two=needs_power)
        check_discriminator_size(self.discriminator, self.size)
        if not self.gan_weight and not self.l1_weight:
            raise InputError("gan_weight and l1_weight are both 0: nothing is left to learn")


_PAPER = {"epochs": 200.0}
_EDGES = {"epochs": 15.0}

RECIPES: Mapping[str, Recipe] = {
    "small-data": Recipe(
        "labels <-> facades, labels <-> street scenes, maps <-> aerial photos (appendix)",
        run=_PAPER,
    ),
    "edges": Recipe(
        "edges <-> shoes or handbags, from 50,000 pairs on (appendix)", {"batch_size": 4}, _EDGES
    ),
    "l1": Recipe("ablation: L1 alone (Table 1)", {"gan_weight": 0.0}),
    "gan": Recipe(
        "ablation: an unconditional GAN alone (Table 1)",
        {"is_conditional": False, "l1_weight": 0.0},
    ),
    "cgan": Recipe("ablation: a conditional GAN alone (Table 1)", {"l1_weight": 0.0}),
    "l1-gan": Recipe("ablation: L1 and an unconditional GAN (Table 1)", {"is_conditional": False}),
    "cyclegan-comparison": Recipe(
        "as CycleGAN's authors compare with it: their networks and training",
        {
            "generator": "resnet",
            "gan_loss": "lsgan",
            "buffer_size": 50,
            "l1_weight": 10.0,
            "decay_from": 0.5,
        },
        _PAPER,
    ),
}


class Pix2Pix(nn.Module):
    """The paper's G and D, once a direction; domain 0 is X and domain 1 is Y."""

    batch_type: ClassVar[type[Paired]] = Paired
    inference_modules: ClassVar[tuple[str, ...]] = ("G", "F")
    exportable: ClassVar[bool] = True
    fixed_size: ClassVar[int | None] = None

    def __init__(self, config: Config, channels: Sequence[int] = (3, 3)) -> None:
        super().__init__()
        x_channels, y_channels = two_channel_counts("pix2pix", channels)
        c = self.config = config
        self.G = _generator(c, x_channels, y_channels)
        self.F = _generator(c, y_channels, x_channels)
        both = x_channels + y_channels
        seen_x, seen_y = (both, both) if c.is_conditional else (x_channels, y_channels)
        self.D_X = make_discriminator(c.discriminator, c.width, c.size, seen_x)
        self.D_Y = make_discriminator(c.discriminator, c.width, c.size, seen_y)
        self.fakes_x, self.fakes_y = ReplayBuffer(c.buffer_size), ReplayBuffer(c.buffer_size)
        init_normal(self)

    @property
    def size_multiple(self) -> int:
        """4 for the ResNet; a U-Net halves down to one pixel."""
        return 4 if self.config.generator == "resnet" else self.config.size

    def groups(self) -> dict[str, Group]:
        c = self.config
        groups = {"generators": adam(c, self.G, self.F)}
        judges = {"discriminators": adam(c, self.D_X, self.D_Y)}
        return groups | (judges if c.gan_weight else {})

    def iteration(self, batches: Iterator[Paired], clock: Clock) -> Iterator[Update]:
        c = self.config
        gan = GAN_LOSSES[c.gan_loss]
        batch = next(batches)
        x, y = batch.x, batch.y
        fake_y = self.G(x, *self._noise(self.G, x, len(x), clock.rng))
        fake_x = self.F(y, *self._noise(self.F, y, len(y), clock.rng))
        seen_y, seen_x = self._seen(x, fake_y), self._seen(y, fake_x)
        if c.gan_weight:
            past_y = self.fakes_y.exchange(seen_y, clock.rng)
            past_x = self.fakes_x.exchange(seen_x, clock.rng)
            # D's part of Eqs. (1, 2), to minimise, halved to slow D relative to G: Sec. 3.3.
            terms = {
                "D_Y": 0.5 * gan.tell_apart(*together(self.D_Y, self._seen(x, y), past_y)),
                "D_X": 0.5 * gan.tell_apart(*together(self.D_X, self._seen(y, x), past_x)),
            }
            yield Update("discriminators", terms["D_Y"] + terms["D_X"], terms)

        # Resumed here only after the trainer has stepped D_X and D_Y.
        terms = {"l1": l1(fake_y, y) + l1(fake_x, x)}  # Eq. (3), both ways
        loss = c.l1_weight * terms["l1"]
        if c.gan_weight:
            # G's part of Eqs. (1, 2): maximise log D, not minimise log(1 - D), Sec. 3.3.
            terms["adversarial"] = gan.fool(self.D_Y(seen_y)) + gan.fool(self.D_X(seen_x))
            loss = c.gan_weight * terms["adversarial"] + loss  # Eq. (4)
        yield Update("generators", loss, terms)

    def translate(
        self, image: Tensor, to: tuple[int, ...], rng: torch.Generator | None = None
    ) -> Tensor:
        """(B, C, H, W) in [-1, 1]: G(image, z) for to=(1,), F(image, z) for to=(0,).

        `rng` draws z, once for the whole batch; without it, z is that of seed 0.
        """
        assert to in ((0,), (1,)), to
        network = self.G if to == (1,) else self.F
        rng = torch.Generator().manual_seed(0) if rng is None else rng
        return cast(Tensor, network(image, *self._noise(network, image, 1, rng)))

    def _noise(
        self, G: nn.Module, image: Tensor, count: int, rng: torch.Generator
    ) -> tuple[Sequence[Tensor], ...]:
        """z, as what follows G's image; nothing where there is none."""
        if not isinstance(G, UNetGenerator) or not self.config.dropout:
            return ()
        return (G.noise(count, image.shape[2], image.shape[3], self.config.dropout, rng),)

    def _seen(self, given: Tensor, judged: Tensor) -> Tensor:
        """What D sees: both images' channels in Eq. (1), those of `judged` in Eq. (2)."""
        return torch.cat([given, judged], dim=1) if self.config.is_conditional else judged


def _generator(config: Config, source: int, target: int) -> nn.Module:
    """From images of `source` channels to images of `target` channels."""
    if config.generator == "resnet":
        return ResNetGenerator(config.width, blocks_for(config.size), source, target)
    return UNetGenerator(config.width, config.size.bit_length() - 1, source, target)
