"""VAE/GAN against values worked out by hand: networks are functions of a number.

Enc(t) has the mean t/2 and the variance 4, Dec(z) = z/2 - 1/8, Dis_l(t) = 2t,
Dis_end(m) = m + 1/2; a code has 3 x 4 x 4 = 48 numbers. eps = 1/8, Z_p = -1/4, X = 1/2, so that

mu = 1/4, Z = 1/4 + 2/8 = 1/2; X~ = 1/8, X_p = -1/4; features 1, 1/4, -1/2; logits 3/2, 3/4, 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from diptych.methods.vaegan import VAEGAN, Config, gaussian, kl, sample
from diptych.types import Clock, Encodes, Generates, PerDomain, Translates, Update
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

PRIOR = 48 * (1 / 16 + 4 - math.log(4) - 1) / 2
LLIKE = 48 * (3 / 4) ** 2 / 2
D = softplus(-1.5) + softplus(0.75) + softplus(0.0)


class Gaussian(nn.Module):
    """The mean scale * t and the variance 4."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale))

    def forward(self, t: Tensor) -> Tensor:
        return torch.cat([self.scale * t, torch.full_like(t, math.log(4))], dim=1)


def _by_hand(domains: int = 1, **options: Any) -> VAEGAN:
    config = Config(**{"width": 2, "size": 16, "batch_size": 2, "z_size": 48} | options)
    method = VAEGAN(config, (3,) * domains)
    for k in range(domains):
        method.Enc[k], method.Dec[k] = Gaussian(0.5), Affine(0.5, -0.125)
        method.Dis_l[k], method.Dis_end[k] = Affine(2.0), Affine(1.0, 0.5)
    draws = iter([0.125] * domains + [-0.25] * domains)
    method._draw = lambda count, rng: constant(next(draws), count)  # type: ignore[method-assign]
    return method


def _batches(domains: int = 1) -> Iterator[PerDomain]:
    return iter([PerDomain(tuple(constant(0.5) for _ in range(domains)))])


def test_the_three_updates_have_the_values_worked_out_by_hand_in_the_papers_order():
    encoders, decoders, discriminators = updates(_by_hand(similarity_weight=0.1), _batches())
    groups = [u.group for u in (encoders, decoders, discriminators)]
    assert groups == ["encoders", "decoders", "discriminators"]
    assert encoders.loss.item() == approx(PRIOR + LLIKE)
    assert terms(encoders) == approx({"prior1": PRIOR / 48, "similarity1": LLIKE / 48})
    written = -softplus(0.75) - softplus(0.0)
    assert decoders.loss.item() == approx(0.1 * LLIKE + written)
    assert terms(decoders) == approx({"G1": written})
    assert discriminators.loss.item() == approx(D)
    assert terms(discriminators) == approx({"D1": D})


def test_each_network_sees_its_images_or_codes_as_one_batch():
    method = _by_hand()
    seen: dict[str, list[int]] = {}
    for name in ("Enc", "Dec", "Dis_l", "Dis_end"):
        sizes = seen.setdefault(name, [])
        module = getattr(method, name)[0]
        module.register_forward_hook(lambda _, x, __, sizes=sizes: sizes.append(len(x[0])))
    batch = len(next(_batches()).images[0])
    updates(method, _batches())
    # Of the encoder's, the decoder's and the discriminator's update.
    assert seen["Enc"] == [batch, batch]
    assert seen["Dec"] == [batch, 2 * batch, 2 * batch]
    assert seen["Dis_l"] == [2 * batch, 3 * batch, 3 * batch]
    assert seen["Dis_end"] == [3 * batch, 3 * batch]


def test_the_decoders_loss_may_be_the_non_saturating_one():
    decoders = updates(_by_hand(gan_loss="log"), _batches())[1]
    assert terms(decoders) == approx({"G1": softplus(-0.75) + softplus(0.0)})


def test_l_gan_may_be_a_hinge_loss():
    options = {"gan_loss": "hinge", "similarity_weight": 0.1}
    _, decoders, discriminators = updates(_by_hand(**options), _batches())
    assert terms(decoders) == approx({"G1": -0.75 - 0.0})
    assert decoders.loss.item() == approx(0.1 * LLIKE - 0.75)
    assert terms(discriminators) == approx({"D1": hinge(-1.5) + hinge(0.75) + hinge(0.0)})


def test_losses_of_several_domains_add_up():
    method = _by_hand(domains=3)
    encoders, _, discriminators = updates(method, _batches(3))
    assert encoders.loss.item() == approx(3 * (PRIOR + LLIKE))
    assert terms(discriminators) == approx({"D1": D, "D2": D, "D3": D})


def test_each_update_is_made_of_the_weights_that_the_one_before_has_stepped():
    method = _by_hand(similarity_weight=1.0)
    steps = method.iteration(_batches(), Clock(0, 0.0, torch.Generator()))
    next(steps).loss.backward()
    _set(method.Enc[0].scale, 1.0)  # mu = 1/2, Z = 3/4, X~ = 1/4: features 1/2, logit 1
    decoders: Update = next(steps)
    decoders.loss.backward()  # a graph through stepped weights would raise
    llike = 48 * (1 / 2) ** 2 / 2
    assert decoders.loss.item() == approx(llike - softplus(1.0) - softplus(0.0))
    _set(method.Dec[0].shift, 0.0)  # X~ = 3/8, X_p = -1/8: logits 5/4, 1/4
    discriminators = next(steps)
    discriminators.loss.backward()
    assert discriminators.loss.item() == approx(softplus(-1.5) + softplus(1.25) + softplus(0.25))


