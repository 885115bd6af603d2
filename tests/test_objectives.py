"""Each objective against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from diptych.objectives import (
    GAN_LOSSES,
    HINGE,
    LOG,
    LOG_SATURATING,
    LSGAN,
    WGAN,
    AdversarialLoss,
    content_loss,
    gradient_penalty,
    gram,
    hinge,
    l1,
    l2,
    log_loss,
    lsgan,
    saturating,
    style_loss,
    wgan,
)

SCORES = torch.tensor([[0.0, 1.0], [2.0, -1.0]])
LOGITS = [-30.0, -2.0, -0.5, 0.0, 0.5, 3.0, 30.0]


def _sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))


def _gradient(loss: Tensor, of: Tensor) -> list[float]:
    (gradient,) = torch.autograd.grad(loss, of)
    return gradient.flatten().tolist()


def test_l1_is_the_mean_absolute_difference():
    image = torch.tensor([1.0, -1.0, 0.5, 0.0]).view(1, 1, 2, 2)
    target = torch.tensor([0.0, 1.0, 0.25, 0.0]).view(1, 1, 2, 2)
    assert l1(image, target).item() == (1 + 2 + 0.25 + 0) / 4


def test_l1_does_not_depend_on_the_resolution():
    small, large = torch.ones(1, 3, 4, 4), torch.ones(1, 3, 64, 64)
    assert l1(small, -small).item() == l1(large, -large).item() == 2.0


def test_l1_refuses_shapes_that_would_broadcast():
    with pytest.raises(ValueError, match=r"\(1, 3, 4, 4\) and \(2, 3, 4, 4\)"):
        l1(torch.zeros(1, 3, 4, 4), torch.zeros(2, 3, 4, 4))


def test_lsgan_wants_one_where_real_and_zero_elsewhere():
    # (0-1)², (1-1)², (2-1)², (-1-1)² = 1, 0, 1, 4; squares alone are 0, 1, 4, 1.
    assert lsgan(SCORES, real=True).item() == (1 + 0 + 1 + 4) / 4
    assert lsgan(SCORES, real=False).item() == (0 + 1 + 4 + 1) / 4


def test_lsgan_has_the_gradient_of_a_mean_of_squares():
    scores = SCORES.clone().requires_grad_()
    # d/ds mean (s-1)² = 2(s-1)/4.
    assert _gradient(lsgan(scores, real=True), scores) == [-0.5, 0.0, 0.5, -1.0]
    assert _gradient(lsgan(scores, real=False), scores) == [0.0, 0.5, 1.0, -0.5]


@pytest.mark.parametrize("logit", LOGITS)
def test_log_loss_is_the_negative_log_likelihood(logit: float):
    score = torch.tensor([logit], dtype=torch.float32)
    # 1 - sigmoid(s) = sigmoid(-s), which does not cancel.
    assert log_loss(score, real=True).item() == pytest.approx(-math.log(_sigmoid(logit)), rel=1e-5)
    assert log_loss(score, real=False).item() == pytest.approx(
        -math.log(_sigmoid(-logit)), rel=1e-5
    )


@pytest.mark.parametrize("logit", LOGITS)
def test_saturating_is_log_one_minus_d(logit: float):
    expected = math.log(_sigmoid(-logit))
    score = torch.tensor([logit])
    assert saturating(score, real=True).item() == pytest.approx(expected, rel=1e-5)
    assert saturating(score, real=False).item() == pytest.approx(
        math.log(_sigmoid(logit)), rel=1e-5
    )


def test_log_losses_average_over_scores():
    mean = (-math.log(_sigmoid(1.0)) - math.log(_sigmoid(-2.0))) / 2
    assert log_loss(torch.tensor([1.0, -2.0]), real=True).item() == pytest.approx(mean, rel=1e-6)


def test_saturating_gradient_vanishes_where_d_is_sure_and_the_non_saturating_does_not():
    logit = torch.tensor([-10.0], requires_grad=True)  # D is sure that it is a fake
    # d/ds -log(1+e^s) = -sigmoid(s); d/ds log(1+e^-s) = -sigmoid(-s).
    assert _gradient(saturating(logit, real=True), logit)[0] == pytest.approx(
        -_sigmoid(-10.0), rel=1e-4
    )
    assert _gradient(log_loss(logit, real=True), logit)[0] == pytest.approx(
        -_sigmoid(10.0), rel=1e-4
    )


def test_results_are_float32_and_as_exact_as_float32_when_scores_are_bfloat16():
    scores = torch.tensor([1.0078125, -0.99609375], dtype=torch.bfloat16)  # exact in bfloat16
    exact = ((1.0078125 - 1) ** 2 + (-0.99609375 - 1) ** 2) / 2
    loss = lsgan(scores, real=True)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(exact, rel=1e-6)
    for other in (
        log_loss(scores, real=True),
        saturating(scores, real=True),
        hinge(scores, real=True),
        l1(scores, -scores),
    ):
        assert other.dtype == torch.float32
    assert log_loss(scores, real=True).item() == pytest.approx(
        log_loss(scores.float(), real=True).item(), rel=1e-7
    )


def test_results_are_float32_under_autocast():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        score = torch.nn.functional.linear(torch.ones(1, 4), torch.full((1, 4), 0.3))
        assert score.dtype == torch.bfloat16
        losses = [
            lsgan(score, real=False),
            log_loss(score, real=False),
            saturating(score, real=True),
            hinge(score, real=False),
            l1(score, score),
        ]
    assert [loss.dtype for loss in losses] == [torch.float32] * 5
    assert [loss.shape for loss in losses] == [()] * 5


def test_l2_is_the_mean_squared_difference_of_equal_shapes():
    image, target = torch.tensor([1.0, -1.0, 0.5, 0.0]), torch.tensor([0.0, 1.0, 0.25, 0.0])
    assert l2(image, target).item() == (1 + 4 + 0.0625 + 0) / 4
    with pytest.raises(ValueError, match=r"l2 compares equal shapes"):
        l2(torch.zeros(1, 3), torch.zeros(2, 3))


def test_wgan_is_the_mean_score_with_the_sign_of_what_is_wanted():
    assert wgan(SCORES, real=False).item() == (0 + 1 + 2 - 1) / 4
    assert wgan(SCORES, real=True).item() == -(0 + 1 + 2 - 1) / 4
    assert wgan(SCORES.bfloat16(), real=True).dtype == torch.float32


def test_hinge_wants_a_margin_of_one_on_the_wanted_side():
    # max(0, 1 - s) of 0, 1, 2, -1 is 1, 0, 0, 2; max(0, 1 + s) is 1, 2, 3, 0.
    assert hinge(SCORES, real=True).item() == (1 + 0 + 0 + 2) / 4
    assert hinge(SCORES, real=False).item() == (1 + 2 + 3 + 0) / 4


def test_hinge_has_no_gradient_beyond_the_margin():
    scores = torch.tensor([0.5, 1.5, -0.5, -1.5], requires_grad=True)
    assert _gradient(hinge(scores, real=True), scores) == [-0.25, 0.0, -0.25, -0.25]
    assert _gradient(hinge(scores, real=False), scores) == [0.25, 0.25, 0.25, 0.0]


# --- both sides of the game ------------------------------------------------------

REAL_SCORES, FAKE_SCORES = [2.0, 0.5], [-1.5, 0.25, 0.0]
"""What D says of two real and of three generated images."""


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _minus_log(*logits: float) -> float:
    """-E[log sigmoid]."""
    return _mean([-math.log(_sigmoid(logit)) for logit in logits])


_D_LOG = _minus_log(2.0, 0.5) + _minus_log(1.5, -0.25, 0.0)


@pytest.mark.parametrize(
    ("loss", "tell_apart", "fool"),
    [
        (LSGAN, _mean([1, 0.25]) + _mean([2.25, 0.0625, 0]), _mean([6.25, 0.5625, 1])),
        (LOG, _D_LOG, _minus_log(-1.5, 0.25, 0.0)),
        (LOG_SATURATING, _D_LOG, -_minus_log(1.5, -0.25, 0.0)),
        (HINGE, _mean([0, 0.5]) + _mean([0, 1.25, 1]), -_mean(FAKE_SCORES)),
        (WGAN, -_mean(REAL_SCORES) + _mean(FAKE_SCORES), -_mean(FAKE_SCORES)),
    ],
    ids=["lsgan", "log", "log-saturating", "hinge", "wgan"],
)
def test_both_sides_of_each_loss_have_the_values_worked_out_by_hand(
    loss: AdversarialLoss, tell_apart: float, fool: float
):
    real, fake = torch.tensor(REAL_SCORES), torch.tensor(FAKE_SCORES)
    assert loss.tell_apart(real, fake).item() == pytest.approx(tell_apart, rel=1e-6)
    assert loss.fool(fake).item() == pytest.approx(fool, rel=1e-6)


@pytest.mark.parametrize(
    ("loss", "tell_apart", "fool"),
    [
        # Half of 2(s - 1), a third of 2s; a third of 2(s - 1).
        (LSGAN, [1.0, -0.5, -1.0, 0.5 / 3, 0.0], [-5.0 / 3, -1.5 / 3, -2.0 / 3]),
        (HINGE, [0.0, -0.5, 0.0, 1 / 3, 1 / 3], [-1 / 3] * 3),
        (WGAN, [-0.5, -0.5, 1 / 3, 1 / 3, 1 / 3], [-1 / 3] * 3),
        (
            LOG_SATURATING,
            [-_sigmoid(-2.0) / 2, -_sigmoid(-0.5) / 2] + [_sigmoid(s) / 3 for s in FAKE_SCORES],
            [-_sigmoid(s) / 3 for s in FAKE_SCORES],
        ),
        (
            LOG,
            [-_sigmoid(-2.0) / 2, -_sigmoid(-0.5) / 2] + [_sigmoid(s) / 3 for s in FAKE_SCORES],
            [-_sigmoid(-s) / 3 for s in FAKE_SCORES],
        ),
    ],
    ids=["lsgan", "hinge", "wgan", "log-saturating", "log"],
)
def test_both_sides_of_each_loss_have_the_gradients_worked_out_by_hand(
    loss: AdversarialLoss, tell_apart: list[float], fool: list[float]
):
    scores = torch.tensor(REAL_SCORES + FAKE_SCORES, requires_grad=True)
    real, fake = scores.split([2, 3])
    assert _gradient(loss.tell_apart(real, fake), scores) == pytest.approx(tell_apart, rel=1e-5)
    fake = torch.tensor(FAKE_SCORES, requires_grad=True)
    assert _gradient(loss.fool(fake), fake) == pytest.approx(fool, rel=1e-5)


def test_every_choice_of_gan_loss_is_the_loss_of_its_name():
    assert GAN_LOSSES == {
        "lsgan": LSGAN,
        "log": LOG,
        "log-saturating": LOG_SATURATING,
        "hinge": HINGE,
    }


# --- gradient penalty ------------------------------------------------------------


class _Critic(nn.Module):
    """D(x) = w x², summed over a pixel's channels: its gradient is 2 w x."""

    def __init__(self, w: float = 0.5) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor(w))

    def forward(self, x: Tensor) -> Tensor:
        return self.w * x.square().sum(1, keepdim=True)


