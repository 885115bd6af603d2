"""The classes of images, by the folders that they lie in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from diptych.data.collections import Labels


def class_names(names: Sequence[str]) -> tuple[str, ...]:
    """The first folders of relative file names, sorted; none if a file lies outside of them."""
    if not names or "/" not in names[0]:  # at once for the usual flat folder of a million files
        return ()
    first = [name.partition("/") for name in names]
    return tuple(sorted({head for head, _, _ in first})) if all(f[1] for f in first) else ()


def labels_by_folder(names: Sequence[str], classes: Sequence[str]) -> Labels | None:
    """The class of each file by its first folder; None if one is in none of `classes`."""
    known = {name: label for label, name in enumerate(classes)}
    found = [known.get(name.partition("/")[0] if "/" in name else "") for name in names]
    return None if None in found or not found else np.array(found, np.int64)


def translated(labels: Labels, own: Sequence[str], classes: Sequence[str]) -> Labels | None:
    """`labels` among `own` names as labels among `classes`; None if one is not there."""
    if not set(own) <= set(classes):
        return None
    places: Labels = np.array([list(classes).index(name) for name in own], np.int64)[labels]
    return places
