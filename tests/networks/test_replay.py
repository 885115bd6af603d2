"""The replay buffer of Shrivastava et al. 2016, as Zhu et al. 2017 use it."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from diptych.networks.replay import ReplayBuffer


def _images(*values: float) -> Tensor:
    """A (B, 1, 1, 1) batch of images that are recognised by their value."""
    return torch.tensor(values, dtype=torch.float32).view(-1, 1, 1, 1)


def _values(images: Tensor) -> list[float]:
    return images.flatten().tolist()


def _rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_replay_buffer_returns_current_image_until_full():
    buffer, rng = ReplayBuffer(5), _rng()
    for i in range(5):
        assert _values(buffer.exchange(_images(i), rng)) == [i]
    assert [image.item() for image in buffer.images] == [0, 1, 2, 3, 4]


def test_filling_draws_no_random_numbers():
    rng = _rng()
    ReplayBuffer(4).exchange(_images(1, 2, 3, 4), rng)
    assert torch.equal(rng.get_state(), _rng().get_state())


def test_a_batch_is_exchanged_image_by_image():
    buffer, rng = ReplayBuffer(2), _rng()
    returned = _values(buffer.exchange(_images(0, 1, 2, 3, 4, 5), rng))
    assert returned[:2] == [0, 1]
    assert len(buffer.images) == 2


def test_full_buffer_returns_an_older_image_half_of_the_time():
    buffer, rng = ReplayBuffer(50), _rng()
    buffer.exchange(_images(*range(50)), rng)
    trials = 4000
    older = sum(_values(buffer.exchange(_images(50 + i), rng)) != [50 + i] for i in range(trials))
    assert abs(older - trials / 2) < 4 * math.sqrt(trials / 4)  # 4 standard deviations


def test_an_older_image_is_swapped_for_the_new_one_and_seen_once():
    buffer, rng = ReplayBuffer(10), _rng(1)
    buffer.exchange(_images(*range(10)), rng)
    seen: set[float] = set()
    for i in range(10, 500):
        before = {image.item() for image in buffer.images}
        (returned,) = _values(buffer.exchange(_images(i), rng))
        after = {image.item() for image in buffer.images}
        if returned == i:
            assert after == before
        else:
            assert after == before - {returned} | {float(i)}
            assert returned not in seen
            seen.add(returned)
    assert len(seen) > 200


def test_every_place_is_swapped_about_equally_often():
    buffer, rng = ReplayBuffer(5), _rng(2)
    buffer.exchange(_images(*range(5)), rng)
    counts, last = [0] * 5, list(range(5))
    for i in range(5, 4005):
        buffer.exchange(_images(i), rng)
        now = [image.item() for image in buffer.images]
        for place in range(5):
            counts[place] += now[place] != last[place]
        last = now
    # 4000 exchanges at 1/2 * 1/5: 400 ± 4 * sqrt(4000 * 0.1 * 0.9).
    assert all(abs(count - 400) < 4 * math.sqrt(360) for count in counts)


def test_capacity_zero_returns_every_image_as_it_came():
    buffer, rng = ReplayBuffer(0), _rng()
    for i in range(20):
        assert _values(buffer.exchange(_images(i, -i), rng)) == [i, -i]
    assert buffer.images == []


def test_negative_capacity_is_refused():
    with pytest.raises(ValueError, match="-1"):
        ReplayBuffer(-1)


@pytest.mark.parametrize("capacity", [0, 2])
def test_results_and_memory_are_detached(capacity: int):
    buffer, rng = ReplayBuffer(capacity), _rng()
    images = _images(1, 2, 3, 4).requires_grad_()
    assert not buffer.exchange(images * 2, rng).requires_grad
    assert not any(image.requires_grad for image in buffer.images)


def test_stored_images_do_not_change_with_the_callers_tensor():
    buffer, rng = ReplayBuffer(1), _rng()
    image = _images(7)
    returned = buffer.exchange(image, rng)
    image.fill_(0)
    returned.fill_(1)
    assert buffer.images[0].item() == 7


def test_state_dict_round_trip_continues_identically(tmp_path):
    first, rng = ReplayBuffer(8), _rng(3)
    for i in range(20):
        first.exchange(_images(i), rng)
    torch.save({"buffer": first.state_dict(), "rng": rng.get_state()}, tmp_path / "state.pt")
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    second, other = ReplayBuffer(8), torch.Generator()
    second.load_state_dict(state["buffer"])
    other.set_state(state["rng"])
    for i in range(20, 200):
        assert _values(first.exchange(_images(i), rng)) == _values(
            second.exchange(_images(i), other)
        )


def test_a_saved_state_does_not_change_as_the_buffer_goes_on():
    buffer, rng = ReplayBuffer(2), _rng()
    buffer.exchange(_images(1, 2), rng)
    state = buffer.state_dict()
    for i in range(10):
        buffer.exchange(_images(10 + i), rng)
    restored = ReplayBuffer(2)
    restored.load_state_dict(state)
    assert [image.item() for image in restored.images] == [1, 2]


# --- half of a batch (Shrivastava et al.) --------------------------------------


def test_mix_returns_fresh_images_and_stores_them_until_full():
    buffer, rng = ReplayBuffer(3), torch.Generator().manual_seed(0)
    assert _values(buffer.mix(_images(1, 2), rng)) == [1, 2]
    assert _values(buffer.mix(_images(3, 4), rng)) == [3, 4]
    assert [image.item() for image in buffer.images] == [1, 2, 3]


def test_mix_of_a_full_buffer_is_half_fresh_and_half_old_and_replaces_as_many():
    for seed in range(20):
        buffer, rng = ReplayBuffer(5), torch.Generator().manual_seed(seed)
        buffer.mix(_images(1, 2, 3, 4, 5), rng)
        shown = _values(buffer.mix(_images(10, 20, 30, 40), rng))
        assert shown[:2] == [10, 20]
        assert len(set(shown[2:]) & {1, 2, 3, 4, 5}) == 2
        held = [image.item() for image in buffer.images]
        assert len(held) == 5
        assert set(held) - {1, 2, 3, 4, 5} == {30, 40}


def test_mix_of_single_images_is_old_half_the_time():
    buffer, rng = ReplayBuffer(4), torch.Generator().manual_seed(0)
    buffer.mix(_images(1, 2, 3, 4), rng)
    old = sum(_values(buffer.mix(_images(i), rng)) != [i] for i in range(10, 1010))
    assert 440 < old < 560


def test_mix_of_a_batch_larger_than_the_buffer_takes_all_it_holds():
    buffer, rng = ReplayBuffer(1), torch.Generator().manual_seed(0)
    buffer.mix(_images(1), rng)
    assert _values(buffer.mix(_images(10, 20, 30, 40), rng)) == [10, 20, 30, 1]


def test_mix_without_capacity_returns_what_came():
    buffer = ReplayBuffer(0)
    assert _values(buffer.mix(_images(1, 2), torch.Generator())) == [1, 2]
    assert buffer.images == []
