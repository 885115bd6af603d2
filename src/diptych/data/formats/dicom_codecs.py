"""A decoder plugin for pydicom: JPEG Lossless, JPEG-LS, 12-bit JPEG and HTJ2K, by imagecodecs."""

from __future__ import annotations

import importlib.util
from functools import cache
from typing import Any

from pydicom import uid
from pydicom.pixels.decoders.base import get_decoder

_SYNTAXES = (
    uid.JPEGExtended12Bit,
    uid.JPEGLossless,
    uid.JPEGLosslessSV1,
    uid.JPEGLSLossless,
    uid.JPEGLSNearLossless,
    uid.HTJ2KLossless,
    uid.HTJ2KLosslessRPCL,
    uid.HTJ2K,
)
DECODER_DEPENDENCIES = dict.fromkeys(_SYNTAXES, ("imagecodecs",))


def is_available(syntax: str) -> bool:
    """Return whether imagecodecs is installed. pydicom asks this."""
    return importlib.util.find_spec("imagecodecs") is not None


def decode_frame(content: bytes, runner: Any) -> bytes:
    """Decode one frame. pydicom calls this."""
    import imagecodecs

    syntax, content = runner.transfer_syntax, bytes(content)
    if syntax in (uid.JPEGLSLossless, uid.JPEGLSNearLossless):
        values = imagecodecs.jpegls_decode(content)
    elif syntax in (uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K):
        values = imagecodecs.htj2k_decode(content)
    elif syntax == uid.JPEGExtended12Bit:
        values = imagecodecs.jpeg_decode(content)
    else:
        values = imagecodecs.ljpeg_decode(content)
    if values.ndim == 3:
        runner.set_option("planar_configuration", 0)
    runner.set_option("bits_allocated", 8 * values.itemsize)
    return bytes(values.tobytes())


@cache
def register() -> None:
    """Add the plugin to pydicom's decoders, once."""
    for syntax in _SYNTAXES:
        get_decoder(syntax).add_plugin("diptych", (__name__, "decode_frame"))
