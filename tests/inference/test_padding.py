"""Images of any size are padded or resized to what a method takes."""

from __future__ import annotations

import pytest
import torch

from diptych.data.images import to_tensor
from diptych.inference.padding import reflect_to
from diptych.inference.translator import Translator
from tests.inference.test_translator import Fixed, cyclegan, info, photo


@pytest.fixture(scope="module")
def translator() -> Translator:
    return cyclegan(blocks=2)


def test_multiples_of_the_methods_are_not_padded(translator):
    image = to_tensor(photo(68, 44))[None]
    with torch.no_grad():
        expected = translator._method.translate(image, (1,))
    assert torch.equal(translator.translate_batch(image, "zebra"), expected)
    assert not torch.equal(translator.translate_batch(image, "horse"), expected)


def test_padding_mirrors_without_repeating_the_edge():
    assert reflect_to(torch.arange(3.0)[None], 1, 8)[0].tolist() == [0, 1, 2, 1, 0, 1, 2, 1]
    assert reflect_to(torch.tensor([[5.0]]), 2, 3).tolist() == [[5, 5, 5], [5, 5, 5]]


def test_fixed_size_methods_get_that_size_and_give_back_the_inputs():
    translator = Translator(Fixed(), info(), device="cpu", memory_gib=0.001)
    ramp = torch.linspace(-1, 1, 90).expand(1, 3, 70, 90)
    result = translator.translate_batch(ramp, "zebra")
    assert result.shape == ramp.shape
    torch.testing.assert_close(result, -ramp, rtol=0, atol=0.03)
