"""A trained run as a classifier of images, where its method is one."""

from __future__ import annotations

import os
from typing import Any, overload

import torch
from torch import Tensor, nn

from diptych.checkpoint import TranslatorInfo, load_translator
from diptych.errors import InputError
from diptych.inference.domains import domain_index, shown
from diptych.inference.kinds import Picture, take_tensor
from diptych.inference.padding import resize
from diptych.networks.device import find_device
from diptych.types import Classifies, Translates


class Classifier:
    """Names the classes of images of one trained method's domains."""

    def __init__(
        self, method: nn.Module, info: TranslatorInfo, *, device: str | torch.device = "auto"
    ) -> None:
        """`method` has the capability `Classifies`; it is moved and put in eval mode.

        Raises:
            InputError: the method does not classify, or there is no such device.
        """
        if not isinstance(method, Classifies):
            raise InputError(f"{info.method} tells no classes apart: it only translates")
        self.info = info
        self.device = find_device(str(device))
        self._method: Classifies = method
        self._fixed = method.fixed_size if isinstance(method, Translates) else None
        method.to(self.device).eval()

    @property
    def classes(self) -> tuple[str, ...]:
        """Names, in the order of the scores; numbers if the data had none."""
        return self.info.classes or tuple(str(i) for i in range(self._method.classes))

    def __repr__(self) -> str:
        about = f"{self.info.method}, {shown(self.info.domains, ', ')}, {self.info.size} px"
        return f"Classifier({about}, {len(self.classes)} classes, {self.device})"

    @overload
    def __call__(self, image: Picture, source: str) -> str: ...

    @overload
    def __call__(self, image: Any, source: str) -> str | list[str]: ...

    def __call__(self, image: Any, source: str) -> str | list[str]:
        """The class of an image of domain `source`, over white where it is transparent.

        `image` is of any kind that `Translator` takes. A batch, or a list of images of one
        size, gives a list of classes.

        Raises:
            InputError: an unknown domain, or no image.
        """
        pixels = self.info.pixel_formats[
            domain_index(self.info.domains, source, owner="classifier")
        ]
        images, is_one = take_tensor(image, pixels, over_white=True)
        places = self.classify_batch(images, source).argmax(dim=1).tolist()
        names = [self.classes[place] for place in places]
        return names[0] if is_one else names

    def classify_batch(self, images: Tensor, source: str) -> Tensor:
        """(B, C, H, W) in [-1, 1] of domain `source` to (B, classes) scores, on `images`' device.

        Raises:
            InputError: an unknown domain.
        """
        index = domain_index(self.info.domains, source, owner="classifier")
        batch = images.to(self.device, torch.float32)
        if self._fixed is not None:
            batch = resize(batch, self._fixed, self._fixed)
        with torch.no_grad():
            scores = self._method.classify(batch, index)
        return scores.to(images.device)


def load_classifier(
    path: str | os.PathLike[str],
    *,
    method: type[nn.Module] | None = None,
    device: str | torch.device = "auto",
) -> Classifier:
    """The classifier of a run's folder or of a .safetensors file. Runs no code from the file.

    `method` is the class of a method from outside that this process has not used yet.

    Raises:
        InputError: missing, damaged or unusable files, a method that does not classify.
    """
    return Classifier(*load_translator(path, method), device=device)
