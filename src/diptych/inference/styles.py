"""A translator to the style of given images, of a method that has the capability `Styles`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from diptych.checkpoint import TranslatorInfo
from diptych.errors import InputError, call
from diptych.inference.kinds import take_tensor
from diptych.types import Styles, Translates

STYLE = "style"
"""The name of the one domain of such a translator."""


def in_style_of(
    method: nn.Module, info: TranslatorInfo, images: Sequence[object]
) -> tuple[nn.Module, TranslatorInfo]:
    """`method` as one that translates to the common style of `images`, its only domain.

    They are images of any kind that a translator takes, each of its own size.

    Raises:
        InputError: the method takes no style from images, or one is no image.
    """
    if not isinstance(method, Styles) or not isinstance(method, Translates):
        train = call("diptych train gatys", "diptych.train('gatys')")
        raise InputError(
            f"{info.method} takes no style from images: it translates to"
            f" {' and '.join(info.domains)}; {train} makes what does"
        )
    pixels = info.pixel_formats[0]
    styles = [take_tensor(image, pixels, over_white=True)[0] for image in images]
    return _Styled(method, styles), replace(info, domains=(STYLE,), pixels=(pixels,))


class _Styled(nn.Module):
    """Has the capability `Translates`, as `method` has it, to one domain."""

    inference_modules: ClassVar[tuple[str, ...]] = ()

    def __init__(self, method: nn.Module, styles: Sequence[Tensor]) -> None:
        super().__init__()
        self.method = method
        self._styles = styles

    def __getattr__(self, name: str) -> Any:
        if name in _AS_IT_IS:
            return getattr(self.method, name)
        return super().__getattr__(name)

    def translate(
        self, image: Tensor, to: tuple[int, ...], rng: torch.Generator | None = None
    ) -> Tensor:
        assert to == (0,), to
        styles = [style.to(image) for style in self._styles]
        return cast(Styles, self.method).stylise(image, styles, rng)


_AS_IT_IS = ("exportable", "size_multiple", "fixed_size", "bytes_per_pixel")
"""What the translator asks of the method itself."""
