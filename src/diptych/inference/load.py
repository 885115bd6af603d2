"""Opening what has been learnt: a run's folder or a translator's file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from PIL import Image
from torch import nn

from diptych.checkpoint import load_translator
from diptych.inference.styles import in_style_of
from diptych.inference.translator import Translator


def load(
    path: str | os.PathLike[str],
    *,
    method: type[nn.Module] | None = None,
    styles: Sequence[Image.Image] = (),
    **options: Any,
) -> Translator:
    """The translator of a run's folder or of a .safetensors file.

        zebra = diptych.load("runs/x")(image, to="zebra")

    Of a method that only makes new images, its `generate` works, and translating
    raises InputError.
    With `styles`, where the method can take a style from images, its one domain is theirs:

        painted = diptych.load("runs/x", styles=[starry])(image, to="style")

    `method` is the class of a method from outside that this process has not used yet.
    `options` are those of `Translator`: device, precision, memory_gib.

    Raises:
        InputError: missing, damaged, of another version, or a method that takes no styles.
    """
    network, info = load_translator(path, method)
    if styles:
        network, info = in_style_of(network, info, styles)
    return Translator(network, info, **options)
