"""StarGAN against values worked out by hand: networks are functions of a number.

Two domains. G(x, c) = x/2 + c_1/4, D_src(x) = 3x, D_cls(x) = (x, -x). A batch of two:
an image of 1/2 and label (1, 0), one of -1/4 and label (0, 1); the labels are swapped to
be the targets.

Fakes: 1/4 + 1/4 = 1/2 (to domain 1) and -1/8 (to domain 0).
Eq. (8): D(fake) - D(real) = 3 (1/2 - 1/8)/2 - 3 (1/2 - 1/4)/2 = 9/16 - 3/8 = 3/16.
The penalty: D_src's sum over 3 x 4 x 4 numbers has the gradient 3 everywhere, of norm
3 sqrt(48), so (3 sqrt(48) - 1)².
Eq. (2): D_cls of the reals is (1/2, -1/2) for class 0 and (-1/4, 1/4) for class 1, so
softplus(-1) and softplus(-1/2).
Eq. (3): of the fakes (1/2, -1/2) for class 1 and (-1/8, 1/8) for class 0: softplus(1)
and softplus(1/4).
Eq. (4): back by the own labels: 1/4 and -1/16 + 1/4 = 3/16, off by 1/4 and 7/16.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from diptych.methods.stargan import RECIPES, Config, StarGAN, classification
from diptych.networks.fusing import fuse
from diptych.types import Attributed, Labelled
from tests.methods.by_hand import approx, parameters, refused, softplus, terms, updates

GP = (3 * math.sqrt(48) - 1) ** 2
OF_REAL = (softplus(-1.0) + softplus(-0.5)) / 2
OF_FAKE = (softplus(1.0) + softplus(0.25)) / 2
RECONSTRUCTION = (1 / 4 + 7 / 16) / 2


class _G(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(0.5))

    def forward(self, x: Tensor) -> Tensor:
        assert x.shape[1] == 5  # an image and a plane a domain
        return self.scale * x[:, :3] + x[:, 4:5] / 4


class _D(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(3.0))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean = x.mean((1, 2, 3))
        return self.scale * x, torch.stack([mean, -mean], dim=1)


def _by_hand(**options: Any) -> StarGAN:
    method = StarGAN(Config(width=1, size=16, batch_size=2, **options))
    method.G, method.D = _G(), _D()  # type: ignore[assignment]
    return method


def _batch(kind: type[Labelled] = Labelled) -> Labelled:
    values = torch.tensor([0.5, -0.25]).reshape(2, 1, 1, 1)
    return kind(values.expand(2, 3, 4, 4), torch.eye(2))


def _updates(method: StarGAN, batch: Labelled) -> list[Any]:
    # The first permutation that this seed draws swaps two.
    rng = torch.Generator()
    seed = next(s for s in range(99) if torch.randperm(2, generator=rng.manual_seed(s))[0] == 1)
    return updates(method, itertools.repeat(batch), seed=seed)


def test_the_objectives_have_the_values_worked_out_by_hand_and_d_comes_first():
    discriminator, generator = _updates(_by_hand(critic_steps=1), _batch())
    assert (discriminator.group, generator.group) == ("discriminator", "generator")
    assert terms(discriminator) == approx({"D": 3 / 16, "penalty": GP, "D_classification": OF_REAL})
    assert discriminator.loss.item() == approx(3 / 16 + 10 * GP + OF_REAL)
    expected = {
        "adversarial": -9 / 16,
        "classification": OF_FAKE,
        "reconstruction": RECONSTRUCTION,
    }
    assert terms(generator) == approx(expected)
    assert generator.loss.item() == approx(-9 / 16 + OF_FAKE + 10 * RECONSTRUCTION)


def test_weights_multiply_their_terms():
    options = {"penalty_weight": 2.0, "classification_weight": 3.0, "reconstruction_weight": 5.0}
    discriminator, generator = _updates(_by_hand(critic_steps=1, **options), _batch())
    assert discriminator.loss.item() == approx(3 / 16 + 2 * GP + 3 * OF_REAL)
    assert generator.loss.item() == approx(-9 / 16 + 3 * OF_FAKE + 5 * RECONSTRUCTION)


def test_attributes_are_classified_one_by_one_and_summed():
    discriminator, generator = _updates(_by_hand(critic_steps=1), _batch(Attributed))
    # -log sigmoid of ±x where the attribute holds, of its opposite where not.
    assert terms(discriminator)["D_classification"] == approx(softplus(-0.5) + softplus(-0.25))
    assert terms(generator)["classification"] == approx(softplus(0.5) + softplus(0.125))


def test_an_image_may_have_several_attributes_or_none():
    logits = torch.tensor([[1.0, -2.0, 0.5], [0.0, 3.0, -1.0]])
    label = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    batch = Attributed(torch.zeros(2, 3, 4, 4), label)
    first = softplus(-1.0) + softplus(-2.0) + softplus(-0.5)
    second = softplus(0.0) + softplus(3.0) + softplus(-1.0)
    assert classification(logits, label, batch).item() == approx((first + second) / 2)


@pytest.mark.parametrize("steps", [1, 5])
def test_d_is_updated_critic_steps_times_on_new_batches_and_g_once_on_the_last(steps: int):
    drawn = []

    def count() -> Any:
        for i in itertools.count():
            drawn.append(i)
            yield Labelled(torch.full((2, 3, 4, 4), float(i)), torch.eye(2))

    method = _by_hand(critic_steps=steps)
    seen: list[float] = []
    run = method._run
    method._run = lambda x, c: (seen.append(x.mean().item()), run(x, c))[1]  # type: ignore[method-assign,func-returns-value]
    groups = [update.group for update in updates(method, count())]
    assert groups == ["discriminator"] * steps + ["generator"]
    assert drawn == list(range(steps))
    assert seen[:-1] == [*drawn, drawn[-1]]  # by D each, by G the last, which then goes back


def test_targets_are_the_batchs_labels_in_another_order():
    method = StarGAN(Config(width=1, size=16, batch_size=5, critic_steps=1), channels=(3,) * 3)
    seen: list[Tensor] = []
    run = method._run
    method._run = lambda x, c: (seen.append(c), run(x, c))[1]  # type: ignore[method-assign,func-returns-value]
    label = torch.eye(3)[[0, 0, 1, 2, 2]]
    batch = Labelled(torch.zeros(5, 3, 16, 16), label)
    updates(method, itertools.repeat(batch), seed=1)
    of_d, of_g, back = seen
    assert of_d.sum(0).tolist() == [2, 1, 2]
    assert not torch.equal(of_d, label)
    assert torch.equal(of_g, of_d)
    assert torch.equal(back, label)


def test_the_discriminators_loss_sends_no_gradient_to_the_generator():
    method = _by_hand(critic_steps=1)
    _updates(method, _batch())[0].loss.backward()
    assert all(p.grad is None for p in method.G.parameters())


def test_to_names_all_that_the_result_has():
    method = StarGAN(Config(width=1, size=16), channels=(3,) * 4)
    labels: list[Tensor] = []
    method._run = lambda x, c: (labels.append(c), x)[1]  # type: ignore[method-assign,func-returns-value]
    for to in ((2,), (0, 3), ()):
        method.translate(torch.zeros(2, 3, 16, 16), to)
    assert [c.tolist() for c in labels] == [
        [[0, 0, 1, 0]] * 2,
        [[1, 0, 0, 1]] * 2,
        [[0, 0, 0, 0]] * 2,
    ]


def test_recomputing_leaves_the_gradient_through_the_penalty_as_it_is():
    gradients = []
    for segments in (1, 4):
        torch.manual_seed(0)
        method = StarGAN(Config(width=1, size=16, batch_size=2, critic_steps=1))
        fuse(method, segments=segments)
        batch = Labelled(torch.linspace(-1, 1, 2 * 3 * 256).reshape(2, 3, 16, 16), torch.eye(2))
        update = updates(method, itertools.repeat(batch))[0]
        gradients.append(torch.autograd.grad(update.loss, list(method.D.parameters())))
    assert max(g.abs().max().item() for g in gradients[0]) > 0.01
    for plain, again in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, again)


# --- networks ------------------------------------------------------------------


def test_networks_for_celeba_have_the_numbers_of_parameters_of_the_code():
    method = StarGAN(Config(), channels=(3,) * 5)
    w = 64
    down = 8 * w * 49 + 2 * w + 16 * w * 2 * w + 4 * w + 16 * 2 * w * 4 * w + 8 * w
    blocks = 6 * 2 * (9 * (4 * w) ** 2 + 8 * w)
    up = 16 * 4 * w * 2 * w + 4 * w + 16 * 2 * w * w + 2 * w + 49 * w * 3
    assert parameters(method.G) == down + blocks + up == 8_430_528
    channels = [3, 64, 128, 256, 512, 1024, 2048]
    hidden = sum(16 * a * b + b for a, b in itertools.pairwise(channels))
    assert parameters(method.D) == hidden + 2048 * 9 + 2048 * 4 * 5 == 44_762_048


@pytest.mark.parametrize(
    ("size", "layers", "side"),
    [(16, 3, 2), (32, 4, 2), (64, 5, 2), (96, 5, 3), (128, 6, 2), (256, 6, 4)],
)
def test_d_scores_patches_and_one_label(size: int, layers: int, side: int):
    method = StarGAN(Config(width=1, size=size), channels=(3,) * 3)
    convolutions = [m for m in method.D.hidden if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == layers
    source, label = method.D(torch.zeros(2, 3, size, size))
    assert source.shape == (2, 1, side, side)
    assert label.shape == (2, 3)


def test_norms_are_in_g_alone_and_slopes_are_a_hundredth():
    method = StarGAN(Config(width=1, size=16))
    assert not [m for m in method.D.modules() if isinstance(m, nn.InstanceNorm2d)]
    assert len([m for m in method.G.modules() if isinstance(m, nn.InstanceNorm2d)]) == 5 + 12
    slopes = {m.negative_slope for m in method.D.modules() if isinstance(m, nn.LeakyReLU)}
    assert slopes == {0.01}


@pytest.mark.parametrize("domains", [1, 2, 7])
def test_any_number_of_domains_is_translated_between(domains: int):
    torch.manual_seed(0)
    method = StarGAN(Config(width=2, size=16), channels=(3,) * domains).eval()
    image = torch.rand(1, 3, 20, 12) * 2 - 1
    with torch.no_grad():
        made = [method.translate(image, (to,)) for to in range(domains)]
    assert all(m.shape == image.shape for m in made)
    assert len({m.sum().item() for m in made}) == domains


# --- options -------------------------------------------------------------------


def test_defaults_are_the_papers():
    c = Config()
    assert (c.width, c.size, c.batch_size, c.blocks, c.critic_steps) == (64, 128, 16, 6, 5)
    assert (c.penalty_weight, c.classification_weight, c.reconstruction_weight) == (10, 1, 10)
    for group in StarGAN(Config(width=1, size=16)).groups().values():
        assert (group.lr, group.betas, group.decay_from) == (1e-4, (0.5, 0.999), 0.5)


@pytest.mark.parametrize(("name", "passes"), [("celeba", 20), ("rafd", 200)])
def test_recipes_count_passes_by_the_batches_of_a_step(name: str, passes: int):
    assert RECIPES[name].run["epochs"] * Config().critic_steps == passes


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"size": 100}, "size is 100: it must be a multiple of 32"),
        ({"size": 8}, "size is 8: it must be at least 16"),
        ({"batch_size": 1}, "batch_size is 1: it must be at least 2"),
        ({"critic_steps": 0}, "critic_steps is 0"),
        ({"penalty_weight": -1.0}, "penalty_weight is -1.0"),
        ({"blocks": 0}, "blocks is 0"),
    ],
)
def test_a_value_out_of_range_is_named_in_one_line(options: dict[str, Any], named: str):
    assert named in refused("stargan", options)
