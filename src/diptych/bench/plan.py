"""What is compared: rows, seeds and the budget, from a small TOML file.

    title = "U-Net against ResNet"
    data = "sample:earth-climate"
    preset = "fast"
    size = 32
    steps = 4000
    seeds = 3
    rows = [
      "unit",
      { label = "ResNet", method = "cyclegan" },
      { label = "U-Net", method = "cyclegan", generator = "unet" },
    ]

A row is a method's name, or a table with `method` and, as it likes, `label`, `recipe`,
`preset`, `seeds`, `group` and any option of the method or of the run; "all" stands for every
method. What stands outside the rows holds for all of them, options of a method for those
methods that have them.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from importlib import resources
from itertools import combinations
from pathlib import Path
from typing import Any, cast

from diptych.data import Data, for_batches, stream
from diptych.errors import InputError, counted, dataclass_from
from diptych.methods import config_class, list_methods, make_config, method_class
from diptych.training.presets import chosen
from diptych.training.run import open_whole
from diptych.training.settings import SETTING_NAMES, Settings, read_toml
from diptych.types import Method

DEFAULT_PLAN = "methods"
ALL = "all"
QUARTERS = 4
"""Steps come in multiples of this: runs are scored at a quarter, a half and the whole."""
_BUDGETS = ("steps", "minutes", "epochs")
_OURS = ("out", "seed", "keep_every", "epochs", "device", "init")
"""Settings that are the bench's own, or would make runs depend on other runs."""
_PLACE = ("out", "seed", "device", "threads", "workers", "checkpoint_every", "keep_every",
          "preview_every", "logger", "compile", "recompute")  # fmt: skip
"""Settings that do not change what is trained, or only its last bits; and the seed."""
DATA_SETTINGS = ("data", "x", "y", "attributes", "palette")
"""Where the data lie. What they are is in their fingerprint, and no palette trains anything."""
_PLAN_KEYS = ("title", "preset", "seeds", "rows")
_ROW_KEYS = ("method", "label", "recipe", "preset", "seeds", "group")


Opened = dict[tuple[Any, ...], Data]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the tables: a method with all its options."""

    label: str
    slug: str
    """Its files' name."""
    method: str
    groups: tuple[str, ...]
    """The tables that it stands in."""
    config: Any
    """The method's `Config`."""
    run: Settings
    """With the budget in steps or minutes; seed and place are filled in for each run."""
    seeds: tuple[int, ...]

    @property
    def source(self) -> str:
        """What the data are called, without the folders that they lie in."""
        return source_of(self.run)


@dataclass(frozen=True, kw_only=True)
class Bench:
    """All that one bench trains."""

    title: str
    rows: tuple[Row, ...]
    left_out: Mapping[str, str]
    """Methods, or labels of a plan's rows, that the data or the options do not fit, and why."""
    opened: Opened
    """The data that have been opened, which may take seconds each time."""


def plan_names() -> list[str]:
    """The plans that come with Diptych."""
    folder = resources.files("diptych.bench") / "plans"
    return sorted(
        one.name.removesuffix(".toml") for one in folder.iterdir() if one.name.endswith(".toml")
    )


def read_plan_file(name: str) -> dict[str, Any]:
    """The plan called `name`, or in a file of that name that ends with .toml.

    Raises:
        InputError: there is none, or it is no TOML.
    """
    if name.endswith(".toml"):
        return read_toml(Path(name))
    if name not in plan_names():
        raise InputError(
            f"no plan {name!r}; there are: {', '.join(plan_names())}; or give a FILE.toml"
        )
    with resources.as_file(resources.files("diptych.bench") / "plans" / f"{name}.toml") as path:
        return read_toml(path)


def make_bench(plan: Mapping[str, Any], *, leaves_out: bool = False) -> Bench:
    """The rows of a plan, with every option resolved.

    With `leaves_out` the rows that are named need not fit the data, as those of "all" need not.

    Raises:
        InputError: an unknown option, method or recipe, a value out of range, no budget or
            several, two rows of one name, or no row that fits.
    """
    shared = {key: value for key, value in plan.items() if key not in _PLAN_KEYS}
    named, takes_all = _entries(plan.get("rows", [ALL]))
    _check_shared(shared, list_methods() if takes_all else [str(e["method"]) for e in named])
    _check_whole([shared, *named], shared if takes_all else {})
    opened: Opened = {}
    wanted = [{"method": name} for name in list_methods()] if takes_all else []
    wanted += named if leaves_out else []
    rows, left_out = _fitting(wanted, plan, shared, opened)
    if wanted and not rows:
        raise InputError(next(iter(left_out.values())))
    rows += [] if leaves_out else [_row(entry, plan, shared) for entry in named]
    for row, other in combinations(rows, 2):
        if row.slug == other.slug:
            raise InputError(
                f"the rows {row.label!r} and {other.label!r} would have files of one name: give"
                " them labels that differ in a letter or digit"
            )
    title = plan.get("title", f"{rows[0].source} by {len(rows)} methods")
    if not isinstance(title, str):
        raise InputError(f"title is {title!r}: it must be a text")
    return Bench(title=title, rows=tuple(rows), left_out=left_out, opened=opened)


