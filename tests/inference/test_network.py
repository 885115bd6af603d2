"""A translation as a plain network: what the translator gives, without the translator."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from diptych.checkpoint import TranslatorInfo
from diptych.errors import InputError
from diptych.inference.network import TranslationNetwork
from diptych.inference.translator import Translator
from diptych.methods import list_methods, make_config, method_class


def translator(name: str, **options: object) -> Translator:
    """With untrained networks."""
    small = {"size": 32} if name == "gatys" else {"size": 32, "width": 4}
    config = make_config(name, small | options)
    torch.manual_seed(0)
    method = method_class(name)(config, channels=(3,) * 2)
    info = TranslatorInfo(
        method=name,
        config={},
        domains=("horse", "zebra"),
        size=config.size,
        step=0,
        fingerprint="",
        source="",
        version="",
    )
    return Translator(method, info, device="cpu")


def images(count: int = 2, height: int = 37, width: int = 50) -> torch.Tensor:
    rng = torch.Generator().manual_seed(1)
    return torch.rand((count, 3, height, width), generator=rng) * 2 - 1


NETWORKS = [
    name
    for name in list_methods()
    if hasattr(method_class(name), "translate") and method_class(name).exportable
]


def test_the_methods_that_have_a_network():
    assert {"cyclegan", "unit", "pix2pix", "dualgan", "discogan", "stargan"} <= set(NETWORKS)
    assert not {"cogan", "gatys", "gan"} & set(NETWORKS)


@pytest.mark.parametrize("name", NETWORKS)
def test_on_prepared_images_it_gives_exactly_what_the_translator_gives(name: str):
    made_by = translator(name)
    network = made_by.network("zebra")
    assert isinstance(network, nn.Module)
    given = images(1)
    padded = network.prepare(given)
    with torch.no_grad():
        output = network(padded)
    assert torch.equal(made_by.translate_batch(padded, "zebra"), output)
    expected = made_by.translate_batch(given, "zebra")
    assert torch.equal(network.finish(output, 37, 50), expected)
    assert output.shape == padded.shape
    assert network.value_range[0] <= output.min()
    assert output.max() <= network.value_range[1]


@pytest.mark.parametrize("name", NETWORKS)
def test_it_holds_what_translating_needs_alone_frozen_and_in_eval_mode(name: str):
    made_by = translator(name)
    network = made_by.network("horse")
    kept = {own for own, _ in network.method.named_children()}
    assert kept <= set(made_by._method.inference_modules)
    assert not any(module.training for module in network.modules())
    assert not any(p.requires_grad for p in network.parameters())


def test_sizes_are_stated_and_kept():
    network = translator("cyclegan", size=32).network("zebra")
    assert (network.size_multiple, network.fixed_size, network.least_size) == (4, None, 16)
    assert network.prepare(images(2, 37, 50)).shape == (2, 3, 40, 52)
    assert network.prepare(images(2, 5, 50)).shape == (2, 3, 16, 52)
    fixed = translator("discogan").network("zebra")
    assert fixed.fixed_size == 32
    assert fixed.prepare(images(2, 37, 50)).shape == (2, 3, 32, 32)
    assert fixed.finish(fixed(fixed.prepare(images())), 37, 50).shape == (2, 3, 37, 50)


def test_changing_it_leaves_the_translator_as_it_was():
    made_by = translator("cyclegan")
    before = made_by(images(), to="zebra")
    network = made_by.network("zebra")
    with torch.no_grad():
        for p in network.parameters():
            p.zero_()
    assert torch.equal(made_by(images(), to="zebra"), before)


def test_it_draws_the_noise_of_seed_0_each_time():
    made_by = translator("pix2pix", generator="unet")
    network = made_by.network("zebra")
    given = network.prepare(images(1))
    assert torch.equal(network(given), network(given))
    assert torch.equal(network(given), made_by(given, to="zebra", seed=0))
    assert not torch.equal(network(given), made_by(given, to="zebra", seed=1))


def test_gradients_reach_its_input():
    network = translator("cyclegan").network("zebra")
    given = images(1, 32, 32).requires_grad_()
    network(given).sum().backward()
    assert given.grad is not None
    assert given.grad.abs().sum() > 0


def test_it_is_traced_to_the_same_function():
    network = translator("cyclegan").network("zebra")
    given = images(1, 32, 32)
    traced = torch.export.export(network, (given,)).module()
    assert torch.equal(traced(given), network(given))


def test_it_is_copied_and_has_weights_like_any_module():
    network = translator("cyclegan").network("zebra")
    again = copy.deepcopy(network)
    again.load_state_dict(network.state_dict())
    assert torch.equal(again(images(1, 32, 32)), network(images(1, 32, 32)))
    assert {key.split(".")[1] for key in network.state_dict()} == {"G", "F"}


@pytest.mark.parametrize("name", ["cogan", "gatys"])
def test_there_is_none_where_translating_optimises(name: str):
    message = f"{name} translates by optimising each image: there is no network"
    with pytest.raises(InputError, match=message):
        translator(name).network("zebra")


def test_there_is_none_to_an_unknown_domain_or_without_a_translation():
    with pytest.raises(InputError, match="no domain 'cow'"):
        translator("cyclegan").network("cow")
    info = translator("cyclegan").info
    with pytest.raises(InputError, match="makes new images and translates none"):
        Translator(nn.Identity(), info, device="cpu").network("zebra")
    assert isinstance(translator("unit").network("horse"), TranslationNetwork)
