"""PNG files of 16 bits with colours or alpha, by imagecodecs (an extra); Pillow keeps 8 bits."""

from __future__ import annotations

import importlib.util
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diptych.data.formats import Frame
from diptych.data.formats.checks import broken, needs
from diptych.data.pixels import GREY, RGB

_HEADER_END = 33
"""The signature takes 8 bytes, and the first chunk, IHDR, 25."""


def is_available() -> bool:
    """Return whether imagecodecs is installed."""
    return importlib.util.find_spec("imagecodecs") is not None


def read(path: str, turn: int) -> Frame:
    """Read a file whose EXIF orientation is `turn`."""
    try:
        import imagecodecs
    except ImportError as error:
        raise needs(f"16-bit colours in {path}", "imagecodecs", "codecs") from error
    try:
        values = np.atleast_3d(imagecodecs.png_decode(Path(path).read_bytes()))
    except (RuntimeError, OSError, ValueError) as error:
        raise broken(path, error) from error
    values = turned(values, turn)
    count = values.shape[2]
    alpha = values[..., -1] if count in (2, 4) else None
    bands = values if alpha is None else values[..., :-1]
    return Frame(np.ascontiguousarray(bands), GREY if count <= 2 else RGB, alpha)


def turned(values: NDArray[Any], turn: int) -> NDArray[Any]:
    """Turn (H, W, C) upright, by EXIF's number for where its first row and column lie."""
    if turn >= 5:
        values = values.swapaxes(0, 1)
    if turn in (3, 4, 7, 8):
        values = values[::-1]
    if turn in (2, 3, 6, 7):
        values = values[:, ::-1]
    return np.ascontiguousarray(values)


def encoded(values: NDArray[Any], icc_profile: bytes | None, exif: bytes | None) -> bytes:
    """Return a file of (H, W, C) uint16, with a colour profile and EXIF data."""
    import imagecodecs

    content = bytes(imagecodecs.png_encode(np.ascontiguousarray(values)))
    chunks = b""
    if icc_profile is not None:
        chunks += _chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(icc_profile))
    if exif is not None:
        chunks += _chunk(b"eXIf", exif.removeprefix(b"Exif\0\0"))
    return content[:_HEADER_END] + chunks + content[_HEADER_END:]


def _chunk(kind: bytes, body: bytes) -> bytes:
    checked = kind + body
    return struct.pack(">I", len(body)) + checked + struct.pack(">I", zlib.crc32(checked))
