"""A translation as a plain network from image to image, for code that has its own loop."""

from __future__ import annotations

import copy
from typing import ClassVar, cast

from torch import Tensor, nn

from diptych.inference.padding import InputSize
from diptych.types import Translates


class TranslationNetwork(nn.Module):
    """What `Translator.network` returns: (B, C, H, W) in [-1, 1] to images of the target domain.

        network = translator.network("zebra")
        output = network.finish(network(network.prepare(images)), *images.shape[2:])

    Before: height and width must be what the networks take. That is `fixed_size` pixels where
    it is not None; otherwise multiples of `size_multiple` of at least `least_size`. `prepare`
    brings images there, and `finish` brings the results back to the images' own size.
    After: values stay in [-1, 1]. The target's `PixelFormat` turns them into its own values; for
    8 bits, (x + 1) / 2 is from 0 to 1.

    The weights are a copy, frozen and in eval mode: moving or changing them leaves the
    translator as it is. Only the parts that translating needs are there. Everything is computed
    in the weights' type, float32; the translator's `precision`, `memory_gib` and `draws` do
    not apply. No random numbers are passed in: a method that draws noise (pix2pix and
    DualGAN with a U-Net) draws that of seed 0 in each call, as the translator does by default.
    """

    value_range: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    """Least and greatest value of inputs and of outputs."""

    def __init__(self, method: Translates, target: tuple[int, ...], sizes: InputSize) -> None:
        """`method` is an `nn.Module`; `target` are the places of the domains to translate to."""
        super().__init__()
        own = copy.deepcopy(cast(nn.Module, method))
        for name in [name for name, _ in own.named_children()]:
            if name not in method.inference_modules:
                delattr(own, name)
        self.method = own
        self.target = target
        self.sizes = sizes
        self.eval().requires_grad_(False)

    @property
    def size_multiple(self) -> int:
        """Height and width are multiples of this many pixels."""
        return self.sizes.multiple

    @property
    def fixed_size(self) -> int | None:
        """Height and width are exactly this many pixels, if not None."""
        return self.sizes.fixed

    @property
    def least_size(self) -> int:
        """Height and width are at least this many pixels, where `fixed_size` is None."""
        return self.sizes.least

    def prepare(self, images: Tensor) -> Tensor:
        """(B, C, H, W) of any size to a size that the network takes.

        Images are resized to `fixed_size` (bicubic, antialiased; values may overshoot a
        little), or continued at the right and the bottom by their mirror image.
        """
        return self.sizes.prepare(images)

    def finish(self, output: Tensor, height: int, width: int) -> Tensor:
        """The network's output for prepared images, resized or cut to `height` and `width`."""
        return self.sizes.finish(output, height, width)

    def forward(self, images: Tensor) -> Tensor:
        return cast(Translates, self.method).translate(images, self.target)
