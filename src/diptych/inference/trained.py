"""A trained method on a device, and what there is besides translating: new images and codes."""

from __future__ import annotations

import threading

import torch
from PIL import Image
from torch import Tensor, nn

from diptych.checkpoint import TranslatorInfo
from diptych.data.images import from_pil, to_image, to_tensor
from diptych.errors import InputError
from diptych.inference.padding import reflect_to, resize
from diptych.networks.device import find_device
from diptych.types import Encodes, Generates, Sized

_LEAST_SIDE = 16  # reflection needs more than one pixel in the narrowest map


class Trained:
    """One trained method and the domains that it knows.

    May be shared by threads, which then take turns.
    """

    def __init__(self, method: nn.Module, info: TranslatorInfo, *, device: str = "auto") -> None:
        """`method` is moved and put in eval mode.

        Raises:
            InputError: an unknown device.
        """
        self.info = info
        self.device = find_device(device)
        self._network = method.to(self.device).eval()
        self._lock = threading.RLock()

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
        for name in (to, *(() if source is None else (source,))):
            if name not in self.domains:
                known = ", ".join(self.domains)
                raise InputError(f"no domain {name!r}: this translator knows {known}")
        if source == to:
            raise InputError(f"source and target are both {to!r}: name another domain to go to")
        return self.domains.index(to)

    def generate(self, count: int, *, to: str, seed: int = 0) -> list[Image.Image]:
        """`count` new images of domain `to`, from noise that `seed` draws.

        Of one seed, images of two domains belong together where the method couples them.

        Raises:
            InputError: an unknown domain, or the method makes nothing from noise.
        """
        return [to_image(image) for image in self.generate_batch(count, to, seed)]

    def generate_batch(self, count: int, to: str, seed: int = 0) -> Tensor:
        """As `generate`, (count, 3, size, size) in [-1, 1] on the CPU.

        The first of many are the same as those of few.

        Raises:
            InputError: as `generate`.
        """
        method: object = self._network
        if not isinstance(method, Generates):
            raise InputError(f"{self.info.method} makes no images from noise")
        index, rng = self.domain_index(to), torch.Generator().manual_seed(seed)
        with self._lock, torch.no_grad():
            made = [method.generate(1, index, rng)[0].float().cpu() for _ in range(count)]
        return torch.stack(made)

    def encode(self, image: Image.Image, *, source: str) -> Tensor:
        """The code of an image of domain `source`, as the method defines it, on the CPU.

        An image whose sides are no multiples of the method's is mirrored up to them, or
        scaled where the method takes one size.

        Raises:
            InputError: an unknown domain, or the method has no codes.
        """
        method, index = self._encodes(), self.domain_index(source)
        batch = to_tensor(from_pil(image).image)[None]
        fixed = method.fixed_size
        if fixed is not None:
            batch = resize(batch, fixed, fixed)
        batch = reflect_to(batch, *self._padded(method, *batch.shape[2:])).to(self.device)
        with self._lock, torch.no_grad():
            return method.encode(batch, index).cpu()

    def decode(self, z: Tensor, *, to: str) -> Image.Image:
        """The image of domain `to` that a code stands for.

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

    def _padded(self, method: Sized, height: int, width: int) -> tuple[int, int]:
        """The smallest size of at least `height` and `width` that the method takes."""
        multiple = method.size_multiple
        least = max(_LEAST_SIDE, min(2 * multiple, self.size))
        rounded = [-(-max(side, least) // multiple) * multiple for side in (height, width)]
        return rounded[0], rounded[1]
