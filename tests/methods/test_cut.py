"""CUT against values worked out by hand.

x = 1/2, y = -1/4; G(t) = t/2 + 1/4, F(t) = 1/2 - t, with the maps (t, 2t); D_Y(t) = t + 1,
D_X(t) = 3t. So fake_y = 1/2 and fake_x = 3/4.
"""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from diptych.errors import InputError
from diptych.methods import make_config
from diptych.methods.cut import CUT, RECIPES, Config, Generator, patch_nce
from diptych.networks.resnet import ResNetGenerator
from diptych.types import Unpaired
from tests.methods.by_hand import (
    Affine,
    approx,
    batches,
    constant,
    parameters,
    refused,
    terms,
    updates,
)

D_Y = ((0.75 - 1) ** 2 + 1.5**2) / 2
D_X = ((1.5 - 1) ** 2 + 2.25**2) / 2
FOOL = (1.5 - 1) ** 2 + (2.25 - 1) ** 2


class Seen(Affine):
    """An affine generator whose encoder has two maps."""

    def maps(self, image: Tensor) -> list[Tensor]:
        return [image, 2 * image]


def _by_hand(**options: Any) -> CUT:
    method = CUT(Config(width=1, size=32, **options))
    method.G, method.F = Seen(0.5, 0.25), Seen(-1.0, 0.5)
    method.D_Y, method.D_X = Affine(1.0, 1.0), Affine(3.0)
    method.H_X = method.H_Y = nn.ModuleList([nn.Identity(), nn.Identity()])
    return method


# --- Eq. (2) -------------------------------------------------------------------


def test_eq_2_has_the_value_worked_out_by_hand():
    # Queries at 0°, 90° and 180°, keys at 0°, 90° and 90°, of any length.
    query = torch.tensor([[[2.0, 0.0], [0.0, 0.5], [-3.0, 0.0]]])
    key = torch.tensor([[[1.0, 0.0], [0.0, 4.0], [0.0, 1.0]]])
    similar, t = [[1, 0, 0], [0, 1, 1], [-1, 0, 0]], 0.5
    by_hand = 0.0
    for s, row in enumerate(similar):
        exponentials = [math.exp(v / t) for v in row]
        by_hand -= math.log(exponentials[s] / sum(exponentials)) / 3
    assert patch_nce(query, key, t).item() == pytest.approx(by_hand, rel=1e-6)


def test_patches_of_other_images_are_no_negatives():
    rng = torch.Generator().manual_seed(0)
    query, key = torch.randn(2, 5, 4, generator=rng), torch.randn(2, 5, 4, generator=rng)
    apart = [patch_nce(query[i : i + 1], key[i : i + 1], 0.07).item() for i in (0, 1)]
    assert patch_nce(query, key, 0.07).item() == pytest.approx(sum(apart) / 2, rel=1e-6)


def test_patches_that_are_all_alike_cost_the_logarithm_of_their_number():
    assert patch_nce(torch.ones(1, 8, 3), torch.ones(1, 8, 3), 0.07).item() == approx(math.log(8))


