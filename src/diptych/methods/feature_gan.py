"""Feature loss + GAN (Zhu, Park, Isola, Efros 2017, arXiv:1703.10593, Sec. 5.1.2).

A GAN held to its input in a pretrained network's features; a baseline of CycleGAN's: "a
variant of SimGAN where the L1 loss is computed over deep image features using a
pretrained network (VGG-16 relu4_2), rather than over RGB pixel values". That is
Eq. (4) of SimGAN (Shrivastava et al. 2016, arXiv:1612.07828) with those features as
its ψ; all else is as in `simgan.py`: its Algorithm 1 on CycleGAN's networks.

Each direction is trained on its own: G and D_Y from X to Y, F and D_X from Y to X,
at once, sharing nothing.

Where the paper is silent or ambiguous:
- The distance is a mean over the features. The authors' code enlarges images to
  the 224 pixels that VGG-16 was trained on; here the network sees them as they
  are, at a fraction of the cost for small ones, unless `--is-enlarged`.

Deviations: the features are those of EfficientNet-Lite0, at the depth where a
pixel of the map is 8 of the image's, as it is in relu4_2, since its weights
install with pip; `--features vgg16 --feature-file FILE` takes the paper's, by
torchvision's weights rather than Caffe's. The authors' weight is 10, on Caffe's
activations; but the step that scales images to [0, 255] divides the gradient by 127.5
where it should multiply it, so that theirs acts as 10 / 127.5² would. Ours is 1: on
EfficientNet's, an image and its translation are some 13 times as far apart as in pixels
(6.9 and 0.54 on satellite pictures and label maps). Enlarging is bicubic. The authors'
code steps G once a step of D, `--recipe cyclegan-comparison`; it steps D first, and
both on the same batch. As in `simgan.py`, D's loss is halved and a mean over patches.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, cast

import torch
from torch import Tensor, nn

from diptych.errors import InputError, check_bounds, check_size, two_channel_counts
from diptych.networks import init_normal, together
from diptych.networks.features import FEATURES, FeatureNetwork, load_features
from diptych.networks.patchgan import Patch, check_discriminator_size, make_discriminator
from diptych.networks.replay import ReplayBuffer
from diptych.networks.resnet import ResNetGenerator, blocks_for
from diptych.objectives import GAN_LOSSES, l1
from diptych.types import Clock, Group, Recipe, Unpaired, Update, adam

SUMMARY = "SimGAN with the L1 loss on pretrained features"


@dataclass(frozen=True, kw_only=True)
class Config:
    """The options; the defaults are SimGAN's Algorithm 1's and CycleGAN's comparison's."""

    width: int = 64
    """Channels of the first layer of each network; CycleGAN's appendix."""
    size: int = 256
    """Pixels a side that the networks see in training."""
    batch_size: int = 1
    """Images of each domain a step; 1 in CycleGAN's Sec. 4."""
    discriminator: Patch = "70x70"
    """The patch, in pixels, that a score of D judges: the local loss of Sec. 2.2."""
    gan_loss: Literal["lsgan", "log", "hinge"] = "lsgan"
    """Least squares, as CycleGAN's authors compare, SimGAN's logarithms, or hinge."""
    features: Literal["efficientnet-lite0", "vgg16"] = "efficientnet-lite0"
    """The pretrained network; VGG-16 in CycleGAN's Sec. 5.1.2."""
    feature_file: str | None = None
    """The file of VGG-16's weights, torchvision's; EfficientNet's come with a package."""
    feature_layer: str | None = None
    """Whose map is compared; by default relu4_2 of VGG-16 and stage3 of EfficientNet-Lite0."""
    is_enlarged: bool = False
    """Whether the pretrained network sees images of 224 pixels, as in the authors' code."""
    feature_weight: float = 1.0
    """λ in SimGAN's Eq. (4); 10 in the authors' code, with less effect: see above."""
    refiner_steps: int = 2
    """K_g in Algorithm 1; 2 in SimGAN's Sec. 3.1, 1 in CycleGAN's comparison."""
    discriminator_steps: int = 1
    """K_d in Algorithm 1; 1 in SimGAN's Sec. 3.1."""
    refiner_warm_up: int = 0
    """Steps of the feature loss alone at the start; 1000 in SimGAN's Sec. 3.1."""
    discriminator_warm_up: int = 0
    """Steps of D alone after those; 200 in SimGAN's Sec. 3.1."""
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
        least |= {"feature_weight": 0, "refiner_steps": 1, "discriminator_steps": 1}
        least |= {"refiner_warm_up": 0, "discriminator_warm_up": 0}
        check_bounds(self, least, shares=("beta1", "decay_from"))
        check_size(self.size, needs_power_of_two=self.discriminator == "image")
        check_discriminator_size(self.discriminator, self.size)
        known = FEATURES[self.features].layers
        if self.layer not in known:
            raise InputError(
                f"feature_layer is {self.feature_layer!r}: {self.features} has {', '.join(known)}"
            )

    @property
    def layer(self) -> str:
        """The map that is compared."""
        default = {"efficientnet-lite0": "stage3", "vgg16": "relu4_2"}[self.features]
        return self.feature_layer or default


