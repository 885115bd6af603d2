"""Translators to the style of given images."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from diptych.errors import InputError
from diptych.inference.styles import STYLE, in_style_of
from diptych.inference.translator import Translator
from tests.inference.test_translator import Noisy, info


class Painter(nn.Module):
    """Paints an image in the mean colour of the styles."""

    exportable: ClassVar[bool] = False
    fixed_size: ClassVar[int | None] = None
    inference_modules: ClassVar[tuple[str, ...]] = ()
    size_multiple = 1
    bytes_per_pixel = 12.0

    def translate(self, image: Tensor, to: tuple[int, ...], rng: Any = None) -> Tensor:
        return image

    def stylise(self, image: Tensor, styles: Any, rng: Any = None) -> Tensor:
        mean = torch.stack([style.mean((0, 2, 3)) for style in styles]).mean(0)
        return mean.view(1, 3, 1, 1).expand_as(image)


def test_the_one_domain_is_the_common_style_of_images_of_any_size() -> None:
    red, blue = Image.new("RGB", (20, 30), (255, 0, 0)), Image.new("RGB", (8, 8), (0, 0, 255))
    method, known = in_style_of(Painter(), replace(info(), method="painter"), [red, blue])
    translator = Translator(method, known, device="cpu")
    assert translator.domains == (STYLE,)
    painted = translator(Image.new("RGB", (32, 24)), to=STYLE)
    assert painted.size == (32, 24)
    assert painted.getpixel((5, 5)) == (128, 0, 128)  # halfway, and half a level rounds up


def test_a_method_that_takes_no_style_is_named_with_one_that_does() -> None:
    with pytest.raises(InputError, match=r"takes no style from images.*diptych\.train\('gatys'\)"):
        in_style_of(Noisy(), info(), [Image.new("RGB", (8, 8))])