def test_eq_2_is_float32_under_autocast():
    query = torch.randn(1, 16, 8, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = patch_nce(query, query + 0.1, 0.07)
    assert loss.dtype == torch.float32
    assert loss.item() == patch_nce(query, query + 0.1, 0.07).item()


# --- the objective -------------------------------------------------------------


def test_eqs_1_3_and_4_have_the_values_worked_out_by_hand_and_d_comes_first():
    discriminators, generators = updates(_by_hand(), batches(Unpaired, 0.5, -0.25))
    assert (discriminators.group, generators.group) == ("discriminators", "generators")
    assert terms(discriminators) == approx({"D_Y": D_Y, "D_X": D_X})
    # Of constant images every one of 16 patches is like the others.
    nce = 2 * math.log(16)
    assert terms(generators) == approx({"adversarial": FOOL, "nce": nce, "nce_same": nce})
    assert generators.loss.item() == approx(FOOL + 2 * nce)


def test_lambdas_weigh_their_terms_and_fastcut_has_one():
    method = _by_hand(nce_x_weight=3.0, nce_y_weight=5.0, gan_weight=2.0)
    generators = updates(method, batches(Unpaired, 0.5, -0.25))[1]
    assert generators.loss.item() == approx(2 * FOOL + 8 * 2 * math.log(16))
    fast = _by_hand(**RECIPES["fastcut"].config)
    generators = updates(fast, batches(Unpaired, 0.5, -0.25))[1]
    assert set(generators.terms) == {"adversarial", "nce"}
    assert generators.loss.item() == approx(FOOL + 10 * 2 * math.log(16))


def test_eq_3_compares_the_same_places_layer_by_layer():
    method = _by_hand(nce_y_weight=0.0, patches=256)
    rng = torch.Generator().manual_seed(0)
    x, y = (torch.rand(2, 3, 4, 4, generator=rng) * 2 - 1 for _ in range(2))
    generators = updates(method, iter([Unpaired(x, y)]))[1]

    def patches(image: Tensor) -> Tensor:
        return image.flatten(2).transpose(1, 2)  # all 16 places: their order does not matter

    # The second map is twice the first: its directions are the same.
    to_y = patch_nce(patches(x / 2 + 0.25), patches(x), 0.07)
    to_x = patch_nce(patches(0.5 - y), patches(y), 0.07)
    assert generators.terms["nce"].item() == approx((to_y + to_x).item())


def test_mirror_images_are_compared_where_their_patches_came_from():
    rng = torch.Generator().manual_seed(0)
    x, y = (torch.rand(1, 3, 4, 4, generator=rng) * 2 - 1 for _ in range(2))
    seen: dict[bool, list[float]] = {True: [], False: []}
    for flips in (False, True):
        method = _by_hand(nce_y_weight=0.0, is_flip_equivariant=flips)
        for seed in range(8):
            generators = updates(method, iter([Unpaired(x, y)]), seed=seed)[1]
            seen[flips].append(generators.terms["nce"].item())
    # A generator of pixels knows no left and right: the loss is the same, flipped or not.
    assert seen[True] == pytest.approx(seen[False], rel=1e-5)


def test_fastcut_translates_half_of_the_batches_mirrored_and_cut_none():
    rng = torch.Generator().manual_seed(0)
    x, y = (torch.rand(1, 3, 4, 4, generator=rng) * 2 - 1 for _ in range(2))
    mirrored: dict[bool, list[bool]] = {True: [], False: []}
    for flips, found in mirrored.items():
        method = _by_hand(is_flip_equivariant=flips)
        seen: list[Tensor] = []
        method.G.register_forward_hook(lambda _, given, __, seen=seen: seen.append(given[0]))
        for seed in range(16):
            seen.clear()
            updates(method, iter([Unpaired(x, y)]), seed=seed)
            both = torch.cat([x, y])  # y for the sake of λ_Y
            found.append(torch.equal(seen[0], both.flip(3)))
            assert found[-1] or torch.equal(seen[0], both)
    assert 4 <= sum(mirrored[True]) <= 12
    assert not any(mirrored[False])


def test_what_is_translated_is_the_target_of_no_gradient():
    torch.manual_seed(0)
    method = CUT(Config(width=2, size=32, nce_y_weight=0.0))
    rng = torch.Generator().manual_seed(1)
    image = (torch.rand(1, 3, 32, 32, generator=rng) * 2 - 1).requires_grad_()
    made = torch.rand(1, 3, 32, 32, generator=rng)
    loss = method._nce(method.G, method.H_X, image, made.requires_grad_(), False, rng)
    of_image, of_made = torch.autograd.grad(loss, [image, made], allow_unused=True)
    assert of_image is None or not of_image.any()
    assert of_made.any()


@pytest.mark.parametrize("has_autocast", [False, True])
def test_every_weight_has_a_gradient_though_targets_have_none(has_autocast: bool):
    torch.manual_seed(0)
    method = CUT(Config(width=2, size=32))
    x = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=has_autocast):
        generators = updates(method, iter([Unpaired(x, -x)]))[1]
    own = [p for module in method.groups()["generators"].modules for p in module.parameters()]
    gradients = torch.autograd.grad(generators.loss, own, allow_unused=True)
    assert all(gradient is not None for gradient in gradients)


