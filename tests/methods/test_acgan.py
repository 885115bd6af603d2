"""ACGAN against values worked out by hand: an image is one number m, G(c, z) = z + c/2, and
D has the source's logit 2m and the classes' logits m and -m.

So P(C = 0) = sigmoid(2m). Real: m = 1/2 of class 0 and -1/4 of class 1. D's turn, c = (1, 0)
and z = (1/4, -1/4): m = 3/4 and -1/4. G's turn, c = (0, 1) and z = (1/2, 0): m = 1/2 twice.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from diptych.errors import InputError
from diptych.methods.acgan import ACGAN, Config
from diptych.types import Attributed, Clock, Generates, Labelled, Translates, Update
from tests.methods.by_hand import (
    approx,
    constant,
    hinge,
    parameters,
    refused,
    softplus,
    terms,
    updates,
)


class Maker(nn.Module):
    """z and a one-hot class of two to z + c/2 everywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.tensor([1.0, 0.0, 0.5]))

    def forward(self, z_and_c: Tensor) -> Tensor:
        return (z_and_c @ self.weights)[:, None, None, None].expand(-1, 3, 4, 4)


class Judge(nn.Module):
    """An image of m everywhere to 2m, m and -m."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.tensor([2.0, 1.0, -1.0]))

    def forward(self, image: Tensor) -> Tensor:
        return image.mean(dim=(1, 2, 3))[:, None] * self.weights


def _by_hand(**options: Any) -> ACGAN:
    method = ACGAN(Config(**{"width": 1, "size": 16, "batch_size": 2, "z_size": 1} | options))
    method.G, method.D = Maker(), Judge()
    draws = iter(
        [
            (torch.tensor([1, 0]), torch.tensor([[0.25], [-0.25]])),
            (torch.tensor([0, 1]), torch.tensor([[0.5], [0.0]])),
        ]
    )
    method._draw = lambda *_: next(draws)  # type: ignore[method-assign]
    return method


def _batches() -> Iterator[Labelled]:
    image = torch.cat([constant(0.5, 1), constant(-0.25, 1)])
    return itertools.repeat(Labelled(image, torch.eye(2)))


def _mean(a: float, b: float) -> float:
    return (a + b) / 2


L_S = -_mean(softplus(-1.0), softplus(0.5)) - _mean(softplus(1.5), softplus(-0.5))
L_C = -_mean(softplus(-1.0), softplus(-0.5)) - _mean(softplus(1.5), softplus(0.5))


def test_d_maximises_the_sum_and_g_the_difference_of_the_values_worked_out_by_hand():
    discriminator, generator = updates(_by_hand(), _batches())
    assert (discriminator.group, generator.group) == ("discriminator", "generator")
    assert terms(discriminator) == approx({"D_S": -L_S, "D_C": -L_C})
    assert discriminator.loss.item() == approx(-(L_S + L_C))
    l_s, l_c = -softplus(1.0), -_mean(softplus(-1.0), softplus(1.0))  # of fakes: the rest is D's
    assert terms(generator) == approx({"source": l_s, "class": -l_c})
    assert generator.loss.item() == approx(-(l_c - l_s))


def test_g_may_take_the_non_saturating_loss():
    generator = updates(_by_hand(gan_loss="log"), _batches())[1]
    assert terms(generator)["source"] == approx(softplus(-1.0))


def test_the_source_may_be_told_by_a_hinge_loss():
    discriminator, generator = updates(_by_hand(gan_loss="hinge"), _batches())
    # D_S is 1 and -1/2 of the real images, 3/2 and -1/2 of the first fakes, 1 on average later.
    real, fake = _mean(hinge(-1.0), hinge(0.5)), _mean(hinge(1.5), hinge(-0.5))
    assert terms(discriminator) == approx({"D_S": real + fake, "D_C": -L_C})
    assert terms(generator)["source"] == approx(-1.0)


def test_the_discriminators_loss_sends_no_gradient_to_the_generator():
    method = _by_hand()
    updates(method, _batches())[0].loss.backward()
    assert all(p.grad is None for p in method.G.parameters())


def test_classes_are_the_domains_however_many():
    torch.manual_seed(0)
    method = ACGAN(Config(width=1, size=16, batch_size=3, z_size=4), channels=(3,) * 3).eval()
    assert isinstance(method, Generates)
    assert not isinstance(method, Translates)
    z = torch.randn(2, 4, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        for to in range(3):
            one_hot = torch.eye(3)[[to, to]]
            made = method.generate(2, to, torch.Generator().manual_seed(5))
            assert torch.equal(made, method.G(torch.cat([z, one_hot], dim=1)))
        source, kind = method.judge(made)
    assert (source.shape, kind.shape) == ((2, 1), (2, 3))


def test_classes_of_what_is_generated_are_drawn_evenly():
    method = ACGAN(Config(width=1, size=16, batch_size=2), channels=(3,) * 3)
    c, z = method._draw(3000, torch.Generator().manual_seed(0), torch.zeros(1))
    assert torch.bincount(c).tolist() == pytest.approx([1000] * 3, abs=100)
    assert (z.shape, z.std().item()) == ((3000, 100), pytest.approx(1.0, abs=0.01))


# --- networks ------------------------------------------------------------------


def _discriminator_parameters(pixels: int, outputs: int) -> int:
    widths = [3, 16, 32, 64, 128, 256, 512]
    count = sum(9 * a * b for a, b in itertools.pairwise(widths)) + 16 + 2 * sum(widths[2:])
    return count + 512 * pixels * outputs + outputs


def test_networks_of_128_pixels_are_those_of_the_table_for_imagenet():
    with torch.device("meta"):
        method = ACGAN(Config(), channels=(3,) * 10)
        assert method.G(torch.empty(2, 110)).shape == (2, 3, 128, 128)
        assert method.D(torch.empty(2, 3, 128, 128)).shape == (2, 11)
    ups = [m for m in method.G if isinstance(m, nn.ConvTranspose2d)]
    assert [m.in_channels for m in ups] == [768, 384, 256, 192]
    assert {(m.kernel_size, m.stride) for m in ups} == {((5, 5), (2, 2))}
    assert [m.num_features for m in method.G if isinstance(m, nn.BatchNorm2d)] == [384, 256, 192]
    convolutions = [m for m in method.D if isinstance(m, nn.Conv2d)]
    assert [m.out_channels for m in convolutions] == [16, 32, 64, 128, 256, 512]
    assert [m.stride[0] for m in convolutions] == [2, 1, 2, 1, 2, 1]
    assert {m.kernel_size for m in convolutions} == {(3, 3)}
    assert [m.p for m in method.D if isinstance(m, nn.Dropout)] == [0.5] * 6
    assert {m.negative_slope for m in method.D if isinstance(m, nn.LeakyReLU)} == {0.2}
    assert sum(isinstance(m, nn.BatchNorm2d) for m in method.D) == 5  # none after the first
    pairs = [(768, 384), (384, 256), (256, 192)]
    g = 111 * 768 * 64 + sum(25 * a * b + 2 * b for a, b in pairs) + 25 * 192 * 3 + 3
    assert parameters(method.G) == g
    assert parameters(method.D) == _discriminator_parameters(16 * 16, 11)


def test_networks_of_32_pixels_are_those_of_the_table_for_cifar():
    with torch.device("meta"):
        method = ACGAN(Config(size=32), channels=(3,) * 10)
        assert method.G(torch.empty(2, 110)).shape == (2, 3, 32, 32)
    ups = [m for m in method.G if isinstance(m, nn.ConvTranspose2d)]
    assert [m.in_channels for m in ups] == [384, 192, 96]
    pairs = [(384, 192), (192, 96)]
    g = 111 * 384 * 16 + sum(25 * a * b + 2 * b for a, b in pairs) + 25 * 96 * 3 + 3
    assert parameters(method.G) == g
    assert parameters(method.D) == _discriminator_parameters(4 * 4, 11)


# --- options -------------------------------------------------------------------


def test_defaults_are_the_papers_for_imagenet():
    c = Config()
    assert (c.width, c.size, c.batch_size, c.z_size) == (16, 128, 100, 100)
    assert c.dropout == 0.5
    less = ACGAN(Config(width=1, size=16, dropout=0.1))
    assert [m.p for m in less.D if isinstance(m, nn.Dropout)] == [0.1] * 6
    for group in ACGAN(Config(width=1, size=16)).groups().values():
        assert (group.optimiser, group.lr, group.betas) == ("adam", 2e-4, (0.5, 0.999))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"size": 136}, "size is 136: it must be a multiple of 16"),
        ({"size": 36}, "size is 36: it must be a multiple of 8"),
        ({"batch_size": 1}, "batch_size is 1: it must be at least 2"),
        ({"z_size": 0}, "z_size is 0"),
        ({"dropout": 1.5}, "dropout is 1.5: it must be from 0 to 1"),
    ],
)
def test_a_value_out_of_range_is_named_in_one_line(options: dict[str, Any], named: str):
    assert named in refused("acgan", options)


def test_labels_of_a_batch_are_those_that_it_is_told():
    # m = 1/2 said to be of class 1 and -1/4 of class 0; fakes as ever.
    swapped = _first_update(torch.eye(2).flip(0)).terms["D_C"].item()
    real, fake = _mean(softplus(1.0), softplus(0.5)), _mean(softplus(1.5), softplus(0.5))
    assert swapped == approx(real + fake)


def test_images_of_several_classes_or_none_are_refused():
    for label in (torch.ones(2, 2), torch.zeros(2, 2)):
        with pytest.raises(InputError, match="one class each, and 2 of a batch of 2 have several"):
            _first_update(label)


def test_a_tables_images_of_several_classes_or_none_are_refused_at_any_step():
    for label in (torch.ones(2, 2), torch.zeros(2, 2)):
        with pytest.raises(InputError, match="acgan takes images of one class each"):
            _first_update(label, Attributed, step=7)
    _first_update(torch.eye(2), Attributed, step=7)


def _first_update(label: Tensor, kind: type[Labelled] = Labelled, step: int = 0) -> Update:
    image = torch.cat([constant(0.5, 1), constant(-0.25, 1)])
    batches = iter([kind(image, label)])
    return next(_by_hand().iteration(batches, Clock(step, 0.0, torch.Generator())))
