from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from diptych.data.collections import ArrayImages
from diptych.data.raster import Raster
from diptych.data.transforms import (
    Augmentation,
    default_load_size,
    draw_augmentation,
    evaluation_image,
    evaluation_images,
    evaluation_pairs,
    random_words,
    training_images,
)
from diptych.errors import InputError

STRAIGHT = Augmentation(0.0, 0.0, False)


def _ramp(width: int, height: int) -> Image.Image:
    """Red is the column, green the row."""
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    pixels[..., 0], pixels[..., 1] = np.arange(width)[None], np.arange(height)[:, None]
    return Image.fromarray(pixels)


def _train(
    *images: Image.Image, augmentation: Augmentation = STRAIGHT, size: int, load_size: int
) -> list[Image.Image]:
    names = [f"{i}.png" for i in range(len(images))]
    rasters = [Raster.from_image(image) for image in images]
    made = training_images(
        rasters, names, augmentation, size=size, load_size=load_size, is_tiled=False
    )
    return [raster.picture() for raster in made]


def test_load_size_is_286_for_256_and_in_proportion() -> None:
    assert [default_load_size(size) for size in (256, 128, 64)] == [286, 143, 72]


def test_the_first_and_the_last_crop_touch_the_edges() -> None:
    image = _ramp(60, 40)
    first = _train(image, size=30, load_size=40)[0]
    last = _train(
        image, augmentation=Augmentation(0.999999, 0.999999, False), size=30, load_size=40
    )[0]
    assert first.size == last.size == (30, 30)
    assert first.getpixel((0, 0)) == (0, 0, 0)
    assert last.getpixel((29, 29)) == (59, 39, 0)


def test_mirroring_is_horizontal() -> None:
    mirrored = _train(_ramp(8, 8), augmentation=Augmentation(0.0, 0.0, True), size=8, load_size=8)[
        0
    ]
    assert mirrored.getpixel((0, 3)) == (7, 3, 0)


def test_the_shorter_side_is_scaled_and_the_aspect_kept() -> None:
    image = Image.new("RGB", (200, 100))
    image.paste((255, 255, 255), (50, 0, 100, 100))  # a stripe of a quarter of the width
    corner = _train(image, size=50, load_size=50)[0]
    assert corner.getpixel((10, 25)) == (0, 0, 0)
    assert corner.getpixel((40, 25)) == (255, 255, 255)


def test_shrinking_is_antialiased() -> None:
    checks = np.indices((64, 64)).sum(0) % 2 * 255
    image = Image.fromarray(np.stack([checks] * 3, axis=2).astype(np.uint8))
    small = np.asarray(_train(image, size=16, load_size=16)[0])
    assert small[2:-2, 2:-2].min() >= 124
    assert small[2:-2, 2:-2].max() <= 131


