"""Named settings that hold for every method: `--preset NAME`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from diptych.errors import InputError
from diptych.methods import config_class, find_method, find_recipe
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


def chosen(
    method: str, *, preset: str | None = None, recipe: str | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a preset, and over it a recipe, set: the method's options and the run's.

    A preset sets the options that the method has; `PRESETS` in the method's file, by the
    preset's name, holds what has to be another value there.

    Raises:
        InputError: no such preset or recipe.
    """
    if preset is not None and preset not in PRESETS:
        raise InputError(f"no preset {preset!r}; there are: {', '.join(PRESETS)}")
    sets = []
    if preset is not None:
        known = {field.name for field in fields(config_class(method))}
        config = {name: v for name, v in PRESETS[preset].config.items() if name in known}
        own = vars(find_method(method)).get("PRESETS", {}).get(preset, {})
        sets.append(replace(PRESETS[preset], config=config | own))
    sets += [find_recipe(method, recipe)] if recipe is not None else []
    return (
        {name: value for one in sets for name, value in one.config.items()},
        {name: value for one in sets for name, value in one.run.items()},
    )
