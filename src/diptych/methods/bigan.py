"""BiGAN / ALI (Donahue et al. 2016, arXiv:1605.09782; Dumoulin et al. 2016, arXiv:1606.00704).

As Zhu et al. 2017 adapt it to translation (CycleGAN's Sec. 5.1.2): G: X -> Y and
F: Y -> X against one discriminator of pairs, which should tell (x, G(x)) from
(F(y), y). Where it cannot, the two joint distributions are the same, and G and F
are each other's inverse. Nothing else ties a translation to its input.

BiGAN's Eq. (3) and ALI's Eq. (1) with their data x and code z: here z is an image
y, the encoder E is G, and the generator of data is F.

Differences from the two papers, all of them CycleGAN's authors': both sides are
images rather than an image and noise; G and F are CycleGAN's ResNets, D its 70x70
PatchGAN of the two images stacked; least squares, the history of 50 pairs, the
halved loss of D and the learning rate are CycleGAN's.

Where the papers are silent or ambiguous:
- Which kind of pair is called real is a matter of names: here, as in the authors'
  code, (x, G(x)). G and F are trained by the labels exchanged, as BiGAN's Sec. 3.4
  recommends for its stronger gradient, rather than by D's loss negated.
- With a hinge loss D's side alone is hinged, as in BigBiGAN (Donahue and Simonyan 2019,
  arXiv:1907.02544).
- D is stepped before G and F, as in the authors' code, on histories of both kinds
  of pair, since both hold a generated image.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, cast

import torch
from torch import Tensor, nn

from diptych.errors import check_bounds, check_size, two_channel_counts
from diptych.networks import init_normal, together
from diptych.networks.patchgan import Patch, check_discriminator_size, make_discriminator
from diptych.networks.replay import ReplayBuffer
from diptych.networks.resnet import ResNetGenerator, blocks_for
from diptych.objectives import GAN_LOSSES
from diptych.types import Clock, Group, Recipe, Unpaired, Update, adam

SUMMARY = "one discriminator of pairs: (x, G(x)) against (F(y), y)"


@dataclass(frozen=True, kw_only=True)
class Config:
    """BiGAN's options; the defaults are those of CycleGAN's comparison."""

    width: int = 64
    """Channels of the first layer of each network; CycleGAN's appendix."""
    size: int = 256
    """Pixels a side that the networks see in training."""
    batch_size: int = 1
    """Images of each domain a step; 1 in CycleGAN's Sec. 4."""
    discriminator: Patch = "70x70"
    """The patch, in pixels, of both images that a score of D judges; CycleGAN's Sec. 4."""
    gan_loss: Literal["lsgan", "log", "hinge"] = "lsgan"
    """Least squares, as CycleGAN's authors compare, BiGAN's Eq. (3)'s logarithms, or hinge."""
    buffer_size: int = 50
    """Pairs of each kind kept for D; 0 shows it the latest only, as in BiGAN's own paper."""
    lr: float = 2e-4
    """Adam's learning rate; 2e-4 in CycleGAN's Sec. 4 and in BiGAN's appendix."""
    beta1: float = 0.5
    """Adam's momentum; 0.5 in both."""
    decay_from: float = 0.5
    """Share of the budget at a constant rate before its linear fall to 0; CycleGAN's Sec. 4."""

    def __post_init__(self) -> None:
        least = {"width": 1, "size": 16, "batch_size": 1, "buffer_size": 0, "lr": 0}
        check_bounds(self, least, shares=("beta1", "decay_from"))
        check_size(self.size, needs_power_of_two=self.discriminator == "image")
        check_discriminator_size(self.discriminator, self.size)


PRESETS: Mapping[str, Mapping[str, str]] = {"fast": {"discriminator": "16x16"}}
"""Parts of an image are learnt in minutes; judged by 70x70, more than the preset's images have,
they were stripes and lattices still after 1,900 steps."""

RECIPES: Mapping[str, Recipe] = {
    "joint-log": Recipe(
        "the papers' own loss: logarithms, no history (BiGAN's Eq. 3, ALI's Eq. 1)",
        {"gan_loss": "log", "buffer_size": 0},
    ),
}


class BiGAN(nn.Module):
    """Two generators and one discriminator of pairs; domain 0 is X and domain 1 is Y."""

    batch_type: ClassVar[type[Unpaired]] = Unpaired
    inference_modules: ClassVar[tuple[str, ...]] = ("G", "F")
    exportable: ClassVar[bool] = True
    fixed_size: ClassVar[int | None] = None
    size_multiple: ClassVar[int] = 4

    def __init__(self, config: Config, channels: Sequence[int] = (3, 3)) -> None:
        super().__init__()
        x_channels, y_channels = two_channel_counts("bigan", channels)
        c = self.config = config
        self.G = ResNetGenerator(c.width, blocks_for(c.size), x_channels, y_channels)
        self.F = ResNetGenerator(c.width, blocks_for(c.size), y_channels, x_channels)
        self.D = make_discriminator(c.discriminator, c.width, c.size, x_channels + y_channels)
        self.pairs_of_G, self.pairs_of_F = ReplayBuffer(c.buffer_size), ReplayBuffer(c.buffer_size)
        init_normal(self)

    def groups(self) -> dict[str, Group]:
        c = self.config
        return {
            "discriminator": adam(c, self.D),
            "generators": adam(c, self.G, self.F),
        }

    def iteration(self, batches: Iterator[Unpaired], clock: Clock) -> Iterator[Update]:
        gan = GAN_LOSSES[self.config.gan_loss]
        batch = next(batches)
        x, y = batch.x, batch.y
        of_G = torch.cat([x, self.G(x)], dim=1)  # (x, G(x)): BiGAN's (x, E(x))
        of_F = torch.cat([self.F(y), y], dim=1)  # (F(y), y): BiGAN's (G(z), z)
        past_G = self.pairs_of_G.exchange(of_G, clock.rng)
        past_F = self.pairs_of_F.exchange(of_F, clock.rng)
        score_G, score_F = together(self.D, past_G, past_F)
        # BiGAN's Eq. (3); halved as CycleGAN's appendix does.
        tell_apart = 0.5 * gan.tell_apart(score_G, score_F)
        yield Update("discriminator", tell_apart, {"D": tell_apart})

        # Resumed here only after the trainer has stepped D.
        score_G, score_F = together(self.D, of_G, of_F)
        terms = {"G": gan.G_loss(score_G, real=False), "F": gan.fool(score_F)}  # exchanged
        yield Update("generators", terms["G"] + terms["F"], terms)

    def translate(
        self, image: Tensor, to: tuple[int, ...], rng: torch.Generator | None = None
    ) -> Tensor:
        """(B, C, H, W) in [-1, 1]: G(image) for to=(1,), F(image) for to=(0,)."""
        assert to in ((0,), (1,)), to
        return cast(Tensor, (self.F, self.G)[to[0]](image))
