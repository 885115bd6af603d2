"""A trained run as a function from image to image, whatever the image's size."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from itertools import groupby
from typing import Any, Literal, TypeVar, cast, overload

import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from diptych.checkpoint import TranslatorInfo
from diptych.data.raster import Raster
from diptych.errors import InputError, call, check_seed, option
from diptych.inference.domains import only_target, shown
from diptych.inference.footprint import (
    Forward,
    bytes_per_pixel,
    receptive_radius,
    whole_image_norms,
)
from diptych.inference.kinds import (
    Made,
    Picture,
    Pixels,
    as_raster,
    as_tensor,
    as_unit,
    masked,
    size_of,
    take,
    take_picture,
)
from diptych.inference.large import translate_large
from diptych.inference.network import TranslationNetwork
from diptych.inference.padding import InputSize
from diptych.inference.tiling import MIN_MARGIN, Progress
from diptych.inference.trained import Trained
from diptych.inference.translation import Translation
from diptych.types import Draws, KnowsMemory, Labelled, Translates

Precision = Literal["fp32", "bf16"]
P = TypeVar("P", bound=Picture)
T = TypeVar("T", NDArray[Any], Tensor)
E = TypeVar("E")
Many = list[E] | tuple[E, ...]
Target = str | Sequence[str] | None
"""A domain, all the attributes that a result is to have, or None where there is one choice."""

_log = logging.getLogger("diptych")
_GIB = 2**30
_PROBE_SIZE = 128  # borders weigh 9% here


class Translator(Trained):
    """Translates images between the domains of one trained method, and makes new ones.

    May be shared by threads, which then take turns, and copied or sent to other processes.
    """

    def __init__(
        self,
        method: nn.Module,
        info: TranslatorInfo,
        *,
        device: str | torch.device = "auto",
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
        if not isinstance(memory_gib, (int, float)) or not 0 < memory_gib < math.inf:
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

    def __repr__(self) -> str:
        domains = shown(self.domains, " ↔ " if self.translates else ", ")
        precision = "" if self.precision == "fp32" else f", {self.precision}"
        about = f"{self.info.method}, {domains}, {self.size} px, {self.device}{precision}"
        return f"Translator({about})"

    @property
    def _method(self) -> Translates:
        return self.require_translation()

    @property
    def _size_inside(self) -> InputSize:
        return self._sizes(self._method)

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
            way_out = call("use diptych generate", "use generate")
            raise InputError(f"{self.info.method} makes new images and translates none: {way_out}")
        return self._translates

    @overload
    def __call__(
        self, image: Picture, to: Target = None, *, source: str | None = None, seed: int = 0
    ) -> Image.Image: ...

    @overload
    def __call__(
        self, image: T, to: Target = None, *, source: str | None = None, seed: int = 0
    ) -> T: ...

    @overload
    def __call__(
        self, image: Many[P], to: Target = None, *, source: str | None = None, seed: int = 0
    ) -> list[Image.Image]: ...

    @overload
    def __call__(
        self, image: Many[T], to: Target = None, *, source: str | None = None, seed: int = 0
    ) -> list[T]: ...

    def __call__(
        self, image: Any, to: Target = None, *, source: str | None = None, seed: int = 0
    ) -> Any:
        """`image` in the domain `to`, as the same kind of image and of the same size.

        - A PIL image, or the path of a file, gives a PIL image: upright, with transparency if
          it had some.
        - A NumPy array (H, W, C) or (B, H, W, C) of the source domain's values gives an array
          of the target domain's. For 8 bits these are uint8 from 0 to 255, or floats from 0 to
          1; grey (H, W) becomes colour where the domain has it, and a further channel, alpha,
          is kept.
        - A tensor (C, H, W) or (B, C, H, W) of floats from -1 to 1 gives a tensor of its dtype
          on its device.
        - A list or a tuple of these gives a list. Neighbours of one size go through together.

        `to` may be left out where there is one choice: a single domain, or the other one of
        two where `source` is given. Where domains are attributes, `to` is one or a list of all
        that the result has. `seed` matters to methods that draw; the same seed gives the same
        image.

        Raises:
            InputError: an unknown domain, `source` is `to`, or no image of these kinds.
        """
        seed = check_seed(seed)
        target = self.targets(to, source=source)
        given = take(image, self.source_pixels(target, source))
        results: list[Made] = []
        for _, images in groupby(given.images, size_of):
            results += self._translate_equal(list(images), target, seed)
        return given.restore(results, self.pixel_formats[target[0]])

    def translate(
        self,
        image: Raster | Picture,
        to: Target = None,
        *,
        source: str | None = None,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> Translation:
        """As calling, for one image; says how it was done and, by `progress`, how far it is.

        Raises:
            InputError: as calling, or not even a tile fits in the memory.
        """
        seed = check_seed(seed)
        target = self.targets(to, source=source)
        given = take_picture(image, self.source_pixels(target, source))
        raster, pixels = given.images[0], self.pixel_formats[target[0]]
        assert isinstance(raster, Raster)
        tiles = sweeps = 0
        with self._lock, torch.no_grad():
            if self.fits(raster.height, raster.width):
                output = self._translate_whole(raster.tensor()[None], target, seed)[0]
                values = pixels.from_tensor(output)
            else:
                values, tiles, sweeps = self._translate_tiled(raster, target, seed, progress)
        values = masked(values, raster, pixels)
        shown, gib = given.restore([values], pixels), self.gib_for(raster.height, raster.width)
        translation = Translation(shown, max(tiles, 1), sweeps, gib, values, pixels)
        if translation.note is not None:
            _log.info("%s", translation.note)
        return translation

    def translate_batch(self, images: Tensor, to: Target = None, seed: int = 0) -> Tensor:
        """(B, C, H, W) in [-1, 1], B at least 1, to images of `to`, on `images`' device.

        C is the source's number of channels. Each result is that of its image alone (to
        rounding, which kernels may do by batch size). Images too large for the memory are taken
        in tiles, and then come back in the levels of the target's type. Values are not checked.

        Raises:
            InputError: an unknown domain, or another shape.
        """
        seed = check_seed(seed)
        target = self.targets(to)
        if not isinstance(images, Tensor):
            raise InputError(
                f"translate_batch takes a tensor, not {type(images).__name__}: call the translator"
                " itself for other kinds"
            )
        channels = self.source_channels(target)
        if images.ndim != 4 or images.shape[1] != channels or 0 in images.shape:
            raise InputError(f"expected (B, {channels}, H, W) images, got {tuple(images.shape)}")
        results = self._translate_equal(list(images), target, seed)
        pixels = self.pixel_formats[target[0]]
        return torch.stack([as_unit(result, pixels) for result in results]).to(images.device)

    def network(self, to: Target = None) -> TranslationNetwork:
        """The translation to `to` as a plain `nn.Module`, for export and for code of your own.

        It takes (B, C, H, W) in [-1, 1] to images of the domain `to`, at sizes that it states:
        `size_multiple`, `fixed_size`, `least_size`. See `TranslationNetwork`.

        Raises:
            InputError: an unknown domain, or a method that translates by optimising an image.
        """
        target = self.targets(to)
        if self.is_slow:
            raise InputError(
                f"{self.info.method} translates by optimising each image: there is no network"
                " from image to image"
            )
        return TranslationNetwork(self._method, target, self._size_inside)

    def targets(self, to: Target, *, source: str | None = None) -> tuple[int, ...]:
        """The places of `to`, a domain or several attributes, among the domains.

        Raises:
            InputError: one is no domain or `source`, or there is not one of them where
                the method translates to one domain at a time.
        """
        if to is None:
            self.require_translation()
            if source is not None:
                self.domain_index(source)
            to = only_target(self.domains, source)
        names = (to,) if not isinstance(to, (list, tuple, set, frozenset)) else tuple(to)
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
        return self._size_inside.fixed is not None or (
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
        return self._bytes_per_pixel * math.prod(self._size_inside.padded(height, width))

    def _measure(self) -> None:
        with self._lock, torch.no_grad():
            if self._bytes_per_pixel is not None:
                return
            if isinstance(self._method, KnowsMemory):
                self._bytes_per_pixel = self._method.bytes_per_pixel
                return
            sizes = self._size_inside
            size = sizes.fixed or -(-_PROBE_SIZE // sizes.multiple) * sizes.multiple
            self._bytes_per_pixel = bytes_per_pixel(
                self._network, self._forward((0,), 0), size=size,
                channels=self.source_channels((0,)), device=self.device,
            )  # fmt: skip

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

    def _translate_equal(
        self, images: Sequence[Pixels], target: tuple[int, ...], seed: int
    ) -> list[Made]:
        """Images of one size, as many at once as fit."""
        height, width = size_of(images[0])
        results: list[Made] = []
        with self._lock, torch.no_grad():
            if not self.fits(height, width):
                pixels = self.source_pixels(target)
                rasters = [as_raster(image, pixels) for image in images]
                return [self._translate_tiled(one, target, seed)[0] for one in rasters]
            count = self.batch_size(height, width)
            for start in range(0, len(images), count):
                chunk = [
                    as_tensor(image).to(self.device) for image in images[start : start + count]
                ]
                results += self._translate_whole(torch.stack(chunk), target, seed)
        return results

    def _translate_whole(self, images: Tensor, target: tuple[int, ...], seed: int) -> Tensor:
        """(B, C, H, W) to their translations on the device, at once."""
        height, width = images.shape[2:]
        images = self._size_inside.prepare(images.to(self.device, torch.float32))
        forward = self._forward(target, seed)
        output = forward(images[:1]) if self._is_random else forward(images)
        if self._is_random and len(images) > 1:  # in a batch, only the first saw its own draws
            output = torch.cat([forward(image[None]) for image in images])
        return self._size_inside.finish(output, height, width)

    def _translate_tiled(
        self,
        image: Raster,
        target: tuple[int, ...],
        seed: int,
        progress: Progress | None = None,
    ) -> tuple[NDArray[Any], int, int]:
        """(H, W, C) in the target's values, the tiles it took and the sweeps before the last."""
        width, height = image.size
        memory = option("memory_gib", flag="memory")
        too_large = f"{width}x{height} does not fit in {self.memory_gib:g} GiB"
        way_out = f"raise {memory} to {self.gib_for(height, width):.1f}"
        if self._draws:
            raise InputError(f"{too_large}, and draws of tiles would not match: {way_out}")
        if self.is_slow:
            raise InputError(
                f"{too_large}, and {self.info.method} takes an image whole: {way_out}, or"
                " give a smaller image"
            )
        sizes, forward = self._size_inside, self._forward(target, seed)
        if self._radius is None:
            self._radius = receptive_radius(
                self._network, forward, multiple=sizes.multiple,
                channels=image.channels, device=self.device,
            )  # fmt: skip
        least = math.prod(sizes.padded(1, 1))
        made = translate_large(
            image,
            forward,
            self._norms,
            sizes=sizes,
            tile_pixels=int(self.memory_gib * _GIB / self._bytes(1, 1) * least),
            radius=self._radius,
            device=self.device,
            pixels=self.pixel_formats[target[0]],
            progress=progress,
        )
        if made is None:
            side = 4 * max(MIN_MARGIN, sizes.multiple)
            raise InputError(
                f"memory of {self.memory_gib:g} GiB is too little for a tile of this "
                f"{width}x{height} image: raise {memory} to {self.gib_for(side, side):.1f} or more"
            )
        return made
