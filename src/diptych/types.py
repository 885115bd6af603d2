"""What a method is: batches in, updates out.

A method is a plain `nn.Module` that satisfies `Method`, and any of the
capabilities below it; there is nothing to inherit. Its `iteration` is a
generator: it yields each loss, the trainer performs that update, and the
method goes on with the stepped weights.

Images are (B, C, H, W) float32 in [-1, 1] everywhere inside Diptych. C is the number of channels
of their domain: 3 for colour, 1 for grey.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Unpaired:
    """Images of two domains that nobody has paired: independent draws."""

    x: Tensor
    """(B, C, H, W) in [-1, 1], domain X."""
    y: Tensor
    """(B, C, H, W) in [-1, 1], domain Y."""


@dataclass(frozen=True)
class Paired:
    """The same scenes in two domains: x[i] and y[i] belong together."""

    x: Tensor
    """(B, C, H, W) in [-1, 1], domain X."""
    y: Tensor
    """(B, C, H, W) in [-1, 1], domain Y."""


@dataclass(frozen=True)
class Labelled:
    """Images of any number of domains, one folder each, or with a table of attributes."""

    image: Tensor
    """(B, C, H, W) in [-1, 1]."""
    label: Tensor
    """(B, K) in {0, 1}: one-hot for one folder a domain, attributes for a table."""


@dataclass(frozen=True)
class PerDomain:
    """Images of any number of domains, one folder each, that nobody has paired."""

    images: tuple[Tensor, ...]
    """(B, C, H, W) in [-1, 1], one a domain."""


@dataclass(frozen=True)
class Attributed(Labelled):
    """Labelled by a table of attributes: an image may have several of them, or none."""


@dataclass(frozen=True)
class Adapting:
    """A labelled source and an unlabelled target."""

    x: Tensor
    """(B, C, H, W) in [-1, 1], source."""
    x_label: Tensor
    """(B,) int64 class of each source image."""
    y: Tensor
    """(B, C, H, W) in [-1, 1], target."""


Batch = Unpaired | Paired | Labelled | PerDomain | Adapting
B_co = TypeVar("B_co", bound=Batch)


@dataclass
class Clock:
    """What a method may know of the run."""

    step: int
    """Iterations done."""
    fraction: float
    """Share of the budget done, in [0, 1]."""
    rng: torch.Generator
    """The method's only randomness; on the CPU, saved with the run."""


@dataclass(frozen=True)
class Update:
    """Minimise `loss` over the parameters of `group`, with one optimiser step."""

    group: str
    loss: Tensor
    """() scalar."""
    terms: Mapping[str, Tensor] = field(default_factory=dict)
    """Logged: () scalars, unweighted, by name."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """One optimiser and what it trains."""

    modules: tuple[nn.Module, ...]
    """Layers that several of them share are counted once."""
    lr: float
    betas: tuple[float, float] = (0.5, 0.999)
    """Adam's; the first is also SGD's momentum, the second RMSprop's smoothing."""
    optimiser: Literal["adam", "rmsprop", "sgd"] = "adam"
    weight_decay: float = 0.0
    """Weight of ½‖weights‖², whose gradient is added to the loss's before the optimiser sees it."""
    decay_from: float = 1.0
    """Share of the budget after which the rate falls linearly to 0; 1 is never."""


class AdamOptions(Protocol):
    """The options that most methods share, each with its paper's default."""

    @property
    def lr(self) -> float: ...

    @property
    def beta1(self) -> float: ...

    @property
    def decay_from(self) -> float: ...


def adam(options: AdamOptions, *modules: nn.Module, weight_decay: float = 0.0) -> Group:
    """Return the group of `modules`, trained by one Adam with a method's options.

    β₂ is 0.999, the default of Adam's paper (Kingma and Ba 2014, arXiv:1412.6980).
    """
    betas = (options.beta1, 0.999)
    return Group(
        modules=modules,
        lr=options.lr,
        betas=betas,
        weight_decay=weight_decay,
        decay_from=options.decay_from,
    )


