"""A trained run as a classifier of images, where its method is one."""

from __future__ import annotations

import os
from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor, nn

from diptych.checkpoint import TranslatorInfo, load_translator
from diptych.data.images import from_pil, to_tensor
from diptych.errors import InputError
from diptych.inference.padding import resize
from diptych.networks.device import find_device
from diptych.types import Classifies, Translates


class Classifier:
    """Names the classes of images of one trained method's domains."""

    def __init__(self, method: nn.Module, info: TranslatorInfo, *, device: str = "auto") -> None:
        """`method` has the capability `Classifies`; it is moved and put in eval mode.

        Raises:
            InputError: the method does not classify, or there is no such device.
        """
        if not isinstance(method, Classifies):
            raise InputError(f"{info.method} tells no classes apart: it only translates")
        self.info = info
        self.device = find_device(device)
        self._method: Classifies = method
        self._fixed = method.fixed_size if isinstance(method, Translates) else None
        method.to(self.device).eval()

    @property
    def classes(self) -> tuple[str, ...]:
        """Names, in the order of the scores; numbers if the data had none."""
        return self.info.classes or tuple(str(i) for i in range(self._method.classes))

    def __call__(self, image: Image.Image, *, source: str) -> str:
        """The class of an image of domain `source`.

        Raises:
            InputError: an unknown domain, or an image of a mode without a known range.
        """
        scores = self.classify_batch(to_tensor(from_pil(image).over_white())[None], source)
        return self.classes[int(scores.argmax())]

    def classify_batch(self, images: Tensor, source: str) -> Tensor:
        """(B, 3, H, W) in [-1, 1] of domain `source` to (B, classes) scores, on `images`' device.

        Raises:
            InputError: an unknown domain.
        """
        domains: Sequence[str] = self.info.domains
        if source not in domains:
            raise InputError(f"no domain {source!r}: this classifier knows {', '.join(domains)}")
        batch = images.to(self.device, torch.float32)
        if self._fixed is not None:
            batch = resize(batch, self._fixed, self._fixed)
        with torch.no_grad():
            scores = self._method.classify(batch, domains.index(source))
        return scores.to(images.device)


def load_classifier(
    path: str | os.PathLike[str], *, method: type[nn.Module] | None = None, device: str = "auto"
) -> Classifier:
    """The classifier of a run's folder or of a .safetensors file. Runs no code from the file.

    `method` is the class of a method from outside that this process has not used yet.

    Raises:
        InputError: missing, damaged or unusable files, a method that does not classify.
    """
    return Classifier(*load_translator(path, method), device=device)