# x̂ is 1/4 of (3, 4) and 3/4 of (-1, 0): (0, 1); and all of (0, 2) in the second image.
REAL = torch.tensor([[3.0, 4.0], [0.0, 2.0]]).reshape(2, 2, 1, 1)
FAKE = torch.tensor([[-1.0, 0.0], [5.0, 5.0]]).reshape(2, 2, 1, 1)
SHARE = torch.tensor([0.25, 1.0])


def test_gradient_penalty_by_hand_and_its_gradient():
    critic = _Critic(w=1.0)
    loss = gradient_penalty(critic, REAL, FAKE, SHARE)
    # Gradients 2 (0, 1) and 2 (0, 2): norms 2 and 4.
    assert loss.item() == pytest.approx(((2 - 1) ** 2 + (4 - 1) ** 2) / 2)
    # d/dw of the mean of (2w - 1)² and (4w - 1)²: 2 (2w - 1) and 4 (4w - 1).
    assert _gradient(loss, critic.w) == pytest.approx([2 * 1 + 4 * 3])


def test_gradient_penalty_of_patches_is_of_the_sum_of_their_scores():
    image = torch.ones(1, 2, 2, 3)
    loss = gradient_penalty(_Critic(w=0.5), image, image, torch.tensor([0.5]))
    assert loss.item() == pytest.approx((math.sqrt(12) - 1) ** 2)


