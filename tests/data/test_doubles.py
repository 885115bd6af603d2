from __future__ import annotations

import numpy as np
from PIL import Image

from diptych.data.doubles import Double, find_doubles, perceptual_hashes, thumbnail


def _noise(seed: int) -> Image.Image:
    draws = np.random.default_rng(seed).integers(0, 256, (8, 8), np.uint8)
    return Image.fromarray(draws).resize((64, 64), Image.Resampling.BICUBIC)


def _double(place: str, picture: Image.Image) -> Double:
    return Double(place, picture.tobytes(), thumbnail(picture))


def test_hashes_have_64_bits_that_brightness_and_contrast_leave() -> None:
    base = thumbnail(_noise(0))
    hashes = perceptual_hashes(np.stack([base, base * 0.5 + 40, 255 - base]))
    assert hashes[0] == hashes[1]
    assert int(np.bitwise_count(hashes[0] ^ hashes[2])) == 64


def test_same_pixels_and_near_ones_are_told_apart() -> None:
    shifted = Image.eval(_noise(1), lambda v: min(255, v + 4))
    images = [
        _double("a", _noise(1)), _double("b", _noise(2)), _double("c", _noise(1)),
        _double("d", shifted),
    ]  # fmt: skip
    assert find_doubles(images) == ([("a", "c")], [("a", "d")])
    assert find_doubles([]) == ([], [])


def test_a_thousand_unlike_images_have_no_near_double() -> None:
    images = [_double(str(seed), _noise(seed)) for seed in range(1000)]
    assert find_doubles(images) == ([], [])
