"""UNIT (Liu, Breuel, Kautz 2017, arXiv:1703.00848).

Two VAEs and two GANs with one latent space: E1 and E2 encode images of domains
1 and 2 as the mean of a Gaussian of unit variance, G1 and G2 decode its samples,
D1 and D2 judge what was translated. The last layers of the encoders and the
first of the generators are the same modules, so that a code means the same in
both domains. Implements Secs. 3 and 4 and the appendix's networks.

Where the paper is silent or ambiguous:
- Its KL and log-likelihoods do not say how they are reduced over an image. Here
  they are means over the elements of the code and over the image, as in the
  authors' code, so KL(N(μ, I) || N(0, I)) is the mean of ½μ².
- The Laplacian likelihood of Eqs. (3) and (7) is a mean L1 distance: scale and
  constant are left out, as λ2 and λ4 hold them.
- The appendix gives the residual blocks twice the channels of the convolution
  before them. Then their skips cannot be identities; here, and in the authors'
  code, they have the same: 256.
- Norms, slopes and padding are the code's: instance norm within the residual
  blocks and nowhere else, slopes of 0.01, zeros.
- D is updated first, then E and G (Sec. 3), by the same draw of the codes; the
  authors' code draws again in between.

Deviations: G's loss is the non-saturating one by default (`gan_loss`); images
are translated by the mean of their code unless draws are asked for; the
authors' code decays weights by 1e-4, which the paper does not say and we do not;
below 64 pixels D has fewer layers, since its last one needs a 2x2 map.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal, cast

import torch
from torch import Tensor, nn

from diptych.errors import InputError, check_bounds, check_size, two_channel_counts
from diptych.networks import init_normal, together
from diptych.networks.norm import InstanceNorm2d
from diptych.objectives import GAN_LOSSES, l1
from diptych.types import Clock, Group, Recipe, Unpaired, Update, adam

SUMMARY = "two VAE/GANs that share one latent space"

RESIDUAL_BLOCKS = 4
"""Residual blocks of each encoder and each generator, shared ones included (appendix)."""
_D_LAYERS = 5


@dataclass(frozen=True, kw_only=True)
class Config:
    """UNIT's options; the defaults are the paper's."""

    width: int = 64
    """Channels of the first layer of each network; 64 in the appendix."""
    size: int = 256
    """Pixels a side that the networks see in training; the paper's images are larger."""
    batch_size: int = 1
    """Images of each domain a step; 1 in Sec. 4."""
    shared_layers: int = 1
    """Residual blocks that the encoders share, and as many that the generators share."""
    gan_loss: Literal["log", "log-saturating", "lsgan", "hinge"] = "log"
    """Eqs. (5, 6)'s logarithms (G non-saturating or as written), least squares, or hinge."""
    gan_weight: float = 10.0
    """λ0 in Eqs. (5, 6); 10 in Sec. 4."""
    kl_weight: float = 0.1
    """λ1 in Eqs. (3, 4); 0.1 in Sec. 4."""
    reconstruction_weight: float = 100.0
    """λ2 in Eqs. (3, 4); 100 in Sec. 4."""
    cycle_kl_weight: float = 0.1
    """λ3 in Eqs. (7, 8); 0.1 in Sec. 4."""
    cycle_weight: float = 100.0
    """λ4 in Eqs. (7, 8); 100 in Sec. 4. With λ3, 0 is weight sharing alone."""
    lr: float = 1e-4
    """Adam's learning rate; 1e-4 in Sec. 4."""
    beta1: float = 0.5
    """Adam's momentum; 0.5 in Sec. 4."""
    decay_from: float = 1.0
    """Share of the budget at a constant rate before its linear fall to 0; the paper has none."""

    def __post_init__(self) -> None:
        least = {"width": 1, "size": 16, "batch_size": 1, "shared_layers": 0, "lr": 0}
        weights = ("gan", "kl", "reconstruction", "cycle_kl", "cycle")
        least |= {f"{name}_weight": 0 for name in weights}
        check_bounds(self, least, shares=("decay_from", "beta1"))
        if self.shared_layers > RESIDUAL_BLOCKS:
            raise InputError(
                f"shared_layers is {self.shared_layers}: there are {RESIDUAL_BLOCKS} residual"
                " blocks to share"
            )
        check_size(self.size, needs_power_of_two=False)
        if not (self.gan_weight or self.reconstruction_weight or self.has_cycle):
            raise InputError("gan_weight, reconstruction_weight and cycle_weight are all 0")

    @property
    def has_cycle(self) -> bool:
        return self.cycle_weight > 0 or self.cycle_kl_weight > 0


PRESETS: Mapping[str, Mapping[str, float]] = {"fast": {"lr": 3e-4}}
"""Chosen on `earth-climate`'s validation split after 600 steps, one seed: an L1 to the truth of
0.131 and 0.159, where the paper's 1e-4 had 0.160 and 0.202, each times the preset's three."""

