"""CUT and FastCUT (Park, Efros, Zhang, Zhu 2020, arXiv:2007.15651).

G turns X into Y without an inverse. Instead, a patch of G(x) should be closer to the
patch of x at its place than to other patches of x, as seen by G's own encoder and
small networks H: a contrastive loss. Implements Sec. 3; `--recipe fastcut` leaves
out the same loss on images of Y and weighs the other by 10.

Each direction is a CUT of its own: G, H_X and D_Y from X to Y, F, H_Y and D_X from
Y to X. They are trained at once and share nothing, so the weights are those of two
runs.

Where the paper is silent or ambiguous:
- The sums of Eq. (3) over layers and places are means, as in the authors' code.
- The layers are the image, both convolutions that halve it before their norm, and
  the first and fifth residual block, as in the code, where the first is padded and
  the halving comes after, by its blur. Places are the same for all
  images of a batch. The negatives are the other sampled patches of the same image.
- The features of x are targets: no gradient passes through them, as in the code.
- The learning rate is 2e-4 as in the code, where the paper's text has 0.002.
- D is stepped before G, as in the code, and sees the latest images only.

Deviations: the code halves both contrastive losses of CUT where the final objective
adds them; λ_X and λ_Y here are the final objective's. G is the paper's ResNet and D
CycleGAN's; both of the code's blur where they change resolution. Weights start from
N(0, 0.02²), as CycleGAN's. The code's recipe for FastCUT, not the paper, has the flips
(`is_flip_equivariant`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diptych.errors import (
    InputError,
    check_bounds,
    check_size,
    equal_channel_count,
    two_channel_counts,
)
from diptych.networks import init_normal, together
from diptych.networks.patchgan import Patch, check_discriminator_size, make_discriminator
from diptych.networks.resnet import ResNetGenerator, blocks_for
from diptych.objectives import LSGAN
from diptych.types import Clock, Group, Recipe, Unpaired, Update, adam

SUMMARY = "patches of the output must match those of the input (contrastive loss); no way back"


@dataclass(frozen=True, kw_only=True)
class Config:
    """CUT's options; the defaults are the paper's."""

    width: int = 64
    """Channels of the first layer of G and D; 64 as CycleGAN's."""
    size: int = 256
    """Pixels a side that the networks see in training; 256 in Sec. 4."""
    batch_size: int = 1
    """Images of each domain a step; 1 in appendix C."""
    discriminator: Patch = "70x70"
    """The patch, in pixels, that a score of D judges; 70x70 as CycleGAN's."""
    gan_weight: float = 1.0
    """Weight of Eq. (1), by least squares, in the final objective (Sec. 3)."""
    nce_x_weight: float = 1.0
    """λ_X in it: what is translated keeps its patches; 1, or 10 for FastCUT."""
    nce_y_weight: float = 1.0
    """λ_Y in it: what is of the domain already keeps its patches; 1, or 0 for FastCUT."""
    temperature: float = 0.07
    """τ in Eq. (2); 0.07 in Sec. 3."""
    patches: int = 256
    """Places a layer; 256 in appendix C."""
    features: int = 256
    """Units of both layers of H; 256 in appendix C."""
    is_flip_equivariant: bool = False
    """Whether half of the steps translate mirror images, of FastCUT's in the code."""
    lr: float = 2e-4
    """Adam's learning rate; 2e-4 in the code."""
    beta1: float = 0.5
    """Adam's momentum; 0.5 as CycleGAN's."""
    decay_from: float = 0.5
    """Share of the budget at a constant rate before its linear fall to 0; as CycleGAN's."""

    def __post_init__(self) -> None:
        least = {"width": 1, "size": 16, "batch_size": 1, "patches": 2, "features": 1}
        least |= {"gan_weight": 0, "nce_x_weight": 0, "nce_y_weight": 0, "lr": 0}
        check_bounds(self, least, shares=("beta1", "decay_from"))
        if not self.temperature > 0:
            raise InputError(f"temperature is {self.temperature}: it must be above 0")
        if not self.gan_weight or not (self.nce_x_weight or self.nce_y_weight):
            raise InputError("gan_weight, or both of nce_x_weight and nce_y_weight, are 0")
        check_size(self.size, needs_power_of_two=self.discriminator == "image")
        check_discriminator_size(self.discriminator, self.size)


