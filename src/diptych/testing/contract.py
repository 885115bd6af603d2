"""What every method keeps: each function checks one part of it, of a case."""

from __future__ import annotations

import itertools
import json
import pickle
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from diptych.checkpoint import TranslatorInfo, inference_weights, load_translator, save_translator
from diptych.data import open_data
from diptych.data.pixels import PixelFormat, channel_names
from diptych.errors import InputError, dataclass_from
from diptych.methods import check_method_class, give
from diptych.testing.cases import (
    Case,
    Still,
    Watched,
    Yielding,
    difference,
    draw_batches,
    fresh_clock,
    make_batch,
    make_optimisers,
    make_pictures,
    rng,
    some,
    with_tuples,
)
from diptych.training.loop import train_iteration
from diptych.training.settings import SETTING_NAMES, Plan, Resolved, Settings
from diptych.training.trainer import Trainer
from diptych.types import Classifies, Generates, Kept, Method, Translates

_LEAST_SIDE = 16
"""Pixels; images that are smaller are padded before a method sees them."""

# --- what it is ----------------------------------------------------------------


def check_class(method: type[nn.Module]) -> None:
    """A class, and its Config, have what the trainer asks for."""
    try:
        check_method_class(method)
    except InputError as error:
        raise AssertionError(str(error)) from None


def check_protocols(case: Case) -> None:
    """A method has its config, groups with sound rates, and parts that are of use later."""
    check_class(case.method)
    method = case.build()
    case.expect(isinstance(method, Method), "an instance has no config: set self.config = config")
    case.expect(method.config == case.config, "self.config is not the config it was built with")
    case.expect(
        isinstance(method, Kept),
        "no inference_modules: name the attributes that using it needs, such as ('G', 'F')",
    )
    case.expect(
        isinstance(method, Translates | Generates | Classifies),
        "it is of no use when trained: it needs translate (with exportable, size_multiple and"
        " fixed_size), generate or classify, as in diptych.types",
    )
    for part in method.inference_modules:
        case.expect(
            isinstance(getattr(method, part, None), nn.Module),
            f"inference_modules names {part!r}, which is no nn.Module of it",
        )
    for name, group in method.groups().items():
        case.expect(group.lr > 0, f"the learning rate of group {name!r} is {group.lr}")
        share = group.decay_from
        case.expect(0 <= share <= 1, f"decay_from of group {name!r} is {share}: from 0 to 1")


def check_config(case: Case) -> None:
    """The Config can be saved and read again: its values are numbers, text, flags and tuples."""
    taken = some({*SETTING_NAMES} & {field.name for field in fields(case.config)})
    case.expect(not taken, f"its Config has {taken}, which every run has an option for")
    try:
        values = json.loads(json.dumps(asdict(case.config)))
        again = dataclass_from(type(case.config), with_tuples(values), owner="its Config")
    except (TypeError, InputError) as error:
        name = case.method.__name__
        raise AssertionError(f"{name}: its Config cannot be saved: {error}") from None
    case.expect(again == case.config, "its Config is another one when it was saved and read again")


# --- how it trains -------------------------------------------------------------


def check_updates(case: Case, autocast: bool = False) -> None:
    """Each update changes its own group alone, and every parameter of a group has a gradient.

    With `autocast`, in bfloat16: it keeps a weight's first cast, and one made where gradients
    are off has none later.
    """
    method = case.build()
    watched = {n: Watched(n, o, method, case) for n, o in make_optimisers(method).items()}
    half = partial(torch.autocast, "cpu", torch.bfloat16)
    for _ in range(1 if autocast else 2):
        train_iteration(
            cast(Method, Yielding(method, case)),
            draw_batches(case, method),
            fresh_clock(),
            watched,
            half if autocast else nullcontext,
        )
    for group, watch in watched.items():
        lacking = some(watch.without_gradient)
        case.expect(not lacking, f"no gradient reaches {lacking} of group {group!r}")
        # A bias right before an instance norm has a gradient of 0 but for rounding.
        weights = {name for name in watch.own if method.get_parameter(name).ndim > 1}
        still = some(set() if autocast else weights - watch.changed)
        case.expect(not still, f"no update changes {still} of group {group!r}")


