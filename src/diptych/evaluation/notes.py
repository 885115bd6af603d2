"""Notes that say how scores were measured, a line each."""

from __future__ import annotations

from diptych.data import Data, Split
from diptych.data.pixels import RGB
from diptych.evaluation.perceptual import Perceptual
from diptych.networks.features import FeatureNetwork

LAST_STEP = "the weights of the last step were scored: no checkpoint was chosen"
"""The note of scores for which no checkpoint was chosen."""


def score_notes(
    chosen: Split,
    features: FeatureNetwork | None,
    perceptual: Perceptual | None,
    most: int | None,
) -> tuple[str, ...]:
    """Return notes on how translations were scored."""
    notes = [LAST_STEP]
    if most is not None:
        notes.append(f"at most {most} images of a direction were translated, evenly spread")
    if chosen.attributes is not None:
        notes.append(
            "of each attribute: held-out images without it were given it and compared with those"
            " that have it, and the other way round; the other attributes stay, but those that"
            " exclude it"
        )
    notes += features_notes(features)
    if features is not None and chosen.pairs is not None:
        notes.append(
            "KID compares translations with real images of the same scenes; kid of real is"
            " between training images and these"
        )
    if perceptual is not None:
        notes.append(perceptual.note)
    return tuple(notes)


def channel_notes(data: Data) -> tuple[str, ...]:
    """Return notes on what feature networks see of images that are not of three channels."""
    pixels = dict(zip(data.domains, data.pixels, strict=True))
    seen = [
        f"{name} as {one.shown_as}"
        for name, one in pixels.items()
        if one.channels != RGB or one.show
    ]
    notes = [f"feature networks see {' and '.join(seen)}"] if seen else []
    if len({len(one.channels) for one in data.pixels}) > 1:
        notes.append(
            "the domains have unequal channels: images are compared with their translations as"
            " both are shown"
        )
    return tuple(notes)


def features_notes(features: FeatureNetwork | None) -> tuple[str, ...]:
    """Return a note that explains missing features; empty if there are features."""
    if features is not None:
        return ()
    return ("no KID: its features need the features extra, pip install 'diptych[features]'",)
