"""Named settings that hold for every method: `--preset NAME`."""

from __future__ import annotations

from collections.abc import Mapping

from diptych.errors import InputError
from diptych.registry import find_method
from diptych.types import Recipe

PRESETS: Mapping[str, Recipe] = {
    "paper": Recipe("each method as its paper trains it"),
    "fast": Recipe(
        "good pictures within minutes, on a CPU too: 64 pixels, 32 channels, batches of 4 at"
        " three times the learning rate, averaged weights",
        config={"size": 64, "width": 32, "batch_size": 4},
        run={"lr_scale": 3.0, "ema": 0.999},
    ),
}


def find_preset(method: str, preset: str) -> Recipe:
    """The settings called `preset`, with what the method called `method` adds to them.

    Raises:
        InputError: there is no such preset.
    """
    if preset not in PRESETS:
        raise InputError(f"no preset {preset!r}; there are: {', '.join(PRESETS)}")
    shared = PRESETS[preset]
    own: Mapping[str, Recipe] = vars(find_method(method)).get("PRESETS", {})
    if preset not in own:
        return shared
    return Recipe(
        f"{shared.summary}; {own[preset].summary}",
        config={**shared.config, **own[preset].config},
        run={**shared.run, **own[preset].run},
    )
