"""Named settings that hold for every method: `--preset NAME`."""

from __future__ import annotations

from collections.abc import Mapping

from diptych.types import Recipe

PRESETS: Mapping[str, Recipe] = {
    "paper": Recipe("each method as its paper trains it"),
    "fast": Recipe(
        "good pictures within minutes, on a CPU too: 64 pixels, 32 channels, batches of 4 at"
        " three times the learning rate, which falls in the last quarter, averaged weights",
        config={"size": 64, "width": 32, "batch_size": 4, "decay_from": 0.75},
        run={"lr_scale": 3.0, "ema": 0.999},
    ),
}
