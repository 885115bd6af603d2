"""Gatys et al.'s style transfer against values worked out by hand.

Most tests see through a network whose maps are the image itself, in every layer: three
filters, one a colour. So a style is the second moments of an image's colours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from diptych.errors import InputError
from diptych.methods import make_config
from diptych.methods.gatys import LAYERS, Collected, Config, Gatys, Layers
from diptych.networks.features import map_channels
from diptych.objectives import gram
from diptych.training.presets import chosen
from diptych.types import Clock, Draws, Styles, Unpaired
from tests.methods.by_hand import approx, refused

LITE = LAYERS["efficientnet-lite0"]


def _image(seed: int, side: int = 16) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.rand(1, 3, side, side, generator=rng) * 1.2 - 0.6


def _seeing_pixels(**options: Any) -> Gatys:
    """A method whose network is the identity, with one image of each domain gathered."""
    method = Gatys(Config(**{"size": 32, "translation_steps": 60} | options))
    names = (*LITE.style, "other")
    method.collected = Collected(dict.fromkeys(names, 3), method.config.layers)
    method._raw_maps = lambda images: dict.fromkeys(LITE.style, images)  # type: ignore[method-assign]
    return method


def _gather(method: Gatys, *batches: Unpaired) -> None:
    source = iter(batches)
    for _ in batches:
        clock = Clock(0, 0.0, torch.Generator())
        assert list(method.iteration(source, clock)) == []


def _moments(image: Tensor) -> Tensor:
    return gram(image)[0] / (image.shape[2] * image.shape[3])


# --- what is gathered ----------------------------------------------------------

MAPS = torch.tensor([[1.0, 2.0, 0.0, -1.0], [3.0, 0.0, 1.0, 1.0]]).view(1, 2, 2, 2)


def test_styles_are_mean_grams_of_filters_over_their_mean_magnitudes():
    collected = Collected({"a": 2, "b": 2}, Layers(content="b", style=("a",)))
    collected.add(0, {"a": MAPS, "b": MAPS})
    collected.add(0, {"a": torch.cat([3 * MAPS, MAPS]), "b": torch.cat([3 * MAPS, MAPS])})
    collected.add(1, {"a": torch.zeros(1, 2, 4, 4), "b": torch.zeros(1, 2, 4, 4)})
    # |F| is 4/4 and 5/4 on average; over the four images 1 + 3 + 1 + 0 times that.
    assert collected.magnitude("a").tolist() == approx([5 / 4, 25 / 16])
    assert collected.magnitude("b").tolist() == approx([5 / 4, 25 / 16])
    # [[6, 2], [2, 11]] over four positions, times the mean of 1, 9 and 1.
    scale = 11 / 3 / 4
    expected = [
        [6 * scale / (5 / 4) ** 2, 2 * scale / (5 / 4 * 25 / 16)],
        [2 * scale / (5 / 4 * 25 / 16), 11 * scale / (25 / 16) ** 2],
    ]
    for row, values in zip(collected.style(0)["a"].tolist(), expected, strict=True):
        assert row == approx(values)
    assert collected.style(1)["a"].tolist() == [[0, 0], [0, 0]]
    assert list(collected.style(0)) == ["a"]


def test_a_filter_that_is_all_but_silent_counts_with_a_tenth_of_its_layers_mean():
    collected = Collected({"a": 2}, Layers(content="a", style=("a",)))
    maps = torch.stack([torch.full((2, 2), 4.0), torch.full((2, 2), 0.001)])[None]
    collected.add(0, {"a": maps})
    assert collected.magnitude("a").tolist() == approx([4.0, 0.1 * 2.0005])


def test_a_step_gathers_both_domains_and_batches_make_no_difference():
    one, two = _seeing_pixels(), _seeing_pixels()
    images = [_image(seed, 4) for seed in range(8)]
    _gather(one, Unpaired(torch.cat(images[:4]), torch.cat(images[4:])))
    _gather(two, *(Unpaired(x, y) for x, y in zip(images[:4], images[4:], strict=True)))
    for method in (one, two):
        assert method.collected.images.tolist() == [4, 4]
        magnitude = method.collected.magnitude("stem")
        torch.testing.assert_close(magnitude, torch.cat(images).abs().mean(dim=(0, 2, 3)))
        for domain, own in enumerate((images[:4], images[4:])):
            mean = torch.stack([_moments(image) for image in own]).mean(0)
            expected = mean / torch.outer(magnitude, magnitude)
            torch.testing.assert_close(method.collected.style(domain)["stage4"], expected)


def test_nothing_is_trained():
    method = Gatys(Config(size=32))
    assert method.groups() == {}
    assert list(method.parameters()) == []
    assert not any("trunk" in name for name in method.state_dict())


# --- the objective (Sec. 2) ----------------------------------------------------


def test_eq_7_has_the_value_worked_out_by_hand():
    method = Gatys(Config(size=32, content_weight=0.5, style_weight=3.0))
    target = torch.tensor([[2.0, 2.0], [2.0, 8.0]]) / 4  # a position, of four
    P = MAPS + torch.tensor([1.0, 0.0, 0.0, -2.0]).view(1, 1, 2, 2)
    maps = dict.fromkeys(LITE.style, MAPS)
    styles = dict.fromkeys(LITE.style, target)
    # Eq. (1): (1 + 4) / 2 for each of two filters, over four positions.
    # Eq. (4): 25 / 256, in each of five layers.
    assert method._loss(maps, P, styles).item() == approx(0.5 * 5 / 4 + 3 * 25 / 256)
    styles["stem"] = _moments(MAPS)  # one that is met
    assert method._loss(maps, P, styles).item() == approx(0.5 * 5 / 4 + 3 * 4 / 5 * 25 / 256)


def test_the_distance_between_styles_is_eq_5():
    method = _seeing_pixels()
    x, y = _image(1), _image(2) * 0.5
    _gather(method, Unpaired(x, y))
    near, far = method.style_distance(torch.cat([y, x]), 1).tolist()
    assert near == pytest.approx(0, abs=1e-10)
    magnitude = method.collected.magnitude("stem")
    apart = (_moments(x) - _moments(y)) / torch.outer(magnitude, magnitude)
    assert far == approx(apart.square().sum().item() / (4 * 3**2))  # alike in all five layers


def test_without_content_the_style_is_met_and_without_style_the_content():
    x, y, input = _image(1), _image(2) * 0.5, _image(3)
    method = _seeing_pixels(content_weight=0.0)
    _gather(method, Unpaired(x, y))
    with torch.no_grad():
        for to, style in enumerate((x, y)):
            found = method.translate(input, (to,))
            torch.testing.assert_close(_moments(found), _moments(style), atol=2e-3, rtol=0)
    method = _seeing_pixels(content_weight=1.0, style_weight=0.0, start="noise")
    _gather(method, Unpaired(x, y))
    torch.testing.assert_close(method.translate(input, (0,)), input, atol=1e-4, rtol=0)


def test_what_is_found_is_a_minimum_and_pixels_stay_in_their_range():
    method = _seeing_pixels(content_weight=1e-2)
    _gather(method, Unpaired(_image(1), _image(2) * 0.5))
    p = _image(3)
    found = method.translate(p, (1,)).requires_grad_()
    style, P = method.collected.style(1), method._maps(p)["stage4"]

    def gradient(x: Tensor) -> float:
        return torch.autograd.grad(method._loss(method._maps(x), P, style), x)[0].norm().item()

    assert gradient(found) < 1e-3 * gradient(p.clone().requires_grad_())
    method = _seeing_pixels(content_weight=0.0)
    _gather(method, Unpaired(_image(1), 2 * _image(2).sign()))  # brighter than any image
    found = method.translate(p, (1,))
    assert found.abs().max().item() == 1.0


def test_a_batch_gets_what_each_image_gets_alone():
    method = _seeing_pixels(translation_steps=5)
    _gather(method, Unpaired(_image(1), _image(2) * 0.5))
    images = torch.cat([_image(seed) for seed in (3, 4, 5)])
    with torch.no_grad():
        together = method.translate(images, (1,))
        apart = torch.cat([method.translate(image[None], (1,)) for image in images])
    assert torch.equal(together, apart)
    assert not torch.equal(together, images)


def test_noise_is_drawn_from_the_seed_and_the_input_is_a_start_without_chance():
    def translate(start: str, seed: int) -> Tensor:
        method = _seeing_pixels(start=start, content_weight=1e-4, translation_steps=2)
        _gather(method, Unpaired(_image(1), _image(2)))
        return method.translate(_image(3), (1,), torch.Generator().manual_seed(seed))

    assert torch.equal(translate("noise", 0), translate("noise", 0))
    assert not torch.equal(translate("noise", 0), translate("noise", 1))
    assert torch.equal(translate("content", 0), translate("content", 1))


def test_a_sample_begins_at_the_noise_that_is_drawn():
    method = _seeing_pixels(content_weight=1e-4, translation_steps=2)
    noisy = _seeing_pixels(content_weight=1e-4, translation_steps=2, start="noise")
    for one in (method, noisy):
        _gather(one, Unpaired(_image(1), _image(2)))
    assert isinstance(method, Draws)
    draws = [torch.Generator().manual_seed(5) for _ in range(2)]
    assert torch.equal(
        method.draw(_image(3), (1,), draws[0]), noisy.translate(_image(3), (1,), draws[1])
    )


def test_before_anything_is_gathered_an_image_is_its_own_translation():
    method = Gatys(Config(size=32))
    assert torch.equal(method.translate(_image(0, 32), (1,)), _image(0, 32))


# --- the style of given images --------------------------------------------------


def _targets(method: Gatys) -> list[Mapping[str, Tensor]]:
    """The styles that it is asked to render from now on."""
    seen: list[Mapping[str, Tensor]] = []

    def render(images: Tensor, style: Mapping[str, Tensor], rng: Any) -> Tensor:
        seen.append(style)
        return images

    method._render_each = render  # type: ignore[method-assign, assignment]
    return seen


def test_several_styles_have_the_mean_of_their_grams():
    method = _seeing_pixels()
    assert isinstance(method, Styles)
    _gather(method, Unpaired(_image(1), _image(2)))
    seen = _targets(method)
    a, b = _image(3), _image(4) * 0.3
    method.stylise(_image(5), [a])
    method.stylise(_image(5), [a, b])
    magnitude = method.collected.magnitude("stem")
    scale = torch.outer(magnitude, magnitude)
    torch.testing.assert_close(seen[0]["stem"], _moments(a) / scale)
    torch.testing.assert_close(seen[1]["stage3"], (_moments(a) + _moments(b)) / 2 / scale)


def test_a_domains_image_is_the_same_style_as_the_domain_that_it_makes_up():
    method = _seeing_pixels()
    y = _image(2)
    _gather(method, Unpaired(_image(1), y))
    seen = _targets(method)
    method.translate(_image(5), (1,))
    method.stylise(_image(5), [y])
    for layer in LITE.style:
        torch.testing.assert_close(seen[0][layer], seen[1][layer])


def test_styles_are_scaled_to_the_inputs_area_in_their_own_proportions():
    method = _seeing_pixels()
    _gather(method, Unpaired(_image(1), _image(2)))
    seen: list[tuple[int, ...]] = []
    raw = method._raw_maps

    def watched(images: Tensor) -> dict[str, Tensor]:
        seen.append(tuple(images.shape[2:]))
        return raw(images)

    method._raw_maps = watched  # type: ignore[method-assign]
    _targets(method)
    method.stylise(torch.zeros(1, 3, 64, 64), [torch.zeros(1, 3, 32, 128)])
    method.stylise(torch.zeros(1, 3, 64, 64), [torch.zeros(1, 3, 128, 32)])
    method.stylise(torch.zeros(1, 3, 64, 64), [torch.zeros(1, 3, 20, 20)])
    assert seen == [(32, 128), (128, 32), (64, 64)]


# --- around it -----------------------------------------------------------------


def test_a_preset_sets_the_options_that_the_method_has():
    config, run = chosen("gatys", preset="fast")
    assert config == {"size": 64, "batch_size": 4}
    assert run["ema"] == 0.999
    make_config("gatys", config)


def test_defaults_are_the_papers():
    c = Config()
    assert (c.content_weight, c.style_weight, c.pooling) == (1e-3, 1.0, "average")
    vgg = Config(features="vgg19").layers
    assert vgg.content == "relu4_2"
    assert vgg.style == ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
    assert Config(content_layer="stage2").layers.content == "stage2"


@pytest.mark.parametrize("name", LAYERS)
def test_layers_are_of_their_network(name: str):
    assert {LAYERS[name].content, *LAYERS[name].style} <= map_channels(name).keys()


def test_a_missing_file_is_named_before_anything_is_gathered():
    with pytest.raises(InputError, match="vgg19 needs its weights"):
        Gatys(Config(size=32, features="vgg19")).groups()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"size": 16}, "size is 16: it must be at least 32"),
        ({"features": "inception"}, "features is 'inception'"),
        ({"content_layer": "relu4_2"}, "content_layer is 'relu4_2': efficientnet-lite0 has stem,"),
        ({"translation_steps": 0}, "translation_steps is 0"),
        ({"content_weight": -1.0}, "content_weight is -1"),
    ],
)
def test_a_value_out_of_range_is_named_in_one_line(options: dict[str, Any], named: str):
    assert named in refused("gatys", options)


def test_gatys_has_two_domains():
    with pytest.raises(InputError, match="between 2 domains, not 3"):
        Gatys(Config(size=32), channels=(3,) * 3)
