"""Writing DICOM images as derived ones: DICOM PS3.3, C.7.6.1.1.2 and C.12.4."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diptych.data.formats import cannot_hold, dicom, family_of
from diptych.data.formats.checks import one_line, quiet, quiet_logger
from diptych.data.pixels import PixelFormat
from diptych.errors import InputError
from diptych.files import atomic_write

_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_SECONDARY_CAPTURE_FRAMES = "1.2.840.10008.5.1.4.1.1.7.4"
_OF_OLD_VALUES = (
    "FloatPixelData", "DoubleFloatPixelData", "ModalityLUTSequence", "VOILUTSequence",
    "WindowCenterWidthExplanation", "SmallestImagePixelValue", "LargestImagePixelValue",
    "SmallestPixelValueInSeries", "LargestPixelValueInSeries", "PixelPaddingValue",
    "PixelPaddingRangeLimit", "RedPaletteColorLookupTableDescriptor",
    "GreenPaletteColorLookupTableDescriptor", "BluePaletteColorLookupTableDescriptor",
    "RedPaletteColorLookupTableData", "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableData", "PresentationLUTShape", "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths", "RescaleSlope", "RescaleIntercept", "RescaleType",
    "WindowCenter", "WindowWidth",
)  # fmt: skip
_OF_OLD_FRAMES = ("PixelValueTransformationSequence", "FrameVOILUTSequence")


def write(
    path: Path, images: Sequence[NDArray[Any]], pixels: PixelFormat, source: str | None
) -> None:
    """Write frames with the patient, study and geometry of `source`.

    The image gets an instance UID of its own. All files written to a folder from one series
    make one new series.

    Raises:
        InputError: there is no DICOM source, or the file cannot be written.
    """
    if not dicom.can_hold(path.suffix.lower(), len(pixels.channels), pixels.dtype, len(images)):
        raise cannot_hold(path, pixels, len(images))
    if source is None or family_of(source) != "dicom":
        raise InputError(
            f"cannot write {path}: only translations of DICOM files are written as DICOM; .tif"
            " holds the same values"
        )
    dataset = dicom.source_of(source)
    try:
        with quiet(), quiet_logger("pydicom"):
            _derive(dataset, path)
            _fit_geometry(dataset, images[0].shape[:2])
            _fill(dataset, np.stack(images), pixels)
            with atomic_write(path) as file:
                dataset.save_as(file, enforce_file_format=True)
    except (OSError, ValueError, TypeError, AttributeError, NotImplementedError) as error:
        raise InputError(f"cannot write {path}: {one_line(error)}") from error


def _derive(dataset: Any, path: Path) -> None:
    """Mark the data set as derived, and give it UIDs of its own."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    old = Dataset()
    old.ReferencedSOPClassUID = dataset.get("SOPClassUID", _SECONDARY_CAPTURE)
    old.ReferencedSOPInstanceUID = dataset.get("SOPInstanceUID", generate_uid(None))
    dataset.SourceImageSequence = [old]
    kind = [*(dataset.get("ImageType") or ())][2:]
    dataset.ImageType = ["DERIVED", "SECONDARY", *kind]
    dataset.DerivationDescription = "Image-to-image translation by Diptych"
    dataset.SOPInstanceUID = generate_uid(None)
    if "SOPClassUID" not in dataset:
        dataset.SOPClassUID = _SECONDARY_CAPTURE
    series = str(dataset.get("SeriesInstanceUID", ""))
    dataset.SeriesInstanceUID = generate_uid(
        entropy_srcs=["diptych", series, str(path.parent.resolve())]
    )
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian


def _fit_geometry(dataset: Any, size: tuple[int, ...]) -> None:
    """Let an image of another size (H, W) fill the place of the old one."""
    old = int(dataset.Rows), int(dataset.Columns)
    scales = [before / after for before, after in zip(old, size, strict=True)]
    if scales == [1.0, 1.0]:
        return
    spacing = dataset.get("PixelSpacing")
    corner, turn = dataset.get("ImagePositionPatient"), dataset.get("ImageOrientationPatient")
    if spacing and corner and turn:
        # Rows go down along the second direction, columns to the right along the first.
        ways = np.array([turn[3:], turn[:3]], dtype=np.float64)
        shifts = [(s - 1) / 2 * float(step) for s, step in zip(scales, spacing, strict=True)]
        moved = np.array(corner, dtype=np.float64) + shifts @ ways
        dataset.ImagePositionPatient = [f"{value:.10g}" for value in moved]
    for keyword in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        if steps := dataset.get(keyword):
            new = [float(step) * s for step, s in zip(steps, scales, strict=True)]
            setattr(dataset, keyword, [f"{value:.10g}" for value in new])


def _fill(dataset: Any, values: NDArray[Any], pixels: PixelFormat) -> None:
    """Replace the pixels by `values` (N, H, W, C), and all that spoke of the old ones."""
    from pydicom.pixels.utils import set_pixel_data

    _clear(dataset)
    is_colour = values.shape[3] == 3
    stored, slope, intercept = _stored(values, pixels)
    stored = stored if is_colour else stored[..., 0]
    if is_colour:
        several = len(values) > 1
        dataset.SOPClassUID = _SECONDARY_CAPTURE_FRAMES if several else _SECONDARY_CAPTURE
    set_pixel_data(
        dataset,
        stored if len(values) > 1 else stored[0],
        "RGB" if is_colour else "MONOCHROME2",
        8 * stored.itemsize,
        generate_instance_uid=False,
    )
    if is_colour:
        return
    dataset.RescaleSlope, dataset.RescaleIntercept = f"{slope:.10g}", f"{intercept:.10g}"
    dataset.RescaleType = "US"  # unspecified: the domain's units are not known
    dataset.WindowCenter = f"{(pixels.low + pixels.high) / 2:.10g}"
    dataset.WindowWidth = f"{pixels.high - pixels.low:.10g}"
    if pixels.nodata is not None:
        padding = round((pixels.nodata - intercept) / slope)
        info = np.iinfo(stored.dtype)
        if info.min <= padding <= info.max:
            dataset.PixelPaddingValue = padding


def _clear(dataset: Any) -> None:
    for keyword in _OF_OLD_VALUES:
        if keyword in dataset:
            delattr(dataset, keyword)
    shared = dataset.get("SharedFunctionalGroupsSequence") or []
    for group in (*shared, *(dataset.get("PerFrameFunctionalGroupsSequence") or [])):
        for keyword in _OF_OLD_FRAMES:
            if keyword in group:
                delattr(group, keyword)


def _stored(values: NDArray[Any], pixels: PixelFormat) -> tuple[NDArray[Any], float, float]:
    """Return numbers of at most 16 bits, and the slope and intercept that undo it."""
    if values.dtype.kind in "ui" and values.itemsize <= 2:
        return values, 1.0, 0.0
    slope = (pixels.high - pixels.low) / 65535
    if values.dtype.kind in "ui":
        slope = max(slope, 1.0)
    slope = float(f"{slope:.10g}")  # as it is written
    steps = np.rint((values.astype(np.float64) - pixels.low) / slope)
    return np.clip(np.nan_to_num(steps), 0, 65535).astype(np.uint16), slope, pixels.low
