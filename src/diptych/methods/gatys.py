"""Neural style transfer (Gatys, Ecker, Bethge 2016, arXiv:1508.06576 and CVPR 2016).

An image is looked for by L-BFGS whose features in a pretrained network are the input's,
and whose features' correlations, the Gram matrices, are those of a style. Nothing is
trained. Implements the CVPR paper's Sec. 2. As a method of translation the style of a
domain is the mean of its images' Gram matrices: the "average style" that CycleGAN's
Figures 15 and 16 (arXiv:1703.10593) compare with. A run gathers these in a pass over the
training images; `stylise` takes the style of given images instead, as the paper does.

Where the papers are silent or ambiguous:
- The paper scales the weights so that a filter's mean activation over images and positions
  is 1. Here activations are divided by their mean magnitude over both domains' training
  images; a filter that is all but silent there counts with a tenth of its layer's mean.
- α/β is 5·10⁻⁴ to 5·10⁻³ in Sec. 3. Eq. (1) is a sum over positions and Eq. (4) a mean, so
  that the balance would move with the size of the image: here Eq. (1) is divided by the
  number of positions. The authors' code averages too; it weighs contents by 1 and a layer
  of N filters by 10³/N².
- The search begins at the input, as in the authors' code, not at white noise as in the
  paper (`--start noise`: of one level in 256, as that code's other choice), and takes 100
  iterations, or 125 evaluations where these come first; that code evaluates 500 times.
- Given styles are scaled to the area of the input, the paper's to its very size.

Deviations: the features are EfficientNet-Lite0's, whose weights install with pip, on images
of twice the size; its maps may be negative. Others, VGG-19 among them, take a file. L-BFGS
searches along lines under the strong Wolfe conditions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diptych.errors import InputError, check_bounds, equal_channel_count, two_channel_counts
from diptych.networks.features import FeatureNetwork, load_features, map_channels
from diptych.networks.vgg import VGG16, VGG19
from diptych.objectives import content_loss, gram, style_loss
from diptych.types import Clock, Group, Unpaired, Update

SUMMARY = "neural style transfer: a search for an image with given content and style features"


class Layers(NamedTuple):
    """What is compared of a pretrained network's maps."""

    content: str
    style: tuple[str, ...]
    enlargement: int = 1
    """How many times an image is enlarged, so that the first map has its resolution."""
    bytes_per_pixel: float = 3000.0
    """What a step of the search keeps, 2314 bytes for VGG-16, and its backward pass."""