def check_updates_under_autocast(case: Case) -> None:
    """As `check_updates`, in bfloat16."""
    check_updates(case, autocast=True)


def check_groups(case: Case) -> None:
    """Every parameter is in a group, but for those that are named as untrained."""
    method = case.build()
    grouped = {id(p) for o in make_optimisers(method).values() for p in o.parameters}
    outside = {n.split(".")[0] for n, p in method.named_parameters() if id(p) not in grouped}
    forgotten, spare = some(outside - {*case.untrained}), some({*case.untrained} - outside)
    case.expect(not forgotten, f"no group trains {forgotten}")
    case.expect(not spare, f"a group trains {spare}, which should stay untrained")


def check_determinism(case: Case) -> None:
    """The same seed gives the same losses, and another seed others.

    But for dropout, which is off in eval mode, chance enters through `clock.rng` alone.
    """
    first = _losses(case, seed=0)
    case.expect(first == _losses(case, seed=0), "the same seed gives other losses")
    same = _losses(case, seed=0, moved_by=1) == _losses(case, seed=0, moved_by=2)
    case.expect(same, "losses depend on the global random state: draw from clock.rng")
    if case.falls is not None:
        case.expect(first != _losses(case, seed=1), "another seed gives the same losses")


def check_gathering(case: Case) -> None:
    """A method that trains nothing has no groups, and keeps something of each batch."""
    method = case.build()
    case.expect(not make_optimisers(method), "it trains nothing, and has groups")
    batches, seen = draw_batches(case, method), []
    for _ in range(3):
        terms = train_iteration(method, batches, fresh_clock(), {}, nullcontext)
        case.expect(not terms, "it trains nothing, and yields updates")
        seen.append({key: value.clone() for key, value in inference_weights(method).items()})
    for key, value in seen[1].items():
        kept = not torch.equal(seen[0][key], value) and not torch.equal(value, seen[2][key])
        case.expect(kept, f"a batch leaves {key} as it was")


def check_term_falls(case: Case) -> None:
    """The named term falls in 50 steps on one batch, at ten times the learning rate."""
    assert case.falls is not None
    method, clock = case.build(), fresh_clock()
    optimisers = make_optimisers(method)
    clock.fraction = 0.5  # past what some do at the start
    for optimiser in optimisers.values():
        for group in optimiser.optimiser.param_groups:
            group["lr"] *= 10  # 50 steps rather than thousands
    batches = itertools.repeat(make_batch(case, method))
    stepped = {
        group: optimiser if case.stepped in (None, group) else Still()
        for group, optimiser in optimisers.items()
    }
    values = []
    for _ in range(50):
        terms = train_iteration(method, batches, clock, stepped, nullcontext)
        logged = ", ".join(terms)
        case.expect(case.falls in terms, f"no term {case.falls!r} is logged; there are: {logged}")
        values.append(terms[case.falls])
    first, last = sum(values[:5]) / 5, sum(values[-5:]) / 5
    case.expect(
        last < 0.85 * first,
        f"{case.falls} does not fall on a repeated batch: {first:.4g} at first, {last:.4g} after 50"
        " steps",
    )


