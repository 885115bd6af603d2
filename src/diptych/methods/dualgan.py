"""DualGAN (Yi, Zhang, Tan, Gong 2017, arXiv:1704.02510).

G_A: U -> V and G_B: V -> U, each against a Wasserstein critic with clipped weights,
and an L1 loss for there and back. CycleGAN's idea, found at the same time, with
U-Nets, dropout as noise, and WGAN's training. Implements Sec. 3 and Algorithm 1.

Where the paper is silent or ambiguous:
- Eq. (3) prints its critics' terms as D_A(G_B(v)) and D_B(G_A(u)). They are
  D_A(G_A(u)) and D_B(G_B(v)), as in Eqs. (1, 2) and the authors' code.
- λ is "within [100, 1000]" and c "within [0.01, 0.1]", n_critic "2-4", batches
  "1-4": here 500, 0.01, 3 and 1. The authors' code had λ = 200, c = 0.01 and 3 steps
  in May 2017, cross-entropy and λ = 20 that August, and has λ = 500 and a gradient
  penalty with 1 step since 2020. The L1 distances are means over pixels, as there.
- The noise is dropout "applied to several layers" when training and translating:
  here in the U-Net's three innermost blocks at a rate of 0.5, as in the code of 2017
  and in pix2pix, on which its networks build. That of 2020 leaves it out by default.
- RMSprop's rate, 5e-5, and smoothing, 0.9, are the code's, as is the U-Net: one
  that halves down to a single pixel.
- The critics judge 70x70 patches (Sec. 3.3); the code's judge whole images, that of
  2020 by default.

Deviations: norms are instance norms, as those that the code calls batch norms, but
without a learnt gain and shift, which clipping would bound too; the innermost block
has none. Kernels are 4x4 (the code: 3x3). TensorFlow's RMSprop starts from a mean
square of 1, PyTorch's from 0. One draw of the noise serves all images that are
translated at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from diptych.errors import InputError, check_bounds, check_size, two_channel_counts
from diptych.networks import init_normal, together
from diptych.networks.patchgan import Patch, check_discriminator_size, make_discriminator
from diptych.networks.unet import UNetGenerator
from diptych.objectives import WGAN, l1
from diptych.types import Clock, Group, Recipe, Unpaired, Update

SUMMARY = "CycleGAN's idea with U-Nets and Wasserstein critics"


@dataclass(frozen=True, kw_only=True)
class Config:
    """DualGAN's options; the defaults are the paper's, or where it gives a range the code's."""

    width: int = 64
    """Channels of the first layer of each network; 64 in the code."""
    size: int = 256
    """Pixels a side that the networks see in training; 256 in Sec. 3.3."""
    batch_size: int = 1
    """Images of each domain a step; 1 to 4 in Sec. 3.4."""
    discriminator: Patch = "70x70"
    """The patch, in pixels, that a score of a critic judges; 70x70 in Sec. 3.3."""
    u_weight: float = 500.0
    """λ_U in Eq. (3); 100 to 1000 in Sec. 3.1, less than λ_V where U alone is photographs."""
    v_weight: float = 500.0
    """λ_V in Eq. (3)."""
    clip: float = 0.01
    """c in Algorithm 1, the bound of the critics' weights; 0.01 to 0.1 in Sec. 3.4."""
    critic_steps: int = 3
    """n_critic in Algorithm 1; 2 to 4 in Sec. 3.4."""
    dropout: float = 0.5
    """Rate of the dropout that is the noise z; 0 makes the generators deterministic."""
    lr: float = 5e-5
    """RMSprop's learning rate; 5e-5 in the code."""
    smoothing: float = 0.9
    """RMSprop's; 0.9 in the code."""
    decay_from: float = 1.0
    """Share of the budget at a constant rate before its linear fall to 0; the paper has none."""

    def __post_init__(self) -> None:
        least = {"width": 1, "size": 16, "batch_size": 1, "critic_steps": 1, "lr": 0}
        least |= {"u_weight": 0, "v_weight": 0}
        check_bounds(self, least, shares=("smoothing", "decay_from"))
        if not 0 <= self.dropout < 1:
            raise InputError(f"dropout is {self.dropout}: it must be from 0 to below 1")
        if not self.clip > 0:
            raise InputError(f"clip is {self.clip}: it must be above 0")
        check_size(self.size, needs_power_of_two=True)
        check_discriminator_size(self.discriminator, self.size)


