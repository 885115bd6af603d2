"""The pixels of a domain: its channels, their depth and the range of values that counts.

Networks work with values in [-1, 1]. A domain has one mapping between its own values and those:
`low` becomes -1 and `high` becomes 1, for every channel of every image. It is decided once, from
the training images or by the user, and stored with what was learnt. No image is stretched by
its own contents, so that equal values stay equal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diptych.errors import InputError

DTYPES = (
    "uint8", "uint16", "uint32", "int8", "int16", "int32", "float16", "float32", "float64",
)  # fmt: skip
"""The types of values that are read, by NumPy's names."""
GREY, RGB = ("grey",), ("red", "green", "blue")


@dataclass(frozen=True)
class PixelFormat:
    """What the pixels of one domain are."""

    channels: tuple[str, ...] = RGB
    """Names, in the order of the file: "grey", "red", "nir", or "band 1" where no name is known."""
    dtype: str = "uint8"
    """One of DTYPES."""
    low: float = 0.0
    """The value that becomes -1. Smaller values are clipped."""
    high: float = 255.0
    """The value that becomes 1. Larger values are clipped."""
    nodata: float | None = None
    """The value of pixels without data; None if there are none but NaN and infinities."""
    show: tuple[int, ...] = ()
    """The channels that pictures show: one as grey, or three as red, green and blue. Empty means
    the first three, or the first of one or two."""

    def __post_init__(self) -> None:
        if not self.channels or self.dtype not in DTYPES or not self.low < self.high:
            raise InputError(
                f"pixels of {len(self.channels)} channels of {self.dtype} from {self.low:g} to"
                f" {self.high:g}: expected at least one channel, a type such as uint16, and a"
                " range that rises"
            )
        if self.show and (len(self.show) not in (1, 3) or not self._has(self.show)):
            raise InputError(
                f"cannot show the channels {', '.join(str(i + 1) for i in self.show)} of"
                f" {len(self.channels)}: give one or three of them"
            )

    def _has(self, chosen: tuple[int, ...]) -> bool:
        return all(0 <= index < len(self.channels) for index in chosen)

    @property
    def is_eight_bit(self) -> bool:
        """Whether the values are whole bytes, all of whose range counts."""
        return self.dtype == "uint8" and (self.low, self.high) == (0.0, 255.0)

    @property
    def shown(self) -> tuple[int, ...]:
        """The channels that pictures show: one or three indices."""
        return self.show or ((0, 1, 2) if len(self.channels) >= 3 else (0,))

    def to_unit(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Convert values of `dtype` to float32, where `low` is -1 and `high` is 1, and clip."""
        unit: NDArray[Any] = values.astype("f4" if values.itemsize <= 2 else "f8")
        unit -= self.low  # exact for 16 bits
        unit *= 2 / (self.high - self.low)
        unit -= 1
        clipped: NDArray[np.float32] = np.clip(unit, -1, 1).astype(np.float32)
        return clipped

    def from_unit(self, unit: NDArray[Any]) -> NDArray[Any]:
        """Convert values in [-1, 1] to `dtype`. Whole numbers are rounded to the nearest."""
        wide = np.clip(unit.astype(np.float64), -1, 1)
        values = (wide + 1) * ((self.high - self.low) / 2) + self.low
        kind = np.dtype(self.dtype)
        if kind.kind == "f":
            return values.astype(kind)
        info = np.iinfo(kind)
        return np.clip(np.rint(values), info.min, info.max).astype(kind)

    def from_tensor(self, unit: Tensor) -> NDArray[Any]:
        """Convert (C, H, W) in [-1, 1] to (H, W, C) of `dtype`."""
        if self.is_eight_bit:
            levels = unit.detach().float().cpu().add(1).mul(127.5).round().clamp(0, 255)
            return levels.to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
        return self.from_unit(unit.detach().float().cpu().permute(1, 2, 0).numpy())

    def describe(self) -> str:
        """Return a short text such as "1 channel of uint16, 0 to 4095"."""
        count = len(self.channels)
        named = f"{count} channels" if count != 1 else "1 channel"
        nodata = "" if self.nodata is None else f", {self.nodata:g} is no data"
        return f"{named} of {self.dtype}, {self.low:g} to {self.high:g}{nodata}"

    @property
    def shown_as(self) -> str:
        """What pictures and feature networks see of the channels, in words."""
        if len(self.channels) == 1:
            return "grey"
        names = [self.channels[index] for index in self.shown]
        return names[0] if len(names) == 1 else f"{', '.join(names[:2])} and {names[2]}"

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them."""
        return asdict(self)

    @classmethod
    def from_dict(cls, held: Mapping[str, Any]) -> PixelFormat:
        """Build from what `to_dict` returned.

        Raises:
            InputError: fields are missing, unknown or of another type.
        """
        try:
            nodata = held.get("nodata")
            return cls(
                channels=tuple(str(name) for name in held["channels"]),
                dtype=str(held["dtype"]),
                low=float(held["low"]),
                high=float(held["high"]),
                nodata=None if nodata is None else float(nodata),
                show=tuple(int(index) for index in held.get("show", ())),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{dict(held)!r} describes no pixels: {error}") from error


RGB8 = PixelFormat()
"""Colour photographs: red, green and blue, a byte each."""
GREY8 = PixelFormat(GREY)
"""Grey images of a byte a pixel."""


def own_range(dtype: str) -> tuple[float, float]:
    """Return the least and the greatest value of a type; 0 and 1 for floats."""
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return 0.0, 1.0
    return float(np.iinfo(kind).min), float(np.iinfo(kind).max)


def channel_counts(formats: Iterable[PixelFormat]) -> tuple[int, ...]:
    """Return the number of channels of each format."""
    return tuple(len(pixels.channels) for pixels in formats)


def channel_names(count: int) -> tuple[str, ...]:
    """Return names for channels of which only the number is known."""
    known = {1: GREY, 3: RGB}
    return known.get(count) or tuple(f"band {i + 1}" for i in range(count))