@pytest.mark.parametrize("shape", [(300, 200), (97, 61), (64, 64), (48, 41)])
def test_a_crop_is_what_it_would_be_of_the_whole_image_resized(shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (*shape[::-1], 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    shorter = 50
    whole_size = tuple(max(shorter, round(side * shorter / min(shape))) for side in shape)
    whole = np.asarray(image.resize(whole_size, Image.Resampling.BICUBIC)).astype(int)
    for left_share, top_share in ((0.0, 0.0), (0.5, 0.4), (0.999, 0.999)):
        augmentation = Augmentation(left_share, top_share, False)
        crop = np.asarray(_train(image, augmentation=augmentation, size=32, load_size=50)[0])
        left = int(left_share * (whole_size[0] - 32 + 1))
        top = int(top_share * (whole_size[1] - 32 + 1))
        expected = whole[top : top + 32, left : left + 32]
        assert np.abs(crop - expected).max() <= 1
        assert np.mean(crop != expected) < 0.01


def test_the_members_of_a_pair_show_the_same_place_at_different_resolutions() -> None:
    small, large = _ramp(60, 40), _ramp(60, 40).resize((240, 160), Image.Resampling.NEAREST)
    for key in range(20):
        one, other = _train(
            small, large, augmentation=draw_augmentation(0, key), size=30, load_size=40
        )
        difference = np.abs(np.asarray(one).astype(int) - np.asarray(other).astype(int))
        assert difference.max() <= 1


def test_members_a_rounding_apart_agree_and_others_are_refused() -> None:
    one, other = _train(_ramp(100, 67), _ramp(51, 34), size=30, load_size=32)
    assert one.size == other.size == (30, 30)
    with pytest.raises(InputError, match=r"0\.png is 100x67 but its pair 1\.png is 50x50"):
        _train(_ramp(100, 67), _ramp(50, 50), size=30, load_size=32)


def test_images_smaller_than_the_crop_are_refused_with_a_size_that_fits() -> None:
    with pytest.raises(
        InputError, match=r"0\.png is 100x80, smaller than the crop of 128: pass size=64"
    ):
        _train(_ramp(100, 80), size=128, load_size=143)
    assert _train(_ramp(200, 128), size=128, load_size=143)[0].size == (128, 128)


def test_tiles_are_only_mirrored_and_must_have_the_size() -> None:
    tile = Raster.from_image(_ramp(16, 16))
    options = {"size": 16, "load_size": 18, "is_tiled": True}
    assert training_images([tile], ["t"], Augmentation(0.9, 0.9, False), **options)[0] is tile  # type: ignore[arg-type]
    flipped = training_images([tile], ["t"], Augmentation(0.9, 0.9, True), **options)[0]  # type: ignore[arg-type]
    assert flipped.picture().getpixel((0, 0)) == (15, 0, 0)
    with pytest.raises(InputError, match="t is 17x16: expected tiles of 16x16"):
        training_images([Raster.from_image(_ramp(17, 16))], ["t"], STRAIGHT, **options)  # type: ignore[arg-type]


def test_augmentations_are_uniform_and_mirror_every_other_image() -> None:
    drawn = [draw_augmentation(3, 1, 0, i) for i in range(2000)]
    for values in ([a.left for a in drawn], [a.top for a in drawn]):
        assert 0 <= min(values) < 0.01
        assert 0.99 < max(values) < 1
        assert np.mean(values) == pytest.approx(0.5, abs=0.03)
    assert np.mean([a.is_mirrored for a in drawn]) == pytest.approx(0.5, abs=0.05)
    assert draw_augmentation(3, 1, 0, 7) == drawn[7]
    assert len(set(drawn)) == 2000


def test_random_words_are_these_on_every_platform() -> None:
    words = [hex(word) for word in random_words(2, 0, 1, 2).tolist()]
    assert words == ["0xca48e206d61448f8", "0xeaff419ae27d3e65"]  # once drawn, for ever so


def test_evaluation_takes_the_middle_at_full_height() -> None:
    image = Raster.from_image(_ramp(60, 40))
    middle = evaluation_image(image, "a", size=40, is_tiled=False).picture()
    assert middle.size == (40, 40)
    assert middle.getpixel((0, 0)) == (10, 0, 0)
    assert middle.getpixel((39, 39)) == (49, 39, 0)


class _Faulty(ArrayImages):
    def read(self, index: int) -> Raster:
        if index == 1:
            raise InputError("number 1 is broken")
        return super().read(index)


def test_evaluation_leaves_out_what_is_broken_and_whole_pairs_of_it() -> None:
    pixels = np.arange(4, dtype=np.uint8).reshape(4, 1, 1, 1) * np.ones((1, 8, 8, 3), np.uint8)
    faulty, sound = _Faulty(pixels), ArrayImages(pixels + 100)
    images = evaluation_images(faulty, [0, 1, 3], size=8, is_tiled=False)
    assert images.shape == (2, 3, 8, 8)
    levels = (images[:, 0, 0, 0] + 1) * 127.5
    assert torch.allclose(levels, torch.tensor([0.0, 3.0]), atol=1e-4)
    x, y = evaluation_pairs((sound, faulty), [0, 1, 2], size=8, is_tiled=False)
    assert x.shape == y.shape == (2, 3, 8, 8)
    difference = (x - y) * 127.5
    assert torch.allclose(difference, torch.full_like(x, 100), atol=1e-3)
    with pytest.raises(InputError, match=r"none of 1 .* the first: number 1 is broken"):
        evaluation_images(faulty, [1], size=8, is_tiled=False)


def test_load_size_zero_crops_the_pixels_as_they_are() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    (crop,) = _train(
        Image.fromarray(pixels), augmentation=Augmentation(0.5, 0.5, False), size=30, load_size=0
    )
    assert np.array_equal(np.asarray(crop), pixels[10:40, 20:50])
