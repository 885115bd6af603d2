"""A trained run as a function from image to image, whatever the image's size."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from diptych.checkpoint import TranslatorInfo, load_translator
from diptych.data.images import Decoded, from_pil, to_image, to_tensor
from diptych.errors import InputError
from diptych.inference.footprint import (
    Forward,
    bytes_per_pixel,
    receptive_radius,
    whole_image_norms,
)
from diptych.inference.padding import reflect_to, resize
from diptych.inference.tiling import (
    MIN_MARGIN,
    Progress,
    find_statistics,
    plan_grid,
    translate_tiles,
)
from diptych.inference.trained import Trained
from diptych.types import Draws, KnowsMemory, Labelled, Translates

Precision = Literal["fp32", "bf16"]

_log = logging.getLogger("diptych")
_GIB = 2**30
_PROBE_SIZE = 128  # borders weigh 9% here


@dataclass(frozen=True)
class Translation:
    """A translated image and how it was made."""

    image: Image.Image
    """RGB, upright, of the input's size."""
    tiles: int = 1
    """1: the whole image at once, exactly as the method defines it."""
    sweeps: int = 0
    """Passes over the image that measured its statistics before the last one."""
    whole_gib: float = 0.0
    """The `memory_gib` from which this image is translated whole."""

    @property
    def note(self) -> str | None:
        """One line for the user where tiles were used."""
        if self.tiles == 1:
            return None
        width, height = self.image.size
        return (
            f"{width}x{height} was translated in {self.tiles} tiles with the whole image's "
            f"statistics ({self.sweeps} sweeps); --memory {self.whole_gib:.1f} would take it whole"
        )