def check_resume(case: Case, precision: Literal["fp32", "bf16"] = "fp32") -> None:
    """A run that is stopped and goes on from its saved state has the bits of one that was not."""
    side = max(32, case.config.size)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        x, y = make_pictures(Path(folder), side)
        data = open_data(x=x, y=y, size=side)
        resolved = Resolved(
            threads=torch.get_num_threads(), domains=data.domains, fingerprint="", steps=5,
            precision=precision, device="cpu",
        )  # fmt: skip
        run = Settings(x=x, y=y, seed=3, ema=0.9, workers=0)
        plan = Plan(method=give(case.method), config=case.config, run=run, resolved=resolved)
        whole = Trainer(plan, data)
        losses = [whole.step(5) for _ in range(5)]
        part = Trainer(plan, data)
        begun = [part.step(5) for _ in range(3)]
        case.expect(begun == losses[:3], "a second run with the same seed has other losses")
        torch.save(part.state(), Path(folder) / "state.pt")
        torch.manual_seed(99)  # what another process would have
        try:
            state = torch.load(Path(folder) / "state.pt", weights_only=True)
        except pickle.UnpicklingError:
            name = case.method.__name__
            raise AssertionError(
                f"{name}: its state holds more than tensors, numbers, text and collections of them"
            ) from None
        rest = Trainer(plan, data, state)
        resumed = [rest.step(5) for _ in range(2)]
    keep = "keep what changes in parameters, buffers or get_extra_state"
    case.expect(resumed == losses[3:], f"a resumed run has other losses: {keep}")
    for what, a, b in (
        ("state", rest.state(), whole.state()),
        ("translator", rest.inference_weights(), whole.inference_weights()),
    ):
        different = difference(a, b, what)
        case.expect(different is None, f"a resumed run differs in {different}: {keep}")


# --- what it does when it is trained --------------------------------------------


def check_translator_file(case: Case) -> None:
    """What is saved for use and loaded again does the same."""
    method = case.build(seed=1).eval()
    info = TranslatorInfo(
        method=give(case.method), config=asdict(case.config), domains=("a", "b"),
        size=case.config.size, step=0, fingerprint="", source="", version="",
        pixels=tuple(PixelFormat(channel_names(count)) for count in case.channels),
    )  # fmt: skip
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "translator.safetensors"
        save_translator(path, inference_weights(method), info)
        loaded, _ = load_translator(path)
    case.expect(
        torch.equal(_use(case, method), _use(case, loaded)),
        "a translator that is saved and loaded gives other results: are all the parts that it"
        " uses in inference_modules?",
    )


