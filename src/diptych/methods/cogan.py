"""CoGAN (Liu and Tuzel 2016, arXiv:1606.07536).

Two generators of images from one noise vector z, with their first layers tied, and
two discriminators with their last layers tied. So images of one z have the same
contents in both domains. An image is translated by finding the z that renders it
and rendering that z in the other domain. Implements Secs. 2, 3 and the
transformation of Sec. 5, with the layers of the authors' code for faces: CycleGAN's
authors, too, compare with the public implementation rather than networks of their own.

Where the paper is silent or ambiguous:
- The value function of Sec. 3 is a game of two: D is stepped first, then G with a
  new z and its non-saturating loss, as in the authors' code. There G's turn has new
  images too, which reach it through D's batch norm; here it has D's.
- How many layers are tied is a matter of the data: here all but those two at the
  image's end of each network. The code's networks for digits tie all but one; its
  networks for faces are a GAN of one domain, with nothing tied.
- z is found by L-BFGS under the Euclidean distance (Sec. 5), from the same random
  start for every image and in 50 iterations; the paper names neither.
- No bound is set on the z that is found, though noise is uniform in [-1, 1].

Deviations: batch norm learns a gain, where the code's has a shift alone, and weights of
every kind decay, where the code spares norms, slopes and biases. Networks for other
sizes than the code's 128 pixels have as many layers as it takes from a 4x4 map, for D
down to 2x2. In use, batch norm takes its running averages, as in the code.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from diptych.errors import InputError, check_bounds, check_size, two_channel_counts
from diptych.networks import init_normal
from diptych.objectives import LOG
from diptych.types import Clock, Group, Recipe, Unpaired, Update, adam

SUMMARY = "two GANs with shared layers; a search for the noise translates"

_DROPOUT = (0.1, 0.3, 0.3, 0.5)
"""Dropout of D's third layer and those after it, then of its fully connected one, as in the
code."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """CoGAN's options; the defaults are those of the authors' code for faces, where it has them."""

    width: int = 32
    """Channels of D's first layer; G has 32 times as many at its 4x4 map, 1024."""
    size: int = 128
    """Pixels a side that the networks make and see; 128 for faces."""
    batch_size: int = 128
    """Images of each domain a step; 128 in Sec. 4."""
    z_size: int = 100
    """Numbers in z; 100 in Sec. 4."""
    own_layers: int = 2
    """Layers at the image's end of each network that are not tied; 1 for digits."""
    translation_steps: int = 50
    """Iterations of L-BFGS that look for z."""
    lr: float = 2e-4
    """Adam's learning rate; 2e-4 in Sec. 4."""
    beta1: float = 0.5
    """Adam's momentum; 0.5 in Sec. 4."""
    weight_decay: float = 1e-4
    """Decay of all weights; 1e-4 in the code, of convolutions and linear layers alone."""
    decay_from: float = 1.0
    """Share of the budget at a constant rate before its linear fall to 0; the paper has none."""

    def __post_init__(self) -> None:
        least = {"width": 1, "size": 16, "batch_size": 2, "z_size": 1, "own_layers": 1}
        least |= {"translation_steps": 1, "weight_decay": 0, "lr": 0}
        check_bounds(self, least, shares=("beta1", "decay_from"))
        check_size(self.size, needs_power_of_two=True)
        if self.own_layers > self.halvings:
            raise InputError(
                f"own_layers is {self.own_layers}: at {self.size} pixels it must be at most"
                f" {self.halvings}"
            )

    @property
    def halvings(self) -> int:
        """From an image to the 4x4 map of G."""
        return self.size.bit_length() - 3


PRESETS: Mapping[str, Mapping[str, int]] = {"fast": {"width": 16, "batch_size": 16}}
"""Generators half as wide as the paper's and fast enough for batches that batch norm can use;
with four images, or at the preset's width, nothing was learnt in some 350 and 140 steps."""

RECIPES: Mapping[str, Recipe] = {
    "nearly-all-tied": Recipe(
        "domains that differ in the last layer alone, as digits and their edges (Sec. 4)",
        {"own_layers": 1},
    ),
}


