"""Perceptual distances between two images, by the maps of a network: LPIPS and DISTS.

LPIPS: Zhang et al. 2018 (arXiv:1801.03924), Eq. (1). DISTS: Ding et al. 2020
(arXiv:2004.07728). It measures texture by the means of the maps and structure by their
correlation.

Both have learnt weights for VGG-16, which torchmetrics includes. The user provides VGG-16 itself
(torchvision's weights). With it, the scores are `lpips` and `dists`. The learnt weights do not
apply to other networks. There all channels have the same weight, and the scores are called
`perceptual` (Zhang et al.'s own baseline, w = 1, which is twice the cosine distance) and
`structure_texture`.

Images keep their own size, except for Inception, which needs a fixed size. Deviation: with other
networks than VGG-16, DISTS uses the network's own pooling.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diptych.errors import InputError
from diptych.networks.features import FeatureNetwork

LAYERS: Mapping[str, tuple[str, ...]] = {
    "vgg16": ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3"),
    "vgg16-hed": ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3"),
    "vgg19": ("relu1_2", "relu2_2", "relu3_4", "relu4_4", "relu5_4"),
    "efficientnet-lite0": ("stage1", "stage2", "stage3", "stage5", "stage7"),
    "inception": ("pool1", "pool2", "mixed5", "mixed6", "mixed7"),
}
"""The maps that are compared: the last of each size, as in both papers for VGG-16."""
_TINY = 1e-6
"""c1 and c2 of Ding et al., as in their code."""


class Perceptual:
    """Distances between pairs of images through one network."""

    def __init__(self, network: FeatureNetwork) -> None:
        """Use `network`. With the network "vgg16", distances are LPIPS and DISTS as published.

        Raises:
            InputError: `network` is "vgg16" and torchmetrics lacks the learnt weights.
        """
        self.network = network
        self.is_learnt = network.name == "vgg16"
        self._layers = LAYERS[network.name]
        self._lpips = _lpips_weights() if self.is_learnt else None
        self._dists = _dists_weights() if self.is_learnt else None

    @property
    def note(self) -> str:
        """One line that names the network and the weights."""
        if self.is_learnt:
            return "LPIPS and DISTS are through VGG-16 with their learnt weights"
        return (
            f"perceptual and structure-and-texture distances are through {self.network.name}, all"
            " channels alike: they are LPIPS and DISTS without learnt weights, and not to be"
            " compared with published figures"
        )

    def __call__(self, image: Tensor, truth: Tensor) -> dict[str, Tensor]:
        """Return (B,) distances of (B, 3, H, W) images in [-1, 1], by name. Equal images have 0."""
        ours, theirs = self._maps(image), self._maps(truth)
        near = lpips(ours, theirs, self._lpips)
        if self.is_learnt:
            ours, theirs = self._smooth(image), self._smooth(truth)
        ours, theirs = [(image + 1) / 2, *ours], [(truth + 1) / 2, *theirs]
        alike = dists(ours, theirs, *(self._dists or (None, None)))
        names = ("lpips", "dists") if self.is_learnt else ("perceptual", "structure_texture")
        return dict(zip(names, (near, alike), strict=True))

    def _maps(self, images: Tensor) -> list[Tensor]:
        is_resized = self.network.name == "inception"
        found = self.network.maps(images, self._layers, is_resized=is_resized)
        return [found[layer] for layer in self._layers]

    def _smooth(self, images: Tensor) -> list[Tensor]:
        """Return VGG-16's maps with L2 pooling instead of max pooling (Ding et al.)."""
        return list(_pooled_smoothly(self.network, images, self._layers))


def lpips(
    ours: Sequence[Tensor], theirs: Sequence[Tensor], weights: Sequence[Tensor] | None = None
) -> Tensor:
    """Return (B,) distances by Zhang et al. 2018, Eq. (1).

    `ours` and `theirs` are one map (B, C, h, w) per layer. Channels are scaled to unit length at
    each place. `weights`, (C,) per layer, multiply the squared differences; by default they
    are 1.
    """
    total = ours[0].new_zeros(len(ours[0]))
    for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        squares = (_unit(a) - _unit(b)).square()
        if weights is not None:
            squares = squares * weights[i].to(a).view(-1, 1, 1)
        total = total + squares.sum(1).mean((1, 2))
    return total