def check_translation(case: Case) -> None:
    """Translations have their image's sides and their domain's channels and range."""
    method = _stepped(case, case.build())
    multiple, fixed = method.size_multiple, method.fixed_size
    odd = -(-_LEAST_SIDE // multiple) | 1  # an even number would allow twice the multiple
    height, width = (fixed, fixed) if fixed else (odd * multiple, (odd + 2) * multiple)
    sides = tuple(_images(case, 1 - to, 2, height, width, seed=1) for to in (0, 1))
    with torch.no_grad():
        results = [method.translate(image, (to,), rng(0)) for to, image in enumerate(sides)]
        again = method.translate(sides[1], (1,), rng(0))
    for to, result in enumerate(results):
        shape, wanted = tuple(result.shape), (2, case.channels[to], height, width)
        case.expect(shape == wanted, f"a translation is {shape}: expected {wanted}")
        case.expect(result.dtype == torch.float32, f"a translation is {result.dtype}")
        most = result.abs().max().item()
        case.expect(most <= 1.0, f"a translation reaches {most:.3g}: images are in [-1, 1]")
        # Small at first where the last layer follows no norm.
        case.expect(result.std().item() > 1e-5, "a translation is of one colour")
    case.expect(not torch.equal(*results), "translations to both domains are the same")
    case.expect(torch.equal(results[1], again), "the same rng gives another translation")


def check_translation_of_batches(case: Case) -> None:
    """A batch is translated as its images one by one, in eval mode."""
    method = case.build().eval()
    for to in (0, 1):
        images = _images(case, 1 - to, 3, *_sides(method), seed=2)
        _one_by_one(case, partial(method.translate, to=(to,)), images, 1e-5)


def check_generation(case: Case) -> None:
    """Generated images have their shape and range, and are those of their noise."""
    method = case.build()
    for module in method.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            module.momentum = 1.0  # running averages as they are after many steps
    method = _stepped(case, method)
    case.expect(isinstance(method, Generates), "generate needs inference_modules beside it")
    size = method.config.size

    def made(to: int, seed: int) -> Tensor:
        with torch.no_grad():
            return cast(Tensor, method.generate(3, to, rng(seed)))

    for to in (0, 1):
        images = made(to, 0)
        shape, most = tuple(images.shape), images.abs().max().item()
        case.expect(shape == (3, case.channels[to], size, size), f"3 generated images are {shape}")
        case.expect(most <= 1.0, f"a generated image reaches {most:.3g}: images are in [-1, 1]")
        case.expect(torch.equal(images, made(to, 0)), "the same rng generates other images")
        case.expect(not torch.equal(images, made(to, 1)), "another rng generates the same images")
        case.expect(not torch.equal(images[0], images[1]), "two generated images are the same")
    case.expect(not torch.equal(made(0, 0), made(1, 0)), "both domains have the same images")


def check_codes(case: Case) -> None:
    """Codes of a batch are those of its images one by one, and decode to images."""
    method = case.build().eval()
    for domain in (0, 1):
        images = _images(case, domain, 3, *_sides(method), seed=2)
        encode = partial(method.encode, source=domain)
        z = _one_by_one(case, encode, images, 1e-4)
        with torch.no_grad():
            decoded, wanted = tuple(method.decode(z, domain).shape), tuple(images.shape)
        case.expect(decoded == wanted, f"codes of images {wanted} decode to {decoded}")


def check_classes(case: Case) -> None:
    """Scores of classes of a batch are those of its images one by one."""
    method = case.build().eval()
    images = make_batch(case, method).x
    for source in (0, 1):
        scores = _one_by_one(case, partial(method.classify, source=source), images, 1e-4)
        shape, wanted = tuple(scores.shape), (len(images), method.classes)
        case.expect(shape == wanted, f"scores of classes are {shape}, not {wanted}")


# --- what they share -----------------------------------------------------------------


def _losses(case: Case, seed: int, moved_by: int = 0) -> list[Any]:
    """The terms of three steps; with `moved_by`, of one in eval mode, the global state moved."""
    method = case.build(seed)
    optimisers, batches, clock = make_optimisers(method), draw_batches(case, method), fresh_clock()
    if moved_by:
        method.eval()
        torch.manual_seed(seed + moved_by)
    return [
        train_iteration(method, batches, clock, optimisers, nullcontext)
        for _ in range(1 if moved_by else 3)
    ]


def _stepped(case: Case, method: Any) -> Any:
    """The method after one step: both directions may begin alike. In eval mode."""
    optimisers = make_optimisers(method)
    train_iteration(method, draw_batches(case, method), fresh_clock(), optimisers, nullcontext)
    return method.eval()


def _images(case: Case, domain: int, count: int, height: int, width: int, *, seed: int) -> Tensor:
    """Noise with the channels of a domain, which `seed` draws."""
    shape = (count, case.channels[domain], height, width)
    return torch.rand(shape, generator=rng(seed)) * 2 - 1


def _sides(method: Any) -> tuple[int, int]:
    """Height and width of an image that the method takes as it is."""
    side = method.fixed_size or max(32, method.size_multiple)
    return side, side


def _one_by_one(
    case: Case, function: Callable[[Tensor], Tensor], images: Tensor, tolerance: float
) -> Tensor:
    """What a function makes of a batch, seen to be what it makes of each image."""
    with torch.no_grad():
        together = function(images)
        apart = torch.cat([function(image[None]) for image in images])
    case.expect(
        together.shape == apart.shape and (together - apart).abs().max().item() < tolerance,
        "what comes of an image in eval mode depends on the other images of its batch",
    )
    return together


def _use(case: Case, method: Any) -> Tensor:
    """A result of a method in use."""
    with torch.no_grad():
        if isinstance(method, Translates):
            image = _images(case, 0, 1, *_sides(method), seed=3)
            return method.translate(image, (1,), rng(0))
        if isinstance(method, Generates):
            return method.generate(1, 1, rng(0))
        return cast(Tensor, cast(Any, method).classify(make_batch(case, method).x, 0))
