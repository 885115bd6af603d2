"""Classes of images, taken from the names of their folders."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from diptych.data.collections import Labels


def class_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return the first folders of relative file names, sorted; empty if a file is in no folder."""
    if not names or "/" not in names[0]:  # quick for the usual flat folder of a million files
        return ()
    first = [name.partition("/") for name in names]
    return tuple(sorted({head for head, _, _ in first})) if all(f[1] for f in first) else ()


def labels_by_folder(names: Sequence[str], classes: Sequence[str]) -> Labels | None:
    """Return (N,) int64, each file's index in `classes`, or None if a file is in none of them."""
    known = {name: label for label, name in enumerate(classes)}
    found = [known.get(name.partition("/")[0] if "/" in name else "") for name in names]
    return None if None in found or not found else np.array(found, np.int64)


def translated(labels: Labels, own: Sequence[str], classes: Sequence[str]) -> Labels | None:
    """Convert `labels` from indices in `own` to indices in `classes`; None if a name is missing."""
    if not set(own) <= set(classes):
        return None
    places: Labels = np.array([list(classes).index(name) for name in own], np.int64)[labels]
    return places
