"""GAN against values worked out by hand: networks are functions of a number.

G1(z) = 2z, G2(z) = 1/2 - z; D1(t) = t + 1, D2(t) = 3t. x1 = 1/2, x2 = -1/4.

D's turn, z = 1/4 and 1/8: fakes 1/2 and 3/8; scores 3/2 and -3/4 of what is real, 3/2 and 9/8
of fakes. G's turn, z = 1/2 and -1/4: fakes 1 and 3/4; scores 2 and 9/4.
"""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from diptych.methods.gan import GAN, Config
from diptych.types import Clock, Encodes, Generates, PerDomain, Translates
from tests.methods.by_hand import (
    Affine,
    approx,
    constant,
    hinge,
    parameters,
    refused,
    softplus,
    terms,
    updates,
)

D1 = softplus(-1.5) + softplus(1.5)
D2 = softplus(0.75) + softplus(9 / 8)


def _by_hand(*draws: float, **options: Any) -> GAN:
    method = GAN(Config(**{"width": 1, "size": 16, "batch_size": 2} | options))
    method.G = nn.ModuleList([Affine(2.0), Affine(-1.0, 0.5)])
    method.D = nn.ModuleList([Affine(1.0, 1.0), Affine(3.0)])
    numbers = iter(draws or (0.25, 0.125, 0.5, -0.25))
    method._draw = lambda count, rng: constant(next(numbers), count)  # type: ignore[method-assign]
    return method


def _batch(x1: float = 0.5, x2: float = -0.25) -> PerDomain:
    return PerDomain((constant(x1), constant(x2)))


def test_both_players_have_the_values_worked_out_by_hand_and_d_comes_first():
    discriminators, generators = updates(_by_hand(), iter([_batch()]))
    assert (discriminators.group, generators.group) == ("discriminators", "generators")
    assert terms(discriminators) == approx({"D1": D1, "D2": D2})
    assert discriminators.loss.item() == approx(D1 + D2)
    assert terms(generators) == approx({"G1": softplus(-2.0), "G2": softplus(-2.25)})
    assert generators.loss.item() == approx(softplus(-2.0) + softplus(-2.25))


def test_as_written_g_descends_the_log_of_one_minus_d():
    generators = updates(_by_hand(gan_loss="log-saturating"), iter([_batch()]))[1]
    assert terms(generators) == approx({"G1": -softplus(2.0), "G2": -softplus(2.25)})


def test_a_hinge_loss_may_replace_the_logarithms():
    discriminators, generators = updates(_by_hand(gan_loss="hinge"), iter([_batch()]))
    # D1(x1) = 3/2, D1(G1(1/4)) = 3/2, D2(x2) = -3/4, D2(G2(1/8)) = 9/8.
    d1, d2 = hinge(-1.5) + hinge(1.5), hinge(0.75) + hinge(9 / 8)
    assert terms(discriminators) == approx({"D1": d1, "D2": d2})
    assert terms(generators) == approx({"G1": -2.0, "G2": -2.25})


def test_each_of_the_k_steps_of_d_takes_new_images_and_new_noise():
    method = _by_hand(0.25, 0.125, 0.0, 0.0, 0.5, -0.25, discriminator_steps=2)
    first, second, generators = updates(method, iter([_batch(), _batch(-1.0, 1.0)]))
    assert [u.group for u in (first, second, generators)] == [
        "discriminators", "discriminators", "generators",
    ]  # fmt: skip
    assert terms(first) == approx({"D1": D1, "D2": D2})
    # Of real ones D1(-1) = 0 and D2(1) = 3; of G1(0) = 0 and G2(0) = 1/2, 1 and 3/2.
    assert terms(second) == approx(
        {"D1": softplus(0.0) + softplus(1.0), "D2": softplus(-3.0) + softplus(1.5)}
    )
    assert terms(generators) == approx({"G1": softplus(-2.0), "G2": softplus(-2.25)})


def test_the_discriminators_loss_sends_no_gradient_to_the_generators():
    method = _by_hand()
    updates(method, iter([_batch()]))[0].loss.backward()
    assert all(p.grad is None for p in method.G.parameters())


def test_domains_are_learnt_apart():
    torch.manual_seed(0)
    method = GAN(Config(width=1, size=16, batch_size=2), channels=(3,) * 3)
    images = [constant(0.0).new_zeros(2, 3, 16, 16) for _ in range(3)]
    step = method.iteration(
        iter([PerDomain(tuple(images))]), Clock(0, 0.0, torch.Generator().manual_seed(0))
    )
    next(step).terms["D2"].backward()
    own = [all(p.grad is not None for p in D.parameters()) for D in method.D]
    assert own == [False, True, False]
    next(step).terms["G3"].backward()
    assert [any(p.grad is not None for p in G.parameters()) for G in method.G] == [
        False, False, True,
    ]  # fmt: skip


