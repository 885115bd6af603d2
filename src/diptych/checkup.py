"""Check data before a long training: what is there, how far apart the domains are, what fits them.

`data/doctor.py` looks at the images. This module adds what needs networks and a trainer: distances
between the domains, the time of a step, and what to train with.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from diptych.data import Data
from diptych.data.doctor import Examination, Progress, examine
from diptych.errors import InputError, check_whole, counted, option
from diptych.evaluation.distances import kid
from diptych.evaluation.scores import RealFeatures, installed
from diptych.methods import make_config
from diptych.networks.device import find_device
from diptych.training.planning import first_plan
from diptych.training.presets import chosen
from diptych.training.ranks import Ranks
from diptych.training.run import open_whole
from diptych.training.settings import Settings
from diptych.training.speed import seconds_per_step
from diptych.training.trainer import Trainer

METHOD = "cyclegan"
"""The method that is timed."""
COMPARED = 200
"""Up to this many training images of each domain are compared by their features."""
_SIZES = (512, 256, 128, 64, 32)
_FITTING = 0.95  # the share of images that the advised size is not too large for
_TIMED_SECONDS = 3.0
_HOUR = 3600


@dataclass(frozen=True)
class Distance:
    """How far the training images of a domain are from those of another: KID."""

    source: str
    target: str
    kid: float
    within: float
    """KID between two halves of the target's own images: what equal domains would have."""


@dataclass(frozen=True)
class Checkup:
    """What `doctor` found."""

    examination: Examination
    distances: tuple[Distance, ...]
    """Empty where no feature network is installed, or there are too few images."""
    advice: tuple[str, ...]
    """What to train with, a line each."""
    seconds_per_step: float | None
    """Of CycleGAN with the preset `fast` at the advised size; None if it was not timed."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them."""
        return asdict(self)


def doctor(
    data: str | os.PathLike[str] | None = None,
    *,
    x: str | os.PathLike[str] | None = None,
    y: str | os.PathLike[str] | None = None,
    names: Sequence[str] | None = None,
    attributes: str | os.PathLike[str] | None = None,
    size: int | None = None,
    most: int = 5000,
    device: str = "auto",
    times: bool = True,
    progress: Progress | None = None,
) -> Checkup:
    """Check data before a long training.

        print(diptych.doctor("horse2zebra/").advice)

    The first parameters are those of `train`. `size` is that of the training, if it is decided.
    At most `most` images are looked at. With `times`, a few steps are trained to tell how long
    a training would take on `device`; nothing is kept of them.

    Raises:
        InputError: there are no data, or they cannot be used.
    """
    check_whole("most", most, 1)
    settings = Settings(
        data=None if data is None else os.fspath(data),
        x=None if x is None else os.fspath(x),
        y=None if y is None else os.fspath(y),
        names=None if names is None else tuple(names),
        attributes=None if attributes is None else os.fspath(attributes),
        device=device,
        workers=0,
    )
    opened = open_whole(settings, size or 64)
    found = examine(opened, size=size, most=most, progress=progress)
    fitting = size or fitting_size(found)
    seconds = _timed(settings, opened, fitting) if times else None
    return Checkup(
        found,
        _distances(opened, min(fitting, 128)),
        (*_advice(opened, fitting, size), *_times(seconds, opened)),
        seconds,
    )


def fitting_size(found: Examination) -> int:
    """Return the largest usual size that nearly all images are large enough for."""
    for size in _SIZES:
        if all(one.sizes is not None and min(one.sizes[1]) >= size for one in found.domains) and (
            _share_of_large(found, size) >= _FITTING
        ):
            return size
    return _SIZES[-1]


def _share_of_large(found: Examination, size: int) -> float:
    counts = [one.sides_at_least(size) for one in found.domains]
    return min(counts, default=0.0)


def _distances(data: Data, size: int) -> tuple[Distance, ...]:
    network = installed()
    if network is None or data.train.attributes is not None:
        return ()
    images = data.train.domains
    real = RealFeatures(data, images, network, size)
    found = []
    try:
        features = [real.of(domain, COMPARED) for domain in range(len(images))]
    except InputError:  # no image of a domain can be used, which the examination says
        return ()
    for source, theirs in enumerate(features):
        for target, own in enumerate(features):
            between, within = kid(own, theirs), kid(own[::2], own[1::2])
            if source != target and "mean" in between and "mean" in within:
                names = data.domains[source], data.domains[target]
                found.append(Distance(*names, between["mean"], within["mean"]))
    return tuple(found)


def _timed(settings: Settings, data: Data, size: int) -> float | None:
    """Return the seconds of a step of CycleGAN with the preset `fast`; None if it cannot train."""
    config, run = chosen(METHOD, preset="fast")
    try:
        made = make_config(METHOD, config | {"size": size})
        plain = replace(settings, **{k: v for k, v in run.items() if k != "workers"})
        device = find_device(settings.device)
        plan = first_plan(METHOD, made, plain, data, device, Ranks())
        plan = replace(plan, resolved=replace(plan.resolved, compiled=False))
        trainer = Trainer(plan, data)
    except InputError:
        return None
    try:
        return seconds_per_step(trainer, _TIMED_SECONDS)
    except InputError:
        return None
    finally:
        trainer.close()


def _times(seconds: float | None, data: Data) -> list[str]:
    if seconds is None:
        return []
    steps = round(_HOUR / seconds)
    return [
        f"CycleGAN with {option('preset', 'fast')} takes {seconds:.2f} s a step here, so"
        f" {option('minutes', 30)} are {counted(steps // 2, 'step')}"
    ]


def _advice(data: Data, size: int, asked: int | None) -> list[str]:
    lines = []
    if asked is None:
        lines.append(f"{option('size', size)} fits nearly all images")
    counts = [len(one.channels) for one in data.pixels]
    if len(set(counts)) > 1:
        lines.append(
            "the domains have unequal channels: simgan, cut and stargan, and cyclegan's identity"
            " loss, take equal ones"
        )
    if data.train.pairs is not None:
        lines.append("there are true pairs: pix2pix learns from them, and scores compare with them")
    if data.train.attributes is not None or len(data.domains) > 2:
        lines.append("for more than two domains or attributes: stargan")
    if data.palettes:
        lines.append("a domain shows labels: scores count classes, and --fcn reads photos")
    return lines
