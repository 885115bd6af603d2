"""What every method must satisfy; a new one is covered the day its file appears.

The checks are those of `diptych.testing`, which methods from outside go through too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from diptych.errors import InputError
from diptych.methods import method_class, own_methods
from diptych.testing import Case, checks_of, contract, tiny_config
from tests.methods.contract_cases import FALLS, GATHER, SMALL, STEPPED, UNTRAINED, VARIANTS

CASES = [
    pytest.param(name, options, id="-".join([name, *map(str, options.values())]))
    for name in own_methods()
    for options in [{}, *VARIANTS.get(name, [])]
]
every_case = pytest.mark.parametrize(("name", "options"), CASES)
every_trained_case = pytest.mark.parametrize(
    ("name", "options"), [case for case in CASES if case.values[0] not in GATHER]
)


def _cases(capability: str) -> pytest.MarkDecorator:
    """Those of the methods that have a function of this name."""
    cases = [case for case in CASES if hasattr(method_class(str(case.values[0])), capability)]
    return pytest.mark.parametrize(("name", "options"), cases)


def _case(
    name: str, options: Mapping[str, Any] | None = None, channels: tuple[int, int] = (3, 3)
) -> Case:
    method, options = method_class(name), options or {}
    return Case(
        method,
        tiny_config(method, **(SMALL.get(name, {}) | options)),
        falls=FALLS.get(name),
        stepped=STEPPED.get(name),
        channels=channels,
        untrained=[part for key in options for part in UNTRAINED.get((name, key), ())],
    )


def test_every_method_names_the_term_that_falls():
    assert {*FALLS, *GATHER} == set(own_methods())


def test_every_check_for_methods_from_outside_is_one_of_these_tests():
    here = {value for value in vars(contract).values() if callable(value)}
    checks = {check for name in own_methods() for check in checks_of(_case(name))}
    assert len(checks) == 15
    assert checks <= here


@every_case
def test_satisfies_the_protocols_and_holds_the_config_that_built_it(name, options):
    case = _case(name, options)
    contract.check_protocols(case)
    contract.check_config(case)


@_cases("translate")
def test_translation_keeps_shape_and_range(name, options):
    contract.check_translation(_case(name, options))


@_cases("translate")
def test_translating_a_batch_equals_translating_each_image(name, options):
    contract.check_translation_of_batches(_case(name, options))


@_cases("generate")
def test_generated_images_have_their_shape_and_range_and_are_those_of_their_noise(name, options):
    contract.check_generation(_case(name, options))


@_cases("encode")
def test_codes_of_a_batch_are_those_of_each_image_and_decode_to_images(name, options):
    contract.check_codes(_case(name, options))


@_cases("classify")
def test_classes_of_a_batch_are_those_of_each_image(name, options):
    contract.check_classes(_case(name, options))


@every_case
def test_each_update_changes_its_group_and_no_other_and_every_parameter_has_a_gradient(
    name, options
):
    contract.check_updates(_case(name, options))


@pytest.mark.parametrize("name", own_methods())
def test_every_parameter_has_a_gradient_under_autocast_too(name):
    contract.check_updates_under_autocast(_case(name))


@every_case
def test_every_parameter_is_in_a_group_or_named_as_untrained(name, options):
    contract.check_groups(_case(name, options))


@pytest.mark.parametrize("name", GATHER)
def test_a_method_that_gathers_has_no_groups_and_keeps_something_of_each_batch(name):
    contract.check_gathering(_case(name))


@every_trained_case
def test_same_seed_gives_the_same_losses_and_another_seed_others(name, options):
    contract.check_determinism(_case(name, options))


@pytest.mark.slow
@pytest.mark.parametrize("name", FALLS)
def test_the_named_term_falls_on_a_repeated_batch(name):
    contract.check_term_falls(_case(name))


@every_case
def test_a_translator_that_is_saved_and_loaded_does_the_same(name, options):
    contract.check_translator_file(_case(name, options))


IN_BF16 = [
    pytest.param(name, options, "bf16", id=f"{name}-{options}-bf16", marks=pytest.mark.slow)
    for name in own_methods()
    for options in [{}, *VARIANTS.get(name, [])][:2]
]


@pytest.mark.parametrize(
    ("name", "options", "precision"),
    [*(pytest.param(*case.values, "fp32", id=case.id) for case in CASES), *IN_BF16],
)
def test_interrupted_and_resumed_equals_uninterrupted_bit_for_bit(name, options, precision):
    contract.check_resume(_case(name, options), precision)


CHANNELS = [(1, 1), (1, 3), (4, 3)]
NEED_EQUAL = ("acgan", "cut", "gatys", "simgan", "stargan", "unit_adaptation")
"""Methods that compare an image with its translation, or have one network for all domains."""


def _with_channels(capability: str) -> pytest.MarkDecorator:
    names = [name for name in own_methods() if hasattr(method_class(name), capability)]
    cases = [
        pytest.param(name, channels, id=f"{name}-{channels[0]}-{channels[1]}")
        for name in names
        for channels in CHANNELS
        if channels[0] == channels[1] or name not in NEED_EQUAL
    ]
    return pytest.mark.parametrize(("name", "channels"), cases)


@_with_channels("translate")
def test_translates_between_domains_of_any_channels(name, channels):
    case = _case(name, channels=channels)
    contract.check_translation(case)
    contract.check_translation_of_batches(case)
    contract.check_translator_file(case)


@_with_channels("generate")
def test_generates_images_of_any_channels(name, channels):
    contract.check_generation(_case(name, channels=channels))


@_with_channels("encode")
def test_codes_are_of_images_of_any_channels(name, channels):
    contract.check_codes(_case(name, channels=channels))


@_with_channels("iteration")
def test_every_parameter_has_a_gradient_with_any_channels(name, channels):
    case = _case(name, channels=channels)
    if name in GATHER:
        contract.check_gathering(case)
    else:
        contract.check_updates(case)


@pytest.mark.parametrize("name", NEED_EQUAL)
def test_what_needs_equal_channels_says_so(name):
    with pytest.raises(InputError, match=r"must have as many channels, but they have 1, 3"):
        _case(name, channels=(1, 3)).build()


def test_the_identity_loss_needs_equal_channels():
    case = _case("cyclegan", {"identity_weight": 0.5}, channels=(1, 3))
    with pytest.raises(InputError, match=r"identity_weight=0\.5 compares images with what"):
        case.build()