def test_places_are_256_a_layer_and_drawn_from_the_clock():
    method, counts = CUT(Config(width=2, size=64)), []
    for h in method.H_X:
        h.register_forward_hook(lambda _m, given, _o: counts.append(given[0].shape[1]))
    image = torch.rand(1, 3, 64, 64)
    before = torch.get_rng_state()
    method._nce(method.G, method.H_X, image, image, False, torch.Generator())
    assert counts == [256] * 10  # five layers, both images
    assert torch.equal(torch.get_rng_state(), before)


# --- networks ------------------------------------------------------------------


def test_the_generator_is_cyclegans_looked_at_in_five_places():
    torch.manual_seed(0)
    plain = ResNetGenerator(4, 9)
    torch.manual_seed(0)
    cut = Generator(4, 9, 3)
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        assert torch.equal(cut(image), plain(image))
        maps = cut.maps(image)
        assert torch.equal(maps[0], image)
        for h, depth in zip(maps[1:], (5, 8, 11, 15), strict=True):
            assert torch.equal(h, nn.Sequential(*list(plain)[:depth])(image))
    assert [tuple(h.shape[1:]) for h in maps] == [
        (3, 32, 32), (8, 16, 16), (16, 8, 8), (16, 8, 8), (16, 8, 8),
    ]  # fmt: skip


@pytest.mark.parametrize("blocks", [1, 3, 5, 6])
def test_shorter_generators_are_looked_at_up_to_their_last_block(blocks: int):
    cut = Generator(1, blocks, 3)
    assert len(cut.maps(torch.zeros(1, 3, 16, 16))) == 5
    assert parameters(cut) == parameters(ResNetGenerator(1, blocks))


def test_networks_have_the_papers_sizes():
    method, c = CUT(Config()), Config()
    assert parameters(method.G) == parameters(method.F) == 11_378_179
    assert parameters(method.D_Y) == 2_764_737
    h = sum(k * 256 + 256 + 256 * 256 + 256 for k in (3, 128, 256, 256, 256))
    assert parameters(method.H_X) == parameters(method.H_Y) == h
    assert (c.temperature, c.patches, c.features, c.batch_size) == (0.07, 256, 256, 1)
    assert (c.gan_weight, c.nce_x_weight, c.nce_y_weight) == (1.0, 1.0, 1.0)
    generators = method.groups()["generators"]
    assert (generators.lr, generators.betas) == (2e-4, (0.5, 0.999))
    assert method.H_X in generators.modules


def test_translation_is_g_to_y_and_f_to_x():
    method = _by_hand()
    assert method.translate(constant(0.5), (1,)).unique().tolist() == [0.5]
    assert method.translate(constant(-0.25), (0,)).unique().tolist() == [0.75]


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_are_configurations_of_the_method(name: str):
    make_config("cut", RECIPES[name].config)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"size": 16}, "size is 16: a 70x70 discriminator needs at least 32"),
        ({"size": 34}, "size is 34: it must be a multiple of 4"),
        ({"patches": 1}, "patches is 1: it must be at least 2"),
        ({"temperature": 0.0}, "temperature is 0.0: it must be above 0"),
        ({"nce_x_weight": 0.0, "nce_y_weight": 0.0}, "both of nce_x_weight and nce_y_weight"),
        ({"gan_weight": 0.0}, "gan_weight"),
    ],
)
def test_a_value_out_of_range_is_named_in_one_line(options: dict[str, Any], named: str):
    assert named in refused("cut", options)


def test_cut_has_two_domains():
    with pytest.raises(InputError, match="between 2 domains, not 3"):
        CUT(Config(width=1, size=32), channels=(3,) * 3)