RECIPES: Mapping[str, Recipe] = {
    "cut": Recipe("as the paper trains it, 400 epochs (appendix C)", run={"epochs": 400.0}),
    "fastcut": Recipe(
        "without the loss on images of Y: faster and lighter (Sec. 3)",
        {
            "nce_x_weight": 10.0,
            "nce_y_weight": 0.0,
            "is_flip_equivariant": True,
            "decay_from": 0.75,
        },
        {"epochs": 200.0},
    ),
}


class CUT(nn.Module):
    """A generator, its judge and its patches' projection a direction; domain 0 is X, 1 is Y."""

    batch_type: ClassVar[type[Unpaired]] = Unpaired
    inference_modules: ClassVar[tuple[str, ...]] = ("G", "F")
    exportable: ClassVar[bool] = True
    fixed_size: ClassVar[int | None] = None
    size_multiple: ClassVar[int] = 4

    def __init__(self, config: Config, channels: Sequence[int] = (3, 3)) -> None:
        super().__init__()
        two_channel_counts("cut", channels)
        count = equal_channel_count(channels, "cut encodes images and translations by one network")
        c = self.config = config
        blocks = blocks_for(c.size)
        self.G, self.F = Generator(c.width, blocks, count), Generator(c.width, blocks, count)
        self.H_X, self.H_Y = _projections(c, count), _projections(c, count)
        self.D_X = make_discriminator(c.discriminator, c.width, c.size, count)
        self.D_Y = make_discriminator(c.discriminator, c.width, c.size, count)
        init_normal(self)

    def groups(self) -> dict[str, Group]:
        c = self.config
        return {
            "discriminators": adam(c, self.D_X, self.D_Y),
            "generators": adam(c, self.G, self.F, self.H_X, self.H_Y),
        }

    def iteration(self, batches: Iterator[Unpaired], clock: Clock) -> Iterator[Update]:
        c = self.config
        batch = next(batches)
        x, y = batch.x, batch.y
        flips = c.is_flip_equivariant and torch.rand((), generator=clock.rng).item() < 0.5
        fake_y, same_y = self._run(self.G, x, y, flips)
        fake_x, same_x = self._run(self.F, y, x, flips)
        terms = {
            "D_Y": 0.5 * LSGAN.tell_apart(*together(self.D_Y, y, fake_y.detach())),  # Eq. (1)
            "D_X": 0.5 * LSGAN.tell_apart(*together(self.D_X, x, fake_x.detach())),
        }
        yield Update("discriminators", terms["D_Y"] + terms["D_X"], terms)

        # Resumed here only after the trainer has stepped the discriminators.
        adversarial = LSGAN.fool(self.D_Y(fake_y)) + LSGAN.fool(self.D_X(fake_x))
        terms = {"adversarial": adversarial}
        loss = c.gan_weight * adversarial  # Eq. (1), both ways
        if c.nce_x_weight:
            to_y = self._nce(self.G, self.H_X, x, fake_y, flips, clock.rng)
            to_x = self._nce(self.F, self.H_Y, y, fake_x, flips, clock.rng)
            terms["nce"] = to_y + to_x
            loss = loss + c.nce_x_weight * terms["nce"]  # the final objective
        if same_y is not None and same_x is not None:
            in_y = self._nce(self.G, self.H_X, y, same_y, flips, clock.rng)
            in_x = self._nce(self.F, self.H_Y, x, same_x, flips, clock.rng)
            terms["nce_same"] = in_y + in_x
            loss = loss + c.nce_y_weight * terms["nce_same"]  # the final objective
        yield Update("generators", loss, terms)

    def translate(
        self, image: Tensor, to: tuple[int, ...], rng: torch.Generator | None = None
    ) -> Tensor:
        """(B, C, H, W) in [-1, 1]: G(image) for to=(1,), F(image) for to=(0,)."""
        assert to in ((0,), (1,)), to
        return cast(Tensor, (self.F, self.G)[to[0]](image))

    def _run(
        self, G: nn.Module, source: Tensor, target: Tensor, flips: bool
    ) -> tuple[Tensor, Tensor | None]:
        """G of both, of `target` only where λ_Y asks for it; of their mirror images if it flips."""
        given = (source, target if self.config.nce_y_weight else None)
        seen = [i.flip(3) if flips and i is not None else i for i in given]
        fake, *same = together(G, *seen)
        return fake, same[0] if same else None

    def _nce(
        self,
        G: nn.Module,
        H: nn.ModuleList,
        image: Tensor,
        made: Tensor,
        flips: bool,
        rng: torch.Generator,
    ) -> Tensor:
        """Eq. (3) between `image` and what G made of it, or of its mirror image."""
        losses = []
        queries = _maps(G, made)
        with torch.no_grad():  # after the queries: autocast keeps a weight's first cast
            keys = _maps(G, image)
        for h, query, key in zip(H, queries, keys, strict=True):
            if flips:
                query = query.flip(3)
            places = torch.randperm(key.shape[2] * key.shape[3], generator=rng)
            places = places[: self.config.patches].to(key.device)
            z_hat = h(_at(query, places))
            with torch.no_grad():
                z = h(_at(key, places))
            losses.append(patch_nce(z_hat, z, self.config.temperature))
        return torch.stack(losses).mean()