def dists(
    ours: Sequence[Tensor],
    theirs: Sequence[Tensor],
    alpha: Tensor | None = None,
    beta: Tensor | None = None,
) -> Tensor:
    """Return (B,) distances by Ding et al. 2020.

    `ours` and `theirs` are one map (B, C, h, w) per layer, and the image itself is the first.
    `alpha` (texture) and `beta` (structure) have one weight for each channel of all layers,
    and are scaled to a sum of 1. By default all weights are equal.
    """
    sizes = [h.shape[1] for h in ours]
    alpha = ours[0].new_ones(sum(sizes)) if alpha is None else alpha.to(ours[0])
    beta = ours[0].new_ones(sum(sizes)) if beta is None else beta.to(ours[0])
    whole = alpha.sum() + beta.sum()
    total = ours[0].new_zeros(len(ours[0]))
    per_layer = zip(ours, theirs, torch.split(alpha, sizes), torch.split(beta, sizes), strict=True)
    for a, b, of_texture, of_structure in per_layer:
        mean_a, mean_b = a.mean((2, 3)), b.mean((2, 3))
        var_a, var_b = a.var((2, 3), correction=0), b.var((2, 3), correction=0)
        centred = (a - mean_a[..., None, None]) * (b - mean_b[..., None, None])
        texture = (2 * mean_a * mean_b + _TINY) / (mean_a**2 + mean_b**2 + _TINY)
        structure = (2 * centred.mean((2, 3)) + _TINY) / (var_a + var_b + _TINY)
        total = total + (of_texture * texture + of_structure * structure).sum(1) / whole
    return 1 - total


def _unit(h: Tensor) -> Tensor:
    return h / (h.square().sum(1, keepdim=True).sqrt() + 1e-10)


def _pooled_smoothly(
    network: FeatureNetwork, images: Tensor, layers: Sequence[str]
) -> Iterator[Tensor]:
    trunk: Any = network.trunk  # a VGG
    names = iter(trunk.layers)
    h = trunk.prepare(images.float())
    for module in trunk.features:
        h = l2_pool(h) if isinstance(module, nn.MaxPool2d) else module(h)
        if isinstance(module, nn.ReLU):
            name = next(names)
            if name in layers:
                yield h
            if name == layers[-1]:
                return


def l2_pool(h: Tensor) -> Tensor:
    """Halve the size of (B, C, H, W) by √(g ∗ h²), with a 3x3 Hann window g (Ding et al.)."""
    window = h.new_tensor([0.25, 0.5, 0.25])
    kernel = torch.outer(window, window).expand(h.shape[1], 1, 3, 3)
    blurred = F.conv2d(h.square(), kernel, stride=2, padding=1, groups=h.shape[1])
    return (blurred + 1e-12).sqrt()


def _lpips_weights() -> list[Tensor]:
    """Return (C,) weights for each layer."""
    held = _read("lpips_models/vgg.pth")
    return [held[f"lin{i}.model.1.weight"].flatten() for i in range(5)]


def _dists_weights() -> tuple[Tensor, Tensor]:
    """Return α and β, each (1475,)."""
    held = _read("dists_models/weights.pt")
    return held["alpha"].flatten(), held["beta"].flatten()


def _read(name: str) -> dict[str, Tensor]:
    spec = importlib.util.find_spec("torchmetrics")
    assert spec is not None
    assert spec.origin is not None
    path = Path(spec.origin).parent / "functional" / "image" / name
    if not path.is_file():
        raise InputError(
            f"the installed torchmetrics lacks {name}, which LPIPS and DISTS need: update it"
        )
    held: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return {key: value.float() for key, value in held.items()}