class CoGAN(nn.Module):
    """The paper's g1 is G1 after G_shared, its f1 is D_shared after D1; domain 0 is the first."""

    batch_type: ClassVar[type[Unpaired]] = Unpaired
    inference_modules: ClassVar[tuple[str, ...]] = ("G_shared", "G1", "G2")
    exportable: ClassVar[bool] = False

    def __init__(self, config: Config, channels: Sequence[int] = (3, 3)) -> None:
        super().__init__()
        x_channels, y_channels = two_channel_counts("cogan", channels)
        self.config = config
        self.G_shared = _generator_start(config)
        self.G1, self.G2 = _generator_end(config, x_channels), _generator_end(config, y_channels)
        self.D1 = _discriminator_start(config, x_channels)
        self.D2 = _discriminator_start(config, y_channels)
        self.D_shared = _discriminator_end(config)
        init_normal(self)

    @property
    def size_multiple(self) -> int:
        return self.config.size

    @property
    def fixed_size(self) -> int:
        """The generators make images of one size."""
        return self.config.size

    def groups(self) -> dict[str, Group]:
        c = self.config
        group = partial(adam, c, weight_decay=c.weight_decay)
        return {
            "discriminators": group(self.D1, self.D2, self.D_shared),
            "generators": group(self.G_shared, self.G1, self.G2),
        }

    def iteration(self, batches: Iterator[Unpaired], clock: Clock) -> Iterator[Update]:
        batch = next(batches)
        x1, x2 = batch.x, batch.y
        with torch.no_grad():
            fake1, fake2 = self._render(self._draw(len(x1), clock.rng).to(x1))
        real_score1, fake_score1, real_score2, fake_score2 = self._judge(x1, fake1, x2, fake2)
        terms = {  # V of Sec. 3, which f1 and f2 minimise
            "D1": LOG.tell_apart(real_score1, fake_score1),
            "D2": LOG.tell_apart(real_score2, fake_score2),
        }
        yield Update("discriminators", terms["D1"] + terms["D2"], terms)

        # Resumed here only after the trainer has stepped the discriminators.
        fake1, fake2 = self._render(self._draw(len(x1), clock.rng).to(x1))
        _, score1, _, score2 = self._judge(x1, fake1, x2, fake2)
        terms = {"G1": LOG.fool(score1), "G2": LOG.fool(score2)}
        yield Update("generators", terms["G1"] + terms["G2"], terms)

    def translate(
        self, image: Tensor, to: tuple[int, ...], rng: torch.Generator | None = None
    ) -> Tensor:
        """(B, C, size, size) in [-1, 1]: each image's z is found, which takes seconds (Sec. 5)."""
        assert to in ((0,), (1,)), to
        z = torch.cat([self.find(one[None], 1 - to[0]) for one in image])
        return self.render(z, to[0])

    def find(self, image: Tensor, source: int) -> Tensor:
        """z (1, z_size) whose rendering in domain `source` is closest to (1, C, size, size).

        argmin of the squared Euclidean distance (Sec. 5), also where gradients are off.
        """
        with torch.enable_grad(), torch.autocast(image.device.type, enabled=False):
            start = self._draw(1, torch.Generator().manual_seed(0))
            z = start.to(image.device).requires_grad_()
            steps = self.config.translation_steps
            optimiser = torch.optim.LBFGS(
                [z], max_iter=steps, max_eval=25 * steps, line_search_fn="strong_wolfe"
            )  # 25 evaluations are the most that one line search takes

            def distance() -> float:
                loss = (self.render(z, source) - image.detach().float()).square().sum()
                (z.grad,) = torch.autograd.grad(loss, z)  # the networks' weights get none
                return loss.item()

            optimiser.step(distance)  # type: ignore[no-untyped-call]
        return z.detach()

    def render(self, z: Tensor, to: int) -> Tensor:
        """g1(z) or g2(z): (B, z_size) to (B, C, size, size) in [-1, 1]."""
        return cast(Tensor, (self.G1, self.G2)[to](self.G_shared(z)))

    def generate(self, n: int, to: int, rng: torch.Generator) -> Tensor:
        """(n, C, size, size) in [-1, 1]; of one `rng`, images of both domains belong together."""
        return self.render(self._draw(n, rng).to(next(self.parameters()).device), to)

    def _render(self, z: Tensor) -> tuple[Tensor, Tensor]:
        h = self.G_shared(z)
        return self.G1(h), self.G2(h)

    def _judge(self, x1: Tensor, fake1: Tensor, x2: Tensor, fake2: Tensor) -> tuple[Tensor, ...]:
        """Raw scores (B, 1) of each.

        All go through as one batch, as in the code: norms of batches that are all
        real, or all not, would hide what tells them apart.
        """
        h = [self.D1(torch.cat([x1, fake1])), self.D2(torch.cat([x2, fake2]))]
        scores: Tensor = self.D_shared(torch.cat(h))
        return scores.chunk(4)

    def _draw(self, count: int, rng: torch.Generator) -> Tensor:
        """z ~ U[-1, 1] (Sec. 4), on the CPU."""
        return torch.rand((count, self.config.z_size), generator=rng) * 2 - 1


