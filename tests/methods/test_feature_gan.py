"""Feature loss + GAN against values worked out by hand: networks are functions of a pixel.

x = 1/2, y = -1/4; G(t) = t/2 + 1/4, F(t) = 1/2 - t; D_Y(t) = t + 1, D_X(t) = 3t;
psi(t) = 2t². So fake_y = 1/2 and fake_x = 3/4, and |psi(fake_y) - psi(x)| = 0,
|psi(fake_x) - psi(y)| = 2 (9/16 - 1/16) = 1.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from diptych.errors import InputError
from diptych.methods import build, make_config
from diptych.methods.feature_gan import RECIPES, Config, FeatureGAN
from diptych.networks.features import load_features
from diptych.types import Unpaired
from tests.methods.by_hand import (
    Affine,
    approx,
    batches,
    constant,
    hinge,
    parameters,
    refused,
    terms,
    updates,
)

D_Y = ((0.75 - 1) ** 2 + 1.5**2) / 2
D_X = ((1.5 - 1) ** 2 + 2.25**2) / 2
FOOL = (1.5 - 1) ** 2 + (2.25 - 1) ** 2


def _by_hand(**options: Any) -> FeatureGAN:
    method = FeatureGAN(Config(width=1, size=32, **options))
    method.G, method.F = Affine(0.5, 0.25), Affine(-1.0, 0.5)
    method.D_Y, method.D_X = Affine(1.0, 1.0), Affine(3.0)
    method._psi = lambda image: 2 * image.square()  # type: ignore[method-assign]
    return method


def _updates(method: FeatureGAN, step: int = 0) -> list[Any]:
    return updates(method, batches(Unpaired, 0.5, -0.25), step=step)


def test_eq_4_with_features_has_the_values_worked_out_by_hand():
    *refiners, discriminators = _updates(_by_hand())
    assert len(refiners) == 2
    for update in refiners:
        assert terms(update) == approx({"feature": 1.0, "adversarial": FOOL})
        assert update.loss.item() == approx(FOOL + 1.0)
    assert terms(discriminators) == approx({"D_Y": D_Y, "D_X": D_X})
    assert discriminators.loss.item() == approx(D_Y + D_X)


def test_eq_4_with_features_has_the_gradients_worked_out_by_hand():
    method = _by_hand()
    source = batches(Unpaired, 0.25, -0.25)  # G(1/4) = 3/8, F(-1/4) = 3/4
    updates(method, source)[0].loss.backward()
    # By G's factor: psi(fake_y) > psi(x) rises by 4 fake_y x, D_Y(fake_y) = 11/8 by x.
    assert method.G.scale.grad.item() == approx(4 * 0.375 * 0.25 + 2 * 0.375 * 0.25)
    # By F's: psi(fake_x) > psi(y) rises by 4 fake_x y, D_X(fake_x) = 9/4 by 3y.
    assert method.F.scale.grad.item() == approx(4 * 0.75 * -0.25 + 2 * 1.25 * -0.75)

    method = _by_hand()
    _updates(method)[-1].loss.backward()
    assert method.D_Y.scale.grad.item() == approx(-0.25 * -0.25 + 1.5 * 0.5)
    assert method.D_X.scale.grad.item() == approx(0.5 * 0.5 + 2.25 * 0.75)


def test_a_hinge_loss_replaces_the_squares():
    refiners, _, discriminators = _updates(_by_hand(gan_loss="hinge"))
    assert terms(refiners)["adversarial"] == approx(-1.5 - 2.25)
    d_y, d_x = (hinge(-0.75) + hinge(1.5)) / 2, (hinge(-1.5) + hinge(2.25)) / 2
    assert terms(discriminators) == approx({"D_Y": d_y, "D_X": d_x})


def test_lambda_weighs_the_distance_and_warm_up_leaves_it_alone():
    assert _updates(_by_hand(feature_weight=3.0))[0].loss.item() == approx(FOOL + 3)
    method = _by_hand(refiner_warm_up=1, discriminator_warm_up=1)
    (alone,) = _updates(method, 0)
    assert terms(alone) == approx({"feature": 1.0})
    assert [update.group for update in _updates(method, 1)] == ["discriminators"]


def test_steps_are_those_of_algorithm_1():
    groups = [u.group for u in _updates(_by_hand(refiner_steps=1, discriminator_steps=2))]
    assert groups == ["refiners", "discriminators", "discriminators"]


def test_the_distance_is_taken_in_the_pretrained_map():
    method = FeatureGAN(Config(width=1, size=32, feature_layer="stage2"))
    image = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        small = load_features().maps(image, ["stage2"], is_resized=False)["stage2"]
        assert small.shape == (2, 24, 8, 8)  # a quarter of 32 pixels
        assert torch.equal(method._psi(image), small)
        method = FeatureGAN(Config(width=1, size=32, feature_layer="stage2", is_enlarged=True))
        large = load_features().maps(image, ["stage2"])["stage2"]
        assert large.shape == (2, 24, 56, 56)  # of 224
        assert torch.equal(method._psi(image), large)


def test_its_gradient_reaches_the_generator_and_no_pretrained_weight():
    torch.manual_seed(0)
    method = FeatureGAN(Config(width=2, size=32, refiner_warm_up=1, feature_layer="stem"))
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    (update,) = updates(method, iter([Unpaired(image, -image)]))
    update.loss.backward()
    assert all(p.grad is not None for p in method.G.parameters())
    assert all(p.grad is None for p in method._features().parameters())


def test_pretrained_weights_are_neither_trained_nor_saved():
    method = FeatureGAN(Config(width=1, size=32))
    method.groups()
    assert {name.split(".")[0] for name, _ in method.named_parameters()} == {"G", "F", "D_X", "D_Y"}
    assert not any("trunk" in name for name in method.state_dict())


def test_translating_needs_no_feature_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    config = make_config(
        "feature_gan",
        {"width": 1, "size": 32, "features": "vgg16", "feature_file": str(tmp_path / "none")},
    )
    method = build("feature_gan", config, channels=(3,) * 2)
    image = constant(0.5)
    assert method.translate(torch.zeros(1, 3, 32, 32), (1,)).shape == (1, 3, 32, 32)
    by_hand = _by_hand()
    assert by_hand.translate(image, (1,)).unique().tolist() == [0.5]
    assert by_hand.translate(constant(-0.25), (0,)).unique().tolist() == [0.75]


def test_a_missing_file_is_named_before_training_begins(tmp_path: Path):
    with pytest.raises(InputError, match="vgg16 needs its weights"):
        FeatureGAN(Config(width=1, size=32, features="vgg16")).groups()
    missing = str(tmp_path / "none.pth")
    with pytest.raises(InputError, match=r"no weights of vgg16 at .*none\.pth"):
        FeatureGAN(Config(width=1, size=32, features="vgg16", feature_file=missing)).groups()


def test_layers_are_where_a_pixel_is_eight_of_the_images():
    assert Config().layer == "stage3"
    assert Config(features="vgg16").layer == "relu4_2"
    image = torch.zeros(1, 3, 224, 224)
    assert load_features().maps(image, ["stage3"])["stage3"].shape == (1, 40, 28, 28)


def test_networks_are_cyclegans_and_steps_algorithm_1s():
    method, c = FeatureGAN(Config()), Config()
    assert parameters(method.G) == parameters(method.F) == 11_378_179
    assert parameters(method.D_X) == parameters(method.D_Y) == 2_764_737
    assert (c.refiner_steps, c.discriminator_steps, c.buffer_size) == (2, 1, 50)


def test_recipes_are_simgans_own_training_and_that_of_the_comparison():
    made = {name: make_config("feature_gan", recipe.config) for name, recipe in RECIPES.items()}
    assert made == {
        "algorithm-1": Config(gan_loss="log", refiner_warm_up=1000, discriminator_warm_up=200),
        "cyclegan-comparison": Config(refiner_steps=1),
    }


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"size": 16}, "size is 16: a 70x70 discriminator needs at least 32"),
        ({"feature_layer": "relu4_2"}, "feature_layer is 'relu4_2': efficientnet-lite0 has stem,"),
        ({"features": "vgg19"}, "features is 'vgg19'"),
        ({"feature_weight": -1.0}, "feature_weight is -1"),
    ],
)
def test_a_value_out_of_range_is_named_in_one_line(options: dict[str, Any], named: str):
    assert named in refused("feature_gan", options)


def test_feature_gan_has_two_domains():
    with pytest.raises(InputError, match="between 2 domains, not 3"):
        FeatureGAN(Config(width=1, size=32), channels=(3,) * 3)
