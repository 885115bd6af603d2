"""Opening what has been learnt: a run's folder or a translator's file."""

from __future__ import annotations

import os
from collections.abc import Sequence

import torch
from torch import nn

from diptych.checkpoint import load_translator
from diptych.inference.kinds import Picture
from diptych.inference.styles import in_style_of
from diptych.inference.translator import Precision, Translator


def load(
    path: str | os.PathLike[str],
    *,
    method: type[nn.Module] | None = None,
    styles: Picture | Sequence[Picture] = (),
    device: str | torch.device = "auto",
    precision: Precision = "fp32",
    memory_gib: float = 2.0,
    draws: bool = False,
) -> Translator:
    """The translator of a run, of its folder or of a .safetensors file. Runs no code from it.

        zebra = diptych.load("runs/x")("photo.jpg", to="zebra")

    A method that only makes new images has `generate`; translating raises InputError.
    With `styles`, where the method can take a style from images, its one domain is theirs:

        painted = diptych.load("runs/x", styles="starry.jpg")("photo.jpg")

    Args:
        method: the class of a method from outside that this process has not used yet.
        device: auto (a GPU if there is one), cpu, cuda, cuda:1, mps.
        precision: fp32, or bf16, which is faster on hardware made for it and less exact.
        memory_gib: what a translation may take beyond the weights and the image; larger
            images are translated in tiles.
        draws: whether `seed` gives one of the many translations that the method knows,
            rather than the middle one.

    Raises:
        InputError: missing, damaged, of another version, an unusable option, or a method
            that takes no styles.
    """
    network, info = load_translator(path, method)
    given = list(styles) if isinstance(styles, (list, tuple)) else [styles]
    if given:
        network, info = in_style_of(network, info, given)
    return Translator(
        network, info, device=device, precision=precision, memory_gib=memory_gib, draws=draws
    )