def patch_nce(query: Tensor, key: Tensor, temperature: float) -> Tensor:
    """Eq. (2), averaged: each of the S patches should match the one at its place.

    `query` (v) and `key` (v⁺ at the same place, v⁻ at the others) are (B, S, C), of
    any length; they are brought to length 1. Patches of other images are no
    negatives. Returns a () scalar.
    """
    with torch.autocast(query.device.type, enabled=False):
        q, k = F.normalize(query.float(), dim=2), F.normalize(key.float(), dim=2)
        logits = q @ k.transpose(1, 2) / temperature  # (B, S, S)
        place = torch.arange(q.shape[1], device=q.device).expand(len(q), -1)
        return F.cross_entropy(logits.flatten(0, 1), place.flatten())


def _maps(G: nn.Module, image: Tensor) -> list[Tensor]:
    return cast(list[Tensor], G.maps(image))  # type: ignore[operator]


def _at(h: Tensor, places: Tensor) -> Tensor:
    """(B, C, H, W) to its values at `places` of H * W: (B, S, C)."""
    return h.flatten(2).index_select(2, places).transpose(1, 2)


def _projections(config: Config, image_channels: int) -> nn.ModuleList:
    """H: for each layer, a network of two layers and 256 units (Sec. 3, appendix C)."""
    w, k = config.width, config.features
    return nn.ModuleList(
        nn.Sequential(nn.Linear(channels, k), nn.ReLU(), nn.Linear(k, k))
        for channels in (image_channels, 2 * w, 4 * w, 4 * w, 4 * w)
    )


class Generator(nn.Module):
    """CycleGAN's ResNet, cut where its encoder is looked at."""

    def __init__(self, width: int, blocks: int, channels: int) -> None:
        super().__init__()
        layers = list(ResNetGenerator(width, blocks, channels, channels))
        # After d128's convolution, d256's, the first and the fifth residual block.
        ends = (0, 5, 8, 11, 10 + min(5, blocks))
        self.encoder = nn.ModuleList(nn.Sequential(*layers[a:b]) for a, b in pairwise(ends))
        self.decoder = nn.Sequential(*layers[ends[-1] :])

    def maps(self, image: Tensor) -> list[Tensor]:
        """(B, C, H, W) to itself and four maps of the encoder."""
        maps = [image]
        for stage in self.encoder:
            maps.append(stage(maps[-1]))
        return maps

    def forward(self, image: Tensor) -> Tensor:
        return cast(Tensor, self.decoder(self.maps(image)[-1]))
