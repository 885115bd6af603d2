"""The figures that CycleGAN's paper prints in its Tables 2 to 5, typed in a second time."""

from __future__ import annotations

from diptych.bench.published import LABELS_TO_PHOTO, PHOTO_TO_LABELS, PUBLISHED


def _rows(groups: str, direction: str) -> dict[str, str]:
    figures = PUBLISHED[groups, direction].figures
    return {row: " ".join(f"{value:.2f}" for value in values) for row, values in figures.items()}


def test_systems_are_those_of_tables_2_and_3():
    assert _rows("systems", LABELS_TO_PHOTO) == {
        "CoGAN": "0.40 0.10 0.06", "BiGAN/ALI": "0.19 0.06 0.02", "SimGAN": "0.20 0.10 0.04",
        "Feature loss + GAN": "0.06 0.04 0.01", "CycleGAN": "0.52 0.17 0.11",
        "pix2pix": "0.71 0.25 0.18",
    }  # fmt: skip
    assert _rows("systems", PHOTO_TO_LABELS) == {
        "CoGAN": "0.45 0.11 0.08", "BiGAN/ALI": "0.41 0.13 0.07", "SimGAN": "0.47 0.11 0.07",
        "Feature loss + GAN": "0.50 0.10 0.06", "CycleGAN": "0.58 0.22 0.16",
        "pix2pix": "0.85 0.40 0.32",
    }  # fmt: skip


def test_ablations_are_those_of_tables_4_and_5_and_their_cyclegan_that_of_2_and_3():
    for direction, alone in (
        (LABELS_TO_PHOTO, "0.51 0.11 0.08"),
        (PHOTO_TO_LABELS, "0.53 0.11 0.07"),
    ):
        ablations = _rows("ablations", direction)
        assert ablations["GAN alone"] == alone
        assert ablations["CycleGAN"] == _rows("systems", direction)["CycleGAN"]
        assert len(ablations) == 5