RECIPES: Mapping[str, Recipe] = {
    "algorithm-1": Recipe(
        "SimGAN's own loss and warm-up of 1,200 steps (its Sec. 3.1)",
        {"gan_loss": "log", "refiner_warm_up": 1000, "discriminator_warm_up": 200},
    ),
    "cyclegan-comparison": Recipe(
        "one step of each, as CycleGAN's authors compare with it", {"refiner_steps": 1}
    ),
}


class FeatureGAN(nn.Module):
    """A refiner and its discriminator, once a direction; domain 0 is X and domain 1 is Y."""

    batch_type: ClassVar[type[Unpaired]] = Unpaired
    inference_modules: ClassVar[tuple[str, ...]] = ("G", "F")
    exportable: ClassVar[bool] = True
    fixed_size: ClassVar[int | None] = None
    size_multiple: ClassVar[int] = 4

    def __init__(self, config: Config, channels: Sequence[int] = (3, 3)) -> None:
        super().__init__()
        x_channels, y_channels = two_channel_counts("feature_gan", channels)
        c = self.config = config
        self.G = ResNetGenerator(c.width, blocks_for(c.size), x_channels, y_channels)
        self.F = ResNetGenerator(c.width, blocks_for(c.size), y_channels, x_channels)
        self.D_X = make_discriminator(c.discriminator, c.width, c.size, x_channels)
        self.D_Y = make_discriminator(c.discriminator, c.width, c.size, y_channels)
        self.fakes_x, self.fakes_y = ReplayBuffer(c.buffer_size), ReplayBuffer(c.buffer_size)
        self._loaded: list[FeatureNetwork] = []
        init_normal(self)

    def groups(self) -> dict[str, Group]:
        c = self.config
        self._features()  # what is missing shows before anything is trained
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
        """The refiners' part: SimGAN's Eq. (4), both ways."""
        fake_y, fake_x = self.G(batch.x), self.F(batch.y)
        psi_y, psi_x = self._psi(fake_y), self._psi(fake_x)
        with torch.no_grad():
            of_x, of_y = self._psi(batch.x), self._psi(batch.y)
        terms = {"feature": l1(psi_y, of_x) + l1(psi_x, of_y)}  # ‖ψ(G(x)) − ψ(x)‖₁
        loss = self.config.feature_weight * terms["feature"]
        if is_judged:
            gan = GAN_LOSSES[self.config.gan_loss]
            terms["adversarial"] = gan.fool(self.D_Y(fake_y)) + gan.fool(
                self.D_X(fake_x)
            )  # Eq. (3)
            loss = terms["adversarial"] + loss  # Eq. (4)
        return Update("refiners", loss, terms)

    def _tell_apart(self, batch: Unpaired, rng: torch.Generator) -> Update:
        """The discriminators' part: SimGAN's Eq. (2), both ways, half of the fakes from history."""
        with torch.no_grad():
            fake_y, fake_x = self.G(batch.x), self.F(batch.y)
        gan = GAN_LOSSES[self.config.gan_loss]
        past_y, past_x = self.fakes_y.mix(fake_y, rng), self.fakes_x.mix(fake_x, rng)  # Sec. 2.3
        terms = {  # Eq. (2), halved as CycleGAN's appendix does
            "D_Y": 0.5 * gan.tell_apart(*together(self.D_Y, batch.y, past_y)),
            "D_X": 0.5 * gan.tell_apart(*together(self.D_X, batch.x, past_x)),
        }
        return Update("discriminators", terms["D_Y"] + terms["D_X"], terms)

    def _psi(self, image: Tensor) -> Tensor:
        """(B, C, H, W) to the pretrained map (B, K, h, w) of ψ."""
        c, network = self.config, self._features(image.device)
        return network.maps(image, [c.layer], is_resized=c.is_enlarged)[c.layer]

    def _features(self, device: torch.device | None = None) -> FeatureNetwork:
        """Read when training begins: a translator is used without it.

        It is no part of this module: it is neither trained nor saved.
        """
        c = self.config
        if not self._loaded:
            self._loaded.append(load_features(c.features, c.feature_file))
        return self._loaded[0].to(device) if device is not None else self._loaded[0]

    def translate(
        self, image: Tensor, to: tuple[int, ...], rng: torch.Generator | None = None
    ) -> Tensor:
        """(B, C, H, W) in [-1, 1]: G(image) for to=(1,), F(image) for to=(0,)."""
        assert to in ((0,), (1,)), to
        return cast(Tensor, (self.F, self.G)[to[0]](image))
