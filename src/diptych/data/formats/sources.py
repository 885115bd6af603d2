"""What every writer takes from the source of a translation: its transparency and its profile."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from diptych.data import formats


def alpha_of(source: str | None, index: int, values: NDArray[Any]) -> NDArray[Any] | None:
    """Return the transparency of image `index` of the source as (H, W) of the type of `values`.

    None if there is none, or if `values`, (H, W, C), are of another size.
    """
    if source is None:
        return None
    found = formats.header(source)
    if index >= found.images or (found.images == 1 and not found.has_alpha):
        return None
    alpha = formats.read(source, index).alpha
    if alpha is None or alpha.shape != values.shape[:2]:
        return None
    return _alpha_as(alpha, values.dtype)


def _alpha_as(alpha: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    if alpha.dtype == dtype:
        return alpha
    share = alpha / (np.iinfo(alpha.dtype).max if alpha.dtype.kind in "ui" else 1.0)
    if dtype.kind in "ui":
        return np.rint(share * np.iinfo(dtype).max).astype(dtype)
    return share.astype(dtype)


def fits(profile: bytes | None, channels: int) -> bool:
    """Return whether an ICC profile is for images of so many channels."""
    return profile is not None and profile[16:20] == {1: b"GRAY", 3: b"RGB "}.get(channels)
