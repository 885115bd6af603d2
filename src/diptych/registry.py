"""Methods by name: a method's name is its file's name in `diptych.methods`."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields
from types import ModuleType, UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from torch import nn

import diptych.methods
from diptych.errors import InputError
from diptych.types import Recipe

D = TypeVar("D")


def method_names() -> list[str]:
    """Every method there is, sorted."""
    return sorted(
        module.name
        for module in pkgutil.iter_modules(diptych.methods.__path__)
        if not module.name.startswith("_")
    )


def find_method(name: str) -> ModuleType:
    """The module of the method called `name`; an error inside it propagates.

    Raises:
        InputError: there is no such method.
    """
    known = method_names()
    if name not in known:
        raise InputError(f"no method {name!r}{_did_you_mean(name, known)}")
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
        raise InputError(f"{name} has no recipe {recipe!r}{_did_you_mean(recipe, recipes)}")
    return recipes[recipe]


def make_config(name: str, values: Mapping[str, Any]) -> Any:
    """The method's `Config` with `values` in place of its defaults.

    Raises:
        InputError: a name that it does not have, or a value out of its range.
    """
    return dataclass_from(find_method(name).Config, values, owner=name)


def dataclass_from(kind: type[D], values: Mapping[str, Any], *, owner: str) -> D:
    """`kind(**values)`, with names and types checked first.

    Raises:
        InputError: `kind` has no such field, the value is not of its type, or
            a field without a default is missing.
    """
    hints = get_type_hints(kind)
    for key, value in values.items():
        if key not in hints:
            raise InputError(f"{owner} has no option {key!r}{_did_you_mean(key, hints)}")
        if not _is_a(value, hints[key]):
            raise InputError(f"{key} is {value!r}: it must be {_describe(hints[key])}")
    for field in fields(cast(Any, kind)):
        if field.name not in values and field.default is field.default_factory is MISSING:
            raise InputError(
                f"{owner} lacks {field.name!r}: it must be {_describe(hints[field.name])}"
            )
    return kind(**values)


def _is_a(value: Any, hint: Any) -> bool:
    """Whether a value that came from TOML, JSON or Python is of the field's type."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return value in inner
    if origin in (Union, UnionType):
        return any(_is_a(value, one) for one in inner)
    if origin is tuple:
        return isinstance(value, (list, tuple)) and all(_is_a(v, inner[0]) for v in value)
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint)


def _describe(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return " or ".join(repr(value) for value in get_args(hint))
    return str(hint.__name__) if isinstance(hint, type) else str(hint)


def build(name: str, config: Any, domains: int) -> nn.Module:
    """The method, freshly initialised from the global random state."""
    return method_class(name)(config, domains=domains)


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f": did you mean {close[0]!r}?"
    return f"; there are: {', '.join(known)}" if known else ""
