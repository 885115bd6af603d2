"""Methods from outside the package: classes that are given, modules, installed packages.

A file never causes an import. What a run's or a translator's file calls its method is only
looked up among the methods that Diptych, an installed package or the calling code has named.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, cast, get_args, get_type_hints

from torch import nn

from diptych.errors import InputError, did_you_mean, nearest
from diptych.types import Batch, Method

GROUP = "diptych.methods"
"""The entry points by which installed packages name their methods."""
_PARTS = {
    "batch_type": "the batches that it takes, such as batch_type = diptych.types.Unpaired",
    "groups": "a function that returns its optimisers by name, each a diptych.types.Group",
    "iteration": "a generator that yields a diptych.types.Update for each loss",
}
"""What a method consists of, beside its `__init__`."""
_NEEDED_OPTIONS = ("size", "batch_size")


# --- classes -----------------------------------------------------------------


def check_method_class(kind: object) -> type[nn.Module]:
    """`kind`, which has the parts of a method.

    Raises:
        InputError: it is no class of an `nn.Module`, or a part is missing.
    """
    if not isinstance(kind, type):
        raise InputError(f"{kind!r} is no method: give a method's name or its class")
    if not issubclass(kind, nn.Module):
        raise InputError(f"{kind.__name__} is no method: derive it from torch.nn.Module")
    for part, what in _PARTS.items():
        if not hasattr(kind, part):
            raise InputError(f"{kind.__name__} has no {part}: {what}")
    batch_type = cast(type[Method], kind).batch_type
    if batch_type not in get_args(Batch):
        known = ", ".join(batch.__name__ for batch in get_args(Batch))
        raise InputError(f"{kind.__name__}.batch_type is {batch_type!r}: it must be one of {known}")
    parameters = inspect.signature(kind).parameters
    if "channels" not in parameters:
        raise InputError(
            f"{kind.__name__}.__init__ has no channels: it must be"
            " __init__(self, config: Config, channels: Sequence[int])"
        )
    config_of(kind)
    return kind


def config_of(kind: type[nn.Module]) -> type[Any]:
    """The dataclass of a method's options: the annotation of `config` in its `__init__`.

    Raises:
        InputError: there is no such annotation, or it is no frozen dataclass with `size` and
            `batch_size`.
    """
    name = kind.__name__
    try:
        config = get_type_hints(kind.__init__).get("config")
    except NameError as error:
        raise InputError(
            f"{name}.__init__ has an annotation that cannot be found ({error}): define the class"
            " of its config at the top level of the same file or notebook"
        ) from None
    if config is None:
        raise InputError(
            f"{name}.__init__ does not say what its config is: annotate it, as in"
            " __init__(self, config: Config, channels: Sequence[int])"
        )
    if not isinstance(config, type) or not dataclasses.is_dataclass(config):
        raise InputError(f"the config of {name} is {config!r}: it must be a frozen dataclass")
    if not config.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        raise InputError(
            f"{config.__name__}, the config of {name}, can be changed: declare it as"
            " @dataclass(frozen=True, kw_only=True)"
        )
    missing = {*_NEEDED_OPTIONS} - {field.name for field in dataclasses.fields(config)}
    if missing:
        raise InputError(
            f"{config.__name__}, the config of {name}, has no {min(missing)}: it needs at least"
            f" {' and '.join(_NEEDED_OPTIONS)}"
        )
    return config


# --- modules -----------------------------------------------------------------


def classes_in(module: ModuleType) -> list[type[nn.Module]]:
    """The methods that a module defines; what it imports from elsewhere does not count."""
    return [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, nn.Module)
        and value.__module__ == module.__name__
        and any(hasattr(value, part) for part in _PARTS)
    ]


def class_in(module: ModuleType, name: str = "", *, typed: str = "") -> type[nn.Module]:
    """The method called `name` in a module, or its only one; `typed` is how its user names it.

    Raises:
        InputError: there is none, several, or what there is lacks a part of a method.
    """
    methods = classes_in(module)
    classes = [kind for kind in methods if name in ("", kind.__name__)]
    if not classes:
        raise InputError(_why_none(module, name, [kind.__name__ for kind in methods]))
    if len(classes) > 1:
        names = " and ".join(kind.__name__ for kind in classes)
        raise InputError(
            f"{module.__name__} defines several methods, {names}: say which, as in"
            f" {typed or module.__name__}:{classes[0].__name__}"
        )
    return check_method_class(classes[0])


def _why_none(module: ModuleType, name: str, known: Sequence[str]) -> str:
    """Why a module has no method called `name`, or none at all if that is empty."""
    what_it_takes = f"a method is a torch.nn.Module with {', '.join(_PARTS)}"
    if not name:
        return f"{module.__name__} defines no method: {what_it_takes}"
    if isinstance(vars(module).get(name), type):
        return f"{name} in {module.__name__} is no method that it defines: {what_it_takes}"
    return f"{module.__name__} has no class {name!r}{did_you_mean(name, known)}"


def import_method(text: str) -> type[nn.Module]:
    """The method that a user names by a module or a file, `package.module` or `file.py`.

    If that defines several, its class follows, as in `package.module:Class` or `file.py:Class`.
    The working directory is searched last. An error inside the module propagates.

    Raises:
        InputError: there is no such module or file, or no method in it.
    """
    has_class = ":" in text and not text.endswith(".py")  # C:\mine.py has a colon, too
    name, _, kind = text.rpartition(":") if has_class else (text, "", "")
    if has_class and not kind.isidentifier():
        raise InputError(f"{text!r} names no class behind its colon: expected {name}:MyMethod")
    if name.endswith(".py"):
        return class_in(_import_file(Path(name)), kind, typed=name)
    if not all(part.isidentifier() for part in name.split(".")):
        raise InputError(f"{text!r} names no module: expected my_package.my_method or my_method.py")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if not f"{name}.".startswith(f"{error.name}."):
            raise  # the module is there, and imports another that is not
        raise InputError(
            f"there is no module {error.name!r} to take the method {text!r} from: install it, or"
            " go to the folder that holds it"
        ) from None
    return class_in(module, kind)


def _import_file(path: Path) -> ModuleType:
    name, path = path.stem, path.resolve()
    if not path.is_file():
        close = nearest(path.name, [one.name for one in path.parent.glob("*.py")])
        hint = f"did you mean {close}?" if close else "give its path from the working directory"
        raise InputError(f"{path}: no such file; {hint}")
    if not name.isidentifier():
        raise InputError(f"{path}: a method's file needs a name such as my_method.py")
    loaded = sys.modules.get(name)
    if loaded is not None and getattr(loaded, "__file__", None) == str(path):
        return loaded
    found = importlib.util.find_spec(name) if loaded is None else loaded.__spec__
    if loaded is not None or (found is not None and found.origin != str(path)):
        raise InputError(f"{path}: a module {name!r} is installed too; give the file another name")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def natural_name(kind: type[nn.Module], installed: Iterable[Installed]) -> str:
    """What the runs of a method from outside say as their method.

    The name of its entry point, if a package that is installed names it. Else that of its
    module, with the class's behind a colon where the module defines several. Of a class in a
    notebook, a script or a function, its own name.
    """
    module = sys.modules.get(kind.__module__)
    if module is None or kind.__module__ == "__main__" or "." in kind.__qualname__:
        return kind.__name__
    alone = classes_in(module) == [kind]
    for one in installed:
        named = kind.__name__ if one.entry.attr or not alone else None
        if (one.entry.module, one.entry.attr) == (kind.__module__, named) and not one.refusal:
            return one.name
    return kind.__module__ if alone else f"{kind.__module__}:{kind.__name__}"


# --- installed packages ------------------------------------------------------


@dataclass(frozen=True)
class Installed:
    """A method that an installed package names by an entry point."""

    name: str
    distribution: str
    """What was installed: a name that pip knows."""
    entry: EntryPoint
    refusal: str | None = None
    """Why it cannot be used, if it cannot."""

    def load(self) -> type[nn.Module]:
        """Its class; an error inside its module propagates.

        Raises:
            InputError: it is refused, or what the entry point names is no method.
        """
        if self.refusal is not None:
            raise InputError(self.refusal)
        return class_in(importlib.import_module(self.entry.module), self.entry.attr or "")


def installed_methods(taken: Collection[str]) -> list[Installed]:
    """The methods of installed packages, sorted by package and name; imports none of them.

    Refused are names that are `taken`, and those that two packages claim.
    """
    found = {
        Installed(entry.name, entry.dist.name if entry.dist else "an unnamed package", entry)
        for entry in entry_points(group=GROUP)
    }
    methods = []
    for one in sorted(found, key=lambda one: (one.distribution, one.name, one.entry.value)):
        others = [f"{other.distribution}'s" for other in found - {one} if other.name == one.name]
        owner = "Diptych's own" if one.name in taken else next(iter(others), None)
        refusal = (
            f"the method {one.name!r} of {one.distribution} is refused: it has the name of {owner};"
            " its entry point needs another"
        )
        methods.append(dataclasses.replace(one, refusal=refusal if owner else None))
    return methods
