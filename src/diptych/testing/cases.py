"""What a method is checked with: its options, batches, pictures, and optimisers that watch."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from diptych.data.images import to_image
from diptych.errors import dataclass_from
from diptych.methods import config_of
from diptych.training.optimisers import GroupOptimiser
from diptych.types import Adapting, Clock, Labelled, PerDomain, Update

TINY: Mapping[str, Any] = {"width": 4, "size": 32}
"""Options that make networks small, for methods that have them."""
DOMAINS = 2
_CLASSES = 10


@dataclass(frozen=True)
class Case:
    """A method with the options that it is checked with."""

    method: type[nn.Module]
    config: Any
    """An instance of its `Config`."""
    falls: str | None = None
    """The logged term that falls when the method sees one batch again and again; None for a
    method that trains nothing."""
    stepped: str | None = None
    """The one group that is stepped meanwhile; None is all. In a game between two groups no
    term need fall while both are stepped."""
    channels: tuple[int, ...] = (3,) * DOMAINS
    """The number of channels of each domain's images."""
    untrained: Collection[str] = ()
    """Attributes that these options leave as they were initialised: no loss reaches them."""

    def build(self, seed: int = 0) -> Any:
        """The method, initialised from `seed`, which the global random state then follows."""
        torch.manual_seed(seed)
        return self.method(self.config, channels=self.channels)

    def expect(self, holds: bool, message: str) -> None:
        """Raise AssertionError, with the method's name before the message, unless it `holds`."""
        if not holds:
            raise AssertionError(f"{self.method.__name__}: {message}")


def tiny_config(method: type[nn.Module], **options: Any) -> Any:
    """The method's `Config` with few pixels and channels, and with `options`.

    Raises:
        InputError: an option that it does not have, or a value out of its range.
    """
    kind = config_of(method)
    known = {field.name for field in fields(kind)}
    tiny = {name: value for name, value in TINY.items() if name in known}
    return dataclass_from(kind, tiny | options, owner=method.__name__)


# --- batches and pictures --------------------------------------------------------


def make_batch(case: Case, method: Any, seed: int = 0) -> Any:
    """A batch of the type that the method takes, of smooth images that `seed` draws."""
    c, draws = method.config, rng(seed)

    def images(domain: int) -> Tensor:  # smooth, as images are
        coarse = torch.rand(c.batch_size, case.channels[domain], 4, 4, generator=draws) * 2 - 1
        return nn.functional.interpolate(coarse, size=(c.size, c.size), mode="bilinear")

    if method.batch_type is Adapting:
        return Adapting(images(0), torch.arange(c.batch_size) % method.classes, images(1))
    if method.batch_type is Labelled:
        domain = torch.arange(c.batch_size) % DOMAINS
        return Labelled(images(0), nn.functional.one_hot(domain, DOMAINS).float())
    if method.batch_type is PerDomain:
        return PerDomain(tuple(images(domain) for domain in range(DOMAINS)))
    return method.batch_type(images(0), images(1))


def draw_batches(case: Case, method: Any) -> Iterator[Any]:
    """Batches of other images each, without end."""
    return (make_batch(case, method, seed) for seed in itertools.count())


def make_pictures(folder: Path, side: int) -> tuple[str, str]:
    """Two folders of 20 pictures of noise, the first dark and the second bright.

    In each they lie in ten folders, 0 to 9, for methods that learn classes.
    """
    draws = rng(0)
    for name, low in (("dark", -1.0), ("bright", 0.0)):
        for i in range(2 * _CLASSES):
            place = folder / name / str(i % _CLASSES)
            place.mkdir(parents=True, exist_ok=True)
            noise = torch.rand(3, side, side, generator=draws) + low
            to_image(noise).save(place / f"{i}.png")
    return str(folder / "dark"), str(folder / "bright")


def rng(seed: int) -> torch.Generator:
    """Randomness on the CPU that `seed` determines."""
    return torch.Generator().manual_seed(seed)


def fresh_clock() -> Clock:
    """The clock at the first step."""
    return Clock(0, 0.0, rng(0))


# --- optimisers ------------------------------------------------------------------


def make_optimisers(method: Any) -> dict[str, GroupOptimiser]:
    """An optimiser for each of the method's groups."""
    return {name: GroupOptimiser(group) for name, group in method.groups().items()}


class Watched:
    """An optimiser that notes which parameters its step changed, and which had no gradient."""

    def __init__(self, name: str, inner: GroupOptimiser, method: nn.Module, case: Case) -> None:
        self._name, self._inner, self._case = name, inner, case
        self._named = dict(method.named_parameters())
        own = {id(p) for p in inner.parameters}
        self.own = {name for name, p in self._named.items() if id(p) in own}
        self.changed: set[str] = set()
        self.without_gradient: set[str] = set()

    def minimise(self, loss: Tensor) -> None:
        what = f"the loss of group {self._name!r}"
        self._case.expect(loss.shape == (), f"{what} has the shape {tuple(loss.shape)}, not ()")
        self._case.expect(loss.requires_grad, f"{what} has no gradient")
        before = {name: p.detach().clone() for name, p in self._named.items()}
        self._inner.minimise(loss)
        now = {name for name, p in self._named.items() if not torch.equal(p, before[name])}
        self.changed |= now
        strange = some(now - self.own)
        self._case.expect(not strange, f"{what} changed {strange}, of another group")
        self.without_gradient |= {name for name in self.own if self._named[name].grad is None}


class Still:
    """An optimiser that leaves all as it is."""

    def minimise(self, loss: Tensor) -> None:
        pass


class Yielding:
    """A method whose updates are seen to be updates of its groups."""

    def __init__(self, method: Any, case: Case) -> None:
        self._method, self._case = method, case
        self.batch_type, self.config, self.groups = method.batch_type, method.config, method.groups

    def iteration(self, batches: Iterator[Any], clock: Clock) -> Iterator[Update]:
        names = list(self._method.groups())
        for update in self._method.iteration(batches, clock):
            self._case.expect(
                isinstance(update, Update),
                f"iteration yields {type(update).__name__}: it must be diptych.types.Update",
            )
            self._case.expect(
                update.group in names,
                f"iteration yields an update of {update.group!r}, and groups() names {names}",
            )
            yield update


# --- comparing -------------------------------------------------------------------


def some(names: Iterable[str]) -> str:
    """The first few names, and how many more there are; "" for none."""
    ordered = sorted(names)
    more = f" and {len(ordered) - 3} more" if len(ordered) > 3 else ""
    return ", ".join(ordered[:3]) + more


def with_tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a Config as a file gives them, with tuples in place of its lists."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}


def difference(a: Any, b: Any, where: str) -> str | None:
    """Where two states do not hold the same bits; None if they do."""
    if type(a) is not type(b):
        return where
    if isinstance(a, Tensor):
        return None if a.dtype == b.dtype and torch.equal(a, b) else where
    if isinstance(a, Mapping):
        if a.keys() != b.keys():
            return where
        inner = ((a[key], b[key], f"{where}.{key}") for key in a)
    elif isinstance(a, (list, tuple)):
        if len(a) != len(b):
            return where
        inner = ((a[i], b[i], f"{where}[{i}]") for i in range(len(a)))
    else:
        return None if a == b else where
    return next((found for one in inner if (found := difference(*one)) is not None), None)
