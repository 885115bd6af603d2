"""CycleGAN (Zhu et al. 2017, arXiv:1703.10593) in plain PyTorch, to compare with.

Written from the paper, and independent of Diptych but for reading its data:
eager float32, one image a step, the loop by hand. The order of the updates is
that of the authors' code: G and F together with the discriminators frozen, then
D_X and D_Y.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

from diptych.data import Data, Images

CYCLE_WEIGHT = 10.0
LEARNING_RATE = 2e-4
BUFFER_SIZE = 50


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with reflection padding around a skip connection."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect")
        self.norm1 = nn.InstanceNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect")
        self.norm2 = nn.InstanceNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.norm1(self.conv1(x)))
        return x + self.norm2(self.conv2(h))  # type: ignore[no-any-return]


class Generator(nn.Module):
    """c7s1-64, d128, d256, R256 x `blocks`, u128, u64, c7s1-3 (appendix 7.2)."""

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            nn.Conv2d(3, width, 7, padding=3, padding_mode="reflect"),
            nn.InstanceNorm2d(width),
            nn.ReLU(),
        ]
        for channels in (width, 2 * width):
            layers += [
                nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1),
                nn.InstanceNorm2d(2 * channels),
                nn.ReLU(),
            ]
        layers += [ResidualBlock(4 * width) for _ in range(blocks)]
        for channels in (4 * width, 2 * width):
            layers += [
                nn.ConvTranspose2d(
                    channels, channels // 2, 3, stride=2, padding=1, output_padding=1
                ),
                nn.InstanceNorm2d(channels // 2),
                nn.ReLU(),
            ]
        layers += [nn.Conv2d(width, 3, 7, padding=3, padding_mode="reflect"), nn.Tanh()]
        self.model = nn.Sequential(*layers)

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1] to the same; H and W are multiples of 4."""
        return self.model(image)  # type: ignore[no-any-return]


class Discriminator(nn.Module):
    """The 70x70 PatchGAN: C64-C128-C256-C512 and one score a patch (appendix 7.2)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            nn.Conv2d(3, width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
        ]
        for channels, stride in ((width, 2), (2 * width, 2), (4 * width, 1)):
            layers += [
                nn.Conv2d(channels, 2 * channels, 4, stride=stride, padding=1),
                nn.InstanceNorm2d(2 * channels),
                nn.LeakyReLU(0.2),
            ]
        layers += [nn.Conv2d(8 * width, 1, 4, padding=1)]
        self.model = nn.Sequential(*layers)

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1] to (B, 1, H / 8 - 2, W / 8 - 2) raw scores."""
        return self.model(image)  # type: ignore[no-any-return]


class ImageBuffer:
    """The 50 images that a generator made last, for D to see again (Sec. 4)."""

    def __init__(self, rng: torch.Generator) -> None:
        self.images: list[Tensor] = []
        self.rng = rng

    def query(self, image: Tensor) -> Tensor:
        """(1, 3, H, W) fresh to fresh or older."""
        if len(self.images) < BUFFER_SIZE:
            self.images.append(image)
            return image
        if torch.rand((), generator=self.rng) < 0.5:
            return image
        i = int(torch.randint(BUFFER_SIZE, (), generator=self.rng))
        older, self.images[i] = self.images[i], image
        return older


