"""The methods, one paper a file; a method's name is its file's name."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from torch import nn

from diptych.errors import InputError, dataclass_from, did_you_mean
from diptych.types import Recipe


def list_methods() -> list[str]:
    """Every method there is, sorted."""
    return sorted(
        module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")
    )


def find_method(name: str) -> ModuleType:
    """The module of the method called `name`; an error inside it propagates.

    Raises:
        InputError: there is no such method.
    """
    known = list_methods()
    if name not in known:
        raise InputError(f"no method {name!r}{did_you_mean(name, known)}")
    return importlib.import_module(f"diptych.methods.{name}")


def method_class(name: str) -> type[nn.Module]:
    """The one `nn.Module` of the method's file that has an `iteration`."""
    module = find_method(name)
    classes = [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, nn.Module)
        and value.__module__ == module.__name__
        and hasattr(value, "iteration")
    ]
    assert len(classes) == 1, f"{module.__name__} must define one method, not {classes}"
    return classes[0]


def find_recipe(name: str, recipe: str) -> Recipe:
    """The paper's settings called `recipe` of the method called `name`.

    Raises:
        InputError: the method has no such recipe.
    """
    recipes: Mapping[str, Recipe] = vars(find_method(name)).get("RECIPES", {})
    if recipe not in recipes:
        raise InputError(f"{name} has no recipe {recipe!r}{did_you_mean(recipe, recipes)}")
    return recipes[recipe]


def make_config(name: str, values: Mapping[str, Any]) -> Any:
    """The method's `Config` with `values` in place of its defaults.

    Raises:
        InputError: a name that it does not have, or a value out of its range.
    """
    return dataclass_from(find_method(name).Config, values, owner=name)


def build(name: str, config: Any, domains: int) -> nn.Module:
    """The method, freshly initialised from the global random state."""
    return method_class(name)(config, domains=domains)
