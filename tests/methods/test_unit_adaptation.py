"""UNIT for domain adaptation against values worked out by hand: scalar networks, flat images.

E1(t) = t/2, E2(t) = -2t, E_shared(t) = 2t, E_mu(t) = t + 1/4, softplus(E_sigma) = 1/2;
G_shared(t) = t + 1/2, G1(t) = t/4, G2(t) = t/2 - 1/8; D1(t) = t + 1, D2(t) = 3t, and
D_shared's three blocks are 2t, t - 1 and t; D_real(t) = t/2, C(t) = (t, -t); noise of 1/4.
x1 = 1/2, labelled 0 and 1, and x2 = -1/4, so that

mu = 2 (1/4) + 1/4 = 3/4 and 2 (1/2) + 1/4 = 5/4; z = 7/8 and 11/8; h = 11/8 and 15/8;
x11 = 11/32, x21 = 15/32, x12 = 11/16 - 1/8 = 9/16, x22 = 15/16 - 1/8 = 13/16;
f = 2 D(x) - 1: f1 = 2, f2 = -5/2, f11 = 27/16, f21 = 31/16, f12 = 19/8, f22 = 31/8.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from diptych.methods.unit_adaptation import (
    SIZE,
    Config,
    UNITAdaptation,
    kl,
)
from diptych.types import Adapting, Classifies, Clock, Encodes, Generates, Update
from tests.methods.by_hand import (
    Affine,
    approx,
    constant,
    softplus,
    terms,
    updates,
)

F1, F2, F11, F21, F12, F22 = 2, -5 / 2, 27 / 16, 31 / 16, 19 / 8, 31 / 8


# -log sigmoid(s) = softplus(-s), -log(1 - sigmoid(s)) = softplus(s), where s is f/2.
REAL = (softplus(-F1 / 2) + softplus(-F2 / 2)) / 2
FAKE = sum(softplus(f / 2) for f in (F11, F21, F12, F22)) / 4
FOOL = sum(softplus(-f / 2) for f in (F11, F21, F12, F22)) / 2
FEATURE = 11 / 16 + 31 / 16
# Scores (2, -2): -log softmax is softplus(-4) for class 0 and softplus(4) for class 1.
CLASSIFICATION = (softplus(-2 * F1) + softplus(2 * F1)) / 2
KL = sum(0.5 * (mu**2 + 1 / 4 + math.log(4) - 1) for mu in (3 / 4, 5 / 4))
RECONSTRUCTION = (5 / 32) ** 2 + (17 / 16) ** 2


class BothSigns(nn.Module):
    """(B, 3, H, W) of one value t to the scores (t, -t)."""

    def forward(self, t: Tensor) -> Tensor:
        value = t.mean(dim=(1, 2, 3))
        return torch.stack([value, -value], 1)


def _by_hand(**options: Any) -> UNITAdaptation:
    config = Config(width=1, batch_size=2, classes=2, coordinates=False, **options)
    method = UNITAdaptation(config).eval()  # without dropout
    method.E1, method.E2, method.E_shared = Affine(0.5), Affine(-2.0), Affine(2.0)
    method.E_mu, method.E_sigma = Affine(1.0, 0.25), Affine(0.0, math.log(math.expm1(0.5)))
    method.G_shared, method.G1, method.G2 = Affine(1.0, 0.5), Affine(0.25), Affine(0.5, -0.125)
    method.D1, method.D2 = Affine(1.0, 1.0), Affine(3.0)
    method.D_shared = nn.ModuleList([Affine(2.0), Affine(1.0, -1.0), Affine(1.0)])
    method.D_real, method.C = Affine(0.5), BothSigns()
    method._sample = lambda mu, sigma, rng: mu + sigma * 0.25  # type: ignore[method-assign]
    return method


def _batches() -> Iterator[Adapting]:
    return itertools.repeat(Adapting(constant(0.5), torch.tensor([0, 1]), constant(-0.25)))


def _updates(method: UNITAdaptation) -> list[Update]:
    return updates(method, _batches())


# --- the objective -------------------------------------------------------------


def test_the_losses_have_the_values_worked_out_by_hand_and_d_comes_first():
    discriminators, vaes = _updates(_by_hand())
    assert (discriminators.group, vaes.group) == ("discriminators", "vaes")
    assert terms(discriminators) == approx(
        {"D": REAL + FAKE, "feature": FEATURE, "classification": CLASSIFICATION}
    )
    total = REAL + FAKE + 0.2048 * FEATURE + 10 * CLASSIFICATION
    assert discriminators.loss.item() == approx(total)
    assert terms(vaes) == approx({"adversarial": FOOL, "kl": KL, "reconstruction": RECONSTRUCTION})
    total = FOOL + 0.1024 * KL + 3.072 * RECONSTRUCTION
    assert vaes.loss.item() == approx(total)


def test_each_weight_multiplies_its_term_alone():
    weights = {"gan": 2.0, "classification": 3.0, "feature": 5.0, "kl": 7.0, "reconstruction": 11.0}
    discriminators, vaes = _updates(_by_hand(**{f"{k}_weight": v for k, v in weights.items()}))
    total = 2 * (REAL + FAKE) + 3 * CLASSIFICATION + 5 * FEATURE
    assert discriminators.loss.item() == approx(total)
    assert vaes.loss.item() == approx(2 * FOOL + 7 * KL + 11 * RECONSTRUCTION)


def test_the_features_of_a_pair_are_compared_by_squares_where_asked_for():
    update = _updates(_by_hand(feature_loss="l2"))[0]
    assert terms(update)["feature"] == approx((11 / 16) ** 2 + (31 / 16) ** 2)


def test_the_source_alone_trains_nothing_but_its_classifier():
    method = _by_hand(gan_weight=0.0)
    (update,) = _updates(method)
    assert terms(update) == approx({"classification": CLASSIFICATION})
    assert update.loss.item() == approx(10 * CLASSIFICATION)
    own = {id(m) for m in method.groups()["discriminators"].modules}
    assert own == {id(m) for m in (method.D1, method.D_shared, method.C)}


def test_kl_is_that_of_torch_distributions():
    rng = torch.Generator().manual_seed(0)
    mu, sigma = torch.randn(2, 3, 4, 4, generator=rng), torch.rand(2, 3, 4, 4, generator=rng) + 0.1
    truth = kl_divergence(Normal(mu, sigma), Normal(0.0, 1.0)).mean()
    assert kl(mu, sigma).item() == approx(truth.item())


def test_codes_are_sampled_by_their_deviation():
    mu, sigma = torch.full((4, 500), 3.0), torch.full((4, 500), 0.5)
    z = UNITAdaptation._sample(mu, sigma, torch.Generator().manual_seed(0))
    assert z.mean().item() == pytest.approx(3.0, abs=0.03)
    assert z.std().item() == pytest.approx(0.5, abs=0.03)


def test_weights_are_those_of_the_authors_code_at_its_width_and_size():
    c = Config()
    assert c.width == 64
    assert c.feature_weight == pytest.approx(1e-4 * 8 * c.width * 2 * 2)
    assert c.kl_weight == pytest.approx(1e-4 * 2 * 8 * c.width)
    assert c.reconstruction_weight == pytest.approx(1e-3 * 3 * SIZE * SIZE)
    assert (c.gan_weight, c.classification_weight, c.batch_size) == (1.0, 10.0, 64)
    group = UNITAdaptation(Config(width=1)).groups()["vaes"]
    assert (group.lr, group.betas, group.weight_decay) == (2e-4, (0.5, 0.999), 5e-4)


def test_translated_images_are_classified_by_the_labels_of_their_sources():
    with_it, _ = _updates(_by_hand(translated_weight=3.0))
    without, _ = _updates(_by_hand())
    translated = (softplus(-2 * F12) + softplus(2 * F12)) / 2  # of classes 0 and 1
    assert terms(with_it) == approx(terms(without) | {"translated": translated})
    assert with_it.loss.item() == approx(without.loss.item() + 3 * translated)


def test_an_augmented_training_sees_other_images_and_the_same_labels():
    seen: list[Tensor] = []
    method = _by_hand(augment=True)
    true = method.D1.forward
    method.D1.forward = lambda t: (seen.append(t), true(t))[1]  # type: ignore[method-assign, func-returns-value]
    image = torch.rand(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    batch = Adapting(image, torch.tensor([0, 1]), image)
    next(method.iteration(itertools.repeat(batch), Clock(0, 0.0, torch.Generator().manual_seed(0))))
    assert seen[0].shape == image.shape
    assert (seen[0] - image).abs().mean() > 0.05


# --- the networks --------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "inverted", "value", "other"),
    [("invert_source", "E1", 0.5, -0.25), ("invert_target", "E2", -0.25, 0.5)],
)
def test_every_other_image_of_one_domain_is_seen_as_its_negative_and_none_of_the_other(
    option: str, inverted: str, value: float, other: float
):
    method = _by_hand(**{option: True})
    seen: dict[str, list[Tensor]] = {"E1": [], "E2": []}
    method.E1.register_forward_hook(lambda _, given, __: seen["E1"].append(given[0]))
    method.E2.register_forward_hook(lambda _, given, __: seen["E2"].append(given[0]))
    clock = Clock(0, 0.0, torch.Generator().manual_seed(0))
    for _ in range(50):
        list(method.iteration(_batches(), clock))
    values = torch.cat(seen.pop(inverted)).flatten(1)
    assert all(len(image.unique()) == 1 for image in values)
    negatives = (values[:, 0] == -value).sum().item()
    assert (values[:, 0] == value).sum().item() == 100 - negatives
    assert 35 < negatives < 65
    (rest,) = seen.values()
    assert torch.cat(rest).unique().tolist() == [other]


def test_source_only_sees_the_sources_negatives_too():
    method = _by_hand(invert_source=True, gan_weight=0.0)
    seen: list[Tensor] = []
    method.D1.register_forward_hook(lambda _, given, __: seen.append(given[0]))
    clock = Clock(0, 0.0, torch.Generator().manual_seed(0))
    for _ in range(50):
        list(method.iteration(_batches(), clock))
    assert torch.cat(seen).unique().tolist() == [-0.5, 0.5]


def test_it_translates_encodes_generates_and_classifies():
    method = _by_hand()
    for capability in (Classifies, Encodes, Generates):
        assert isinstance(method, capability)
    image = torch.full((1, 3, 4, 4), 0.5)
    by_mean = (3 / 4 + 1 / 2) / 2 - 1 / 8
    assert method.translate(image, (1,)).unique().tolist() == [by_mean]
    assert method.classify(image, 0).tolist() == [[2.0, -2.0]]  # 2 (1/2 + 1) - 1
    assert method.classify(image, 1).tolist() == [[2.0, -2.0]]  # 2 (3/2) - 1


# --- options -------------------------------------------------------------------
