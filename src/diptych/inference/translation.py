"""A translated image and how it was made."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

from PIL import Image

from diptych.errors import option


@dataclass(frozen=True)
class Translation:
    """A translated image and how it was made."""

    image: Image.Image
    """RGB, upright, of the input's size; RGBA for a PIL image or a path with transparency."""
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
        memory = option("memory_gib", round(self.whole_gib, 1), flag="memory")
        return (
            f"{width}x{height} was translated in {self.tiles} tiles with the whole image's "
            f"statistics ({self.sweeps} sweeps); {memory} would take it whole"
        )

    def _repr_png_(self) -> bytes:
        """The image, for Jupyter."""
        file = BytesIO()
        self.image.save(file, format="PNG")
        return file.getvalue()