def _set(parameter: Any, value: float) -> None:
    with torch.no_grad():
        parameter.fill_(value)


def test_the_encoder_is_not_told_what_the_discriminator_thinks_of_its_images():
    method = _by_hand()
    _, decoders, discriminators = updates(method, _batches())
    (decoders.loss + discriminators.loss).backward()
    assert all(p.grad is None for p in method.Enc.parameters())


def test_the_prior_is_the_divergence_of_the_distributions_and_samples_are_theirs():
    rng = torch.Generator().manual_seed(0)
    mu, log_variance = torch.randn(2, 5, 3, generator=rng)
    q = Normal(mu, (0.5 * log_variance).exp())
    expected = kl_divergence(q, Normal(0.0, 1.0)).sum(1).mean().item()
    assert kl(mu, log_variance).item() == approx(expected)
    eps = torch.randn(5, 3, generator=rng)
    torch.testing.assert_close(sample(mu, log_variance, eps), q.mean + q.stddev * eps)


def test_the_learned_similarity_is_a_gaussians_log_density_but_for_its_constant():
    rng = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, 4, 3, 2, 2, generator=rng)
    density = -Normal(y, 1.0).log_prob(x).flatten(1).sum(1).mean().item()
    assert gaussian(x, y).item() == approx(density - 12 / 2 * math.log(2 * math.pi))


# --- in use --------------------------------------------------------------------


def test_codes_are_means_and_new_images_are_decoded_from_the_prior():
    torch.manual_seed(0)
    method = VAEGAN(Config(width=2, size=16, batch_size=2, z_size=5), channels=(3,) * 3).eval()
    assert isinstance(method, Generates)
    assert isinstance(method, Encodes)
    assert not isinstance(method, Translates)
    assert method.fixed_size == 16
    image = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.no_grad():
        z = method.encode(image, 2)
        assert torch.equal(z, method.Enc[2](image)[:, :5])
        assert method.decode(z, 2).shape == image.shape
        noise = torch.randn(2, 5, generator=torch.Generator().manual_seed(3))
        made = method.generate(2, 1, torch.Generator().manual_seed(3))
        assert torch.equal(made, method.decode(noise, 1))


# --- networks ------------------------------------------------------------------


def _channels(network: nn.Module) -> list[int]:
    return [
        m.out_features if isinstance(m, nn.Linear) else m.out_channels
        for m in network.modules()
        if isinstance(m, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)
    ]


def test_networks_of_64_pixels_are_those_of_the_papers_table():
    with torch.device("meta"):
        method = VAEGAN(Config(), channels=(3,) * 1)
    assert _channels(method.Enc) == [64, 128, 256, 2048, 2 * 128]
    assert _channels(method.Dec) == [8 * 8 * 256, 256, 128, 32, 3]
    assert [*_channels(method.Dis_l), *_channels(method.Dis_end)] == [32, 128, 256, 256, 512, 1]
    kernels = {
        m.kernel_size for m in method.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)
    }
    assert kernels == {(5, 5)}
    enc = 25 * (3 * 64 + 64 * 128 + 128 * 256) + 2 * (64 + 128 + 256)
    enc += 16384 * 2048 + 2 * 2048 + 2048 * 256 + 256
    dec = 128 * 16384 + 2 * 16384 + 25 * (256 * 256 + 256 * 128 + 128 * 32)
    dec += 2 * (256 + 128 + 32) + 25 * 32 * 3 + 3
    dis = 25 * 3 * 32 + 32 + 25 * (32 * 128 + 128 * 256 + 256 * 256) + 2 * (128 + 256 + 256)
    dis += 16384 * 512 + 2 * 512 + 512 + 1
    assert (parameters(method.Enc), parameters(method.Dec)) == (enc, dec)
    assert parameters(method.Dis_l) + parameters(method.Dis_end) == dis


def test_features_are_the_last_convolutions_before_their_norm():
    with torch.device("meta"):
        method = VAEGAN(Config(), channels=(3,) * 1)
        assert method.Dis_l[0](torch.empty(2, 3, 64, 64)).shape == (2, 256, 8, 8)
    assert isinstance(method.Dis_l[0][-1], nn.Conv2d)
    assert isinstance(method.Dis_end[0][0], nn.BatchNorm2d)


# --- options -------------------------------------------------------------------


def test_defaults_are_those_of_the_paper_and_the_code():
    c = Config()
    assert (c.width, c.size, c.batch_size, c.z_size, c.similarity_weight) == (64, 64, 64, 128, 1e-5)
    for group in VAEGAN(Config(width=2, size=16)).groups().values():
        assert (group.optimiser, group.lr, group.betas[1]) == ("rmsprop", 3e-4, 0.9)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"size": 36}, "size is 36: it must be a multiple of 8"),
        ({"width": 5}, "width is 5: it must be even"),
        ({"batch_size": 1}, "batch_size is 1: it must be at least 2"),
        ({"similarity_weight": -1.0}, "similarity_weight is -1.0"),
    ],
)
def test_a_value_out_of_range_is_named_in_one_line(options: dict[str, Any], named: str):
    assert named in refused("vaegan", options)