def identity(
    method: str, config: Any, run: Settings, fingerprint: str, domains: Sequence[str]
) -> dict[str, Any]:
    """What a training is besides its seed, as JSON has it: with it a result holds or falls.

    `fingerprint` and `domains` are the data's.
    """
    known = {"method": method, "config": asdict(config), "run": _of_training(asdict(run))}
    plain: dict[str, Any] = _plain({**known, "data": fingerprint, "domains": domains})
    return plain


def _of_training(run: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that decide what is trained."""
    return {key: value for key, value in run.items() if key not in _PLACE + DATA_SETTINGS}


def is_same(known: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether a training of identity `known` is the one that is `wanted`.

    An option that `known` has never heard of, as it is older, had what is now its default;
    domains that either does not name agree.
    """
    if known["method"] != wanted["method"] or known["data"] != wanted["data"]:
        return False
    if "domains" in known and "domains" in wanted and known["domains"] != wanted["domains"]:
        return False
    was, now = ({**one, "run": _of_training(one["run"])} for one in (known, wanted))
    kinds = {"config": config_class(wanted["method"]), "run": Settings}
    for part, kind in kinds.items():
        defaults = _plain(asdict(kind()))
        if not was[part].keys() <= now[part].keys():
            return False
        if {**defaults, **was[part]} != {**defaults, **now[part]}:
            return False
    return True


def without_budget(known: Mapping[str, Any]) -> dict[str, Any]:
    """The identity as of timing, which is the same for any number of steps."""
    return {**known, "run": {**known["run"], "steps": None, "minutes": None}}


def slug(text: str) -> str:
    """A file's name from a label: "GAN + forward cycle" is gan-forward-cycle.

    Letters that it cannot keep leave a digest, so that 猫 and 犬 have names of their own.
    """
    text = unicodedata.normalize("NFC", text.lower().removeprefix("sample:"))
    plain = re.sub(r"[^a-z0-9]+", "-", text).strip("-")
    if plain and not any(letter.isalnum() and not letter.isascii() for letter in text):
        return plain
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:6]
    return f"{plain}-{digest}".removeprefix("-")


def _without_folders(text: str, shared: Mapping[str, Any]) -> str:
    for key in ("data", "x", "y"):
        if isinstance(path := shared.get(key), str):
            text = text.replace(path, source_name(path))
    return text


def is_missing(place: str | None) -> bool:
    """Whether data were to lie at `place` and nothing does; samples lie nowhere."""
    return place is not None and not place.startswith("sample:") and not Path(place).exists()


def source_of(run: Settings) -> str:
    """What the run's data are called."""
    if run.data is not None:
        return source_name(run.data)
    return " and ".join(source_name(side) for side in (run.x, run.y) if side is not None)


def source_name(path: str) -> str:
    """What data are called where nobody shall know in which folder they lie."""
    return re.split(r"[/\\]", path.rstrip("/\\"))[-1]


def _entries(rows: Any) -> tuple[list[dict[str, Any]], bool]:
    """The rows that are named, each as a table, and whether all methods are asked for."""
    if isinstance(rows, str):
        rows = [rows]
    if not isinstance(rows, Sequence) or not rows:
        raise InputError(f"rows is {rows!r}: it must be a list of methods or tables")
    entries: list[dict[str, Any]] = []
    for row in rows:
        if isinstance(row, str) and row != ALL:
            entries.append({"method": row})
        elif isinstance(row, Mapping) and isinstance(row.get("method"), str):
            entries.append(dict(row))
        elif row != ALL:
            raise InputError(f"a row is {row!r}: it must be a method's name, or have a method")
    return entries, ALL in rows


def _check_shared(shared: Mapping[str, Any], methods: Sequence[str]) -> None:
    """An option that no row has is a slip."""
    known = {field.name for name in methods for field in fields(config_class(name))}
    for key in shared:
        if key not in known and key not in SETTING_NAMES:
            raise InputError(f"no row has an option {key!r}: remove it from the plan")


def _check_whole(parts: Sequence[Mapping[str, Any]], shared: Mapping[str, Any]) -> None:
    """What no row has is missing from the plan: a message that names its first row misleads.

    `shared` holds for all methods, if all are asked for.
    """
    if not any({"data", "x", "y"} & part.keys() for part in parts):
        raise InputError(
            "no data to train on: name a folder or a sample, such as diptych bench horse2zebra/"
        )
    if not any({"steps", "minutes"} & part.keys() for part in parts):
        raise InputError("no budget: give --steps or --minutes")
    if isinstance(steps := shared.get("steps"), int):
        _check_quarters(steps, f"--steps is {steps}")


