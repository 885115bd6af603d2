"""`diptych generate` and `diptych interpolate`, for runs that have no latent space.

`tests/inference/test_latent.py` has what they make of those that have one.
"""

from __future__ import annotations

from PIL import Image


def test_a_run_that_makes_nothing_from_noise_is_named(fails, run, tmp_path) -> None:
    out = tmp_path / "new"
    assert fails("generate", run, "--out", out) == "cyclegan makes no images from noise"
    assert not out.exists()


def test_an_interpolation_takes_one_source_or_two_and_a_method_with_codes(
    fails, run, tmp_path
) -> None:
    for name in ("a.png", "b.png"):
        Image.new("RGB", (32, 32)).save(tmp_path / name)
    command = ["interpolate", run, tmp_path / "a.png", tmp_path / "b.png", "--source"]
    three = fails(*command, "dark", "dark", "bright")
    assert three == "--source names 3 domains: expected one or two"
    assert fails(*command, "dark") == "cyclegan has no codes"
