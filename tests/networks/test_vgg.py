"""VGG's convolutions, with weights of torchvision's names."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from diptych.errors import InputError
from diptych.networks.features import load_features
from diptych.networks.vgg import VGG16, VGG19


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
    """Of the names and shapes of torchvision's file, its classifier included."""
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