def _check_quarters(steps: int, what: str) -> None:
    if steps % QUARTERS:
        raise InputError(
            f"{what}: runs are scored at 25% and 50% too, so give a multiple of {QUARTERS}"
        )


def _fitting(
    entries: Sequence[Mapping[str, Any]],
    plan: Mapping[str, Any],
    shared: Mapping[str, Any],
    opened: Opened,
) -> tuple[list[Row], dict[str, str]]:
    """The rows that can be trained so on these data; of the others, why not."""
    rows: list[Row] = []
    left_out: dict[str, str] = {}
    for entry in entries:
        try:
            row = _row(entry, plan, shared)
            _fit(row, _open(row, opened))
        except InputError as error:
            name = entry.get("label", entry["method"])
            left_out[name] = _without_folders(str(error), shared)
        else:
            rows.append(row)
    return rows, left_out


def check_data(row: Row, opened: Opened) -> Data:
    """The row's data, seen to be what its method is trained on; taken from `opened` if there.

    Raises:
        InputError: they are not there, or not of its kind.
    """
    data = _open(row, opened)
    try:
        return _fit(row, data)
    except InputError as error:
        raise InputError(f"{row.label} does not fit: {error}; or leave this row out") from error


def _open(row: Row, opened: Opened) -> Data:
    run, size = row.run, row.config.size
    key = (run.data, run.x, run.y, run.names, run.attributes, run.palette, size)
    if key not in opened:
        opened[key] = open_whole(run, size)
    return opened[key]


def _fit(row: Row, data: Data) -> Data:
    batch_type = cast(type[Method], method_class(row.method)).batch_type
    data = for_batches(data, batch_type)
    stream(data, batch_type, batch_size=1, size=row.config.size, seed=0).close()
    return data


def _row(entry: Mapping[str, Any], plan: Mapping[str, Any], shared: Mapping[str, Any]) -> Row:
    method, recipe = entry["method"], entry.get("recipe")
    for key in ("label", "recipe"):
        if not isinstance(entry.get(key, ""), str):
            raise InputError(f"{key} of a row is {entry[key]!r}: it must be a text")
    name = method_class(method).__name__
    label = entry.get("label", f"{name}, {recipe}" if recipe else name)
    own = {key: value for key, value in entry.items() if key not in _ROW_KEYS}
    config, run = chosen(method, preset=entry.get("preset", plan.get("preset")), recipe=recipe)
    run = {key: value for key, value in run.items() if key not in _BUDGETS}
    has_budget = any(key in own for key in _BUDGETS)
    has = {field.name for field in fields(config_class(method))}
    for key, value in shared.items():
        if key in SETTING_NAMES and not (has_budget and key in _BUDGETS):
            run[key] = value
        elif key in has:
            config[key] = value
    for key, value in own.items():
        (run if key in SETTING_NAMES else config)[key] = value
    settings = _settings(run, label)
    group = entry.get("group", "methods")
    groups = [group] if isinstance(group, str) else group
    if not isinstance(groups, list) or not all(isinstance(one, str) for one in groups):
        raise InputError(f"group of {label} is {group!r}: it must be a name or a list of names")
    where = f" {own['data']}" if "data" in own else ""
    return Row(
        label=label,
        slug=slug(f"{label}{where}"),
        method=method,
        groups=tuple(groups),
        config=make_config(method, config),
        run=settings,
        seeds=_seeds(entry.get("seeds", plan.get("seeds", 1))),
    )


def _settings(run: Mapping[str, Any], label: str) -> Settings:
    for key in _OURS:
        if key in run:
            raise InputError(f"{label} sets {key}, which a bench sets for itself: remove it")
    lists = {key: tuple(value) for key, value in run.items() if isinstance(value, list)}
    settings = dataclass_from(Settings, {**run, **lists}, owner="the plan")
    if settings.steps is None and settings.minutes is None:
        raise InputError(f"{label} has no budget: give --steps or --minutes")
    if settings.steps is not None:
        _check_quarters(settings.steps, f"{label} has {counted(settings.steps, 'step')}")
    if settings.data is None and settings.x is None:
        raise InputError(f"{label} has no data: name them, such as diptych bench horse2zebra/")
    return settings


def _seeds(given: Any) -> tuple[int, ...]:
    """A number of seeds counts from 0; a list names them."""
    if isinstance(given, int) and given > 0:
        return tuple(range(given))
    if isinstance(given, list | tuple) and given and all(isinstance(s, int) for s in given):
        return tuple(dict.fromkeys(given))
    raise InputError(f"seeds is {given!r}: it must be a number above 0 or a list of numbers")


def _plain(values: Any) -> Any:
    """As JSON gives it back: lists for tuples."""
    if isinstance(values, Mapping):
        return {key: _plain(value) for key, value in values.items()}
    return [_plain(value) for value in values] if isinstance(values, list | tuple) else values
