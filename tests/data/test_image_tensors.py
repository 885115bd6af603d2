from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from diptych.data.images import to_image, to_tensor

CORNERS = np.array(
    [[[255, 0, 0], [0, 255, 0], [9, 9, 9]], [[0, 0, 255], [90, 60, 30], [200, 100, 50]]],
    dtype=np.uint8,
)


def test_to_tensor_maps_0_to_minus_1_and_255_to_1() -> None:
    tensor = to_tensor(Image.fromarray(CORNERS))
    assert tensor.shape == (3, 2, 3)
    assert tensor.dtype == torch.float32
    assert tensor[:, 0, 0].tolist() == [1.0, -1.0, -1.0]
    assert tensor[:, 1, 0].tolist() == [-1.0, -1.0, 1.0]
    assert tensor[0, 1, 1].item() == pytest.approx(90 / 127.5 - 1, abs=1e-6)


def test_to_image_inverts_to_tensor_at_all_256_levels() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    image = Image.fromarray(np.stack([levels, levels.T, levels[::-1]], axis=2))
    assert np.array_equal(np.asarray(to_image(to_tensor(image))), np.asarray(image))


def test_to_image_rounds_to_the_nearest_level_and_clamps() -> None:
    step = 1 / 127.5
    row = torch.tensor([-1 + 0.49 * step, -1 + 0.51 * step, -3.0, 1.2, 0.999])
    image = to_image(row.expand(3, 1, 5))
    assert np.asarray(image)[0, :, 0].tolist() == [0, 1, 0, 255, 255]


def test_conversions_refuse_other_shapes_and_modes() -> None:
    with pytest.raises(ValueError, match="got mode L"):
        to_tensor(Image.new("L", (2, 2)))
    with pytest.raises(ValueError, match=r"got \(1, 3, 4, 4\)"):
        to_image(torch.zeros(1, 3, 4, 4))