RECIPES: Mapping[str, Recipe] = {
    # Sizes and steps: the authors' configuration files, as the paper gives none.
    "street": Recipe(
        "day <-> night, sunny <-> rainy, summer <-> snow, synthetic <-> real (Sec. 4)",
        {"size": 480},
        {"load_size": 486, "steps": 500_000},
    ),
    "animals": Recipe(
        "breeds of dogs, species of cats (Sec. 4)", {"size": 216}, {"steps": 500_000}
    ),
    "faces": Recipe(
        "an attribute of faces, such as blond hair (Sec. 4)",
        {"size": 128},
        {"load_size": 132, "steps": 2_000_000},
    ),
    "weight-sharing-alone": Recipe(
        "ablation: no cycle consistency (Sec. 4, Table 2)",
        {"cycle_weight": 0.0, "cycle_kl_weight": 0.0},
    ),
    "cycle-alone": Recipe("ablation: no layer is shared (Sec. 4, Table 2)", {"shared_layers": 0}),
}


class UNIT(nn.Module):
    """The paper's E1 is E_shared after E1 here, and its G1 is G1 here after G_shared."""

    batch_type: ClassVar[type[Unpaired]] = Unpaired
    inference_modules: ClassVar[tuple[str, ...]] = (
        "E1", "E2", "E_shared", "G_shared", "G1", "G2",
    )  # fmt: skip
    exportable: ClassVar[bool] = True
    fixed_size: ClassVar[int | None] = None
    size_multiple: ClassVar[int] = 4

    def __init__(self, config: Config, channels: Sequence[int] = (3, 3)) -> None:
        super().__init__()
        x_channels, y_channels = two_channel_counts("unit", channels)
        self.config = config
        w, shared = config.width, config.shared_layers
        own = RESIDUAL_BLOCKS - shared
        self.E1, self.E2 = _encoder(w, own, x_channels), _encoder(w, own, y_channels)
        self.E_shared = nn.Sequential(*(ResidualBlock(4 * w) for _ in range(shared)))
        self.G_shared = nn.Sequential(*(ResidualBlock(4 * w) for _ in range(shared)))
        self.G1, self.G2 = _generator(w, own, x_channels), _generator(w, own, y_channels)
        self.D1, self.D2 = _discriminator(config, x_channels), _discriminator(config, y_channels)
        init_normal(self)

    def groups(self) -> dict[str, Group]:
        c = self.config
        vaes = (self.E1, self.E2, self.E_shared, self.G_shared, self.G1, self.G2)
        judges = {"discriminators": adam(c, self.D1, self.D2)}
        return {"vaes": adam(c, *vaes)} | (judges if c.gan_weight else {})

    def iteration(self, batches: Iterator[Unpaired], clock: Clock) -> Iterator[Update]:
        c = self.config
        gan = GAN_LOSSES[c.gan_loss]
        batch = next(batches)
        x1, x2 = batch.x, batch.y
        mu1, mu2 = self._encode(x1, x2)
        h1, h2 = self._share(self._sample(mu1, clock.rng), self._sample(mu2, clock.rng))
        x11, x21 = together(self.G1, h1, h2)  # reconstructed, and translated from 2 to 1
        x12, x22 = together(self.G2, h1, h2)
        if c.gan_weight:
            terms = {
                "D1": gan.tell_apart(*together(self.D1, x1, x21.detach())),  # Eq. (5), negated
                "D2": gan.tell_apart(*together(self.D2, x2, x12.detach())),  # Eq. (6), negated
            }
            # Resumed here only after the trainer has stepped D1 and D2: Sec. 3.
            yield Update("discriminators", c.gan_weight * (terms["D1"] + terms["D2"]), terms)

        terms = {
            "kl": kl(mu1) + kl(mu2),
            "reconstruction": l1(x11, x1) + l1(x22, x2),
        }
        loss = c.kl_weight * terms["kl"]  # Eqs. (3, 4)
        loss = loss + c.reconstruction_weight * terms["reconstruction"]  # Eqs. (3, 4)
        if c.gan_weight:
            terms["adversarial"] = gan.fool(self.D1(x21)) + gan.fool(self.D2(x12))
            loss = loss + c.gan_weight * terms["adversarial"]  # Eqs. (5, 6)
        if c.has_cycle:
            mu21, mu12 = self._encode(x21, x12)
            h21, h12 = self._share(self._sample(mu21, clock.rng), self._sample(mu12, clock.rng))
            terms["cycle_kl"] = kl(mu1) + kl(mu2) + kl(mu12) + kl(mu21)
            terms["cycle"] = l1(self.G1(h12), x1) + l1(self.G2(h21), x2)
            loss = loss + c.cycle_kl_weight * terms["cycle_kl"]  # Eqs. (7, 8)
            loss = loss + c.cycle_weight * terms["cycle"]  # Eqs. (7, 8)
        yield Update("vaes", loss, terms)

    def translate(
        self, image: Tensor, to: tuple[int, ...], rng: torch.Generator | None = None
    ) -> Tensor:
        """(B, C, H, W) in [-1, 1], by the mean of the code."""
        assert to in ((0,), (1,)), to
        return self.decode(self.encode(image, 1 - to[0]), to[0])

    def draw(self, image: Tensor, to: tuple[int, ...], rng: torch.Generator) -> Tensor:
        """(B, C, H, W) in [-1, 1], by a sample of the code, as the paper translates."""
        assert to in ((0,), (1,)), to
        return self.decode(self._sample(self.encode(image, 1 - to[0]), rng), to[0])

    def encode(self, image: Tensor, source: int) -> Tensor:
        """(B, C, H, W) in [-1, 1] of domain `source` to the mean (B, 4 width, H/4, W/4)."""
        return cast(Tensor, self.E_shared((self.E1, self.E2)[source](image)))

    def decode(self, z: Tensor, to: int) -> Tensor:
        """A code (B, 4 width, h, w) to an image (B, C, 4h, 4w) in [-1, 1] of domain `to`."""
        return cast(Tensor, (self.G1, self.G2)[to](self.G_shared(z)))

    def generate(self, n: int, to: int, rng: torch.Generator) -> Tensor:
        """(n, C, size, size) in [-1, 1], decoded from z ~ N(0, I): the GAN of Table 1."""
        c, device = self.config, next(self.parameters()).device
        shape = (n, 4 * c.width, c.size // 4, c.size // 4)
        return self.decode(torch.randn(shape, generator=rng).to(device), to)

    def _encode(self, x1: Tensor, x2: Tensor) -> tuple[Tensor, ...]:
        return together(self.E_shared, self.E1(x1), self.E2(x2))

    def _share(self, z1: Tensor, z2: Tensor) -> tuple[Tensor, ...]:
        return together(self.G_shared, z1, z2)

    @staticmethod
    def _sample(mu: Tensor, rng: torch.Generator) -> Tensor:
        """z ~ N(`mu`, I) (Sec. 3)."""
        return mu + torch.randn(mu.shape, generator=rng).to(mu)


def kl(mu: Tensor) -> Tensor:
    """KL(N(`mu`, I) || N(0, I)) = ½‖μ‖² (Eq. 3), averaged over batch and code."""
    return 0.5 * mu.float().square().mean()


class ResidualBlock(nn.Module):
    """RESBLK: two 3x3 convolutions with instance norm, and a skip."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            InstanceNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1),
            InstanceNorm2d(channels),
        )

    def forward(self, h: Tensor) -> Tensor:
        return h + cast(Tensor, self.body(h))


def _encoder(w: int, blocks: int, channels: int) -> nn.Sequential:
    """An encoder's own layers, of the appendix's table."""
    return nn.Sequential(
        nn.Conv2d(channels, w, 7, padding=3),  # CONV-(N64,K7,S1)
        nn.LeakyReLU(),
        nn.Conv2d(w, 2 * w, 3, stride=2, padding=1),  # CONV-(N128,K3,S2)
        nn.LeakyReLU(),
        nn.Conv2d(2 * w, 4 * w, 3, stride=2, padding=1),  # CONV-(N256,K3,S2)
        nn.LeakyReLU(),
        *(ResidualBlock(4 * w) for _ in range(blocks)),
    )


def _generator(w: int, blocks: int, channels: int) -> nn.Sequential:
    """A generator's own layers."""

    def up(k: int) -> nn.ConvTranspose2d:
        return nn.ConvTranspose2d(2 * k, k, 3, stride=2, padding=1, output_padding=1)

    return nn.Sequential(
        *(ResidualBlock(4 * w) for _ in range(blocks)),
        up(2 * w),  # DCONV-(N128,K3,S2)
        nn.LeakyReLU(),
        up(w),  # DCONV-(N64,K3,S2)
        nn.LeakyReLU(),
        nn.ConvTranspose2d(w, channels, 1),  # DCONV-(N3,K1,S1)
        nn.Tanh(),
    )


def _discriminator(config: Config, channels: int) -> nn.Sequential:
    """CONV-(N64,K3,S2) to CONV-(N1024,K3,S2), and CONV-(N1,K2,S1) without its sigmoid."""
    layers = min(_D_LAYERS, config.size.bit_length() - 2)
    widths = [channels, *(config.width * 2**i for i in range(layers))]
    modules: list[nn.Module] = []
    for k, more in pairwise(widths):
        modules += [nn.Conv2d(k, more, 3, stride=2, padding=1), nn.LeakyReLU()]
    return nn.Sequential(*modules, nn.Conv2d(widths[-1], 1, 2))
