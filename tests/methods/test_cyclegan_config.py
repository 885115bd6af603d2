"""CycleGAN's options: the paper's values, its recipes, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from diptych.methods import make_config
from diptych.methods.cyclegan import RECIPES, Config, CycleGAN
from diptych.networks.patchgan import ImageGAN, PatchGAN
from diptych.networks.resnet import ResidualBlock
from diptych.networks.unet import UNetGenerator
from diptych.training.settings import Settings
from tests.methods.by_hand import refused


def test_defaults_are_those_of_the_paper():
    c = Config()
    assert (c.width, c.size, c.batch_size, c.lr, c.beta1) == (64, 256, 1, 2e-4, 0.5)
    assert (c.cycle_weight, c.identity_weight, c.buffer_size, c.decay_from) == (10.0, 0.0, 50, 0.5)
    assert (c.generator, c.discriminator, c.gan_loss) == ("resnet", "70x70", "lsgan")
    assert (c.cycle, c.cycle_loss, c.gan_weight, c.discriminators) == ("both", "l1", 1.0, 1)


@pytest.mark.parametrize(
    ("size", "blocks", "expected"),
    [(32, None, 6), (128, None, 6), (252, None, 6), (256, None, 9), (512, None, 9), (256, 2, 2)],
)
def test_six_residual_blocks_below_256_pixels_and_nine_from_there(
    size: int, blocks: int | None, expected: int
):
    config = Config(width=1, size=size, blocks=blocks)
    assert config.residual_blocks == expected
    G = CycleGAN(config).G
    assert sum(isinstance(m, ResidualBlock) for m in G.modules()) == expected


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"width": 0}, "width is 0"),
        ({"width": 2.5}, "width is 2.5"),
        ({"width": True}, "width is True"),
        ({"size": 8}, "size is 8"),
        ({"size": 34}, "size is 34"),
        ({"size": 16}, "size is 16"),  # a 70x70 discriminator's last norm would see one pixel
        ({"size": 64, "discriminator": "286x286"}, "size is 64"),
        ({"size": 48, "generator": "unet"}, "size is 48"),
        ({"size": 48, "discriminator": "image"}, "size is 48"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"generator": "vgg"}, "generator is 'vgg'"),
        ({"blocks": 0}, "blocks is 0"),
        ({"discriminator": "71x71"}, "discriminator is '71x71'"),
        ({"discriminators": 0}, "discriminators is 0"),
        ({"gan_loss": "wgan"}, "gan_loss is 'wgan'"),
        ({"gan_weight": -1.0}, "gan_weight is -1"),
        ({"cycle": "sideways"}, "cycle is 'sideways'"),
        ({"cycle_weight": -0.5}, "cycle_weight is -0.5"),
        ({"cycle_weight": math.nan}, "cycle_weight is nan"),
        ({"cycle_loss": "l2"}, "cycle_loss is 'l2'"),
        ({"identity_weight": -0.5}, "identity_weight is -0.5"),
        ({"buffer_size": -1}, "buffer_size is -1"),
        ({"lr": -1e-4}, "lr is -0.0001"),
        ({"lr": "fast"}, "lr is 'fast'"),
        ({"beta1": 1.5}, "beta1 is 1.5"),
        ({"decay_from": -0.1}, "decay_from is -0.1"),
        ({"decay_from": 1.1}, "decay_from is 1.1"),
        ({"gan_weight": 0.0, "cycle": "none"}, "gan_weight is 0"),
        ({"gan_weight": 0.0, "cycle_weight": 0.0}, "gan_weight is 0"),
        ({"cycle_wieght": 1.0}, "'cycle_wieght': did you mean 'cycle_weight'"),
    ],
)
def test_a_value_out_of_range_is_named_in_one_line(options: dict[str, Any], named: str):
    assert named in refused("cyclegan", options)


@pytest.mark.parametrize(
    ("discriminator", "least"),
    [("1x1", 16), ("16x16", 16), ("34x34", 16), ("70x70", 32), ("142x142", 64), ("image", 16)],
)
def test_smallest_size_of_each_discriminator_trains(discriminator: str, least: int):
    method = CycleGAN(Config(width=1, size=least, blocks=1, discriminator=discriminator))
    image = torch.randn(1, 3, least, least)
    scores = method.D_X[0](image)
    assert scores.isfinite().all()
    assert scores.numel() >= 1


def test_discriminator_option_chooses_the_network():
    def network(name: str) -> nn.Module:
        return CycleGAN(Config(width=1, size=32, blocks=1, discriminator=name)).D_Y[0]

    assert isinstance(network("image"), ImageGAN)
    assert isinstance(network("70x70"), PatchGAN)
    sizes = {n: len([m for m in network(n) if isinstance(m, nn.Conv2d)]) for n in ("1x1", "34x34")}
    assert sizes == {"1x1": 3, "34x34": 4}


def test_unet_option_goes_down_to_one_pixel():
    G = CycleGAN(Config(width=1, size=64, generator="unet")).G
    assert isinstance(G, UNetGenerator)
    assert len(G.down) == 6


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_valid(name: str):
    recipe = RECIPES[name]
    config = make_config("cyclegan", recipe.config)
    settings = Settings(x="a", y="b", **recipe.run)
    assert {key: vars(config)[key] for key in recipe.config} == dict(recipe.config)
    assert {key: vars(settings)[key] for key in recipe.run} == dict(recipe.run)
    assert recipe.summary


def test_recipes_with_the_identity_loss_are_those_of_paintings_and_photographs():
    with_identity = {name for name, r in RECIPES.items() if r.config.get("identity_weight")}
    assert with_identity == {"painting-to-photo", "photo-enhancement"}
    assert {RECIPES[name].config["identity_weight"] for name in with_identity} == {0.5}