def _generator_widths(config: Config) -> list[int]:
    """Channels of the maps of 4, 8, ... pixels a side: 1024, 512, ..., 32 for 128 pixels."""
    return [max(32 * config.width // 2**i, 1) for i in range(config.halvings + 1)]


def _generator_start(config: Config) -> nn.Sequential:
    """z to the map where the domains part."""
    widths = _generator_widths(config)
    tied = config.halvings - (config.own_layers - 1)
    return nn.Sequential(
        nn.Linear(config.z_size, widths[0] * 16),
        nn.Unflatten(1, (widths[0], 4, 4)),
        nn.BatchNorm2d(widths[0]),
        nn.PReLU(widths[0]),
        *(m for k, less in pairwise(widths[: tied + 1]) for m in _up(k, less)),
    )


def _generator_end(config: Config, channels: int) -> nn.Sequential:
    """That map to an image."""
    widths = _generator_widths(config)
    tied = config.halvings - (config.own_layers - 1)
    return nn.Sequential(
        *(m for k, less in pairwise(widths[tied:]) for m in _up(k, less)),
        nn.Conv2d(widths[-1], channels, 3, padding=1),
        nn.Tanh(),
    )


def _up(k: int, less: int) -> tuple[nn.Module, ...]:
    up = nn.ConvTranspose2d(k, less, 4, stride=2, padding=1)
    return up, nn.BatchNorm2d(less), nn.PReLU(less)


def _discriminator_layers(config: Config, channels: int) -> list[nn.Module]:
    """Convolutions of stride 2 from an image to a 2x2 map: 32, 64, ... 1024 for 128 pixels."""
    widths = [channels, *(config.width * 2**i for i in range(config.halvings + 1))]
    layers: list[nn.Module] = []
    for i, (k, more) in enumerate(pairwise(widths)):
        kernel = 5 if i < 3 else 3
        modules: list[nn.Module] = [
            nn.Conv2d(k, more, kernel, stride=2, padding=kernel // 2),
            nn.BatchNorm2d(more),
            nn.PReLU(more),
        ]
        if i >= 2:
            modules.append(nn.Dropout(_DROPOUT[min(i - 2, 3)]))
        layers.append(nn.Sequential(*modules))
    return layers


def _discriminator_start(config: Config, channels: int) -> nn.Sequential:
    return nn.Sequential(*_discriminator_layers(config, channels)[: config.own_layers])


def _discriminator_end(config: Config) -> nn.Sequential:
    channels, hidden = config.width * 2**config.halvings, 64 * config.width
    return nn.Sequential(
        *_discriminator_layers(config, 3)[config.own_layers :],  # those that see no image
        nn.Flatten(),
        nn.Linear(channels * 4, hidden),  # of the 2x2 map
        nn.BatchNorm1d(hidden),
        nn.PReLU(hidden),
        nn.Dropout(_DROPOUT[-1]),
        nn.Linear(hidden, 1),  # the code's softmax of two is a sigmoid of one
    )
