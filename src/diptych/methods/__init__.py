"""The methods by name: Diptych's own, one paper a file, and those from outside.

A name is looked up among Diptych's own (a method's name is its file's name), the classes that
the calling code has given in this process, and the entry points `diptych.methods` of installed
packages. Nothing is ever imported because a run's or a translator's file names it.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any, cast

from torch import nn

from diptych.errors import InputError, call, dataclass_from, did_you_mean
from diptych.methods import _outside
from diptych.methods._outside import Installed as Installed
from diptych.methods._outside import check_method_class as check_method_class
from diptych.methods._outside import config_of as config_of
from diptych.types import Method, Recipe

_given: dict[str, type[nn.Module]] = {}
"""The classes that the calling code has given, by the name that their runs have."""


def own_methods() -> list[str]:
    """Diptych's own methods, sorted."""
    return sorted(
        module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")
    )


def installed_methods() -> list[Installed]:
    """The methods that installed packages bring, those that are refused among them."""
    return _outside.installed_methods(own_methods())


def list_methods() -> list[str]:
    """Diptych's own methods and those of installed packages, sorted."""
    return sorted([*own_methods(), *(m.name for m in installed_methods() if not m.refusal)])


def is_known(name: str) -> bool:
    """Whether there is a method of this name, without importing it."""
    return name in own_methods() or name in _given or name in list_methods()


def method_class(name: str) -> type[nn.Module]:
    """The class of the method called `name`; an error inside its module propagates.

    Raises:
        InputError: there is no such method.
    """
    if name in own_methods():
        return _outside.class_in(importlib.import_module(f"diptych.methods.{name}"))
    if name in _given:
        return _given[name]
    for method in installed_methods():
        if method.name == name:
            return method.load()
    if "." in name:
        way = call("a package must install it as an entry point", "import it and pass its class")
        raise InputError(f"no method {name!r}: no module is imported for its name; {way}")
    known = [*list_methods(), *_given]
    raise InputError(f"no method {name!r}{did_you_mean(name, known)}")


def find_method(name: str) -> ModuleType:
    """The module that defines the method called `name`; an error inside it propagates.

    Raises:
        InputError: there is no such method.
    """
    module = method_class(name).__module__
    return sys.modules.get(module, ModuleType(module))


def find_recipe(name: str, recipe: str) -> Recipe:
    """The paper's settings called `recipe` of the method called `name`.

    Raises:
        InputError: the method has no such recipe.
    """
    recipes: Mapping[str, Recipe] = vars(find_method(name)).get("RECIPES", {})
    if recipe not in recipes:
        raise InputError(f"{name} has no recipe {recipe!r}{did_you_mean(recipe, recipes)}")
    return recipes[recipe]


def config_class(name: str) -> type[Any]:
    """The dataclass of the options of the method called `name`.

    Raises:
        InputError: there is no such method.
    """
    return _outside.config_of(method_class(name))


def batch_type_of(name: str) -> type[Any]:
    """Which batches the method called `name` takes.

    Raises:
        InputError: there is no such method.
    """
    return cast(type[Method], method_class(name)).batch_type


def make_config(name: str, values: Mapping[str, Any]) -> Any:
    """The method's `Config` with `values` in place of its defaults.

    Raises:
        InputError: a name that it does not have, or a value out of its range.
    """
    return dataclass_from(config_class(name), values, owner=name)


def build(name: str, config: Any, channels: Sequence[int]) -> nn.Module:
    """The method, freshly initialised from the global random state.

    `channels` are the numbers of channels of the domains' images.

    Raises:
        InputError: the method cannot translate between such domains.
    """
    return method_class(name)(config, channels=tuple(channels))


# --- methods from outside ----------------------------------------------------


def give(method: type[nn.Module]) -> str:
    """Make a class known in this process; returns the name that its runs have.

    Another class of that name, such as that of an earlier run of a notebook's cell, is
    replaced.

    Raises:
        InputError: it is no method, or has the name of one that there is.
    """
    kind = check_method_class(method)
    own = _own_name(kind)
    if own is not None:
        return own
    name = _outside.natural_name(kind, installed_methods())
    if name in list_methods():
        if method_class(name) is kind:
            return name
        raise InputError(
            f"{kind.__name__} would have the name {name!r}, which another method has: give"
            " its file, or in a notebook its class, another"
        )
    _given[name] = kind
    return name


def give_for(name: str, source: object, method: type[nn.Module] | None) -> None:
    """See to it that `name`, which the file `source` calls its method, is known.

    With `method`, it is that class from now on.

    Raises:
        InputError: it is not known and no class is given, or a class is given for another
            method's name.
    """
    if method is not None and not (isinstance(method, type) and issubclass(method, nn.Module)):
        raise InputError(f"method is {method!r}: it must be the class of a method of your own")
    if method is None:
        if not is_known(name):
            example = name if any(mark in name for mark in ".:") else "my_package.my_method"
            way = call(f"name its module by --method {example}", "pass its class as method=")
            raise InputError(
                f"{source}: no method {name!r} is Diptych's own or an installed package's; if it"
                f" is yours, {way} (nothing is imported because a file names it)"
            )
    elif name not in list_methods():
        _given[name] = check_method_class(method)
    elif method_class(name) is not method:
        raise InputError(
            f"{source} is of the method {name!r}, not of {method.__name__}: leave out"
            f" {call('--method', 'method=')}"
        )


def named_method(text: str) -> type[nn.Module]:
    """The method that the user of a command line means: a known name, or a module to import.

    Raises:
        InputError: there is none.
    """
    if not is_known(text) and ("." in text or ":" in text):
        return _outside.import_method(text)
    return method_class(text)


def about(name: str) -> str:
    """What a method says of itself: the docstring of its file, or else of its class."""
    kind = method_class(name)
    module = find_method(name)
    of_file = module.__doc__ if _outside.classes_in(module) == [kind] else None
    return inspect.cleandoc(of_file or kind.__doc__ or kind.__name__)


def summary(name: str) -> str:
    """What a method is in a few words: `SUMMARY` in its file, if there is one."""
    return str(vars(find_method(name)).get("SUMMARY", ""))


def _own_name(kind: type[nn.Module]) -> str | None:
    name = kind.__module__.removeprefix("diptych.methods.")
    return name if name in own_methods() and method_class(name) is kind else None
