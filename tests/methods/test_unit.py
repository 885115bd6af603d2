"""UNIT against values worked out by hand: scalar networks, images of one value.

E1(t) = t/2 + 1/4, E2(t) = -t, E_shared(t) = 2t, G_shared(t) = t + 1/2,
G1(t) = t/4, G2(t) = t/2 - 1/8, D1(t) = t + 1, D2(t) = 3t; noise of 1/8.
x1 = 1/2 and x2 = -1/4, so that

mu1 = 2 (1/4 + 1/4) = 1, mu2 = 2 (1/4) = 1/2; z = 9/8 and 5/8; h = 13/8 and 9/8;
x11 = 13/32, x21 = 9/32, x12 = 13/16 - 1/8 = 11/16, x22 = 9/16 - 1/8 = 7/16;
mu21 = 2 (9/64 + 1/4) = 25/32, mu12 = -11/8; h21 = 25/32 + 1/8 + 1/2 = 45/32, h12 = -3/4;
x121 = G1(h12) = -3/16, x212 = G2(h21) = 45/64 - 1/8 = 37/64.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn
from torch.distributions import Normal, kl_divergence

from diptych.errors import InputError
from diptych.methods import make_config
from diptych.methods.unit import RECIPES, UNIT, Config, ResidualBlock, kl
from diptych.training.settings import Settings
from diptych.types import Clock, Draws, Encodes, Generates, Unpaired, Update
from tests.methods.by_hand import (
    Affine,
    approx,
    batches,
    hinge,
    refused,
    softplus,
    terms,
    updates,
)

MU1, MU2, MU21, MU12 = 1.0, 0.5, 25 / 32, -11 / 8
X21, X12 = 9 / 32, 11 / 16
KL = (MU1**2 + MU2**2) / 2
CYCLE_KL = (MU1**2 + MU2**2 + MU21**2 + MU12**2) / 2
RECONSTRUCTION = abs(13 / 32 - 1 / 2) + abs(7 / 16 + 1 / 4)
CYCLE = abs(-3 / 16 - 1 / 2) + abs(37 / 64 + 1 / 4)


# -log sigmoid(s) = softplus(-s), -log(1 - sigmoid(s)) = softplus(s).
D1 = softplus(-(0.5 + 1)) + softplus(X21 + 1)
D2 = softplus(-3 * -0.25) + softplus(3 * X12)
FOOL = softplus(-(X21 + 1)) + softplus(-3 * X12)


def _by_hand(**options: Any) -> UNIT:
    method = UNIT(Config(width=1, size=16, **options))
    method.E1, method.E2, method.E_shared = Affine(0.5, 0.25), Affine(-1.0), Affine(2.0)
    method.G_shared, method.G1, method.G2 = Affine(1.0, 0.5), Affine(0.25), Affine(0.5, -0.125)
    method.D1, method.D2 = Affine(1.0, 1.0), Affine(3.0)
    method._sample = lambda mu, rng: mu + 0.125  # type: ignore[method-assign]
    return method


def _batches() -> Iterator[Unpaired]:
    return batches(Unpaired, 0.5, -0.25)


def _updates(method: UNIT) -> list[Update]:
    return updates(method, _batches())


# --- the objective -------------------------------------------------------------


def test_eqs_3_to_8_have_the_values_worked_out_by_hand_and_d_comes_first():
    discriminators, vaes = _updates(_by_hand())
    assert (discriminators.group, vaes.group) == ("discriminators", "vaes")
    assert terms(discriminators) == approx({"D1": D1, "D2": D2})
    assert discriminators.loss.item() == approx(10 * (D1 + D2))
    assert terms(vaes) == approx(
        {
            "kl": KL,
            "reconstruction": RECONSTRUCTION,
            "adversarial": FOOL,
            "cycle_kl": CYCLE_KL,
            "cycle": CYCLE,
        }
    )
    total = 0.1 * KL + 100 * RECONSTRUCTION + 10 * FOOL + 0.1 * CYCLE_KL + 100 * CYCLE
    assert vaes.loss.item() == approx(total)


def test_numbers_of_this_file_are_the_fractions_of_its_first_lines():
    assert (KL, RECONSTRUCTION) == (0.625, 3 / 32 + 11 / 16)
    assert (CYCLE, CYCLE_KL) == (11 / 16 + 53 / 64, 0.625 + 0.5 * (625 / 1024 + 121 / 64))


def test_each_weight_multiplies_its_term_alone():
    weights = {"gan": 2.0, "kl": 3.0, "reconstruction": 5.0, "cycle_kl": 7.0, "cycle": 11.0}
    discriminators, vaes = _updates(_by_hand(**{f"{k}_weight": v for k, v in weights.items()}))
    assert discriminators.loss.item() == approx(2 * (D1 + D2))
    total = 2 * FOOL + 3 * KL + 5 * RECONSTRUCTION + 7 * CYCLE_KL + 11 * CYCLE
    assert vaes.loss.item() == approx(total)


def test_the_log_loss_as_written_and_least_squares():
    as_written = _updates(_by_hand(gan_loss="log-saturating"))
    assert terms(as_written[0]) == approx({"D1": D1, "D2": D2})
    by_hand = -softplus(X21 + 1) - softplus(3 * X12)
    assert terms(as_written[1])["adversarial"] == approx(by_hand)
    squares = _updates(_by_hand(gan_loss="lsgan"))
    d1 = (1.5 - 1) ** 2 + (X21 + 1) ** 2
    d2 = (-0.75 - 1) ** 2 + (3 * X12) ** 2
    assert terms(squares[0]) == approx({"D1": d1, "D2": d2})
    by_hand = X21**2 + (3 * X12 - 1) ** 2
    assert terms(squares[1])["adversarial"] == approx(by_hand)


def test_a_hinge_loss_may_replace_the_log_loss():
    discriminators, vaes = _updates(_by_hand(gan_loss="hinge"))
    d1, d2 = hinge(-1.5) + hinge(X21 + 1), hinge(0.75) + hinge(3 * X12)
    assert terms(discriminators) == approx({"D1": d1, "D2": d2})
    assert terms(vaes)["adversarial"] == approx(-(X21 + 1) - 3 * X12)


def test_without_cycle_terms_nothing_is_encoded_twice():
    method = _by_hand(cycle_weight=0.0, cycle_kl_weight=0.0)
    calls: list[int] = []
    method.E1.register_forward_hook(lambda *_: calls.append(1))
    _, vaes = _updates(method)
    assert set(vaes.terms) == {"kl", "reconstruction", "adversarial"}
    assert len(calls) == 1


def test_e_and_g_meet_the_discriminators_that_have_just_been_stepped():
    method = _by_hand()
    updates = method.iteration(_batches(), Clock(0, 0.0, torch.Generator()))
    next(updates)
    with torch.no_grad():
        method.D1.shift += 1.0
    stepped = softplus(-(X21 + 2)) + softplus(-3 * X12)
    assert next(updates).terms["adversarial"].item() == approx(stepped)


def test_discriminators_do_not_train_what_they_judge():
    method = _by_hand()
    next(method.iteration(_batches(), Clock(0, 0.0, torch.Generator()))).loss.backward()
    assert all(p.grad is None for n, p in method.named_parameters() if not n.startswith("D"))


def test_kl_is_that_of_torch_distributions():
    mu = torch.randn(3, 8, 5, 5, generator=torch.Generator().manual_seed(0)) * 2
    unit = torch.ones_like(mu)
    theirs = kl_divergence(Normal(mu, unit), Normal(torch.zeros_like(mu), unit)).mean()
    assert kl(mu).item() == pytest.approx(theirs.item(), rel=1e-6)


def test_codes_are_samples_of_unit_variance_around_their_mean():
    mu = torch.full((4, 16, 32, 32), 3.0)
    z = UNIT._sample(mu, torch.Generator().manual_seed(0))
    assert (z - mu).mean().item() == pytest.approx(0.0, abs=0.02)
    assert z.std().item() == pytest.approx(1.0, abs=0.02)


# --- networks ------------------------------------------------------------------


def _parameters(*modules: nn.Module) -> int:
    return sum(p.numel() for module in modules for p in module.parameters())


def test_networks_have_the_parameters_of_the_appendix():
    method = UNIT(Config())

    def conv(channels_in: int, channels_out: int, kernel: int) -> int:
        return channels_in * channels_out * kernel**2 + channels_out

    block = 2 * conv(256, 256, 3)
    front = conv(3, 64, 7) + conv(64, 128, 3) + conv(128, 256, 3)
    back = conv(256, 128, 3) + conv(128, 64, 3) + conv(64, 3, 1)
    assert _parameters(method.E1) == _parameters(method.E2) == front + 3 * block
    assert _parameters(method.G1) == _parameters(method.G2) == back + 3 * block
    assert _parameters(method.E_shared) == _parameters(method.G_shared) == block
    widths = [3, 64, 128, 256, 512, 1024]
    d = sum(conv(a, b, 3) for a, b in itertools.pairwise(widths)) + conv(1024, 1, 2)
    assert _parameters(method.D1) == _parameters(method.D2) == d
    assert _parameters(method) == 2 * (front + back + d) + 14 * block == 18_017_286 + 2 * d


def test_shapes_are_those_of_the_appendix():
    method = UNIT(Config(width=2))
    image = torch.zeros(2, 3, 256, 256)
    with torch.no_grad():
        assert method.encode(image, 0).shape == (2, 8, 64, 64)
        assert method.decode(method.encode(image, 0), 1).shape == image.shape
        assert method.D1(image).shape == (2, 1, 7, 7)


@pytest.mark.parametrize(("size", "side"), [(16, 1), (32, 1), (64, 1), (128, 3), (256, 7)])
def test_discriminators_end_in_a_2x2_convolution_at_every_size(size: int, side: int):
    method = UNIT(Config(width=1, size=size))
    assert method.D1(torch.zeros(1, 3, size, size)).shape == (1, 1, side, side)
    strided = sum(m.stride == (2, 2) for m in method.D1.modules() if isinstance(m, nn.Conv2d))
    assert strided == min(5, int(math.log2(size)) - 1)


@pytest.mark.parametrize("shared", range(5))
def test_shared_layers_are_the_same_objects_in_both_directions(shared: int):
    method = UNIT(Config(width=2, size=16, shared_layers=shared))
    seen: dict[str, set[int]] = {"1": set(), "2": set()}

    def watch(direction: str) -> None:
        blocks = [m for m in method.modules() if isinstance(m, ResidualBlock)]
        hooks = [m.register_forward_hook(lambda m, *_: seen[direction].add(id(m))) for m in blocks]
        source = int(direction) - 1
        method.decode(method.encode(torch.zeros(1, 3, 16, 16), source), source)
        for hook in hooks:
            hook.remove()

    watch("1")
    watch("2")
    assert len(seen["1"]) == len(seen["2"]) == 8
    assert len(seen["1"] & seen["2"]) == 2 * shared


def test_shared_layers_are_stepped_once():
    method = UNIT(Config(width=2, size=16))
    parameters = [p for module in method.groups()["vaes"].modules for p in module.parameters()]
    assert len({id(p) for p in parameters}) == len(parameters)


# --- the roles of Table 1 ------------------------------------------------------


def test_it_encodes_and_generates():
    method = UNIT(Config(width=2, size=16))
    assert isinstance(method, Encodes)
    assert isinstance(method, Generates)
    assert isinstance(method, Draws)


def test_translation_is_by_the_mean_and_samples_by_samples_of_the_code():
    method = _by_hand()
    image = torch.full((1, 3, 4, 4), 0.5)
    by_mean = (1.0 + 0.5) / 2 - 0.125
    assert method.translate(image, (1,)).unique().tolist() == [by_mean]
    by_sample = method.draw(image, (1,), torch.Generator())
    assert by_sample.unique().tolist() == [by_mean + 0.125 / 2]
    back = method.translate(image, (0,))  # mu = 2 (-1/2), G1 (-1 + 1/2)
    assert back.unique().tolist() == [-0.125]


def test_samples_differ_by_seed_and_are_the_same_for_one():
    torch.manual_seed(0)
    method = UNIT(Config(width=4, size=16)).eval()

    def seeded(seed: int) -> torch.Generator:
        return torch.Generator().manual_seed(seed)

    image = torch.rand(1, 3, 16, 16, generator=seeded(0)) * 2 - 1
    with torch.no_grad():
        for make in (
            lambda rng: method.draw(image, (1,), rng),
            lambda rng: method.generate(2, 1, rng),
        ):
            assert torch.equal(make(seeded(1)), make(seeded(1)))
            assert not torch.equal(make(seeded(1)), make(seeded(2)))
        assert method.generate(2, 0, seeded(1)).shape == (2, 3, 16, 16)


# --- options -------------------------------------------------------------------


def test_defaults_are_those_of_the_paper():
    c = Config()
    weights = (c.gan_weight, c.kl_weight, c.reconstruction_weight, c.cycle_kl_weight)
    assert (*weights, c.cycle_weight) == (10.0, 0.1, 100.0, 0.1, 100.0)
    assert (c.width, c.batch_size, c.lr, c.beta1) == (64, 1, 1e-4, 0.5)
    assert (c.shared_layers, c.decay_from) == (1, 1.0)
    group = UNIT(Config(width=1, size=16)).groups()["vaes"]
    assert (group.lr, group.betas, group.optimiser) == (1e-4, (0.5, 0.999), "adam")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"width": 0}, "width is 0"),
        ({"size": 12}, "size is 12"),
        ({"size": 66}, "size is 66"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"shared_layers": -1}, "shared_layers is -1"),
        ({"shared_layers": 5}, "shared_layers is 5: there are 4 residual blocks to share"),
        ({"gan_loss": "wgan"}, "gan_loss is 'wgan'"),
        ({"gan_weight": -1.0}, "gan_weight is -1"),
        ({"kl_weight": math.nan}, "kl_weight is nan"),
        ({"cycle_kl_weight": -0.1}, "cycle_kl_weight is -0.1"),
        ({"beta1": 2.0}, "beta1 is 2"),
        ({"decay_from": -1.0}, "decay_from is -1"),
        (
            {"gan_weight": 0, "reconstruction_weight": 0, "cycle_weight": 0, "cycle_kl_weight": 0},
            "are all 0",
        ),
    ],
)
def test_a_value_out_of_range_is_named_in_one_line(options: dict[str, Any], named: str):
    assert named in refused("unit", options)


@pytest.mark.parametrize(
    ("name", "size", "load_size", "steps"),
    [
        ("street", 480, 486, 500_000),
        ("animals", 216, None, 500_000),
        ("faces", 128, 132, 2_000_000),
    ],
)
def test_recipes_of_the_papers_experiments_are_the_authors_settings(
    name: str, size: int, load_size: int | None, steps: int
):
    recipe = RECIPES[name]
    assert make_config("unit", recipe.config).size == size
    settings = Settings(data="x", **recipe.run)
    assert (settings.load_size, settings.steps) == (load_size, steps)


@pytest.mark.parametrize("size", [480, 216, 128])
def test_networks_fit_the_sizes_of_the_recipes(size: int):
    method = UNIT(Config(width=1, size=size))
    with torch.no_grad():
        image = torch.zeros(1, 3, size, size)
        assert method.translate(image, (1,)).shape == image.shape
        assert method.D1(image).shape[2:] == ({480: 14, 216: 6, 128: 3}[size],) * 2


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_are_configurations_of_the_method(name: str):
    assert make_config("unit", RECIPES[name].config) != Config()


def test_unit_has_two_domains():
    with pytest.raises(InputError, match="between 2 domains, not 3"):
        UNIT(Config(width=1, size=16), channels=(3,) * 3)