RECIPES: Mapping[str, Recipe] = {
    "photos-and-labels": Recipe(
        "U is photographs and V is not: a smaller λ_U (Sec. 3.1)",
        {"u_weight": 100.0, "v_weight": 500.0},
    ),
}


class DualGAN(nn.Module):
    """Two generators and their critics; domain 0 is U and domain 1 is V."""

    batch_type: ClassVar[type[Unpaired]] = Unpaired
    inference_modules: ClassVar[tuple[str, ...]] = ("G_A", "G_B")
    exportable: ClassVar[bool] = True
    fixed_size: ClassVar[int | None] = None

    def __init__(self, config: Config, channels: Sequence[int] = (3, 3)) -> None:
        super().__init__()
        x_channels, y_channels = two_channel_counts("dualgan", channels)
        c = self.config = config
        depth = c.size.bit_length() - 1
        self.G_A = UNetGenerator(c.width, depth, x_channels, y_channels)
        self.G_B = UNetGenerator(c.width, depth, y_channels, x_channels)
        self.D_A = make_discriminator(c.discriminator, c.width, c.size, y_channels)
        self.D_B = make_discriminator(c.discriminator, c.width, c.size, x_channels)
        init_normal(self)

    @property
    def size_multiple(self) -> int:
        """A U-Net halves down to one pixel."""
        return self.config.size

    def groups(self) -> dict[str, Group]:
        c = self.config
        group = partial(
            Group,
            lr=c.lr,
            optimiser="rmsprop",
            betas=(0.0, c.smoothing),
            decay_from=c.decay_from,
        )
        return {
            "critics": group(modules=(self.D_A, self.D_B)),
            "generators": group(modules=(self.G_A, self.G_B)),
        }

    def iteration(self, batches: Iterator[Unpaired], clock: Clock) -> Iterator[Update]:
        c = self.config
        for _ in range(c.critic_steps):  # Algorithm 1
            batch = next(batches)
            u, v = batch.x, batch.y
            with torch.no_grad():
                fake_v = self._run(self.G_A, u, clock.rng)
                fake_u = self._run(self.G_B, v, clock.rng)
            terms = {
                "D_A": WGAN.tell_apart(*together(self.D_A, v, fake_v)),  # Eq. (1)
                "D_B": WGAN.tell_apart(*together(self.D_B, u, fake_u)),  # Eq. (2)
            }
            yield Update("critics", terms["D_A"] + terms["D_B"], terms)
            self._clip()  # the trainer has stepped the critics

        batch = next(batches)
        u, v = batch.x, batch.y
        fake_v, fake_u = self._run(self.G_A, u, clock.rng), self._run(self.G_B, v, clock.rng)
        terms = {
            "reconstructed_u": l1(self._run(self.G_B, fake_v, clock.rng), u),
            "reconstructed_v": l1(self._run(self.G_A, fake_u, clock.rng), v),
            "adversarial": WGAN.fool(self.D_A(fake_v)) + WGAN.fool(self.D_B(fake_u)),
        }
        weighted = c.u_weight * terms["reconstructed_u"] + c.v_weight * terms["reconstructed_v"]
        yield Update("generators", weighted + terms["adversarial"], terms)  # Eq. (3)

    def translate(
        self, image: Tensor, to: tuple[int, ...], rng: torch.Generator | None = None
    ) -> Tensor:
        """(B, C, H, W) in [-1, 1]: G_A(image, z) for to=(1,), G_B(image, z) for to=(0,).

        `rng` draws z, once for the whole batch; without it, z is that of seed 0.
        """
        assert to in ((0,), (1,)), to
        rng = torch.Generator().manual_seed(0) if rng is None else rng
        return self._run((self.G_B, self.G_A)[to[0]], image, rng, draws=1)

    def _run(
        self, G: nn.Module, image: Tensor, rng: torch.Generator, draws: int | None = None
    ) -> Tensor:
        """G(`image`, z), a z an image, or as many as `draws`."""
        if not isinstance(G, UNetGenerator) or not self.config.dropout:
            return cast(Tensor, G(image))
        count = len(image) if draws is None else draws
        z = G.noise(count, image.shape[2], image.shape[3], self.config.dropout, rng)
        return cast(Tensor, G(image, z))

    @torch.no_grad()
    def _clip(self) -> None:
        for D in (self.D_A, self.D_B):
            for parameter in D.parameters():
                parameter.clamp_(-self.config.clip, self.config.clip)
