"""Data sets that need no files of the user's: made from packages that pip installs.

`sample:NAME` wherever a data set is asked for. Nothing is downloaded here, and
nothing is read or built before `open_sample` is called.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from diptych.data.collections import Data
from diptych.errors import InputError

SAMPLES: Mapping[str, str] = MappingProxyType(
    {
        "earth-climate": "climate zones (six colours) <-> NASA Blue Marble; pairs and labels score",
        "earth-map": "relief map of land and sea floor <-> NASA Blue Marble; pairs score",
        "earth-styles": "three domains: NASA Blue Marble, relief map, shaded relief; triples score",
    }
)
"""What `open_sample` knows, by name, with one line on each."""


def open_sample(name: str, size: int) -> Data:
    """The sample `name` cut into `size` x `size` tiles, with its fixed splits.

    The first use of a size builds rasters in the user's cache folder
    (DIPTYCH_CACHE overrides it), which takes seconds; later uses map them.

    Raises:
        InputError: no such sample or size, the `samples` extra is not
            installed, or the cache cannot be written.
    """
    if name not in SAMPLES:
        raise InputError(f"no sample {name!r}: there are {', '.join(SAMPLES)}")
    from diptych.data.samples.earth import open_earth

    return open_earth(name, size)
