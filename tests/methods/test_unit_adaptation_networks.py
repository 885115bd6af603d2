"""UNIT for domain adaptation: the appendix's networks, what they share, and the options."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from diptych.errors import InputError
from diptych.methods import make_config
from diptych.methods.unit_adaptation import RECIPES, SIZE, Config, UNITAdaptation
from tests.methods.by_hand import refused


def _sides(modules: list[nn.Module], start: Tensor) -> list[tuple[int, int]]:
    """Channels and side of the maps that each convolution makes."""
    found = []
    hooks = [
        m.register_forward_hook(lambda _, __, h: found.append((h.shape[1], h.shape[2])))
        for module in modules
        for m in module.modules()
        if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d))
    ]
    h = start
    for module in modules:
        h = module(h)
    for hook in hooks:
        hook.remove()
    return found


def test_networks_are_the_appendixs():
    method = UNITAdaptation(Config(width=4)).eval()
    image = torch.zeros(1, 5, SIZE, SIZE)
    encoder = [method.E1, method.E_shared, method.E_mu]
    assert _sides(encoder, image) == [(4, 16), (8, 8), (16, 1), (32, 1), (32, 1)]
    generator = [method.G_shared, method.G1]
    assert _sides(generator, torch.zeros(1, 32, 1, 1)) == [
        (32, 4), (16, 8), (8, 16), (4, 32), (3, 32),
    ]  # fmt: skip
    D = [method.D1, *method.D_shared, method.D_real]
    assert _sides(D, image[:, :3]) == [(4, 32), (8, 16), (16, 8), (32, 4), (1, 1)]
    assert method.C(torch.zeros(1, 32, 2, 2)).shape == (1, 10, 1, 1)


def test_dropout_has_the_codes_rates_in_training_and_is_none_after(monkeypatch):
    rates: list[float] = []
    monkeypatch.setattr(
        "torch.nn.functional.dropout", lambda h, p, on: rates.append(p if on else 0.0) or h
    )
    method = UNITAdaptation(Config(width=1)).train()
    h = torch.zeros(2, 1, 16, 16)
    method._features(h)
    method._features(h, in_pairs=True)
    assert rates == [0.1, 0.3, 0.5, 0.5] * 2
    rates.clear()
    method.eval()._features(h)
    assert rates == [0.0] * 4


def test_a_pair_is_compared_with_the_same_dropout_in_both_images():
    torch.manual_seed(0)
    method = UNITAdaptation(Config(width=4)).train()
    one = torch.rand(8, 4, 16, 16)
    f1, f2 = method._features(torch.cat([one, one]), in_pairs=True).chunk(2)
    assert torch.equal(f1, f2)
    assert (f1 == 0).float().mean() > 0.5  # a half by dropout, more by the ReLU
    assert len({tuple(row) for row in (f1 == 0).flatten(1).tolist()}) == 8, "each pair its own"
    f1, f2 = method._features(torch.cat([one, one])).chunk(2)
    assert not torch.equal(f1, f2)


def test_what_dropout_leaves_is_scaled_so_that_the_mean_stays():
    torch.manual_seed(0)
    method = UNITAdaptation(Config(width=1)).train()
    h = method._dropout(torch.ones(2, 1, 200, 200), 0.3, in_pairs=True)
    assert sorted(h.unique().tolist()) == pytest.approx([0.0, 1 / 0.7])
    assert h.mean().item() == pytest.approx(1.0, abs=0.02)


def test_both_sides_begin_alike_so_that_every_pair_is_one_image():
    method = UNITAdaptation(Config(width=2)).eval()
    image = torch.rand(3, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0)) * 2 - 1
    z = method.encode(image, 0)
    assert torch.equal(z, method.encode(image, 1))
    assert torch.equal(method.decode(z, 0), method.decode(z, 1))
    own = [(method.E1, method.E2), (method.G1, method.G2), (method.D1, method.D2)]
    for first, second in own:
        both = zip(first.parameters(), second.parameters(), strict=True)
        assert all(p is not q for p, q in both)


def test_high_layers_of_d1_and_d2_are_tied_and_low_ones_begin_alike_and_part():
    method = UNITAdaptation(Config(width=2, batch_size=2)).eval()
    image = torch.rand(3, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert torch.equal(method.classify(image, 0), method.classify(image, 1))
    parameters = [p for m in method.groups()["discriminators"].modules for p in m.parameters()]
    assert len({id(p) for p in parameters}) == len(parameters)
    with torch.no_grad():
        next(method.D2.parameters()).add_(1.0)
    assert not torch.equal(method.classify(image, 0), method.classify(image, 1))


def test_without_a_target_in_training_the_sources_layers_classify_it():
    method = UNITAdaptation(Config(width=2, gan_weight=0.0)).eval()
    with torch.no_grad():
        next(method.D2.parameters()).add_(1.0)
    image = torch.rand(3, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    assert torch.equal(method.classify(image, 0), method.classify(image, 1))


@pytest.mark.parametrize(
    ("grey", "expected"),
    [
        ("neither", [False, False]),
        ("both", [True] * 2),
        ("source", [True, False]),
        ("target", [False, True]),
    ],
)
def test_grey_domains_get_grey_images(grey: str, expected: list[bool]):
    method = UNITAdaptation(Config(width=4, grey=grey)).eval()  # type: ignore[arg-type]
    z = torch.randn(2, 32, 1, 1, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        images = [method.decode(z, to) for to in (0, 1)]
    assert [bool((image == image[:, :1]).all()) for image in images] == expected
    if grey == "source":
        coloured = method.G1(method.G_shared(z)).mean(1)
        assert torch.allclose(images[0][:, 2], coloured)


def test_encoders_see_each_pixels_place():
    placed = UNITAdaptation(Config(width=1))._placed(torch.full((2, 3, SIZE, SIZE), 0.5))
    assert placed.shape == (2, 5, SIZE, SIZE)
    assert placed[1, :, 0, 31].tolist() == [0.5, 0.5, 0.5, -1.0, 15 / 16]
    assert placed[0, :, 16, 0].tolist() == [0.5, 0.5, 0.5, 0.0, -1.0]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"width": 0}, "width is 0"),
        ({"size": 64}, "size is 64: unit_adaptation's networks are for 32"),
        ({"batch_size": 1}, "batch_size is 1"),
        ({"classes": 1}, "classes is 1"),
        ({"feature_loss": "l3"}, "feature_loss is 'l3'"),
        ({"gan_weight": -1.0}, "gan_weight is -1"),
        ({"kl_weight": math.nan}, "kl_weight is nan"),
        ({"weight_decay": -0.1}, "weight_decay is -0.1"),
        ({"beta1": 2.0}, "beta1 is 2"),
        ({"gan_weight": 0, "classification_weight": 0}, "are both 0"),
    ],
)
def test_a_value_out_of_range_is_named_in_one_line(options: dict[str, Any], named: str):
    assert named in refused("unit_adaptation", options)


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_are_configurations_of_the_method(name: str):
    assert make_config("unit_adaptation", RECIPES[name].config) != Config()


def test_it_has_two_domains():
    with pytest.raises(InputError, match="between 2 domains, not 3"):
        UNITAdaptation(Config(width=1), channels=(3,) * 3)
