"""A translated image and how it was made."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import Any

from numpy.typing import NDArray
from PIL import Image

from diptych.data.pixels import RGB8, PixelFormat
from diptych.errors import option


@dataclass(frozen=True)
class Translation:
    """A translated image and how it was made."""

    image: Image.Image
    """Upright, of the input's size, with its transparency if it had some. Where PIL has no mode
    for the domain's images, it is a picture of the channels that are shown."""
    tiles: int = 1
    """1: the whole image at once, exactly as the method defines it."""
    sweeps: int = 0
    """Passes over the image that measured its statistics before the last one."""
    whole_gib: float = 0.0
    """The `memory_gib` from which this image is translated whole."""
    values: NDArray[Any] | None = None
    """(H, W, C) in the values of the target domain."""
    pixels: PixelFormat = RGB8
    """The target domain's."""

    @property
    def note(self) -> str | None:
        """One line for the user where tiles were used."""
        if self.tiles == 1:
            return None
        width, height = self.image.size
        memory = option("memory_gib", round(self.whole_gib, 1), flag="memory")
        return (
            f"{width}x{height} was translated in {self.tiles} tiles with the whole image's "
            f"statistics ({self.sweeps} sweeps); {memory} would take it whole"
        )

    def _repr_png_(self) -> bytes:
        """The image, for Jupyter."""
        file = BytesIO()
        to_show = self.image if self.image.mode != "F" else self.image.convert("L")
        to_show.save(file, format="PNG")
        return file.getvalue()
