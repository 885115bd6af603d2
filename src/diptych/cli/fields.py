"""Dataclasses as tyro shows them: help as one paragraph, and no word on defaults of nothing."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import textwrap
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import tyro
from tyro.constructors import (
    MISSING,
    ConstructorRegistry,
    StructConstructorSpec,
    StructFieldSpec,
    StructTypeInfo,
)

_METAVARS: dict[Any, str] = {int: "INT", float: "FLOAT", str: "TEXT", Path: "PATH"}


def registry() -> ConstructorRegistry:
    """Inside it, as a context, `tyro.cli` shows every dataclass as `describe` has it."""
    made = ConstructorRegistry()
    made.struct_rule(describe)
    return made


def describe(info: StructTypeInfo) -> StructConstructorSpec | None:
    """A dataclass's fields with their attribute docstrings as help."""
    if not dataclasses.is_dataclass(info.type):
        return None
    helps = attribute_docstrings(info.type)
    hints = get_type_hints(info.type, include_extras=True)
    fields = [
        StructFieldSpec(
            name=field.name,
            type=_shown(hints[field.name]),
            default=_default(field, info.default),
            helptext=helps.get(field.name),
        )
        for field in dataclasses.fields(info.type)
        if field.init
    ]
    return StructConstructorSpec(instantiate=info.type, fields=tuple(fields))


def attribute_docstrings(kind: type) -> dict[str, str]:
    """The string below each field of a class, as one line."""
    try:
        source = textwrap.dedent(inspect.getsource(kind))
    except (OSError, TypeError):  # made at run time: its fields are dataclasses of their own
        return {}
    tree = ast.parse(source).body[0]
    assert isinstance(tree, ast.ClassDef)
    found = {}
    for field, below in zip(tree.body, tree.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            match below:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    found[field.target.id] = " ".join(text.split())
    return found


def _default(field: dataclasses.Field[Any], instance: Any) -> Any:
    if dataclasses.is_dataclass(instance):
        return getattr(instance, field.name)
    if field.default is not dataclasses.MISSING:
        return field.default
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return MISSING


def _shown(hint: Any) -> Any:
    """The type, whose help says `INT` for `int | None`, and nothing of a default of None."""
    if any(isinstance(part, type(tyro.conf.arg())) for part in get_args(hint)):
        return hint
    inner = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    options = tyro.conf.arg(metavar=_metavar(inner), help_behavior_hint=_default_shown)
    return Annotated[hint, options]


def _metavar(hint: Any) -> str | None:
    """A name for one value; None leaves it to tyro."""
    if get_origin(hint) in (Union, UnionType):
        (one, *others) = [part for part in get_args(hint) if part is not NoneType]
        return None if others else "{True,False}" if one is bool else _metavar(one)
    if get_origin(hint) is Literal:
        return "{" + ",".join(map(str, get_args(hint))) + "}"
    if get_origin(hint) is tuple:
        one = _METAVARS.get(get_args(hint)[0])
        return None if one is None else f"[{one} ...]"
    return _METAVARS.get(hint)


def _default_shown(label: str) -> str:
    return "" if label in ("", "None", "False") else f"(default: {label})"
