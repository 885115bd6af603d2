import math

import pytest
import torch

from diptych.evaluation.paired import mean_absolute_error, psnr, ssim, within_16


def _grey(*levels: int, size: int = 16) -> torch.Tensor:
    """(B, 3, size, size), each image of one grey level in [0, 255]."""
    values = torch.tensor(levels, dtype=torch.float32) / 127.5 - 1
    return values.reshape(-1, 1, 1, 1).expand(-1, 3, size, size)


def test_l1_is_of_images_in_0_to_1_and_one_number_an_image() -> None:
    scores = mean_absolute_error(_grey(0, 51), _grey(255, 0))
    assert scores.tolist() == pytest.approx([1.0, 0.2])


def test_psnr_is_minus_20_log10_of_the_root_mean_squared_error() -> None:
    # A constant difference of 25.5 of 255 is 0.1 of 1: -20 log10(0.1) = 20 dB.
    assert psnr(_grey(100), _grey(126)).item() == pytest.approx(
        -20 * math.log10(26 / 255), abs=1e-3
    )
    assert psnr(_grey(0), _grey(255)).item() == pytest.approx(0.0)
    assert psnr(_grey(7), _grey(7)).item() == pytest.approx(100.0)


def test_ssim_of_two_flat_images_is_the_luminance_term() -> None:
    # Wang et al. 2004, Eq. (6) with C1 = 0.01²: (2 m n + C1) / (m² + n² + C1), no variance.
    m, n = 0.2, 0.6
    expected = (2 * m * n + 1e-4) / (m * m + n * n + 1e-4)
    assert ssim(_grey(51), _grey(153)).item() == pytest.approx(expected, abs=1e-4)
    image = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert ssim(image, image).tolist() == pytest.approx([1.0, 1.0], abs=1e-5)


def test_within_16_counts_a_pixel_where_all_three_channels_are_close() -> None:
    truth = _grey(100, size=2).clone()
    image = truth.clone()
    image[0, 0, 0, 0] += 16 / 127.5  # as far as is allowed
    image[0, 1, 0, 1] += 17 / 127.5  # one channel too far
    image[0, :, 1, 1] -= 40 / 127.5  # all channels too far
    assert within_16(image, truth).item() == 0.5