class CycleGAN:
    """The four networks, their optimisers and one training step."""

    def __init__(
        self, *, width: int, blocks: int, identity_weight: float, steps: int, seed: int
    ) -> None:
        torch.manual_seed(seed)
        self.G, self.F = Generator(width, blocks), Generator(width, blocks)
        self.D_X, self.D_Y = Discriminator(width), Discriminator(width)
        for network in (self.G, self.F, self.D_X, self.D_Y):
            network.apply(_init)
        self.optimizer_G = _adam(self.G, self.F)
        self.optimizer_D = _adam(self.D_X, self.D_Y)
        self.rng = torch.Generator().manual_seed(seed)
        self.buffer_x, self.buffer_y = ImageBuffer(self.rng), ImageBuffer(self.rng)
        self.identity_weight = identity_weight
        self.steps = steps
        self.step_number = 0

    def step(self, x: Tensor, y: Tensor) -> dict[str, Tensor]:
        """One update of everything on (1, 3, H, W) images in [-1, 1]; returns the losses."""
        self._set_learning_rate()
        fake_y, fake_x = self.G(x), self.F(y)

        _set_requires_grad(self.D_X, self.D_Y, value=False)
        self.optimizer_G.zero_grad()
        adversarial = _gan(self.D_Y(fake_y), 1.0) + _gan(self.D_X(fake_x), 1.0)
        cycle = nnf.l1_loss(self.F(fake_y), x) + nnf.l1_loss(self.G(fake_x), y)
        loss = adversarial + CYCLE_WEIGHT * cycle
        losses = {"adversarial": adversarial.detach(), "cycle": cycle.detach()}
        if self.identity_weight > 0:
            identity = nnf.l1_loss(self.G(y), y) + nnf.l1_loss(self.F(x), x)
            loss = loss + CYCLE_WEIGHT * self.identity_weight * identity
            losses["identity"] = identity.detach()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer_G.step()

        _set_requires_grad(self.D_X, self.D_Y, value=True)
        self.optimizer_D.zero_grad()
        old_y = self.buffer_y.query(fake_y.detach())
        old_x = self.buffer_x.query(fake_x.detach())
        loss_D_Y = 0.5 * (_gan(self.D_Y(y), 1.0) + _gan(self.D_Y(old_y), 0.0))
        loss_D_Y.backward()  # type: ignore[no-untyped-call]
        loss_D_X = 0.5 * (_gan(self.D_X(x), 1.0) + _gan(self.D_X(old_x), 0.0))
        loss_D_X.backward()  # type: ignore[no-untyped-call]
        self.optimizer_D.step()
        self.step_number += 1
        return losses | {"D_Y": loss_D_Y.detach(), "D_X": loss_D_X.detach()}

    def _set_learning_rate(self) -> None:
        """Constant for the first half of the steps, then linearly to zero (Sec. 4)."""
        factor = min(1.0, 2 * (1 - self.step_number / self.steps))
        for optimizer in (self.optimizer_G, self.optimizer_D):
            for group in optimizer.param_groups:
                group["lr"] = LEARNING_RATE * factor

    def save(self, path: Path) -> None:
        """Everything that `load` needs to go on with the same bits; never half a file."""
        temporary = path.with_name(path.name + ".new")
        torch.save(
            {
                "networks": [n.state_dict() for n in (self.G, self.F, self.D_X, self.D_Y)],
                "optimizers": [self.optimizer_G.state_dict(), self.optimizer_D.state_dict()],
                "buffers": [self.buffer_x.images, self.buffer_y.images],
                "rng": self.rng.get_state(),
                "step": self.step_number,
            },
            temporary,
        )
        os.replace(temporary, path)  # noqa: PTH105

    def load(self, path: Path) -> None:
        state: dict[str, Any] = torch.load(path, weights_only=True)
        networks = (self.G, self.F, self.D_X, self.D_Y)
        for network, weights in zip(networks, state["networks"], strict=True):
            network.load_state_dict(weights)
        for optimizer, moments in zip(
            (self.optimizer_G, self.optimizer_D), state["optimizers"], strict=True
        ):
            optimizer.load_state_dict(moments)
        self.buffer_x.images, self.buffer_y.images = state["buffers"]
        self.rng.set_state(state["rng"])
        self.step_number = state["step"]


def read_tiles(images: Images) -> Tensor:
    """A whole collection of equal size as (N, 3, H, W) uint8."""
    tiles = np.stack([np.asarray(images.read(i).picture()) for i in range(len(images))])
    return torch.from_numpy(tiles).permute(0, 3, 1, 2).contiguous()


def draw(tiles: Tensor, rng: torch.Generator) -> Tensor:
    """One random tile as (1, 3, H, W) float32 in [-1, 1], mirrored every other time."""
    i = int(torch.randint(len(tiles), (), generator=rng))
    image = tiles[i : i + 1].float() / 127.5 - 1
    return image.flip(3) if torch.rand((), generator=rng) < 0.5 else image


def train(
    data: Data,
    *,
    seed: int,
    steps: int,
    width: int,
    blocks: int,
    identity_weight: float,
    on_step: Callable[[int, dict[str, Tensor]], None] | None = None,
    on_networks: Callable[[int, nn.Module, nn.Module], None] | None = None,
    checkpoint: Path | None = None,
    checkpoint_every: int = 1000,
) -> tuple[Generator, Generator]:
    """Train on `data`, whose images have the size already; returns G and F.

    `on_step` is given the number of steps done and the losses, `on_networks` G
    and F as they then are. With a
    `checkpoint` file, a killed training goes on from it, to the same bits.
    """
    x_tiles, y_tiles = (read_tiles(images) for images in data.train.domains)
    model = CycleGAN(
        width=width, blocks=blocks, identity_weight=identity_weight, steps=steps, seed=seed
    )
    if checkpoint is not None and checkpoint.exists():
        model.load(checkpoint)
    while model.step_number < steps:
        losses = model.step(draw(x_tiles, model.rng), draw(y_tiles, model.rng))
        if checkpoint is not None and model.step_number % checkpoint_every == 0:
            model.save(checkpoint)
        if on_step is not None:
            on_step(model.step_number, losses)
        if on_networks is not None:
            on_networks(model.step_number, model.G, model.F)
    return model.G, model.F


def translate(G: nn.Module, F: nn.Module, domains: tuple[str, ...]) -> Callable[..., Tensor]:
    """What `diptych.evaluate` scores: (images, to) -> images, one image at a time."""
    networks = {domains[0]: F, domains[1]: G}

    def translator(images: Tensor, to: str) -> Tensor:
        with torch.no_grad():
            return torch.cat([networks[to](image[None]) for image in images])

    return translator


def _gan(score: Tensor, target: float) -> Tensor:
    """Least squares (Sec. 4)."""
    return nnf.mse_loss(score, torch.full_like(score, target))


def _init(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _adam(*networks: nn.Module) -> torch.optim.Adam:
    parameters = itertools.chain.from_iterable(n.parameters() for n in networks)
    return torch.optim.Adam(parameters, lr=LEARNING_RATE, betas=(0.5, 0.999))


def _set_requires_grad(*networks: nn.Module, value: bool) -> None:
    for network in networks:
        for parameter in network.parameters():
            parameter.requires_grad = value
