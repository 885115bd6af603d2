from __future__ import annotations

import numpy as np
import pytest

from diptych.data.formats.scaling import Scaling


@pytest.mark.parametrize(
    ("scaling", "stored", "ends", "dtype"),
    [
        (Scaling(), "uint16", (0, 65535), "uint16"),
        (Scaling(1, -1024), "uint16", (0, 4095), "int16"),
        (Scaling(1, -1024), "uint16", (0, 65535), "int32"),
        (Scaling(-2, 0), "int16", (-32768, 32767), "int32"),
        (Scaling(1, -1024), "uint32", (0, 2**32 - 1), "float64"),
        (Scaling(0.1, 0), "int16", (-32768, 32767), "float32"),
        (Scaling(0.1, 0), "float64", (0, 1), "float64"),
    ],
)
def test_the_type_holds_all_values_that_can_be_stored(
    scaling: Scaling, stored: str, ends: tuple[float, float], dtype: str
) -> None:
    assert scaling.dtype(stored, *ends) == dtype
    values = scaling.apply(np.array(ends, stored), dtype)
    assert values.dtype.name == dtype
    assert values.tolist() == [scaling.slope * end + scaling.intercept for end in ends] or (
        dtype == "float32"
    )


def test_values_beyond_a_type_are_clipped_and_not_wrapped() -> None:
    stored = np.array([-32768, 0, 32767], np.int16)
    assert Scaling(1, -1024).apply(stored, "int16").tolist() == [-32768, -1024, 31743]