_VGG = Layers("relu4_2", ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"))
LAYERS: Mapping[str, Layers] = {
    "efficientnet-lite0": Layers(
        "stage4", ("stem", "stage1", "stage2", "stage3", "stage4"), 2, 6000.0
    ),
    "vgg16-hed": _VGG,
    "vgg16": _VGG,
    "vgg19": _VGG,
}
"""VGG's are the paper's (Sec. 3). Of EfficientNet on images enlarged twofold, strides go from
1 to 8 and contents have relu4_2's, 8; on images as they are it leaves the finest pixels to
chance, and with a stride of 16, in stage6, colours change less."""
_Style = Mapping[str, Tensor]
"""Gram matrices (N, N) a position of scaled filters, by layer."""
_QUIETEST = 0.1


@dataclass(frozen=True, kw_only=True)
class Config:
    """The options; the defaults differ from the paper's in network, size, start and effort."""

    size: int = 256
    """Pixels a side of the training images whose Gram matrices are gathered."""
    batch_size: int = 4
    """Images of each domain a step; the result is the same for all that divide their number."""
    features: Literal["efficientnet-lite0", "vgg16-hed", "vgg16", "vgg19"] = "efficientnet-lite0"
    """The pretrained network; VGG-19 in Sec. 2."""
    feature_file: str | None = None
    """The file of the network's weights: torchvision's for vgg16 and vgg19."""
    content_layer: str | None = None
    """Whose map is kept; by default relu4_2 (Sec. 3) of VGGs, stage4 of EfficientNet-Lite0."""
    pooling: Literal["average", "max"] = "average"
    """How VGGs pool; Sec. 2 prefers averages."""
    content_weight: float = 1e-3
    """α in Eq. (7), of a mean over places where Eq. (1) has a sum."""
    style_weight: float = 1.0
    """β in Eq. (7)."""
    start: Literal["content", "noise"] = "content"
    """Where the search begins: at the input, or at white noise, as the paper does."""
    translation_steps: int = 100
    """Iterations of L-BFGS that look for the image, of at most a quarter more evaluations."""

    def __post_init__(self) -> None:
        least = {"size": 32, "batch_size": 1, "translation_steps": 1}
        check_bounds(self, least | {"content_weight": 0, "style_weight": 0})
        known = map_channels(self.features)
        if self.layers.content not in known:
            raise InputError(
                f"content_layer is {self.content_layer!r}: {self.features} has {', '.join(known)}"
            )

    @property
    def layers(self) -> Layers:
        """The maps that are compared."""
        layers = LAYERS[self.features]
        return layers._replace(content=self.content_layer or layers.content)


class Gatys(nn.Module):
    """Holds the two domains' styles; the pretrained network is read when it is first needed."""

    batch_type: ClassVar[type[Unpaired]] = Unpaired
    inference_modules: ClassVar[tuple[str, ...]] = ("collected",)
    exportable: ClassVar[bool] = False
    fixed_size: ClassVar[int | None] = None
    size_multiple: ClassVar[int] = 16

    def __init__(self, config: Config, channels: Sequence[int] = (3, 3)) -> None:
        super().__init__()
        x_channels, y_channels = two_channel_counts("gatys", channels)
        if not {x_channels, y_channels} <= {1, 3}:
            raise InputError(
                f"gatys looks for images by a network of colour photographs, so images have 1 or 3"
                f" channels, not {x_channels} and {y_channels}: choose another method"
            )
        equal_channel_count(channels, "gatys begins from the image itself")
        self.config = config
        self.collected = Collected(map_channels(config.features), config.layers)
        self._loaded: list[FeatureNetwork] = []

    @property
    def bytes_per_pixel(self) -> float:
        return self.config.layers.bytes_per_pixel

    def groups(self) -> dict[str, Group]:
        """None: nothing is trained."""
        self._features()  # what is missing shows before anything is gathered
        return {}

    @torch.no_grad()
    def iteration(self, batches: Iterator[Unpaired], clock: Clock) -> Iterator[Update]:
        batch = next(batches)
        for domain, images in enumerate((batch.x, batch.y)):
            self.collected.add(domain, self._raw_maps(images))
        yield from ()

    def translate(
        self, image: Tensor, to: tuple[int, ...], rng: torch.Generator | None = None
    ) -> Tensor:
        """(B, C, H, W) in [-1, 1] in the mean style of domain `to`, which takes seconds each.

        Before anything is gathered, an image is its own translation.
        """
        assert to in ((0,), (1,)), to
        return self._render_each(image, self.collected.style(to[0]), rng)

    def draw(self, image: Tensor, to: tuple[int, ...], rng: torch.Generator) -> Tensor:
        """As `translate`, from noise that `rng` draws."""
        return self._render_each(image, self.collected.style(to[0]), rng, start="noise")

    def stylise(
        self, image: Tensor, styles: Sequence[Tensor], rng: torch.Generator | None = None
    ) -> Tensor:
        """As `translate`, in the mean style of `styles`, each (1, C, h, w) in [-1, 1]."""
        with torch.no_grad():
            maps = [self._maps(_scaled(style.float(), _positions(image))) for style in styles]
            mean = {
                layer: torch.cat([_gram_a_position(one[layer]) for one in maps]).mean(0)
                for layer in self.config.layers.style
            }
        return self._render_each(image, mean, rng)

    def _render_each(
        self, images: Tensor, style: _Style, rng: torch.Generator | None, start: str | None = None
    ) -> Tensor:
        images = images.detach().float()
        if not self.collected.images.any():
            return images
        rng = rng or torch.Generator().manual_seed(0)
        found = []
        for image in images:
            p = x = image[None]
            if (start or self.config.start) == "noise":
                x = torch.randn(p.shape, generator=rng).to(p.device) / 127.5  # a level of 256
            found.append(self._render(p, x, style))
        return torch.cat(found)

    def _render(self, p: Tensor, x: Tensor, style: _Style) -> Tensor:
        """(1, C, H, W) that minimises Eq. (7), looked for from x; Gram matrices a position."""
        with torch.enable_grad(), torch.autocast(p.device.type, enabled=False):
            P = self._maps(p)[self.config.layers.content].detach()
            x = x.clone().requires_grad_()
            steps = self.config.translation_steps
            optimiser = torch.optim.LBFGS(
                [x], max_iter=steps, history_size=20, line_search_fn="strong_wolfe"
            )

            def total() -> float:
                loss = self._loss(self._maps(x), P, style)
                x.grad = torch.autograd.grad(loss, x)[0].contiguous()
                return loss.item()

            optimiser.step(total)  # type: ignore[no-untyped-call]
        return x.detach().clamp(-1, 1)

    def style_distance(self, images: Tensor, domain: int) -> Tensor:
        """(B,): how far the style of each image is from the domain's, Eq. (5)."""
        style = self.collected.style(domain)
        return torch.stack([self._style_loss(self._maps(one[None]), style) for one in images])

    def _loss(self, maps: Mapping[str, Tensor], P: Tensor, style: _Style) -> Tensor:
        c = self.config
        content = content_loss(maps[c.layers.content], P) / _positions(P)  # Eq. (1) over M
        styles = self._style_loss(maps, style)
        return c.content_weight * content + c.style_weight * styles  # Eq. (7)

    def _style_loss(self, maps: Mapping[str, Tensor], style: _Style) -> Tensor:
        losses = []
        for layer in self.config.layers.style:
            positions = _positions(maps[layer])
            target = style[layer][None] * positions
            losses.append(style_loss(gram(maps[layer]), target, positions))  # Eqs. (3), (4)
        return torch.stack(losses).sum() / len(losses)  # Eq. (5), w_l = 1/5

    def _maps(self, images: Tensor) -> dict[str, Tensor]:
        """The layers' maps, each filter over its mean magnitude."""
        return {
            layer: h / self.collected.magnitude(layer)[:, None, None]
            for layer, h in self._raw_maps(images).items()
        }

    def _raw_maps(self, images: Tensor) -> dict[str, Tensor]:
        content, style, enlargement, _ = self.config.layers
        if enlargement > 1:
            images = F.interpolate(images.float(), scale_factor=enlargement, mode="bilinear")
        network = self._features(images.device)
        return network.maps(images, [*style, content], is_resized=False)

    def _features(self, device: torch.device | None = None) -> FeatureNetwork:
        """It is no part of this module: it is neither trained nor saved."""
        c = self.config
        if not self._loaded:
            network = load_features(c.features, c.feature_file)
            if isinstance(network.trunk, VGG16 | VGG19) and c.pooling == "average":
                network.trunk.pool_by_averages()
            self._loaded.append(network)
        return self._loaded[0].to(device) if device is not None else self._loaded[0]


class Collected(nn.Module):
    """Sums over the training images, of what makes styles."""

    images: Tensor
    """(2,): how many there were of each domain."""

    def __init__(self, channels: Mapping[str, int], layers: Layers) -> None:
        super().__init__()
        self._layers = layers
        self.register_buffer("images", torch.zeros(2))
        for layer in layers.style:
            self.register_buffer(f"gram_{layer}", torch.zeros(2, channels[layer], channels[layer]))
        for layer in {*layers.style, layers.content}:
            self.register_buffer(f"magnitude_{layer}", torch.zeros(channels[layer]))

    def add(self, domain: int, maps: Mapping[str, Tensor]) -> None:
        """The raw maps of images of `domain`."""
        self.images[domain] += len(next(iter(maps.values())))
        for layer in self._layers.style:
            self._sum("gram", layer)[domain] += _gram_a_position(maps[layer]).sum(0)
        for layer, h in maps.items():
            self._sum("magnitude", layer).add_(h.abs().mean(dim=(2, 3)).sum(0))

    def style(self, domain: int) -> dict[str, Tensor]:
        """The mean Gram matrix (N, N) a position of each layer, of scaled filters."""
        count = self.images[domain].clamp(min=1)
        return {
            layer: self._sum("gram", layer)[domain]
            / (count * torch.outer(self.magnitude(layer), self.magnitude(layer)))
            for layer in self._layers.style
        }

    def magnitude(self, layer: str) -> Tensor:
        """(N,): of each filter, the mean of |activation| over images and positions."""
        mean = self._sum("magnitude", layer) / self.images.sum().clamp(min=1)
        return mean.clamp(min=_QUIETEST * float(mean.mean()) or 1.0)

    def _sum(self, what: str, layer: str) -> Tensor:
        return cast(Tensor, getattr(self, f"{what}_{layer}"))


def _gram_a_position(maps: Tensor) -> Tensor:
    """(B, N, h, w) to (B, N, N): Eq. (3) over the number of positions, so that sizes compare."""
    return gram(maps) / _positions(maps)


def _positions(maps: Tensor) -> int:
    """M of (B, N, h, w)."""
    return maps.shape[2] * maps.shape[3]


def _scaled(image: Tensor, area: int) -> Tensor:
    """(1, C, h, w) in [-1, 1] in its proportions, of about `area` pixels."""
    height, width = image.shape[2:]
    scale = math.sqrt(area / (height * width))
    size = [max(16, round(side * scale)) for side in (height, width)]
    if size == [height, width]:
        return image
    resized = F.interpolate(image, size, mode="bicubic", antialias=True, align_corners=False)
    return resized.clamp(-1, 1)
