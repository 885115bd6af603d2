"""The options that every method shares, and the file that keeps them."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeVar

import tomli_w
from torch import nn

from diptych import __version__
from diptych.data.pixels import RGB8, PixelFormat
from diptych.errors import InputError, check_path, check_seed, check_whole, dataclass_from, option
from diptych.files import atomic_write_text
from diptych.methods import give_for, make_config
from diptych.networks.device import Precision
from diptych.training.loggers import LoggerName

CONFIG_FILE = "config.toml"
RENAMED = {"sample_every": "preview_every"}
"""Settings of earlier versions, by the names that they have now."""
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """A run's settings beside its method's `Config`."""

    data: str | None = None
    """Folder with trainA, trainB...; of one folder a domain; of pairs; or sample:NAME."""
    x: str | None = None
    """Folder of domain X, with --y in place of --data."""
    y: str | None = None
    """Folder of domain Y."""
    names: tuple[str, ...] | None = None
    """Names of the domains, by default taken from the folders; with --attributes, the columns."""
    attributes: str | None = None
    """Table of what each image of --data has (CSV, or CelebA's list): a domain each."""
    palette: tuple[str, ...] = ()
    """What a domain's colours mean: DOMAIN=FILE.csv, with lines of name,r,g,b, or
    DOMAIN=cityscapes. Nothing is trained by it; scores and the report use it."""
    paired: bool | None = None
    """Whether images of equal file names show the same scenes (--paired) or not (--unpaired). By
    default the names decide, and what they decided is said."""
    channels: tuple[str, ...] = ()
    """Number of channels, for all domains or as DOMAIN=3; 3 reads grey images as colour. By
    default the images' own."""
    range: tuple[str, ...] = ()
    """Values from black to white, for all domains or as CT=-1000,1000: LOW,HIGH, auto (from the
    training images) or own (all that the type can hold). By default own for 8 bits, else auto."""
    nodata: tuple[str, ...] = ()
    """Value of pixels without data, for all domains or as DOMAIN=-9999; none takes them as values.
    By default what the files say."""
    show: tuple[str, ...] = ()
    """Channels that pictures show of several, for all domains or as DOMAIN=4,3,2."""
    out: str | None = None
    """The run's folder; runs/METHOD-DATA by default."""
    steps: int | None = None
    """Budget in iterations; the learning rate's schedule follows the budget."""
    epochs: float | None = None
    """Budget in passes through the larger domain; 200 (Sec. 4), or the method's own number,
    if no budget is given."""
    minutes: float | None = None
    """Budget in minutes: the speed is measured once and the number of steps fixed by it."""
    checkpoint_every: int | None = None
    """Iterations between checkpoints; every two minutes by default."""
    keep_every: int | None = None
    """Iterations between translators that are kept, in snapshots/; none by default."""
    preview_every: int | None = None
    """Iterations between preview pictures; by default, twelve per run."""
    logger: LoggerName = "tensorboard"
    """Where losses and previews go besides the run's folder."""
    load_size: int | None = None
    """Pixels of the shorter side before the random crop; 286/256 of the size by default, 0 is
    no scaling."""
    seed: int = 0
    """Seed of initialisation, data order and replay; the same seed repeats the run."""
    starts: int = 1
    """First weights to try, of which the best on the validation split's true pairs goes on."""
    precision: Precision = "auto"
    """Precision of the forward passes; auto takes bf16 where the device is fast at it."""
    compile: Literal["auto", "on", "off"] = "auto"
    """Compile what stands between convolutions; auto does it for runs long enough to gain."""
    recompute: bool = False
    """Keep less for the backward pass and compute it again: less memory, more time."""
    device: str = "auto"
    """cpu, cuda, cuda:1, mps; auto takes the fastest there is."""
    threads: int | None = None
    """CPU threads; all cores by default."""
    workers: int | None = None
    """Processes that decode images ahead; 0 decodes in this one. By default up to 4."""
    init: str | None = None
    """A run's folder or translator file whose weights to start from."""
    lr_scale: float = 1.0
    """Multiplies the method's learning rates, as larger batches allow."""
    ema: float = 0.0
    """Decay of the average of weights that is saved for translating; 0 is none, 0.999 usual."""

    def __post_init__(self) -> None:
        budgets = [b for b in ("steps", "epochs", "minutes") if vars(self)[b] is not None]
        if len(budgets) > 1:
            raise InputError(f"give one budget, not {' and '.join(map(option, budgets))}")
        positive = ("checkpoint_every", "keep_every", "preview_every", "threads", "starts")
        for name in (*budgets, *positive):
            value = vars(self)[name]
            if value is not None and not 0 < value < math.inf:
                raise InputError(f"{option(name)} is {value}: it must be above 0")
        if not 0 < self.lr_scale < math.inf:
            raise InputError(f"{option('lr_scale')} is {self.lr_scale}: it must be above 0")
        if not 0 <= self.ema < 1:
            raise InputError(f"{option('ema')} is {self.ema}: it must be from 0 to below 1")
        check_seed(self.seed)
        for name in ("workers", "load_size"):
            if vars(self)[name] is not None:
                check_whole(name, vars(self)[name], 0)
        if self.starts > 1 and self.init is not None:
            raise InputError(
                f"give {option('init')} or {option('starts')}: from given weights there is but one"
                " start"
            )
        _check_data(self)


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """What a run found out for itself, once."""

    domains: tuple[str, ...]
    fingerprint: str
    """Fingerprint of the data."""
    steps: int | None = None
    """The budget; None while a budget in minutes has not been measured."""
    seconds_per_step: float | None = None
    """As measured for a budget in minutes."""
    precision: Precision
    device: str
    pixels: tuple[PixelFormat, ...] = ()
    """Each domain's pixel format; empty for runs of versions that knew 8-bit RGB only."""
    processes: int = 1
    """That train together, as torchrun started them: each takes a batch of its own."""
    threads: int
    """CPU threads: sums are rounded in their order, so the run's bits depend on it."""
    compiled: bool | None = None
    """Whether kernels are compiled for it; None while that has not been decided."""
    starts: tuple[float, ...] | None = None
    """How good each start was on the validation split: the best went on."""
    starts_by: str | None = None
    """What was measured of them; more of it is better."""
    version: str = __version__
    """Version of Diptych."""
    started_in: str = ""
    """The folder from which relative places are found."""

    @property
    def pixel_formats(self) -> tuple[PixelFormat, ...]:
        """The pixel format of each domain."""
        return self.pixels or (RGB8,) * len(self.domains)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All that config.toml holds: enough to begin the run again."""

    method: str
    config: Any
    run: Settings
    resolved: Resolved


def write_plan(folder: Path, plan: Plan) -> None:
    """Write config.toml; None, which TOML cannot say, is left out."""
    tables = {"config": plan.config, "run": plan.run, "resolved": plan.resolved}
    text = tomli_w.dumps(
        {"method": plan.method}
        | {table: _without_none(asdict(values)) for table, values in tables.items()}
    )
    atomic_write_text(folder / CONFIG_FILE, text)


def read_plan(folder: Path, method: type[nn.Module] | None = None) -> Plan:
    """The plan of the run in `folder`; `method` is its class, if it is from outside.

    Raises:
        InputError: it is missing, or something in it is unknown or out of range.
    """
    folder = check_path(folder, "a run's folder")
    path = folder / CONFIG_FILE
    if not path.is_file():
        if not folder.is_dir():
            raise InputError(f"no such run or file: {folder}; give a run's folder")
        raise InputError(f"{folder} holds no {CONFIG_FILE}: give a run's folder")
    tables = read_toml(path)
    try:
        name, config, run, resolved = (
            tables.pop(key) for key in ("method", "config", "run", "resolved")
        )
    except KeyError as error:
        raise InputError(f"{path} has no {error.args[0]!r}: is it a run's config.toml?") from None
    for key in tables:
        raise InputError(f"{path} has an unknown key {key!r}: remove it")
    for key, table in (("config", config), ("run", run), ("resolved", resolved)):
        if not isinstance(table, dict):
            raise InputError(f"{path}: {key} is {table!r}: it must be a table")
    if not isinstance(name, str):
        raise InputError(f"{path}: method is {name!r}: it must be a method's name")
    give_for(name, path, method)
    return Plan(
        method=name,
        config=make_config(name, config),
        run=_settings(Settings, renamed(run), str(path)),
        resolved=_settings(Resolved, _with_pixels(resolved), str(path)),
    )


def check_seeds(plans: Mapping[str, Plan]) -> None:
    """Hold runs, by name, to the same settings and data and to seeds of their own.

    Where a run lies, on which device it was trained and how often it saved makes no
    difference to what is compared.

    Raises:
        InputError: they differ in something else, or two have one seed.
    """
    (first, one), *others = plans.items()
    seeds = {one.run.seed: first}
    for name, other in others:
        for what, a, b in (
            ("the method", one.method, other.method),
            *_differing(one.config, other.config),
            *_differing(one.run, other.run),
            ("the data", one.resolved.fingerprint, other.resolved.fingerprint),
        ):
            if a != b:
                raise InputError(
                    f"{first} and {name} differ in {what} ({a} and {b}): an interval over seeds is"
                    " of runs that differ in their seeds alone"
                )
        if other.run.seed in seeds:
            raise InputError(
                f"{seeds[other.run.seed]} and {name} have the same seed, {other.run.seed}:"
                f" train one with another {option('seed')}"
            )
        seeds[other.run.seed] = name


def _differing(one: Any, other: Any) -> list[tuple[str, Any, Any]]:
    """Options that matter, with both values."""
    shared = [f.name for f in fields(one) if f.name not in _OWN]
    return [(option(name), vars(one)[name], vars(other)[name]) for name in shared]


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file as nested dicts.

    Raises:
        InputError: it cannot be read, or is no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{path} is no TOML: {error}") from error


def renamed(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings, those of earlier versions by their names of now."""
    return {RENAMED.get(name, name): value for name, value in settings.items()}


def _settings(kind: type[T], values: dict[str, Any], owner: str) -> T:
    lists = {key: tuple(value) for key, value in values.items() if isinstance(value, list)}
    return dataclass_from(kind, values | lists, owner=owner)


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is None, which TOML cannot say, in `values` and the tables in it."""
    return {
        key: [_without_none(v) if isinstance(v, dict) else v for v in value]
        if isinstance(value, tuple)
        else value
        for key, value in values.items()
        if value is not None
    }


def _with_pixels(resolved: dict[str, Any]) -> dict[str, Any]:
    tables = resolved.get("pixels", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise InputError(f"resolved.pixels is {tables!r}: it must be an array of tables")
    return resolved | {"pixels": tuple(map(PixelFormat.from_dict, tables))}


def _check_data(settings: Settings) -> None:
    if settings.data is not None and (settings.x or settings.y):
        raise InputError(f"give {option('data')}, or {option('x')} and {option('y')}, not both")
    if settings.attributes is not None and settings.data is None:
        raise InputError(
            f"{option('attributes', settings.attributes)} is about the images of a folder: give it"
            f" as {option('data')}"
        )


_OWN = (
    "seed", "out", "device", "threads", "workers", "compile", "recompute",
    "checkpoint_every", "keep_every", "preview_every", "logger",
)  # fmt: skip
PER_DOMAIN = ("channels", "range", "nodata", "show")
"""Settings that hold texts VALUE or DOMAIN=VALUE."""
SETTING_NAMES = tuple(f.name for f in fields(Settings))
