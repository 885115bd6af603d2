"""Stored whole numbers to values in units: slope and intercept, in DICOM and NIfTI files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Scaling:
    """value = slope * stored + intercept."""

    slope: float = 1.0
    intercept: float = 0.0

    @property
    def is_none(self) -> bool:
        """Whether values are stored as they are."""
        return (self.slope, self.intercept) == (1.0, 0.0)

    def dtype(self, stored: str, least: float, most: float) -> str:
        """Return the type that holds the values of stored numbers from `least` to `most`.

        Values that are not whole are float32, or float64 if that is what is stored.
        """
        if self.is_none or np.dtype(stored).kind == "f":
            return stored
        if self.slope % 1 or self.intercept % 1:
            return "float32"
        ends = [self.slope * end + self.intercept for end in (least, most)]
        for name in ("int16", "int32"):
            info = np.iinfo(name)
            if min(ends) >= info.min and max(ends) <= info.max:
                return name
        return "float64"

    def apply(self, stored: NDArray[Any], dtype: str) -> NDArray[Any]:
        """Return the values of `stored`, clipped to the range of `dtype`."""
        if self.is_none and stored.dtype == dtype:
            return stored
        values = stored.astype(np.float64) * self.slope + self.intercept
        if np.dtype(dtype).kind == "f":
            return values.astype(dtype)
        info = np.iinfo(dtype)
        return np.clip(np.rint(values), info.min, info.max).astype(dtype)
