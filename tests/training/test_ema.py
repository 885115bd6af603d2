"""The average of weights, by hand."""

from __future__ import annotations

import pytest
import torch

from diptych.training.ema import Average


def test_average_follows_its_recursion():
    live = {"w": torch.tensor([1.0, -1.0])}
    average = Average(live, decay=0.5)
    expected = live["w"].clone()
    for step, value in ((1, 2.0), (2, 4.0), (50, 8.0), (100, 0.0)):
        live["w"].fill_(value)
        average.update(step)
        decay = min(0.5, (1 + step) / (5 + step))
        expected = decay * expected + (1 - decay) * value
        assert average.weights["w"].tolist() == pytest.approx(expected.tolist(), rel=1e-6)
    # By hand: step 1 has decay 2/6, step 2 has 3/7, the others 1/2.
    first = (1 * 2 + 2 * 4) / 6
    assert average.weights["w"][0].item() == pytest.approx(
        ((first * 3 / 7 + 4 * 4 / 7) * 0.5 + 8 * 0.5) * 0.5
    )


@pytest.mark.parametrize(
    ("step", "decay"), [(1, 2 / 6), (89, 90 / 94), (3995, 0.999), (10**6, 0.999)]
)
def test_decay_grows_to_the_one_asked_for(step: int, decay: float):
    live = {"w": torch.ones(1)}
    average = Average(live, decay=0.999)
    live["w"].zero_()
    average.update(step)
    assert average.weights["w"].item() == pytest.approx(decay, rel=1e-5)


def test_until_then_the_weights_of_step_t_count_as_t_cubed():
    live = {"w": torch.zeros(1, dtype=torch.float64)}
    average = Average(live, decay=0.9999)
    for step in range(1, 2001):
        live["w"].fill_(step / 2000)
        average.update(step)
    # The mean of t with the weight t³ is ∫ t⁴ / ∫ t³ = 4/5.
    assert average.weights["w"].item() == pytest.approx(0.8, abs=1e-3)


def test_applied_puts_the_average_in_place_and_restores_the_weights():
    live = {"w": torch.tensor([1.0])}
    average = Average(live, decay=0.9)
    live["w"].fill_(3.0)
    with average.applied():
        assert live["w"].item() == 1.0
    assert live["w"].item() == 3.0
    with pytest.raises(KeyError), average.applied():
        raise KeyError
    assert live["w"].item() == 3.0
    assert average.weights["w"].item() == 1.0


def test_integers_are_left_out_and_loading_brings_back():
    live = {"w": torch.tensor([1.0]), "n": torch.tensor([3])}
    average = Average(live, decay=0.9)
    assert list(average.weights) == ["w"]
    average.load({"w": torch.tensor([5.0])})
    assert average.weights["w"].item() == 5.0
    assert live["w"].item() == 1.0
