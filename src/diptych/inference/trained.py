"""A trained method on a device, and what there is besides translating: new images and codes."""

from __future__ import annotations

import threading
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from diptych.checkpoint import TranslatorInfo
from diptych.data.images import to_image
from diptych.errors import InputError
from diptych.inference.domains import domain_index, only_target
from diptych.inference.kinds import take_tensor
from diptych.inference.padding import InputSize, input_size
from diptych.networks.device import find_device
from diptych.types import Encodes, Generates, Sized


class Trained:
    """One trained method and the domains that it knows.

    May be shared by threads, which then take turns, and copied or sent to other processes.
    """

    def __init__(
        self, method: nn.Module, info: TranslatorInfo, *, device: str | torch.device = "auto"
    ) -> None:
        """`method` is moved and put in eval mode.

        Raises:
            InputError: an unknown device.
        """
        self.info = info
        self.device = find_device(str(device))
        self._network = method.to(self.device).eval()
        self._lock = threading.RLock()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.RLock())

    @property
    def domains(self) -> tuple[str, ...]:
        """Names, in the order that the method knows them by."""
        return self.info.domains

    @property
    def size(self) -> int:
        """Pixels a side that the method was trained on."""
        return self.info.size

    def domain_index(self, to: str, *, source: str | None = None) -> int:
        """The place of `to` among the domains.

        Raises:
            InputError: `to` or `source` is no domain, or they are the same.
        """
        index = domain_index(self.domains, to, owner="translator")
        if source is not None:
            domain_index(self.domains, source, owner="translator")
        if source == to:
            raise InputError(f"source and target are both {to!r}: name another domain to go to")
        return index

    def generate(
        self, count: int = 1, to: str | None = None, *, seed: int = 0
    ) -> list[Image.Image]:
        """`count` new images of domain `to`, from noise that `seed` draws.

        `to` may be left out where there is one domain. With one seed, images of two domains
        belong together where the method couples them.

        Raises:
            InputError: an unknown domain, or the method makes nothing from noise.
        """
        return [to_image(image) for image in self.generate_batch(count, to, seed)]

    def generate_batch(self, count: int, to: str | None = None, seed: int = 0) -> Tensor:
        """As `generate`, (count, 3, size, size) in [-1, 1] on the CPU.

        The first of many are the same as those of few.

        Raises:
            InputError: as `generate`.
        """
        method: object = self._network
        if not isinstance(method, Generates):
            raise InputError(f"{self.info.method} makes no images from noise")
        if count < 1:
            raise InputError(f"a count of {count} images: it must be at least 1")
        index = self.domain_index(only_target(self.domains, None) if to is None else to)
        rng = torch.Generator().manual_seed(seed)
        with self._lock, torch.no_grad():
            made = [method.generate(1, index, rng)[0].float().cpu() for _ in range(count)]
        return torch.stack(made)

    def encode(self, image: Any, source: str) -> Tensor:
        """The code of an image of domain `source`, as the method defines it, on the CPU.

        `image` is of any kind that `Translator` takes; several of one size give codes in a
        batch. An image whose sides are no multiples of the method's is mirrored up to them,
        or scaled where the method takes one size.

        Raises:
            InputError: an unknown domain, no image, or the method has no codes.
        """
        method, index = self._encodes(), self.domain_index(source)
        batch = self._sizes(method).prepare(take_tensor(image)[0]).to(self.device, torch.float32)
        with self._lock, torch.no_grad():
            return method.encode(batch, index).cpu()

    def decode(self, z: Tensor, to: str) -> Image.Image:
        """The image of domain `to` that a code stands for; of a batch of codes, the first.

        Raises:
            InputError: an unknown domain, or the method has no codes.
        """
        method, index = self._encodes(), self.domain_index(to)
        with self._lock, torch.no_grad():
            return to_image(method.decode(z.to(self.device), index)[0].float().cpu())

    def _encodes(self) -> Encodes:
        method: object = self._network
        if not isinstance(method, Encodes):
            raise InputError(f"{self.info.method} has no codes")
        return method

    def _sizes(self, method: Sized) -> InputSize:
        return input_size(method, self.size)
