"""A trained method on a device, and what there is besides translating: new images and codes."""

from __future__ import annotations

import threading
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from diptych.checkpoint import TranslatorInfo
from diptych.data.pixels import PixelFormat
from diptych.errors import InputError, check_seed, check_whole, option
from diptych.inference.domains import domain_index, only_target
from diptych.inference.kinds import as_picture, take_tensor
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

    @property
    def pixel_formats(self) -> tuple[PixelFormat, ...]:
        """The channels, depth and range of each domain's images."""
        return self.info.pixel_formats

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

    def source_pixels(self, target: tuple[int, ...], source: str | None = None) -> PixelFormat:
        """The pixel format of images that are translated to the domains at `target`.

        Raises:
            InputError: it depends on the domain, and `source` is not given.
        """
        if source is not None:
            return self.pixel_formats[self.domain_index(source)]
        possible = self._possible_sources(target)
        if len(set(possible.values())) > 1:
            listed = ", ".join(f"{name}: {one.describe()}" for name, one in possible.items())
            raise InputError(f"images of which domain? Give {option('source')} ({listed})")
        return next(iter(possible.values()))

    def _possible_sources(self, target: tuple[int, ...]) -> dict[str, PixelFormat]:
        formats = dict(zip(self.domains, self.pixel_formats, strict=True))
        others = {name: one for i, (name, one) in enumerate(formats.items()) if i not in target}
        return others or formats

    def source_channels(self, target: tuple[int, ...]) -> int:
        """One number: a method that takes several counts translates between two domains."""
        return len(next(iter(self._possible_sources(target).values())).channels)

    def generate(
        self, count: int = 1, to: str | None = None, *, seed: int = 0
    ) -> list[Image.Image]:
        """`count` new images of domain `to`, from noise that `seed` draws.

        `to` may be left out where there is one domain. With one seed, images of two domains
        belong together where the method couples them.

        Raises:
            InputError: an unknown domain, or the method makes nothing from noise.
        """
        made = self.generate_batch(count, to, seed)
        pixels = self.pixel_formats[self._generated(to)]
        return [as_picture(image, pixels) for image in made]

    def generate_batch(self, count: int, to: str | None = None, seed: int = 0) -> Tensor:
        """As `generate`, (count, C, size, size) in [-1, 1] on the CPU.

        The first of many are the same as those of few.

        Raises:
            InputError: as `generate`.
        """
        method: object = self._network
        if not isinstance(method, Generates):
            raise InputError(f"{self.info.method} makes no images from noise")
        check_whole("count", count, 1)
        index = self._generated(to)
        rng = torch.Generator().manual_seed(check_seed(seed))
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
        images, _ = take_tensor(image, self.pixel_formats[index])
        batch = self._sizes(method).prepare(images).to(self.device, torch.float32)
        with self._lock, torch.no_grad():
            return method.encode(batch, index).cpu()

    def decode(self, z: Tensor, to: str) -> Image.Image:
        """The image of domain `to` that a code stands for; of a batch of codes, the first.

        Raises:
            InputError: an unknown domain, or the method has no codes.
        """
        return as_picture(self.decode_batch(z, to)[0], self.pixel_formats[self.domain_index(to)])

    def decode_batch(self, z: Tensor, to: str) -> Tensor:
        """As `decode`, (B, C, H, W) in [-1, 1] on the CPU.

        Raises:
            InputError: as `decode`.
        """
        method, index = self._encodes(), self.domain_index(to)
        with self._lock, torch.no_grad():
            return method.decode(z.to(self.device), index).float().cpu()

    def _generated(self, to: str | None) -> int:
        return self.domain_index(only_target(self.domains, None) if to is None else to)

    def _encodes(self) -> Encodes:
        method: object = self._network
        if not isinstance(method, Encodes):
            raise InputError(f"{self.info.method} has no codes")
        return method

    def _sizes(self, method: Sized) -> InputSize:
        return input_size(method, self.size)
