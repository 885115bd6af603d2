"""The plain reference computes what the paper, and Diptych's own method, compute."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as nnf
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.reference import cyclegan as reference
from diptych.data import Data, Split
from diptych.data.collections import ArrayImages
from diptych.methods import cyclegan
from diptych.networks.device import make_autocast
from diptych.networks.fusing import fuse
from diptych.training.loop import train_iteration
from diptych.training.optimisers import GroupOptimiser
from diptych.training.settings import Precision
from diptych.types import Clock, Unpaired


def copy_in_order(source: nn.Module, target: nn.Module) -> None:
    """Both list the same layers in the same order, under names of their own."""
    weights = list(source.parameters())
    for own, theirs in zip(target.parameters(), weights, strict=True):
        own.data.copy_(theirs.data)


def small(**changes: float) -> reference.CycleGAN:
    options = {"width": 4, "blocks": 2, "identity_weight": 0.5, "steps": 8, "seed": 0} | changes
    return reference.CycleGAN(**options)  # type: ignore[arg-type]


def tiles(count: int, seed: int) -> ArrayImages:
    rng = np.random.default_rng(seed)
    return ArrayImages(rng.integers(0, 256, (count, 32, 32, 3), np.uint8))


@pytest.fixture
def data() -> Data:
    split = Split((tiles(5, 1), tiles(7, 2)))
    return Data(source="test", domains=("a", "b"), train=split, is_tiled=True)


@pytest.fixture
def batches() -> list[Unpaired]:
    rng = torch.Generator().manual_seed(3)
    return [Unpaired(*torch.rand(2, 1, 3, 64, 64, generator=rng) * 2 - 1) for _ in range(6)]


def diptych_losses(
    method: cyclegan.CycleGAN, batches: list[Unpaired], steps: int
) -> Iterator[dict[str, float]]:
    clock = Clock(0, 0.0, torch.Generator().manual_seed(0))
    optimisers = {name: GroupOptimiser(group) for name, group in method.groups().items()}
    stream = iter(batches)
    for clock.step in range(len(batches)):
        clock.fraction = clock.step / steps
        for optimiser in optimisers.values():
            optimiser.follow(clock.fraction)
        yield train_iteration(method, stream, clock, optimisers, torch.enable_grad)


@pytest.mark.slow
def test_the_reference_and_diptych_compute_the_same_losses_from_the_same_weights(
    batches: list[Unpaired],
) -> None:
    model = small(steps=8)  # the last of 6 steps have a falling rate
    config = cyclegan.Config(width=4, size=64, blocks=2, identity_weight=0.5)
    method = cyclegan.CycleGAN(config)
    for name in ("G", "F", "D_X", "D_Y"):
        copy_in_order(vars(model)[name], method.get_submodule(name))
    for batch, ours in zip(batches, diptych_losses(method, batches, 8), strict=True):
        theirs = {name: loss.item() for name, loss in model.step(batch.x, batch.y).items()}
        assert theirs == pytest.approx(ours, rel=2e-4)
    for own, other in zip(method.G.parameters(), model.G.parameters(), strict=True):
        if own.ndim > 1:  # biases before a norm follow the sign of rounding errors
            assert torch.allclose(own, other, atol=2e-5)


@pytest.mark.parametrize("segments", [1, 4])
@pytest.mark.parametrize(("precision", "alike"), [("fp32", 0.99999), ("bf16", 0.94)])
def test_a_fast_step_has_the_references_gradients(
    batches: list[Unpaired], precision: Precision, alike: float, segments: int
) -> None:
    # In bfloat16, plain autocast without any of our changes has cosines from 0.951, too.
    model = small(width=16)
    method = cyclegan.CycleGAN(cyclegan.Config(width=16, size=64, blocks=2, identity_weight=0.5))
    for name in ("G", "F", "D_X", "D_Y"):
        copy_in_order(vars(model)[name], method.get_submodule(name))
    layout = torch.contiguous_format if precision == "fp32" else torch.channels_last
    method = method.to(memory_format=layout)  # type: ignore[call-overload]
    fuse(method, segments=segments)
    optimisers = {name: GroupOptimiser(group) for name, group in method.groups().items()}
    clock = Clock(0, 0.0, torch.Generator().manual_seed(0))
    batch = Unpaired(*(t.contiguous(memory_format=layout) for t in (batches[0].x, batches[0].y)))
    autocast = make_autocast(precision, torch.device("cpu"))
    train_iteration(method, iter([batch]), clock, optimisers, autocast)
    model.step(batches[0].x, batches[0].y)
    for name in ("G", "F", "D_X", "D_Y"):
        pairs = zip(
            method.get_submodule(name).parameters(), vars(model)[name].parameters(), strict=True
        )
        for ours, theirs in pairs:
            if theirs.ndim > 1:  # the gradient of a bias before a norm is a rounding error
                a, b = ours.grad.flatten(), theirs.grad.flatten()  # type: ignore[union-attr]
                assert float(nnf.cosine_similarity(a, b, dim=0)) > alike, name
                assert float(a.norm() / b.norm()) == pytest.approx(1, abs=3 * (1 - alike))


@pytest.mark.parametrize(
    ("size", "blocks", "gigaflops"), [(64, 6, 84.1), (128, 6, 338.3), (256, 9, 1879.2)]
)
@pytest.mark.slow
def test_a_step_with_identity_loss_costs(size: int, blocks: int, gigaflops: float) -> None:
    with torch.device("meta"):  # shapes only
        model = small(width=64, blocks=blocks)
        image = torch.zeros(1, 3, size, size)
    with FlopCounterMode(display=False) as counter:
        model.step(image, image)
    assert counter.get_total_flops() / 1e9 == pytest.approx(gigaflops, abs=0.1)


def test_the_networks_have_as_many_parameters_as_the_authors() -> None:
    with torch.device("meta"):
        G, D = reference.Generator(64, 9), reference.Discriminator(64)
    assert sum(p.numel() for p in G.parameters()) == 11_378_179
    assert sum(p.numel() for p in D.parameters()) == 2_764_737


def test_the_rate_is_constant_for_half_of_the_steps_and_then_falls_to_zero(
    batches: list[Unpaired],
) -> None:
    model = small(steps=8)
    rates = []
    for number in range(8):
        model.step_number = number
        model._set_learning_rate()
        rates.append(model.optimizer_G.param_groups[0]["lr"])
    assert rates == pytest.approx([2e-4] * 5 + [1.5e-4, 1e-4, 0.5e-4])


def test_the_generators_step_leaves_the_discriminators_alone(batches: list[Unpaired]) -> None:
    model = small()
    with torch.no_grad():
        before = [p.clone() for p in model.D_X.parameters()]
    model.optimizer_D.step = lambda closure=None: None  # type: ignore[method-assign]
    model.step(batches[0].x, batches[0].y)
    gradients = [p.grad for p in model.D_X.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(before, model.D_X.parameters(), strict=True))
    alone = 0.5 * (
        (model.D_X(batches[0].x) - 1).square().mean()
        + model.D_X(model.buffer_x.images[0]).square().mean()
    )
    own = torch.autograd.grad(alone, list(model.D_X.parameters()))
    for gradient, expected in zip(gradients, own, strict=True):
        assert gradient is not None
        assert torch.allclose(gradient, expected, atol=1e-6)


def test_the_buffer_returns_the_fresh_image_until_it_is_full_and_older_ones_half_the_time() -> None:
    buffer = reference.ImageBuffer(torch.Generator().manual_seed(0))
    fresh = [torch.full((1, 3, 1, 1), float(i)) for i in range(1050)]
    answers = [buffer.query(image).mean().item() for image in fresh]
    assert answers[:50] == list(range(50))
    older = sum(answer != i for i, answer in enumerate(answers[50:], start=50))
    assert 450 < older < 550
    assert len(buffer.images) == 50


def test_a_killed_training_goes_on_to_the_same_bits(data: Data, tmp_path: Path) -> None:
    options = {"seed": 4, "steps": 6, "width": 4, "blocks": 1, "identity_weight": 0.0}
    whole, _ = reference.train(data, **options)  # type: ignore[arg-type]

    class KilledError(Exception):
        pass

    def kill(step: int, losses: dict[str, Tensor]) -> None:
        if step == 5:
            raise KilledError

    file = tmp_path / "state.pt"
    with pytest.raises(KilledError):
        reference.train(data, **options, on_step=kill, checkpoint=file, checkpoint_every=2)  # type: ignore[arg-type]
    steps: list[int] = []
    resumed, _ = reference.train(
        data,
        **options,  # type: ignore[arg-type]
        on_step=lambda step, losses: steps.append(step),
        checkpoint=file,
        checkpoint_every=2,
    )
    assert steps == [5, 6]
    assert all(map(torch.equal, whole.parameters(), resumed.parameters()))


def test_draws_are_whole_tiles_in_range_half_of_them_mirrored(data: Data) -> None:
    images = reference.read_tiles(data.train.domains[0])
    assert images.shape == (5, 3, 32, 32)
    scaled = images.float() / 127.5 - 1
    rng = torch.Generator().manual_seed(0)
    drawn = [reference.draw(images, rng)[0] for _ in range(400)]
    straight = sum(any(torch.equal(d, t) for t in scaled) for d in drawn)
    mirrored = sum(any(torch.equal(d, t.flip(2)) for t in scaled) for d in drawn)
    assert straight + mirrored == 400
    assert 150 < mirrored < 250


def test_translating_goes_to_the_named_domain_image_by_image() -> None:
    G, F = nn.Tanh(), nn.Identity()
    translator = reference.translate(G, F, ("a", "b"))
    images = torch.rand(3, 3, 8, 8)
    assert torch.equal(translator(images, "b"), images.tanh())
    assert torch.equal(translator(images, "a"), images)
