"""KID, FID, precision, recall and the resize against clean-fid and torch-fidelity.

Both packages depend on torchvision, which this project does without, so they are not among
the test requirements; the tests run where they are found, put there by

    pip install --no-deps --target FOLDER clean-fid==0.1.35 torch-fidelity==0.4.0
    rm -r FOLDER/tests  # torch-fidelity brings a package of this name, which hides ours
    PYTHONPATH=FOLDER python -m pytest tests/evaluation/test_against_packages.py

None of the functions used here computes with torchvision, tqdm or requests, which they
import: stand-ins are enough.

Measured with torch 2.13.0 and torchmetrics 1.9.0: KID 0.0113, torch-fidelity's the same to
the bit, clean-fid's to 7e-16; FID 3.04, torch-fidelity's to 2e-14; precision 0.560 and
recall 0.847, the same; the resize within 0.00004, 0.0014 and 0.0030 of 255 of clean-fid's,
from 64, 256 and 427 pixels a side. (torchmetrics imports torch-fidelity where it finds it, and
fails where torchvision is not there: another reason for a folder of their own.)
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pytest
import torch
from sklearn.datasets import load_sample_image
from torch import Tensor

from diptych.evaluation.distances import fid, kid
from diptych.evaluation.precision import precision_and_recall
from diptych.networks.features import resize_square

_WHY = "clean-fid and torch-fidelity need torchvision: this file's docstring says the way"
_IMPORTED = (
    "torchvision", "torchvision.datasets", "torchvision.transforms",
    "torchvision.transforms.functional", "tqdm", "requests",
)  # fmt: skip


@contextlib.contextmanager
def _stand_ins() -> Iterator[None]:
    """For what the packages import and these functions do not use, where it is not installed."""
    added = [name for name in _IMPORTED if name not in sys.modules and not _is_there(name)]
    for name in added:
        module: Any = MagicMock()
        module.__name__, module.__version__, module.__path__, module.__spec__ = name, "0", [], None
        module.tqdm = lambda items, **options: items
        for used in ("CIFAR10", "CIFAR100", "STL10"):
            setattr(module, used, type(used, (), {}))
        sys.modules[name] = module
    try:
        yield
    finally:
        for name in added:
            del sys.modules[name]


def _is_there(name: str) -> bool:
    return importlib.util.find_spec(name.partition(".")[0]) is not None


def _package(name: str) -> Any:
    if not _is_there(name):  # importorskip would import it without the stand-ins
        pytest.skip(f"{name.partition('.')[0]} is not installed ({_WHY})")
    with _stand_ins():
        return importlib.import_module(name)


def _features(n: int, shift: float, seed: int, dimensions: int = 64) -> Tensor:
    """Return values of ReLUs, as pooled features are; float32."""
    rng = torch.Generator().manual_seed(seed)
    mixed = torch.randn(dimensions, dimensions, generator=torch.Generator().manual_seed(99))
    return (torch.randn(n, dimensions, generator=rng) @ mixed / 8 + shift).relu()


def _whole_kid(real: Tensor, fake: Tensor, monkeypatch: pytest.MonkeyPatch) -> float:
    """Ours with each subset the whole set, so that no draw is in it."""
    monkeypatch.setattr("diptych.evaluation.distances.SUBSETS", 1)
    twice = torch.cat([real, real]), torch.cat([fake, fake])  # a subset is half of a set
    monkeypatch.setattr(torch, "randperm", lambda n, **options: torch.arange(n))
    return float(kid(*twice)["mean"])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_kid_is_theirs_on_the_same_subset(monkeypatch: pytest.MonkeyPatch) -> None:
    fidelity, clean = _package("torch_fidelity.metric_kid"), _package("cleanfid.fid")
    real, fake = _features(200, 0.0, 0).double(), _features(200, 0.1, 1).double()
    ours = _whole_kid(real, fake, monkeypatch)
    theirs = fidelity.kid_features_to_metric(
        fake, real, kid_subsets=1, kid_subset_size=200, verbose=False
    )
    assert ours == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-9)
    cleans = clean.kernel_distance(real.numpy(), fake.numpy(), num_subsets=1, max_subset_size=200)
    assert ours == pytest.approx(cleans, rel=1e-9)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_kid_over_subsets_agrees_with_theirs_within_its_spread() -> None:
    """Theirs draw other subsets of the same size."""
    fidelity = _package("torch_fidelity.metric_kid")
    real, fake = _features(400, 0.0, 0).double(), _features(300, 0.1, 1).double()
    ours = kid(real, fake)
    theirs = fidelity.kid_features_to_metric(
        fake, real, kid_subsets=100, kid_subset_size=150, rng_seed=0, verbose=False
    )
    error = ours["std"] / ours["subsets"] ** 0.5
    assert abs(ours["mean"] - theirs["kernel_inception_distance_mean"]) < 5 * error
    assert ours["std"] == pytest.approx(theirs["kernel_inception_distance_std"], rel=0.3)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_fid_is_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    real, fake = _features(300, 0.0, 0).double(), _features(200, 0.1, 1).double()
    fidelity, clean = _package("torch_fidelity.metric_fid"), _package("cleanfid.fid")
    ours = fid(real, fake)["value"]
    statistics = [fidelity.fid_features_to_statistics(f) for f in (fake, real)]
    theirs = fidelity.fid_statistics_to_metric(*statistics, verbose=False)
    assert ours == pytest.approx(theirs["frechet_inception_distance"], rel=1e-6)
    arrays = [f.numpy() for f in (real, fake)]
    mus = [a.mean(0) for a in arrays]
    sigmas = [np.cov(a, rowvar=False) for a in arrays]
    eigenvalues = np.linalg.eigvals(sigmas[0] @ sigmas[1])
    root = np.diag(np.sqrt(eigenvalues.astype(complex)).real)  # of its trace alone there is use
    # scipy no longer has the argument that clean-fid gives its matrix square root.
    monkeypatch.setattr(clean.linalg, "sqrtm", lambda product, disp: (root, 0.0))
    cleans = clean.frechet_distance(mus[0], sigmas[0], mus[1], sigmas[1])
    assert ours == pytest.approx(cleans, rel=1e-6)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_precision_and_recall_are_theirs() -> None:
    real, fake = _features(150, 0.0, 0), _features(150, 0.15, 1)
    ours = precision_and_recall(real, fake)
    theirs = _package("torch_fidelity.metric_prc").prc_features_to_metric(
        fake.double(), real.double(), prc_neighborhood=3, verbose=False
    )
    assert 0.1 < theirs["recall"] < 0.99  # so there is something to agree on
    assert ours["precision"]["value"] == pytest.approx(theirs["precision"], abs=1e-6)
    assert ours["recall"]["value"] == pytest.approx(theirs["recall"], abs=1e-6)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("side", [64, 256, 427])
def test_images_are_resized_as_clean_fid_does(side: int) -> None:
    image_uint8 = load_sample_image("flower.jpg")[:side, :side]
    theirs = _package("cleanfid.resize").build_resizer("clean")(image_uint8)  # (299, 299, 3)
    image = torch.from_numpy(image_uint8.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
    ours = (resize_square(image, 299)[0].permute(1, 2, 0).numpy() + 1) * 127.5
    # Of 255. Pillow's filter weights are float64, torch's float32.
    assert np.abs(ours - theirs).max() < 0.01
    assert np.abs(ours - theirs).mean() < 1e-4