@runtime_checkable
class Method(Protocol):
    """An `nn.Module` built as `Name(config, channels=(3, 3))` that can be trained.

    `channels` has the number of channels of each domain's images.

    `Config`, the annotation of `config`, is a frozen dataclass with at least `size` and
    `batch_size`, and with `width` where it trains networks, the paper's values as
    defaults.
    """

    batch_type: ClassVar[type[Any]]
    """Which batch the data path builds."""
    config: Any

    def groups(self) -> Mapping[str, Group]:
        """The optimisers, by the names that `iteration` yields.

        None where nothing is trained; one pass through the data is then enough.
        """
        ...

    def iteration(self, batches: Iterator[Any], clock: Clock) -> Iterator[Update]:
        """One training step: draws one or more batches, yields each update.

        A method may yield none, and gather what it sees of the batches in buffers.
        """
        ...


@runtime_checkable
class Kept(Protocol):
    """Has parts that are of use when its training is over."""

    inference_modules: ClassVar[tuple[str, ...]]
    """Attributes that using it needs: saved in the translator, averaged by EMA."""


@runtime_checkable
class Sized(Protocol):
    """Takes images of certain sizes."""

    @property
    def size_multiple(self) -> int:
        """Inputs are padded to a multiple of this many pixels."""
        ...

    @property
    def fixed_size(self) -> int | None:
        """Inputs are resized to this many pixels and back, if not None."""
        ...


@runtime_checkable
class Translates(Kept, Sized, Protocol):
    """Turns an image into another domain's."""

    exportable: ClassVar[bool]
    """False where translating optimises."""

    def translate(
        self, image: Tensor, to: tuple[int, ...], rng: torch.Generator | None = None
    ) -> Tensor:
        """(B, C, H, W) in [-1, 1] to the same shape and range.

        `to` names the domains' indices that the result belongs to; it has one
        entry except for methods with attributes.
        """
        ...


@runtime_checkable
class Draws(Protocol):
    """Knows many translations of an image, of which `translate` gives the middle one."""

    def draw(self, image: Tensor, to: tuple[int, ...], rng: torch.Generator) -> Tensor:
        """As `translate`, but the translation that `rng` draws."""
        ...


@runtime_checkable
class Styles(Protocol):
    """Renders an image in the style of others, whatever domains it was trained on."""

    def stylise(
        self, image: Tensor, styles: Sequence[Tensor], rng: torch.Generator | None = None
    ) -> Tensor:
        """(B, C, H, W) in [-1, 1] to the same, in the common style of `styles`.

        Each style is (1, C, h, w) in [-1, 1], of any size.
        """
        ...


@runtime_checkable
class KnowsMemory(Protocol):
    """Says what translating takes where to run it once, to measure it, would take too long."""

    @property
    def bytes_per_pixel(self) -> float:
        """At its peak, beyond the weights, for each pixel of an image."""
        ...


@runtime_checkable
class Generates(Kept, Protocol):
    """Makes images of a domain from noise."""

    def generate(self, n: int, to: int, rng: torch.Generator) -> Tensor:
        """(n, C, size, size) in [-1, 1]."""
        ...


@runtime_checkable
class Encodes(Kept, Sized, Protocol):
    """Has a latent code between its domains, or within each."""

    def encode(self, image: Tensor, source: int) -> Tensor: ...

    def decode(self, z: Tensor, to: int) -> Tensor: ...


@runtime_checkable
class Classifies(Protocol):
    """Tells classes apart, in each of its domains."""

    @property
    def classes(self) -> int:
        """How many."""
        ...

    def classify(self, image: Tensor, source: int) -> Tensor:
        """(B, C, H, W) in [-1, 1] of domain `source` to (B, classes): the highest is the class."""
        ...


@dataclass(frozen=True)
class Recipe:
    """A paper's settings for one of its experiments, chosen by `--recipe NAME`.

    A method's file holds `SUMMARY`, what it is in a few words, and may hold
    `RECIPES: Mapping[str, Recipe]`, and `PRESETS`: of a preset, by its name, the options that
    have another value there.
    """

    summary: str
    config: Mapping[str, Any] = field(default_factory=dict)
    """Values for fields of the method's `Config`."""
    run: Mapping[str, Any] = field(default_factory=dict)
    """Values for the run: epochs, load_size."""
