"""Losses as pure functions: no weights, no logging, no devices.

All but `gram` return () float32 scalars, also under autocast: squared errors and
logarithms of half-precision scores lose the digits that matter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


def l1(image: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference of two (B, C, H, W) images.

    The papers sum |·| over an image; we average, as their authors' code does,
    so that a weight does not depend on the resolution.

    Raises:
        ValueError: the shapes differ.
    """
    _check_shapes("l1", image, target)
    return (image.float() - target.float()).abs().mean()


def l2(image: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference of two tensors of one shape, such as (B, C, H, W) images.

    Raises:
        ValueError: the shapes differ.
    """
    _check_shapes("l2", image, target)
    return (image.float() - target.float()).square().mean()


def content_loss(features: Tensor, target: Tensor) -> Tensor:
    """½ Σ (F - P)² over two tensors of one shape, such as (B, N, h, w) maps of a network.

    Gatys et al. 2016 (arXiv:1508.06576), Eq. (1). A sum, unlike the others here: it
    grows with the image.

    Raises:
        ValueError: the shapes differ.
    """
    _check_shapes("content_loss", features, target)
    return 0.5 * (features.float() - target.float()).square().sum()


def gram(features: Tensor) -> Tensor:
    """G_ij = Σ_k F_ik F_jk: (B, N, h, w) maps to (B, N, N) float32, summed over positions.

    Gatys et al. 2016 (arXiv:1508.06576), Eq. (3).
    """
    with torch.autocast(features.device.type, enabled=False):
        rows = features.float().flatten(2)  # (B, N, M): F as a matrix
        return rows @ rows.transpose(1, 2)


def style_loss(gram: Tensor, target: Tensor, positions: int) -> Tensor:
    """1 / (4 N² M²) Σ (G - A)² of two (B, N, N) Gram matrices of maps of M `positions`.

    E_l in Gatys et al. 2016 (arXiv:1508.06576), Eq. (4); summed over the batch.

    Raises:
        ValueError: the shapes differ.
    """
    _check_shapes("style_loss", gram, target)
    count = gram.shape[-1]
    # Divided first: of large maps, squares of sums lose digits.
    return ((gram.float() - target.float()) / (2 * count * positions)).square().sum()


def _check_shapes(loss: str, first: Tensor, second: Tensor) -> None:
    if first.shape != second.shape:
        raise ValueError(
            f"{loss} compares equal shapes, not {tuple(first.shape)} and {tuple(second.shape)}"
        )


def lsgan(score: Tensor, *, real: bool) -> Tensor:
    """Least squares: E[(D - 1)²] where `real` is wanted, else E[D²].

    Mao et al. 2017 with a=0, b=c=1; Zhu et al. 2017, Sec. 4. `score` is D's
    raw output of any shape, one number a patch.
    """
    return (score.float() - float(real)).square().mean()


def log_loss(logit: Tensor, *, real: bool) -> Tensor:
    """Negative log-likelihood: -E[log D] where `real` is wanted, else -E[log(1 - D)].

    D = sigmoid(`logit`); Goodfellow et al. 2014, Eq. (1), negated so that it is
    minimised. With real=True on generated images it is their non-saturating
    generator loss (Sec. 3).
    """
    return F.softplus(-logit.float() if real else logit.float()).mean()


def saturating(logit: Tensor, *, real: bool) -> Tensor:
    """E[log(1 - D)] where `real` is wanted, else E[log D]: a generator's loss, as written.

    Goodfellow et al. 2014 (arXiv:1406.2661), Eq. (1). Its gradient vanishes where D is
    sure (their Sec. 3). D = sigmoid(`logit`), of any shape.
    """
    return -log_loss(logit, real=not real)


def wgan(score: Tensor, *, real: bool) -> Tensor:
    """Wasserstein: -E[D] where `real` is wanted, else E[D].

    Arjovsky et al. 2017 (arXiv:1701.07875), Eq. (2), to be minimised by the critic;
    its Lipschitz bound is a matter of its weights. With real=True on generated
    images it is the generator's loss.
    """
    return -score.float().mean() if real else score.float().mean()


def hinge(score: Tensor, *, real: bool) -> Tensor:
    """Hinge: E[max(0, 1 - D)] where `real` is wanted, else E[max(0, 1 + D)].

    The discriminator's loss of Lim and Ye 2017 (arXiv:1705.02894) and of Miyato et al.
    2018 (arXiv:1802.05957), Sec. 4; the generator's is `wgan` there. `score` is D's raw
    output of any shape.
    """
    return F.relu(1 - score.float() if real else 1 + score.float()).mean()


@dataclass(frozen=True)
class AdversarialLoss:
    """What D and G of a GAN minimise, as functions of D's raw scores of any shape.

    `D_loss` and `G_loss` also take `real`: whether D should take the images for real. Every
    result is a () scalar, a mean over the scores.
    """

    D_loss: Callable[..., Tensor]
    """The discriminator's loss."""
    G_loss: Callable[..., Tensor]
    """The generator's loss."""

    def fool(self, fake: Tensor) -> Tensor:
        """G's loss, given D's scores of generated images: D should take them for real."""
        return self.G_loss(fake, real=True)

    def tell_apart(self, real: Tensor, fake: Tensor) -> Tensor:
        """D's loss, given its scores of real and of generated images. It is not halved."""
        return self.D_loss(real, real=True) + self.D_loss(fake, real=False)


LSGAN = AdversarialLoss(lsgan, lsgan)
"""Least squares: Mao et al. 2017 (arXiv:1611.04076)."""
LOG = AdversarialLoss(log_loss, log_loss)
"""Goodfellow et al. 2014; G's loss is the non-saturating -E[log D(fake)] (Sec. 3)."""
LOG_SATURATING = AdversarialLoss(log_loss, saturating)
"""Goodfellow et al. 2014, Eq. (1) as written; G's loss is E[log(1 - D(fake))]."""
HINGE = AdversarialLoss(hinge, wgan)
"""Lim and Ye 2017, Miyato et al. 2018; G's loss is -E[D(fake)]."""
WGAN = AdversarialLoss(wgan, wgan)
"""Arjovsky et al. 2017 (arXiv:1701.07875). A method has to bound D's slope itself."""

GAN_LOSSES: Mapping[str, AdversarialLoss] = {
    "lsgan": LSGAN,
    "log": LOG,
    "log-saturating": LOG_SATURATING,
    "hinge": HINGE,
}
"""By the value of an option `gan_loss`; a method's `Config` names those that it offers."""


def gradient_penalty(
    critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, share: Tensor
) -> Tensor:
    """E[(||gradient of D at x̂|| - 1)²], which holds a Wasserstein critic to slopes of 1.

    Gulrajani et al. 2017 (arXiv:1704.00028). x̂ is `share` of `real` and the
    rest of `fake`, (B, C, H, W) both; `share` is (B,) in [0, 1], drawn uniformly there.
    Where `critic` gives an image several scores, one a patch, it is the gradient of
    their sum. Computed in float32 and without compiled code: autograd loses the second
    derivative of a compiled critic without a word.

    Raises:
        ValueError: the shapes do not fit.
    """
    if real.shape != fake.shape or share.shape != real.shape[:1]:
        raise ValueError(
            f"a gradient penalty takes two batches of one shape and a share each, not"
            f" {tuple(real.shape)}, {tuple(fake.shape)} and {tuple(share.shape)}"
        )
    with (
        torch.autocast(real.device.type, enabled=False),
        torch.compiler.set_stance("force_eager"),
        torch.enable_grad(),
    ):
        part = share.to(real.device, torch.float32).reshape(-1, 1, 1, 1)
        between = part * real.detach().float() + (1 - part) * fake.detach().float()
        between.requires_grad_()
        total = critic(between).float().sum()
        (slope,) = torch.autograd.grad(total, between, create_graph=True)
        norm: Tensor = torch.linalg.vector_norm(slope.flatten(1), dim=1)
        return (norm - 1).square().mean()
