"""DICOM images, by pydicom (an extra). A series is a folder of files; frames are images.

Values are in the file's units: the rescale slope and intercept, or the modality's table, are
applied. Hounsfield units are int16. MONOCHROME1, where the least value is white, is inverted
unless the values have units. Palettes and YBR become RGB.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diptych.data.formats import MAX_PIXELS, Frame, Header
from diptych.data.formats.checks import (
    broken,
    check_index,
    check_is_file,
    check_size,
    needs,
    quiet,
    quiet_logger,
)
from diptych.data.formats.kept import Volumes
from diptych.data.formats.scaling import Scaling
from diptych.data.pixels import DTYPES, GREY, RGB, PixelFormat
from diptych.errors import InputError

_ERRORS = (
    OSError, EOFError, ValueError, TypeError, KeyError, AttributeError, NotImplementedError,
    IndexError, OverflowError, MemoryError, RuntimeError,
)  # fmt: skip


def header(path: str) -> Header:
    """Return what the file says of its frames, without reading them."""
    dataset = _dataset(path, with_pixels=False)
    with _reading(path):
        image = _Image(path, dataset)
        check_size(path, image.size, MAX_PIXELS)
        return Header(
            image.size,
            image.channels,
            image.dtype(0),
            image.frames,
            nodata=image.nodata(0),
            window=image.window(0),
            units=image.units,
        )


def read(
    path: str, index: int = 0, at_least: int | None = None, max_pixels: int = MAX_PIXELS
) -> Frame:
    """Read frame `index` of the file, in its units."""
    dataset = _of_several.get(path) if index else _dataset(path, with_pixels=True)
    with _reading(path):
        image = _Image(path, dataset)
        check_size(path, image.size, max_pixels)
        check_index(path, index, image.frames)
        values = image.in_units(_stored(path, image, index), index)
        return Frame(np.ascontiguousarray(values), image.channels, nodata=image.nodata(index))


@contextmanager
def _reading(path: str) -> Iterator[None]:
    """Turn pydicom's errors into InputError. It parses many attributes when they are asked for."""
    from pydicom.errors import BytesLengthException

    try:
        with quiet(), quiet_logger("pydicom"):
            yield
    except InputError:
        raise
    except (*_ERRORS, BytesLengthException) as error:
        raise broken(path, error) from error


def _stored(path: str, image: _Image, index: int) -> NDArray[Any]:
    from pydicom.pixels.utils import pixel_array

    from diptych.data.formats import dicom_codecs

    dicom_codecs.register()
    try:
        return np.atleast_3d(pixel_array(image.dataset, index=index))
    except RuntimeError as error:
        if "plugins are missing dependencies" not in str(error):
            raise
        raise needs(path, "imagecodecs", "codecs") from error


def _dataset(path: str, *, with_pixels: bool) -> Any:
    check_is_file(path)
    try:
        with quiet():
            from pydicom import dcmread
    except ImportError as error:
        raise needs(path, "pydicom", "medical") from error
    with _reading(path):
        # Old files lack the preamble by which DICOM is known; `force` reads them too.
        dataset = dcmread(path, stop_before_pixels=not with_pixels, force=True)
        if "Rows" not in dataset or "Columns" not in dataset:
            raise InputError(f"{path} holds no DICOM image: replace it or remove it")
        if not dataset.file_meta.get("TransferSyntaxUID"):
            _assume_syntax(dataset)
        return dataset


def _assume_syntax(dataset: Any) -> None:
    from pydicom import uid

    is_implicit, is_little = dataset.original_encoding
    if is_implicit:
        dataset.file_meta.TransferSyntaxUID = uid.ImplicitVRLittleEndian
    else:
        syntax = uid.ExplicitVRLittleEndian if is_little else uid.ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = syntax


_of_several: Volumes[Any] = Volumes(
    lambda path: _dataset(path, with_pixels=True),
    lambda dataset: len(dataset.get("PixelData", b"")),
)


