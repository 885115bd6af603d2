"""DiscoGAN against values worked out by hand: networks are functions of a pixel.

a = 1/2, b = -1/4; G_AB(t) = t/2 + 1/4, G_BA(t) = 1/2 - t; D_A(t) = 3t with features
(t, 2t), D_B(t) = t + 1 with features (t, -t). So fake_b = 1/2, fake_a = 3/4, and
again_a = G_BA(1/2) = 0, again_b = G_AB(3/4) = 5/8.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from diptych.errors import InputError
from diptych.methods import make_config
from diptych.methods.discogan import RECIPES, Config, DiscoGAN, Discriminator, matching
from diptych.types import Clock, Unpaired
from tests.methods.by_hand import (
    Affine,
    approx,
    batches,
    constant,
    parameters,
    refused,
    sigmoid,
    softplus,
    terms,
    updates,
)

# Differences in [-1, 1] are twice those in [0, 1]: a quarter of the squares.
RECONSTRUCTION = (0.5**2 + 0.875**2) / 4
ADVERSARIAL = softplus(-2.25) + softplus(-1.5)
MATCHING = (0.25**2 + 0.5**2) + (0.75**2 + 0.75**2)
D_A = softplus(-1.5) + softplus(2.25)
D_B = softplus(-0.75) + softplus(1.5)


class Judge(Affine):
    """An affine score, and the features (t, other t)."""

    def __init__(self, scale: float, shift: float, other: float) -> None:
        super().__init__(scale, shift)
        self.other = other

    def forward(self, t: Tensor) -> Any:
        return super().forward(t), [t, self.other * t]


def _by_hand(**options: Any) -> DiscoGAN:
    method = DiscoGAN(Config(**{"width": 1, "size": 16, "batch_size": 2} | options))
    method.G_AB, method.G_BA = Affine(0.5, 0.25), Affine(-1.0, 0.5)
    method.D_A, method.D_B = Judge(3.0, 0.0, 2.0), Judge(1.0, 1.0, -1.0)
    return method


def _updates(method: DiscoGAN, fraction: float = 0.5) -> list[Any]:
    clock = Clock(0, fraction, torch.Generator())
    return list(method.iteration(batches(Unpaired, 0.5, -0.25), clock))


def test_eqs_3_to_8_have_the_values_worked_out_by_hand():
    discriminators, generators, again = _updates(_by_hand())
    assert terms(discriminators) == approx({"D_A": D_A, "D_B": D_B})
    assert discriminators.loss.item() == approx(D_A + D_B)
    expected = {
        "adversarial": ADVERSARIAL,
        "reconstruction": RECONSTRUCTION,
        "matching": MATCHING,
    }
    assert terms(generators) == terms(again) == approx(expected)
    by_hand = 0.5 * (0.1 * ADVERSARIAL + 0.9 * MATCHING) + 0.5 * RECONSTRUCTION
    assert generators.loss.item() == approx(by_hand)


def test_the_generators_loss_has_the_gradients_worked_out_by_hand():
    method = _by_hand()
    _updates(method)[1].loss.backward()
    # By G_AB's factor: D_B(fake_b) rises by a, again_a by -a, again_b by fake_a, features by a.
    reconstruction = (2 * -0.5 * -0.5 + 2 * 0.875 * 0.75) / 4
    others = 0.1 * -sigmoid(-1.5) * 0.5 + 0.9 * 2 * (0.75 + 0.75) * 0.5
    assert method.G_AB.scale.grad.item() == approx(0.5 * others + 0.5 * reconstruction)
    # By G_BA's: D_A(fake_a) rises by 3b, again_a by fake_b, again_b by b/2, features by b and 2b.
    reconstruction = (2 * -0.5 * 0.5 + 2 * 0.875 * -0.125) / 4
    others = 0.1 * -sigmoid(-2.25) * -0.75 + 0.9 * 2 * (0.25 * -0.25 + 0.5 * -0.5)
    assert method.G_BA.scale.grad.item() == approx(0.5 * others + 0.5 * reconstruction)


def test_the_discriminators_loss_has_the_gradients_worked_out_by_hand():
    method = _by_hand()
    _updates(method)[0].loss.backward()
    assert method.D_A.scale.grad.item() == approx(-sigmoid(-1.5) * 0.5 + sigmoid(2.25) * 0.75)
    assert method.D_B.scale.grad.item() == approx(-sigmoid(-0.75) * -0.25 + sigmoid(1.5) * 0.5)


class Centred(Affine):
    """What an image is above the mean of its batch, as batch norm sees it."""

    def forward(self, t: Tensor) -> Any:
        centred = super().forward(t - t.mean())
        return centred, [centred]


def test_discriminators_see_real_and_generated_images_one_batch_after_the_other():
    method = _by_hand()
    method.D_A, method.D_B = Centred(1.0), Centred(1.0)
    discriminators, generators, _ = _updates(method)
    assert terms(discriminators) == approx({"D_A": 2 * softplus(0.0), "D_B": 2 * softplus(0.0)})
    assert terms(generators)["adversarial"] == approx(2 * softplus(0.0))
    assert terms(generators)["matching"] == 0


def test_running_averages_are_of_what_is_translated_real_images():
    torch.manual_seed(0)
    method = DiscoGAN(Config(width=2, size=16, batch_size=2, generator_steps=1))
    rng = torch.Generator().manual_seed(5)
    drawn = [Unpaired(*(torch.rand(2, 2, 3, 16, 16, generator=rng) * 2 - 1)) for _ in range(2)]
    updates(method, iter(drawn))
    for G, inputs in ((method.G_AB, [b.x for b in drawn]), (method.G_BA, [b.y for b in drawn])):
        convolution, leaky, second, norm = list(G)[:4]
        means = [second(leaky(convolution(image))).mean((0, 2, 3)) for image in inputs]
        assert norm.num_batches_tracked == 2
        by_hand = 0.9 * 0.1 * means[0] + 0.1 * means[1]
        assert torch.allclose(norm.running_mean, by_hand, atol=1e-6)
        assert norm.momentum == 0.1


def test_reconstruction_weighs_little_at_the_start_alone():
    method = _by_hand(curriculum=0.1)
    start = 0.99 * (0.1 * ADVERSARIAL + 0.9 * MATCHING) + 0.01 * RECONSTRUCTION
    assert _updates(method, 0.0)[1].loss.item() == approx(start)
    assert _updates(method, 0.09)[1].loss.item() == approx(start)
    assert _updates(method, 0.1)[1].loss.item() < start


def test_the_equations_alone_are_a_recipe():
    method = _by_hand(**RECIPES["equations"].config)
    generators = _updates(method, 0.0)[1]
    assert set(generators.terms) == {"adversarial", "reconstruction"}
    assert generators.loss.item() == approx(0.5 * (ADVERSARIAL + RECONSTRUCTION))


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_one_step_of_the_discriminators_then_those_of_the_generators_each_on_its_batch(steps):
    drawn = []

    def count():
        for batch in batches(Unpaired, 0.5, -0.25):
            drawn.append(batch)
            yield batch

    groups = [update.group for update in updates(_by_hand(generator_steps=steps), count())]
    assert groups == ["discriminators"] + ["generators"] * steps
    assert len(drawn) == 1 + steps


def test_matching_compares_means_over_the_batch():
    real = [torch.tensor([[1.0], [3.0]]), torch.tensor([[0.0, 2.0], [2.0, 2.0]])]
    fake = [torch.tensor([[2.0], [2.0]]), torch.tensor([[3.0, 0.0], [1.0, 0.0]])]
    # Means 2 and 2; (1, 2) and (2, 0): (1 + 4) / 2.
    assert matching(real, fake).item() == 2.5


def test_the_discriminators_loss_sends_no_gradient_to_the_generators():
    method = _by_hand()
    _updates(method)[0].loss.backward()
    assert all(p.grad is None for p in [*method.G_AB.parameters(), *method.G_BA.parameters()])


# --- networks ------------------------------------------------------------------


def test_generators_pass_through_100_numbers():
    method, seen = DiscoGAN(Config(width=2)).eval(), []
    for module in method.G_AB.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.register_forward_hook(lambda _m, _i, out: seen.append(tuple(out.shape[1:])))
    method.translate(torch.zeros(1, 3, 64, 64), (1,))
    assert seen == [
        (2, 32, 32), (4, 16, 16), (8, 8, 8), (16, 4, 4), (100, 1, 1),
        (16, 4, 4), (8, 8, 8), (4, 16, 16), (2, 32, 32), (3, 64, 64),
    ]  # fmt: skip


def test_parameters_follow_from_the_layers():
    method = DiscoGAN(Config())
    convolutions = [3 * 64, 64 * 128, 128 * 256, 256 * 512]
    d = 16 * (sum(convolutions) + 512) + 2 * (128 + 256 + 512)
    assert parameters(method.D_A) == parameters(method.D_B) == d == 2_765_568
    norms = 2 * (128 + 256 + 512 + 100 + 512 + 256 + 128 + 64)
    g = 16 * (2 * sum(convolutions) + 2 * 512 * 100) + norms
    assert parameters(method.G_AB) == parameters(method.G_BA) == g


@pytest.mark.parametrize(("size", "layers"), [(16, 2), (32, 3), (64, 4), (128, 5)])
def test_sizes_take_four_to_five_convolutions_as_it_takes(size, layers):
    config = Config(width=1, size=size)
    score, features = Discriminator(config, 3)(torch.zeros(2, 3, size, size))
    assert score.shape == (2, 1, 1, 1)
    assert len(features) == layers - 1
    assert features[-1].shape[2:] == (4, 4)


def test_a_batch_of_one_trains_without_a_norm_in_the_bottleneck():
    for batch_size, norms in ((1, 5), (2, 6)):
        method = DiscoGAN(Config(width=1, size=32, batch_size=batch_size))
        assert sum(isinstance(m, nn.BatchNorm2d) for m in method.G_AB.modules()) == norms
        images = torch.rand(batch_size, 3, 32, 32)
        updates(method, iter([Unpaired(images, images)] * 3))


def test_translation_is_g_ab_to_b_and_g_ba_to_a():
    method = _by_hand()
    assert method.translate(constant(0.5), (1,)).unique().tolist() == [0.5]
    assert method.translate(constant(-0.25), (0,)).unique().tolist() == [0.75]


# --- options -------------------------------------------------------------------


def test_defaults_are_those_of_the_paper_and_its_code():
    c = Config()
    assert (c.width, c.size, c.batch_size, c.bottleneck) == (64, 64, 200, 100)
    assert (c.reconstruction_rate, c.starting_rate, c.matching_rate) == (0.5, 0.01, 0.9)
    for group in DiscoGAN(Config(width=1)).groups().values():
        assert (group.lr, group.betas, group.weight_decay) == (2e-4, (0.5, 0.999), 1e-4)


def test_recipes_are_the_two_scripts_of_the_code_and_the_equations_alone():
    made = {name: make_config("discogan", recipe.config) for name, recipe in RECIPES.items()}
    code = {"batch_size": 64, "weight_decay": 1e-5}
    rates = {"reconstruction_rate": 0.9, "starting_rate": 0.9}
    assert made == {
        "code": Config(bottleneck=0, **code),
        "angles": Config(**rates, **code),
        "equations": Config(matching_rate=0.0, curriculum=0.0),
    }
    generator = DiscoGAN(Config(width=64, **RECIPES["code"].config)).G_AB
    convolutions = 16 * 2 * (3 * 64 + 64 * 128 + 128 * 256 + 256 * 512)
    assert parameters(generator) == convolutions + 2 * (128 + 256 + 512 + 256 + 128 + 64)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"size": 48}, "size is 48: it must be a power of two"),
        ({"size": 8}, "size is 8"),
        ({"curriculum": 1.5}, "curriculum is 1.5: it must be from 0 to 1"),
        ({"generator_steps": 0}, "generator_steps is 0"),
        ({"weight_decay": -1.0}, "weight_decay is -1"),
    ],
)
def test_a_value_out_of_range_is_named_in_one_line(options: dict[str, Any], named: str):
    assert named in refused("discogan", options)


def test_discogan_has_two_domains():
    with pytest.raises(InputError, match="between 2 domains, not 3"):
        DiscoGAN(Config(width=1, size=16), channels=(3,) * 3)
