"""The checks of `diptych.testing` find what is broken in a method, and say it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from diptych.methods.cyclegan import Config, CycleGAN
from diptych.testing import check_method
from diptych.types import Group, Unpaired, Update

CONFIG = Config(width=2, size=32, blocks=1, buffer_size=2)


class _Whole(CycleGAN):
    pass


class _Ungrouped(CycleGAN):
    def groups(self) -> dict[str, Group]:
        return {**super().groups(), "generators": Group(modules=(self.G,), lr=2e-4)}


class _Misnamed(CycleGAN):
    def groups(self) -> dict[str, Group]:
        return {f"my {name}": group for name, group in super().groups().items()}


class _Overlapping(CycleGAN):
    def groups(self) -> dict[str, Group]:
        shared = Group(modules=(self.D_X, self.D_Y, self.G), lr=2e-4)
        return {**super().groups(), "discriminators": shared}


class _Unreached(CycleGAN):
    def __init__(self, config: Config, channels: tuple[int, ...] = (3, 3)) -> None:
        super().__init__(config, channels)
        self.D_X.append(nn.Conv2d(1, 1, 1))

    def _fool(self, D: Any, fake: Tensor) -> Tensor:
        return super()._fool(list(D)[:1], fake)

    def _tell_apart(self, D: Any, real: Tensor, fake: Tensor) -> Tensor:
        return super()._tell_apart(list(D)[:1], real, fake)


class _Raw(CycleGAN):
    def iteration(self, batches: Any, clock: Any) -> Iterator[Any]:
        yield self.G(next(batches).x).mean()


class _PerImage(CycleGAN):
    def iteration(self, batches: Any, clock: Any) -> Iterator[Update]:
        yield Update("generators", self.G(next(batches).x).mean((1, 2, 3)))


class _Cut(CycleGAN):
    def iteration(self, batches: Any, clock: Any) -> Iterator[Update]:
        yield Update("generators", self.G(next(batches).x).mean().detach())


class _Noisy(CycleGAN):
    def iteration(self, batches: Iterator[Unpaired], clock: Any) -> Iterator[Update]:
        noisy = (Unpaired(b.x + 0.1 * torch.randn_like(b.x), b.y) for b in batches)
        yield from super().iteration(noisy, clock)


class _Forgetful(CycleGAN):
    """Its weight of the loss grows, and no state keeps it."""

    def __init__(self, config: Config, channels: tuple[int, ...] = (3, 3)) -> None:
        super().__init__(config, channels)
        self.steps = 0

    def iteration(self, batches: Any, clock: Any) -> Iterator[Update]:
        self.steps += 1
        for update in super().iteration(batches, clock):
            yield Update(update.group, update.loss * self.steps, update.terms)


class _Outside(CycleGAN):
    def translate(self, image: Tensor, to: Any, rng: Any = None) -> Tensor:
        return 3 * super().translate(image, to, rng)


class _Smaller(CycleGAN):
    def translate(self, image: Tensor, to: Any, rng: Any = None) -> Tensor:
        return super().translate(image, to, rng)[..., ::2]


class _OneWay(CycleGAN):
    def translate(self, image: Tensor, to: Any, rng: Any = None) -> Tensor:
        return super().translate(image, (1,), rng)


class _OfBatches(CycleGAN):
    def translate(self, image: Tensor, to: Any, rng: Any = None) -> Tensor:
        return super().translate(image - image.mean(0), to, rng)


class _Random(CycleGAN):
    def translate(self, image: Tensor, to: Any, rng: Any = None) -> Tensor:
        return super().translate(image + 0.01 * torch.randn_like(image), to, rng)


class _Multiple(CycleGAN):
    """It takes multiples of 4 and says 2."""

    @property
    def size_multiple(self) -> int:
        return 2


class _HalfSaved(CycleGAN):
    inference_modules = ("G",)

    def translate(self, image: Tensor, to: Any, rng: Any = None) -> Tensor:
        return super().translate(image, (1 - to[0],), rng)


class _Missing(CycleGAN):
    inference_modules = ("G", "H")


class _Configless(CycleGAN):
    def __init__(self, config: Config, channels: tuple[int, ...] = (3, 3)) -> None:
        super().__init__(config, channels)
        self.config = Config()


class _Useless(nn.Module):
    batch_type = Unpaired
    inference_modules = ("G",)

    def __init__(self, config: Config, channels: tuple[int, ...] = (3, 3)) -> None:
        super().__init__()
        self.config, self.G = config, nn.Conv2d(3, 3, 1)

    def groups(self) -> dict[str, Group]:
        return {"G": Group(modules=(self.G,), lr=1e-3)}

    def iteration(self, batches: Any, clock: Any) -> Iterator[Update]:
        loss = (self.G(next(batches).x) - 1).square().mean()
        yield Update("G", loss, {"G": loss})


@dataclass(frozen=True, kw_only=True)
class _Unsaved(Config):
    layers: dict[str, int] = field(default_factory=lambda: {"a": 1})
    seen: complex = 1j


class _OddConfig(CycleGAN):
    def __init__(self, config: _Unsaved, channels: tuple[int, ...] = (3, 3)) -> None:
        super().__init__(config, channels)


@dataclass(frozen=True, kw_only=True)
class _Seeded(Config):
    seed: int = 0


class _OwnSeed(CycleGAN):
    def __init__(self, config: _Seeded, channels: tuple[int, ...] = (3, 3)) -> None:
        super().__init__(config, channels)


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (_Ungrouped, "no group trains F"),
        (_Misnamed, "iteration yields an update of 'generators', and groups() names ['my gene"),
        (_Overlapping, "no gradient reaches G.1.bias, G.1.weight, "),
        (_Unreached, "no gradient reaches D_X.1.bias, D_X.1.weight of group 'discriminators'"),
        (_Raw, "iteration yields Tensor: it must be diptych.types.Update"),
        (_PerImage, "the loss of group 'generators' has the shape (1,), not ()"),
        (_Cut, "the loss of group 'generators' has no gradient"),
        (_Noisy, "losses depend on the global random state: draw from clock.rng"),
        (_Forgetful, "a resumed run has other losses"),
        (_Outside, "images are in [-1, 1]"),
        (_Smaller, "a translation is (2, 3, 20, 14): expected (2, 3, 20, 28)"),
        (_OneWay, "translations to both domains are the same"),
        (_OfBatches, "depends on the other images of its batch"),
        (_Random, "the same rng gives another translation"),
        (_Multiple, "a translation is (2, 3, 20, 24): expected (2, 3, 18, 22)"),
        (_HalfSaved, "are all the parts that it uses in inference_modules?"),
        (_Missing, "inference_modules names 'H', which is no nn.Module of it"),
        (_Configless, "self.config is not the config it was built with"),
        (_Useless, "it is of no use when trained: it needs translate"),
    ],
)
def test_what_is_broken_is_said(method, message):
    with pytest.raises(AssertionError) as caught:
        check_method(method, CONFIG, falls="cycle")
    assert str(caught.value).startswith(f"{method.__name__}: ")
    assert message in str(caught.value)


def test_a_config_that_cannot_be_saved_is_said():
    with pytest.raises(AssertionError, match="_OddConfig: its Config cannot be saved: "):
        check_method(_OddConfig, falls="cycle")


def test_an_option_that_every_run_has_is_said():
    with pytest.raises(AssertionError, match="_OwnSeed: its Config has seed, which every run has"):
        check_method(_OwnSeed, falls="cycle")


def test_what_is_no_method_is_an_assertion_error_too():
    with pytest.raises(AssertionError, match="Linear has no batch_type: the batches that it takes"):
        check_method(nn.Linear, falls="cycle")


def test_a_term_that_does_not_fall_or_is_not_logged_is_said():
    with pytest.raises(AssertionError, match="adversarial does not fall on a repeated batch: "):
        check_method(_Whole, CONFIG, falls="adversarial")
    with pytest.raises(AssertionError, match="no term 'cylce' is logged; there are: adversarial, "):
        check_method(_Whole, CONFIG, falls="cylce")