def test_it_generates_and_neither_translates_nor_encodes():
    torch.manual_seed(0)
    method = GAN(Config(width=2, size=16, batch_size=2), channels=(3,) * 3).eval()
    assert isinstance(method, Generates)
    assert not isinstance(method, Translates)
    assert not isinstance(method, Encodes)
    made: list[Tensor] = []
    with torch.no_grad():
        for to in range(3):
            made.append(method.generate(2, to, torch.Generator().manual_seed(3)))
            z = method._draw(2, torch.Generator().manual_seed(3))
            assert torch.equal(made[-1], method.G[to](z))
    assert z.abs().max().item() <= 1
    assert not any(torch.equal(a, b) for a, b in itertools.combinations(made, 2))


# --- networks ------------------------------------------------------------------


def test_networks_of_64_pixels_are_those_of_dcgan():
    with torch.device("meta"):
        method = GAN(Config(), channels=(3,) * 1)
    G, D = method.G[0], method.D[0]
    ups = [m for m in G if isinstance(m, nn.ConvTranspose2d)]
    assert [m.out_channels for m in ups] == [512, 256, 128, 3]
    convolutions = [m for m in D if isinstance(m, nn.Conv2d)]
    assert [m.out_channels for m in convolutions] == [128, 256, 512, 1024]
    assert {m.kernel_size for m in (*ups, *convolutions)} == {(5, 5)}
    assert {m.stride for m in (*ups, *convolutions)} == {(2, 2)}
    assert [m.negative_slope for m in D if isinstance(m, nn.LeakyReLU)] == [0.2] * 4
    # No norm at G's output nor at D's input.
    assert [m.num_features for m in G if isinstance(m, nn.BatchNorm2d)] == [1024, 512, 256, 128]
    assert [m.num_features for m in D if isinstance(m, nn.BatchNorm2d)] == [256, 512, 1024]
    pairs = [(1024, 512), (512, 256), (256, 128)]
    middle = sum(25 * a * b for a, b in pairs)
    g = 100 * 16384 + 2 * 1024 + middle + 2 * (512 + 256 + 128) + 25 * 128 * 3 + 3
    d = 25 * 3 * 128 + 128 + middle + 2 * (256 + 512 + 1024) + 16384 + 1
    assert (parameters(G), parameters(D)) == (g, d)


def test_weights_begin_as_dcgans():
    torch.manual_seed(0)
    method = GAN(Config(width=8, size=32, batch_size=2))
    weights = torch.cat([m.weight.flatten() for m in method.modules() if isinstance(m, nn.Conv2d)])
    norms = [m.weight for m in method.modules() if isinstance(m, nn.BatchNorm2d)]
    assert weights.std().item() == pytest.approx(0.02, rel=0.02)
    assert torch.cat(norms).mean().item() == pytest.approx(1.0, abs=0.01)
    assert torch.cat(norms).std().item() == pytest.approx(0.02, rel=0.3)


@pytest.mark.parametrize("size", [16, 32, 128])
def test_images_have_their_size_and_scores_are_one_an_image(size: int):
    method = GAN(Config(width=1, size=size, batch_size=2))
    with torch.no_grad():
        images = method.generate(2, 1, torch.Generator())
        assert images.shape == (2, 3, size, size)
        assert method.D[1](images).shape == (2, 1)


# --- options -------------------------------------------------------------------


def test_defaults_are_those_of_dcgan_and_of_the_paper():
    c = Config()
    assert (c.width, c.size, c.batch_size, c.z_size) == (128, 64, 128, 100)
    assert (c.discriminator_steps, c.gan_loss) == (1, "log")
    for group in GAN(Config(width=1, size=16)).groups().values():
        assert (group.optimiser, group.lr, group.betas) == ("adam", 2e-4, (0.5, 0.999))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"size": 48}, "size is 48: it must be a power of two"),
        ({"size": 8}, "size is 8: it must be at least 16"),
        ({"batch_size": 1}, "batch_size is 1: it must be at least 2"),
        ({"discriminator_steps": 0}, "discriminator_steps is 0"),
    ],
)
def test_a_value_out_of_range_is_named_in_one_line(options: dict[str, Any], named: str):
    assert named in refused("gan", options)