def test_gradient_penalty_is_float32_under_autocast_and_finite_where_nothing_slopes():
    critic = nn.Conv2d(2, 1, 1)
    with torch.autocast("cpu", torch.bfloat16):
        loss = gradient_penalty(critic, REAL, FAKE, SHARE)
    plain = gradient_penalty(critic, REAL, FAKE, SHARE)
    assert loss.dtype == torch.float32
    assert loss.item() == plain.item()
    flat = _Critic(w=0.0)
    loss = gradient_penalty(flat, REAL, FAKE, SHARE)
    assert loss.item() == 1.0
    assert math.isfinite(_gradient(loss, flat.w)[0])


def test_gradient_penalty_has_its_gradient_where_the_critic_is_compiled():
    critic = nn.Sequential(nn.Conv2d(2, 4, 1), nn.LeakyReLU(0.01), nn.Conv2d(4, 1, 1))
    plain = gradient_penalty(critic, REAL, FAKE, SHARE)
    expected = torch.autograd.grad(plain, critic[0].weight)[0]
    compiled = torch.compile(critic, backend="aot_eager")
    compiled(REAL)  # compiled before, as a step of training does it
    loss = gradient_penalty(compiled, REAL, FAKE, SHARE)
    torch.testing.assert_close(torch.autograd.grad(loss, critic[0].weight)[0], expected)