@dataclass(frozen=True)
class _Image:
    """The attributes of a data set that say what its pixels are."""

    name: str
    dataset: Any

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        return int(self.dataset.Columns or 0), int(self.dataset.Rows or 0)

    @property
    def frames(self) -> int:
        return max(1, int(self.dataset.get("NumberOfFrames") or 1))

    @property
    def photometric(self) -> str:
        return str(self.dataset.get("PhotometricInterpretation", "MONOCHROME2"))

    @property
    def channels(self) -> tuple[str, ...]:
        is_colour = int(self.dataset.get("SamplesPerPixel") or 1) == 3
        return RGB if is_colour or self.photometric == "PALETTE COLOR" else GREY

    @property
    def units(self) -> str:
        """The units that the file states, such as HU; empty if it states none."""
        stated = str(self.dataset.get("RescaleType") or "")
        if not stated and self.dataset.get("Modality") == "CT" and "RescaleSlope" in self.dataset:
            return "HU"  # DICOM PS3.3, C.11.1.1.2: HU is meant where a CT image says nothing
        return "" if stated == "US" else stated

    @property
    def stored_dtype(self) -> str:
        bits = int(self.dataset.get("BitsAllocated") or 0)
        if bits >= 32 and "PixelRepresentation" not in self.dataset:
            return f"float{bits}"  # DICOM PS3.3, C.7.6.24 and C.7.6.25
        sign = "" if self.dataset.get("PixelRepresentation") else "u"
        name = "uint8" if bits == 1 else f"{sign}int{bits}"
        if name not in DTYPES:
            raise InputError(f"{self.name} has values of {bits} bits: expected 8, 16 or 32")
        return name

    @property
    def stored_range(self) -> tuple[int, int]:
        """The least and the greatest number that can be stored."""
        bits = int(self.dataset.get("BitsStored") or self.dataset.get("BitsAllocated") or 16)
        if self.dataset.get("PixelRepresentation"):
            return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
        return 0, 2**bits - 1

    def scaling(self, index: int) -> Scaling:
        found = self._of_frame(index, "PixelValueTransformationSequence") or self.dataset
        slope, intercept = found.get("RescaleSlope"), found.get("RescaleIntercept")
        if slope is None or intercept is None or self.channels == RGB:
            return Scaling()
        return Scaling(float(slope), float(intercept))

    def dtype(self, index: int) -> str:
        """The type of the values in units."""
        if self.photometric == "PALETTE COLOR":
            bits = int(self.dataset.RedPaletteColorLookupTableDescriptor[2])
            return "uint8" if bits <= 8 else "uint16"
        if self.dataset.get("ModalityLUTSequence"):
            return f"uint{self.dataset.ModalityLUTSequence[0].LUTDescriptor[2]}"
        scaling = self.scaling(index)
        name = scaling.dtype(self.stored_dtype, *self.stored_range)
        is_hounsfield = self.units == "HU" and name in ("int16", "int32", "uint16")
        return "int16" if is_hounsfield else name

    def in_units(self, stored: NDArray[Any], index: int) -> NDArray[Any]:
        """Return (H, W, C) in units, of the type `dtype`."""
        from pydicom.pixels.processing import apply_color_lut, apply_modality_lut

        name = self.dtype(index)
        if self.photometric == "PALETTE COLOR":
            return np.asarray(apply_color_lut(stored[..., 0], self.dataset)).astype(name)
        if self.dataset.get("ModalityLUTSequence"):
            return np.asarray(apply_modality_lut(stored, self.dataset)).astype(name)
        scaling = self.scaling(index)
        if self.photometric == "MONOCHROME1" and scaling.is_none and stored.dtype.kind in "ui":
            least, most = self.stored_range
            return (least + most - stored.astype(np.int64)).astype(name)
        return scaling.apply(stored, name)

    def nodata(self, index: int) -> float | None:
        """The value in units of pixels that pad the image to a rectangle."""
        padding = self.dataset.get("PixelPaddingValue")
        if padding is None or self.channels == RGB or isinstance(padding, bytes):
            return None
        held = np.array([[[int(padding)]]], dtype=np.int64)
        return float(self.in_units(held, index)[0, 0, 0])

    def window(self, index: int) -> tuple[float, float] | None:
        """The values to show as black and as white, from the first window."""
        found = self._of_frame(index, "FrameVOILUTSequence") or self.dataset
        centre, width = (_first(found.get(f"Window{part}")) for part in ("Center", "Width"))
        if centre is None or width is None or width <= 0:
            return None
        return centre - width / 2, centre + width / 2

    def _of_frame(self, index: int, sequence: str) -> Any | None:
        """Return what an enhanced multi-frame image says of one frame, or of all."""
        for name, place in (
            ("PerFrameFunctionalGroupsSequence", index),
            ("SharedFunctionalGroupsSequence", 0),
        ):
            groups = self.dataset.get(name)
            if groups and place < len(groups) and groups[place].get(sequence):
                return groups[place][sequence][0]
        return None


def _first(value: Any) -> float | None:
    """Return the first of one or several numbers."""
    if value is None or isinstance(value, str):
        return None
    try:
        return float(value if isinstance(value, (int, float)) else value[0])
    except (TypeError, ValueError, IndexError):
        return None


# --- writing -------------------------------------------------------------------------------


def write(
    path: Path, images: Sequence[NDArray[Any]], pixels: PixelFormat, source: str | None
) -> None:
    """Write frames with the header of the DICOM file `source`, as a derived image."""
    from diptych.data.formats import dicom_out

    dicom_out.write(path, images, pixels, source)


def can_hold(suffix: str, channels: int, dtype: str, images: int) -> bool:
    """Return whether a file of this suffix can hold such images.

    Values of more than 16 bits and floats are stored in 65,536 steps of the domain's range.
    """
    if images < 1 or dtype not in DTYPES:
        return False
    return channels == 1 or (channels == 3 and dtype == "uint8")


def source_of(path: str) -> Any:
    """Return pydicom's data set of the file, without its pixels."""
    return _dataset(path, with_pixels=False)
