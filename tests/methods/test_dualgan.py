"""DualGAN against values worked out by hand: networks are functions of a pixel.

u = 1/2, v = -1/4; G_A(t) = t/2 + 1/4, G_B(t) = 1/2 - t; D_A(t) = t + 1, D_B(t) = 3t. So
fake_v = 1/2, fake_u = 3/4; G_B(1/2) = 0, G_A(3/4) = 5/8.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from diptych.errors import InputError
from diptych.methods import make_config
from diptych.methods.dualgan import RECIPES, Config, DualGAN
from diptych.types import Clock, Unpaired
from tests.methods.by_hand import Affine, approx, batches, parameters, refused, terms, updates

D_A = 1.5 - 0.75  # D_A(fake_v) - D_A(v)
D_B = 2.25 - 1.5  # D_B(fake_u) - D_B(u)
GENERATORS = {"reconstructed_u": 0.5, "reconstructed_v": 0.875, "adversarial": -1.5 - 2.25}


def _by_hand(**options: Any) -> DualGAN:
    method = DualGAN(Config(width=1, size=32, **options))
    method.G_A, method.G_B = Affine(0.5, 0.25), Affine(-1.0, 0.5)
    method.D_A, method.D_B = Affine(1.0, 1.0), Affine(3.0)
    return method


def test_eqs_1_to_3_have_the_values_worked_out_by_hand():
    critics, generators = updates(
        _by_hand(critic_steps=1, clip=10.0), batches(Unpaired, 0.5, -0.25)
    )
    assert terms(critics) == approx({"D_A": D_A, "D_B": D_B})
    assert critics.loss.item() == approx(D_A + D_B)
    assert terms(generators) == approx(GENERATORS)
    assert generators.loss.item() == approx(500 * (0.5 + 0.875) - 1.5 - 2.25)


def test_eqs_1_to_3_have_the_gradients_worked_out_by_hand():
    method = _by_hand(critic_steps=1, clip=10.0, u_weight=2.0, v_weight=7.0)
    source = batches(Unpaired, 0.5, -0.25)
    updates(method, source)[1].loss.backward()
    # By G_A's factor: G_B(fake_v) - u < 0 rises by -u, G_A(fake_u) - v > 0 by fake_u, D_A by u.
    assert method.G_A.scale.grad.item() == approx(2 * 0.5 + 7 * 0.75 - 0.5)
    # By G_B's: the first rises by fake_v, the second by v/2, D_B by 3v.
    assert method.G_B.scale.grad.item() == approx(2 * -0.5 + 7 * -0.125 + 0.75)

    method = _by_hand(critic_steps=1, clip=10.0)
    updates(method, source)[0].loss.backward()
    assert method.D_A.scale.grad.item() == approx(0.5 + 0.25)  # fake_v - v
    assert method.D_B.scale.grad.item() == approx(0.75 - 0.5)  # fake_u - u


def test_training_draws_the_noise_anew_for_each_image_and_each_pass():
    torch.manual_seed(0)
    method = DualGAN(Config(width=2, size=32, critic_steps=1))
    drawn = []
    for G in (method.G_A, method.G_B):

        def noise(count: int, *shape: Any, original: Any = G.noise) -> Any:
            drawn.append((count, original(count, *shape)))
            return drawn[-1][1]

        G.noise = noise  # type: ignore[method-assign]
    image = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(5)) * 2 - 1
    a, b = (updates(method, iter([Unpaired(image, -image)] * 2), seed=s)[1] for s in (1, 2))
    assert terms(a)["reconstructed_u"] != terms(b)["reconstructed_u"]
    assert [count for count, _ in drawn] == [2] * 2 * (2 + 4)
    masks = [z[0] for _, z in drawn]
    assert all(not torch.equal(m, n) for m, n in itertools.combinations(masks, 2))

    plain = DualGAN(Config(width=2, size=32, critic_steps=1, dropout=0.0))
    a, b = (updates(plain, iter([Unpaired(image, -image)] * 2), seed=s)[1] for s in (1, 2))
    assert terms(a) == terms(b)


def test_lambdas_weigh_each_direction_back_to_where_it_began():
    method = _by_hand(critic_steps=1, clip=10.0, u_weight=2.0, v_weight=7.0)
    generators = updates(method, batches(Unpaired, 0.5, -0.25))[1]
    assert generators.loss.item() == approx(2 * 0.5 + 7 * 0.875 - 3.75)


@pytest.mark.parametrize("steps", [1, 3])
def test_algorithm_1_steps_the_critics_n_times_each_on_a_batch_of_its_own(steps: int):
    drawn = 0

    def count() -> Iterator[Unpaired]:
        nonlocal drawn
        for batch in batches(Unpaired, 0.5, -0.25):
            drawn += 1
            yield batch

    groups = [update.group for update in updates(_by_hand(critic_steps=steps), count())]
    assert groups == ["critics"] * steps + ["generators"]
    assert drawn == steps + 1


def test_weights_are_clipped_after_each_step_of_the_critics_and_theirs_alone():
    method = _by_hand(critic_steps=2, clip=0.25)
    clock = Clock(0, 0.0, torch.Generator())
    running = method.iteration(batches(Unpaired, 0.5, -0.25), clock)
    next(running)
    assert method.D_B.scale.item() == 3.0
    method.D_B.scale.data.fill_(-2.0)  # as an optimiser might
    next(running)
    assert (method.D_A.scale.item(), method.D_A.shift.item()) == (0.25, 0.25)
    assert (method.D_B.scale.item(), method.D_B.shift.item()) == (-0.25, 0.0)
    method.D_A.scale.data.fill_(1.0)
    generators = next(running)
    assert method.D_A.scale.item() == 0.25
    assert method.G_B.scale.item() == -1.0
    # The generators are judged by clipped critics: D_A(1/2) = 3/8, D_B(3/4) = -3/16.
    assert terms(generators)["adversarial"] == approx(-(0.375 - 0.1875))


def test_critics_send_no_gradient_to_the_generators():
    method = _by_hand()
    updates(method, batches(Unpaired, 0.5, -0.25))[0].loss.backward()
    assert all(p.grad is None for p in [*method.G_A.parameters(), *method.G_B.parameters()])


def test_a_seed_gives_one_translation_and_another_seed_another():
    torch.manual_seed(0)
    method = DualGAN(Config(width=4, size=32)).eval()
    image = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(5)) * 2 - 1
    with torch.no_grad():
        a, b, c = (
            method.translate(image, (1,), torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
        )
        assert torch.equal(a, b)
        assert not torch.equal(a, c)
        plain = DualGAN(Config(width=4, size=32, dropout=0.0)).eval()
        assert torch.equal(plain.translate(image, (0,)), plain.G_B(image))


def test_networks_and_training_are_the_papers_and_the_codes():
    method, c = DualGAN(Config()), Config()
    assert parameters(method.G_A) == parameters(method.G_B) == 54_409_603
    assert parameters(method.D_A) == parameters(method.D_B) == 2_764_737
    assert (c.u_weight, c.v_weight, c.clip, c.critic_steps, c.batch_size) == (500, 500, 0.01, 3, 1)
    for group in method.groups().values():
        assert (group.optimiser, group.lr, group.betas[1]) == ("rmsprop", 5e-5, 0.9)


def test_the_recipe_gives_photographs_the_smaller_lambda():
    made = {name: make_config("dualgan", recipe.config) for name, recipe in RECIPES.items()}
    assert made == {"photos-and-labels": Config(u_weight=100.0, v_weight=500.0)}


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"size": 48}, "size is 48: it must be a power of two"),
        ({"size": 16}, "size is 16: a 70x70 discriminator needs at least 32"),
        ({"clip": 0.0}, "clip is 0.0: it must be above 0"),
        ({"critic_steps": 0}, "critic_steps is 0"),
        ({"u_weight": -1.0}, "u_weight is -1"),
        ({"dropout": 1.0}, "dropout is 1.0"),
    ],
)
def test_a_value_out_of_range_is_named_in_one_line(options: dict[str, Any], named: str):
    assert named in refused("dualgan", options)


def test_dualgan_has_two_domains():
    with pytest.raises(InputError, match="between 2 domains, not 3"):
        DualGAN(Config(width=1, size=32), channels=(3,) * 3)