def test_gradient_penalty_works_where_gradients_are_off_around_it_and_refuses_shapes():
    with torch.no_grad():
        assert gradient_penalty(_Critic(1.0), REAL, FAKE, SHARE).requires_grad
    with pytest.raises(ValueError, match="two batches of one shape"):
        gradient_penalty(_Critic(), REAL, FAKE[:1], SHARE)


# --- Gatys et al. ----------------------------------------------------------------

MAPS = torch.tensor([[1.0, 2.0, 0.0, -1.0], [3.0, 0.0, 1.0, 1.0]]).view(1, 2, 2, 2)
"""Two filters at four positions: N = 2, M = 4."""


def test_content_loss_is_half_the_sum_of_squares():
    target = torch.tensor([[0.0, 2.0, 2.0, -1.0], [3.0, 1.0, 1.0, 1.0]]).view(1, 2, 2, 2)
    assert content_loss(MAPS, target).item() == 0.5 * (1 + 4 + 1)
    features = MAPS.clone().requires_grad_()
    # d/dF ½ Σ (F-P)² = F - P, Eq. (2) where F is positive.
    assert _gradient(content_loss(features, target), features) == [1, 0, -2, 0, 0, -1, 0, 0]
    with pytest.raises(ValueError, match=r"content_loss compares equal shapes"):
        content_loss(MAPS, target[0])


def test_gram_is_the_inner_products_of_the_filters():
    # 1+4+0+1, 3+0+0-1, 9+0+1+1.
    assert gram(MAPS).tolist() == [[[6, 2], [2, 11]]]
    assert gram(torch.cat([MAPS, 2 * MAPS])).tolist() == [
        [[6, 2], [2, 11]],
        [[24, 8], [8, 44]],
    ]
    where = MAPS.flip(3)  # style does not know where things are
    assert gram(where).tolist() == gram(MAPS).tolist()


def test_style_loss_has_the_value_worked_out_by_hand():
    target = torch.tensor([[[2.0, 2.0], [2.0, 8.0]]])
    # 1 / (4 N² M²) Σ (G-A)² = (16 + 0 + 0 + 9) / (4 * 4 * 16).
    assert style_loss(gram(MAPS), target, positions=4).item() == 25 / 256
    with pytest.raises(ValueError, match=r"style_loss compares equal shapes"):
        style_loss(gram(MAPS), target[0], positions=4)


def test_style_loss_has_the_gradient_of_the_paper():
    features = MAPS.clone().requires_grad_()
    target = torch.tensor([[[2.0, 2.0], [2.0, 8.0]]])
    # Eq. (6): dE/dF = (G - A) F / (N² M²) = [[4, 0], [0, 3]] F / 64.
    expected = [4 / 64 * v for v in (1, 2, 0, -1)] + [3 / 64 * v for v in (3, 0, 1, 1)]
    found = _gradient(style_loss(gram(features), target, positions=4), features)
    assert found == pytest.approx(expected, rel=1e-6)


def test_style_losses_are_float32_under_autocast():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        maps = torch.full((1, 1, 16, 16), 1.0078125, dtype=torch.bfloat16)
        found = gram(maps)
        losses = [style_loss(found, 2 * found, 256), content_loss(maps, -maps)]
    assert found.dtype == torch.float32
    assert found.item() == 256 * 1.0078125**2
    assert [loss.dtype for loss in losses] == [torch.float32] * 2