class Translator(Trained):
    """Translates images between the domains of one trained method, and makes new ones.

    May be shared by threads, which then take turns.
    """

    def __init__(
        self,
        method: nn.Module,
        info: TranslatorInfo,
        *,
        device: str = "auto",
        precision: Precision = "fp32",
        memory_gib: float = 2.0,
        draws: bool = False,
    ) -> None:
        """`method` is moved and put in eval mode; without the capability `Translates`,
        translating raises InputError, and what else the method can do works.

        `memory_gib` bounds what a forward pass takes beyond the weights and
        the image itself. Whether an image is cut into tiles depends on it, the
        method and the image's size, on nothing else. With `draws`, a seed gives
        one of the many translations that the method knows, not the middle one.

        Raises:
            InputError: the method has no draws; an unknown device or precision, or
                no memory.
        """
        if precision not in ("fp32", "bf16"):
            raise InputError(f"no precision {precision!r}: expected fp32 or bf16")
        if not memory_gib > 0 or not math.isfinite(memory_gib):
            raise InputError(f"memory of {memory_gib} GiB: expected a number above 0, such as 2")
        super().__init__(method, info, device=device)
        self.precision = precision
        self.memory_gib = memory_gib
        self._translates = method if isinstance(method, Translates) else None
        self._norms = whole_image_norms(self._network)
        self._is_random = False  # until a translation is seen to draw
        self._bytes_per_pixel: float | None = None
        self._radius: int | None = None
        self._draws = draws
        if draws and not self.has_draws:
            raise InputError(f"{info.method} translates an image in one way: it has no draws")

    @property
    def _method(self) -> Translates:
        return self.require_translation()

    @property
    def translates(self) -> bool:
        """Whether it does, or only makes new images."""
        return self._translates is not None

    @property
    def has_draws(self) -> bool:
        """Whether there is more than one translation of an image."""
        self._measure()
        return self._is_random or isinstance(self._method, Draws)

    @property
    def is_slow(self) -> bool:
        """Whether translating an image is an optimisation, which takes seconds."""
        return not self._method.exportable

    def require_translation(self) -> Translates:
        """The method, if it translates.

        Raises:
            InputError: it does not.
        """
        if self._translates is None:
            raise InputError(
                f"{self.info.method} makes new images and translates none: use diptych generate"
            )
        return self._translates

    def __call__(
        self,
        image: Image.Image,
        *,
        to: str | Sequence[str],
        source: str | None = None,
        seed: int = 0,
    ) -> Image.Image:
        """`image` in the domain `to`: upright, of the same size, RGB, or RGBA if it has alpha.

        Where domains are attributes, `to` is one or a list of all that the result has.
        `seed` matters to methods that draw; the same seed gives the same image.

        Raises:
            InputError: an unknown domain, `source` is `to`, or an image of a
                mode without a known range.
        """
        decoded = from_pil(image)
        result = self.translate(decoded, to=to, source=source, seed=seed)
        if decoded.alpha is not None:
            result.image.putalpha(decoded.alpha)
        return result.image

    def translate(
        self,
        decoded: Decoded,
        *,
        to: str | Sequence[str],
        source: str | None = None,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> Translation:
        """As calling, for a decoded file; says how it was done and, by `progress`, how far it is.

        Raises:
            InputError: as calling, or not even a tile fits in the memory.
        """
        target = self.targets(to, source=source)
        width, height = decoded.image.size
        with self._lock, torch.no_grad():
            if self.fits(height, width):
                batch = to_tensor(decoded.image)[None]
                output = self._translate_whole(batch, target, seed)[0]
                return Translation(to_image(output), whole_gib=self.gib_for(height, width))
            return self._translate_tiled(decoded.image, target, seed, progress)

    def translate_batch(self, images: Tensor, to: str | Sequence[str], seed: int = 0) -> Tensor:
        """(B, 3, H, W) in [-1, 1], B at least 1, to the same, on `images`' device.

        Each result is that of its image alone (to rounding, which kernels may
        do by batch size). Images too large for the memory are taken in tiles,
        and then come back in 256 levels.

        Raises:
            InputError: an unknown domain.
            ValueError: another shape.
        """
        target = self.targets(to)
        if images.ndim != 4 or images.shape[1] != 3 or 0 in images.shape:
            raise ValueError(f"expected (B, 3, H, W) images, got {tuple(images.shape)}")
        height, width = images.shape[2:]
        with self._lock, torch.no_grad():
            if not self.fits(height, width):
                results = [
                    to_tensor(self._translate_tiled(to_image(image), target, seed, None).image)
                    for image in images
                ]
            else:
                chunks = torch.split(images, self.batch_size(height, width))
                results = [o for c in chunks for o in self._translate_whole(c, target, seed)]
        return torch.stack(results).to(images.device)

    def targets(self, to: str | Sequence[str], *, source: str | None = None) -> tuple[int, ...]:
        """The places of `to`, a domain or several attributes, among the domains.

        Raises:
            InputError: one is no domain or `source`, or there is not one of them where
                the method translates to one domain at a time.
        """
        names = (to,) if isinstance(to, str) else tuple(to)
        places = tuple(sorted({self.domain_index(name, source=source) for name in names}))
        takes_any = self.info.has_attributes and issubclass(
            cast(type[object], getattr(self._method, "batch_type", object)), Labelled
        )
        if len(names) != 1 and not takes_any:
            raise InputError(
                f"{self.info.method} was trained to translate to one domain at a time, not to"
                f" {' and '.join(names) or 'none'}: name one of {', '.join(self.domains)}"
            )
        return places

    def fits(self, height: int, width: int) -> bool:
        """Whether an image of this size is translated whole."""
        return self._method.fixed_size is not None or (
            self._bytes(height, width) <= self.memory_gib * _GIB
        )

    def gib_for(self, height: int, width: int) -> float:
        """The `memory_gib`, in tenths rounded up, from which this size is translated whole."""
        return math.ceil(10 * self._bytes(height, width) / _GIB) / 10

    def batch_size(self, height: int, width: int) -> int:
        """How many images of this size fit at once, at least 1."""
        return max(1, int(self.memory_gib * _GIB / self._bytes(height, width)))

    def _bytes(self, height: int, width: int) -> float:
        """Memory for one image; the first call runs the method on a small one."""
        self._measure()
        assert self._bytes_per_pixel is not None
        fixed = self._method.fixed_size
        padded = (fixed, fixed) if fixed is not None else self._padded(self._method, height, width)
        return self._bytes_per_pixel * padded[0] * padded[1]

    def _measure(self) -> None:
        with self._lock, torch.no_grad():
            if self._bytes_per_pixel is not None:
                return
            if isinstance(self._method, KnowsMemory):
                self._bytes_per_pixel = self._method.bytes_per_pixel
                return
            fixed, multiple = self._method.fixed_size, self._method.size_multiple
            size = fixed if fixed is not None else -(-_PROBE_SIZE // multiple) * multiple
            self._bytes_per_pixel = bytes_per_pixel(
                self._network, self._forward((0,), 0), size=size, device=self.device
            )

    def _forward(self, target: tuple[int, ...], seed: int) -> Forward:
        """The method on one image, which sees the same draws each time."""

        def forward(images: Tensor) -> Tensor:
            rng = torch.Generator().manual_seed(seed)
            before = rng.get_state()
            with torch.autocast(
                self.device.type, dtype=torch.bfloat16, enabled=self.precision == "bf16"
            ):
                if self._draws and isinstance(self._method, Draws):
                    output = self._method.draw(images, target, rng)
                else:
                    output = self._method.translate(images, target, rng)
            self._is_random |= not torch.equal(before, rng.get_state())
            return output.float()

        return forward

    def _translate_whole(self, images: Tensor, target: tuple[int, ...], seed: int) -> Tensor:
        """(B, 3, H, W) to the same on the CPU or the device, at once."""
        height, width = images.shape[2:]
        images = images.to(self.device, torch.float32)
        fixed = self._method.fixed_size
        if fixed is not None:
            images = resize(images, fixed, fixed)
        else:
            images = reflect_to(images, *self._padded(self._method, height, width))
        forward = self._forward(target, seed)
        output = forward(images[:1]) if self._is_random else forward(images)
        if self._is_random and len(images) > 1:  # in a batch, only the first saw its own draws
            output = torch.cat([forward(image[None]) for image in images])
        if fixed is not None:
            return resize(output, height, width).clamp(-1, 1)
        return output[..., :height, :width]

    def _translate_tiled(
        self, image: Image.Image, target: tuple[int, ...], seed: int, progress: Progress | None
    ) -> Translation:
        width, height = image.size
        if self._draws:
            raise InputError(
                f"{width}x{height} does not fit in {self.memory_gib:g} GiB, and draws of tiles"
                f" would not match: raise --memory to {self.gib_for(height, width):.1f}"
            )
        if self.is_slow:
            raise InputError(
                f"{width}x{height} does not fit in {self.memory_gib:g} GiB, and {self.info.method}"
                f" takes an image whole: raise --memory to {self.gib_for(height, width):.1f}, or"
                " give a smaller image"
            )
        padded_height, padded_width = self._padded(self._method, height, width)
        forward = self._forward(target, seed)
        multiple = self._method.size_multiple
        if self._radius is None:
            self._radius = receptive_radius(
                self._network, forward, multiple=multiple, device=self.device
            )
        least = math.prod(self._padded(self._method, 1, 1))
        pixels = int(self.memory_gib * _GIB / self._bytes(1, 1) * least)
        grid = plan_grid(
            padded_height,
            padded_width,
            tile_pixels=pixels,
            radius=self._radius,
            multiple=multiple,
        )
        if grid is None or pixels < least:
            side = 4 * max(MIN_MARGIN, multiple)
            raise InputError(
                f"memory of {self.memory_gib:g} GiB is too little for a tile of this "
                f"{width}x{height} image: raise --memory to {self.gib_for(side, side):.1f} or more"
            )
        small = self._shrunk(image, pixels)
        tensor = reflect_to(to_tensor(image)[None], padded_height, padded_width)[0]
        statistics, sweeps = find_statistics(
            forward, self._norms, tensor, small=small, grid=grid, progress=progress
        )
        strips = translate_tiles(
            forward,
            self._norms,
            tensor,
            statistics=statistics,
            grid=grid,
            device=self.device,
            progress=progress,
        )
        result = np.empty((height, width, 3), np.uint8)
        for top, strip in strips:
            levels = np.asarray(to_image(strip[..., :width]))[: max(height - top, 0)]
            result[top : top + len(levels)] = levels
        whole = self.gib_for(height, width)
        made = Translation(Image.fromarray(result), grid.tiles, sweeps, whole)
        _log.info("%s", made.note)
        return made

    def _shrunk(self, image: Image.Image, pixels: int) -> Tensor:
        """The largest (1, 3, h, w) likeness of at most `pixels`, on the device."""
        multiple, least = self._method.size_multiple, self._padded(self._method, 1, 1)[0]

        def whole(side: float) -> int:
            return max(int(side) // multiple * multiple, least)

        scale = math.sqrt(pixels / (image.width * image.height))
        width = whole(min(image.width * scale, pixels / least))
        height = whole(min(image.height * scale, pixels / width))
        small = image.resize((width, height), Image.Resampling.LANCZOS)
        return to_tensor(small)[None].to(self.device)


def load(
    path: str | os.PathLike[str],
    *,
    device: str = "auto",
    precision: Precision = "fp32",
    memory_gib: float = 2.0,
    draws: bool = False,
) -> Translator:
    """The translator of a run's folder or of a .safetensors file.

    `device` is auto (a GPU if there is one), cpu, cuda, cuda:1, mps; see
    `Translator` for `memory_gib` and `draws`. Runs no code from the file.

    Raises:
        InputError: missing, damaged or unusable files and options.
    """
    method, info = load_translator(path)
    return Translator(
        method, info, device=device, precision=precision, memory_gib=memory_gib, draws=draws
    )
