"""TIFF files, as Pillow reads them."""

from diptych.data.formats.pillow import can_hold, header, read, write

__all__ = ["can_hold", "header", "read", "write"]
