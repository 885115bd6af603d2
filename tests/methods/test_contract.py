"""What every method must satisfy; a new one is covered the day its file appears."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import fields
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from diptych.checkpoint import inference_weights
from diptych.data import Data, open_data
from diptych.methods import build, find_method, list_methods, make_config, method_class
from diptych.training.loop import train_iteration
from diptych.training.optimisers import GroupOptimiser
from diptych.training.settings import Plan, Resolved, Settings
from diptych.training.trainer import Trainer
from diptych.types import (
    Adapting,
    Classifies,
    Clock,
    Encodes,
    Generates,
    Kept,
    Labelled,
    Method,
    Paired,
    PerDomain,
    Translates,
    Unpaired,
)
from tests.methods.contract_cases import FALLS, GATHER, SMALL, STEPPED, TINY, UNTRAINED, VARIANTS

CASES = [
    pytest.param(name, options, id="-".join([name, *map(str, options.values())]))
    for name in list_methods()
    for options in [{}, *VARIANTS.get(name, [])]
]
every_case = pytest.mark.parametrize(("name", "options"), CASES)
every_trained_case = pytest.mark.parametrize(
    ("name", "options"), [case for case in CASES if case.values[0] not in GATHER]
)


def _cases(capability: str) -> pytest.MarkDecorator:
    """Those of the methods that have a function of this name."""
    cases = [case for case in CASES if hasattr(method_class(str(case.values[0])), capability)]
    return pytest.mark.parametrize(("name", "options"), cases)


def _config(name: str, options: Mapping[str, Any]) -> Any:
    known = {field.name for field in fields(find_method(name).Config)}
    tiny = {key: value for key, value in TINY.items() if key in known}
    return make_config(name, tiny | SMALL.get(name, {}) | options)


def _build(name: str, options: Mapping[str, Any], seed: int = 0) -> Any:
    torch.manual_seed(seed)
    return build(name, _config(name, options), domains=2)


def _batch(method: Any, seed: int = 0) -> Any:
    c, rng = method.config, torch.Generator().manual_seed(seed)
    kinds = (Unpaired, Paired, Adapting, Labelled, PerDomain)
    assert method.batch_type in kinds, "teach this test the new method's batches"

    def images() -> Tensor:  # smooth, as images are
        coarse = torch.rand(c.batch_size, 3, 4, 4, generator=rng) * 2 - 1
        return nn.functional.interpolate(coarse, size=(c.size, c.size), mode="bilinear")

    if method.batch_type is Adapting:
        return Adapting(images(), torch.arange(c.batch_size) % c.classes, images())
    if method.batch_type is Labelled:
        return Labelled(images(), nn.functional.one_hot(torch.arange(c.batch_size) % 2, 2).float())
    if method.batch_type is PerDomain:
        return PerDomain((images(), images()))
    return method.batch_type(images(), images())


def _batches(method: Any) -> Iterator[Any]:
    return (_batch(method, seed) for seed in itertools.count())


def _clock() -> Clock:
    return Clock(0, 0.0, torch.Generator().manual_seed(0))


def _optimisers(method: Any) -> dict[str, GroupOptimiser]:
    return {name: GroupOptimiser(group) for name, group in method.groups().items()}


def test_every_method_names_the_term_that_falls():
    assert {*FALLS, *GATHER} == set(list_methods())


@every_case
def test_satisfies_the_protocols_and_holds_the_config_that_built_it(name, options):
    method = _build(name, options)
    assert isinstance(method, nn.Module)
    assert isinstance(method, Method)
    assert isinstance(method, Kept)
    assert isinstance(method, Translates | Generates | Classifies)
    assert method_class(name) is type(method)
    assert method.config == _config(name, options)
    assert all(isinstance(getattr(method, part), nn.Module) for part in method.inference_modules)
    for group in method.groups().values():
        assert group.lr > 0
        assert 0 <= group.decay_from <= 1


@_cases("translate")
def test_translation_keeps_shape_and_range(name, options):
    method = _build(name, options)
    # Methods may begin with both directions alike: a step tells them apart.
    train_iteration(method, _batches(method), _clock(), _optimisers(method), nullcontext)
    method.eval()
    side = method.fixed_size or 2 * method.size_multiple
    image = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.no_grad():
        results = [method.translate(image, (to,)) for to in (0, 1)]
    for result in results:
        assert result.shape == image.shape
        assert result.dtype == torch.float32
        assert result.abs().max().item() <= 1.0
        assert result.std().item() > 1e-5  # small at first where the last layer follows no norm
    assert not torch.equal(*results)


@_cases("translate")
def test_translating_a_batch_equals_translating_each_image(name, options):
    method = _build(name, options).eval()
    side = method.fixed_size or max(32, method.size_multiple)
    rng = torch.Generator().manual_seed(2)
    images = torch.rand(3, 3, side, side, generator=rng) * 2 - 1
    with torch.no_grad():
        for to in (0, 1):
            together = method.translate(images, (to,))
            apart = torch.cat([method.translate(image[None], (to,)) for image in images])
            assert (together - apart).abs().max().item() < 1e-5


@_cases("generate")
def test_generated_images_have_their_shape_and_range_and_are_those_of_their_noise(name, options):
    method = _build(name, options)
    for module in method.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            module.momentum = 1.0  # running averages as they are after many steps
    train_iteration(method, _batches(method), _clock(), _optimisers(method), nullcontext)
    method.eval()
    assert isinstance(method, Generates)
    size = method.config.size

    def made(to: int, seed: int) -> Tensor:
        with torch.no_grad():
            return method.generate(3, to, torch.Generator().manual_seed(seed))

    for to in (0, 1):
        images = made(to, 0)
        assert images.shape == (3, 3, size, size)
        assert images.abs().max().item() <= 1.0
        assert torch.equal(images, made(to, 0))
        assert not torch.equal(images, made(to, 1))
        assert not torch.equal(images[0], images[1])
    assert not torch.equal(made(0, 0), made(1, 0))


@_cases("encode")
def test_codes_of_a_batch_are_those_of_each_image_and_decode_to_images(name, options):
    method = _build(name, options).eval()
    assert isinstance(method, Encodes)
    side = method.fixed_size or max(32, method.size_multiple)
    images = torch.rand(3, 3, side, side, generator=torch.Generator().manual_seed(2)) * 2 - 1
    with torch.no_grad():
        for domain in (0, 1):
            z = method.encode(images, domain)
            apart = torch.cat([method.encode(image[None], domain) for image in images])
            assert (z - apart).abs().max().item() < 1e-4
            assert method.decode(z, domain).shape == images.shape


@_cases("classify")
def test_classes_of_a_batch_are_those_of_each_image(name, options):
    method = _build(name, options).eval()
    batch = _batch(method)
    with torch.no_grad():
        for source in (0, 1):
            together = method.classify(batch.x, source)
            apart = torch.cat([method.classify(image[None], source) for image in batch.x])
            assert together.shape == (len(batch.x), method.classes)
            assert (together - apart).abs().max().item() < 1e-4


class _Watched:
    """An optimiser that notes which parameters its step changed, and which had no gradient."""

    def __init__(self, inner: GroupOptimiser, method: nn.Module) -> None:
        self._inner, self._named = inner, dict(method.named_parameters())
        own = {id(p) for p in inner.parameters}
        self.own = {name for name, p in self._named.items() if id(p) in own}
        self.changed: set[str] = set()
        self.without_gradient: set[str] = set()

    def minimise(self, loss: Tensor) -> None:
        assert loss.shape == ()
        before = {name: p.detach().clone() for name, p in self._named.items()}
        self._inner.minimise(loss)
        now = {name for name, p in self._named.items() if not torch.equal(p, before[name])}
        self.changed |= now
        assert now <= self.own, f"changed parameters of another group: {sorted(now - self.own)}"
        self.without_gradient |= {name for name in self.own if self._named[name].grad is None}


@every_case
def test_each_update_changes_its_group_and_no_other_and_every_parameter_has_a_gradient(
    name, options
):
    method = _build(name, options)
    watched = {n: _Watched(o, method) for n, o in _optimisers(method).items()}
    for _ in range(2):
        train_iteration(method, _batches(method), _clock(), watched, nullcontext)
    for group, watch in watched.items():
        assert watch.without_gradient == set(), group
        # A bias right before an instance norm has a gradient of 0 but for rounding.
        weights = {n for n in watch.own if method.get_parameter(n).ndim > 1}
        assert weights <= watch.changed, group


@pytest.mark.parametrize("name", list_methods())
def test_every_parameter_has_a_gradient_under_autocast_too(name):
    # It keeps a weight's first cast: one made where gradients are off has none later.
    method = _build(name, {})
    watched = {n: _Watched(o, method) for n, o in _optimisers(method).items()}
    autocast = partial(torch.autocast, "cpu", torch.bfloat16)
    train_iteration(method, _batches(method), _clock(), watched, autocast)
    for group, watch in watched.items():
        assert watch.without_gradient == set(), group


@every_case
def test_every_parameter_is_in_a_group_or_named_as_untrained(name, options):
    method = _build(name, options)
    grouped = {id(p) for o in _optimisers(method).values() for p in o.parameters}
    outside = {n.split(".")[0] for n, p in method.named_parameters() if id(p) not in grouped}
    allowed = [parts for (owner, key), parts in UNTRAINED.items() if (owner, key) in
               [(name, option) for option in options]]  # fmt: skip
    assert outside == {part for parts in allowed for part in parts}


def _losses(name: str, options: Mapping[str, Any], seed: int, steps: int = 3) -> list[Any]:
    method = _build(name, options, seed)
    optimisers, batches, clock = _optimisers(method), _batches(method), _clock()
    return [train_iteration(method, batches, clock, optimisers, nullcontext) for _ in range(steps)]


@pytest.mark.parametrize("name", GATHER)
def test_a_method_that_gathers_has_no_groups_and_keeps_something_of_each_batch(name):
    method = _build(name, {})
    assert _optimisers(method) == {}
    batches, seen = _batches(method), []
    for _ in range(3):
        assert train_iteration(method, batches, _clock(), {}, nullcontext) == {}
        seen.append({key: value.clone() for key, value in inference_weights(method).items()})
    for key in seen[0]:
        assert not torch.equal(seen[0][key], seen[1][key]), key
        assert not torch.equal(seen[1][key], seen[2][key]), key


@every_trained_case
def test_same_seed_gives_the_same_losses_and_another_seed_others(name, options):
    first = _losses(name, options, seed=0)
    assert first == _losses(name, options, seed=0)
    assert first != _losses(name, options, seed=1)


class _Still:
    """An optimiser that leaves all as it is."""

    def minimise(self, loss: Tensor) -> None:
        pass


@pytest.mark.slow
@pytest.mark.parametrize("name", FALLS)
def test_the_named_term_falls_on_a_repeated_batch(name):
    method = _build(name, {})
    optimisers, clock = _optimisers(method), _clock()
    clock.fraction = 0.5  # past what some do at the start
    for optimiser in optimisers.values():
        for group in optimiser.optimiser.param_groups:
            group["lr"] *= 10  # 50 steps rather than thousands
    batches = itertools.repeat(_batch(method))
    stepped = {
        group: optimiser if STEPPED.get(name, group) == group else _Still()
        for group, optimiser in optimisers.items()
    }
    values = [
        train_iteration(method, batches, clock, stepped, nullcontext)[FALLS[name]]
        for _ in range(50)
    ]
    assert sum(values[-5:]) / 5 < 0.85 * sum(values[:5]) / 5


def _plan(name: str, options: Mapping[str, Any], data: Data, **run: Any) -> Plan:
    precision = run.pop("precision", "fp32")
    return Plan(
        method=name,
        config=_config(name, options),
        run=Settings(workers=0, **run),
        resolved=Resolved(
            threads=torch.get_num_threads(),
            domains=data.domains,
            fingerprint="",
            steps=5,
            precision=precision,
            device="cpu",
        ),
    )


def _assert_same(a: Any, b: Any, where: str = "state") -> None:
    """Two states hold the same bits."""
    assert type(a) is type(b), where
    if isinstance(a, Tensor):
        assert a.dtype == b.dtype, where
        assert torch.equal(a, b), where
    elif isinstance(a, Mapping):
        assert a.keys() == b.keys(), where
        for key in a:
            _assert_same(a[key], b[key], f"{where}.{key}")
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b), where
        for i, (left, right) in enumerate(zip(a, b, strict=True)):
            _assert_same(left, right, f"{where}[{i}]")
    else:
        assert a == b, where


IN_BF16 = [
    pytest.param(name, options, "bf16", id=f"{name}-{options}-bf16", marks=pytest.mark.slow)
    for name in list_methods()
    for options in [{}, *VARIANTS.get(name, [])][:2]
]


@pytest.mark.parametrize(
    ("name", "options", "precision"),
    [*(pytest.param(*case.values, "fp32", id=case.id) for case in CASES), *IN_BF16],
)
def test_interrupted_and_resumed_equals_uninterrupted_bit_for_bit(
    name, options, precision, picture_folders, tmp_path
):
    side = max(32, options.get("size", 32))
    x, y = picture_folders(count=20, classes=10, side=side)
    data = open_data(x=x, y=y, size=side)
    plan = _plan(name, options, data, x=x, y=y, seed=3, ema=0.9, precision=precision)
    whole = Trainer(plan, data)
    losses = [whole.step(5) for _ in range(5)]

    part = Trainer(plan, data)
    assert [part.step(5) for _ in range(3)] == losses[:3]
    torch.save(part.state(), tmp_path / "state.pt")
    torch.manual_seed(99)  # what another process would have
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    rest = Trainer(plan, data, state)
    assert [rest.step(5) for _ in range(2)] == losses[3:]
    _assert_same(rest.state(), whole.state())
    _assert_same(rest.inference_weights(), whole.inference_weights())
