"""The weights of FID's Inception come with no package, so random ones stand in for them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from diptych.errors import InputError
from diptych.networks.features import load_features
from diptych.networks.inception import InceptionV3


@pytest.fixture(scope="module")
def trunk() -> InceptionV3:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return InceptionV3().eval()


def _inputs_of(trunk: InceptionV3, name: str, x: Tensor, block: str) -> Tensor:
    """What reaches `name` when `block` is given `x`."""
    seen: list[Tensor] = []
    hook = trunk.get_submodule(name).register_forward_pre_hook(
        lambda _, inputs: seen.append(inputs[0])
    )
    with torch.no_grad():
        trunk.get_submodule(block)(x)
    hook.remove()
    return seen[0]


def test_weights_have_the_names_and_counts_of_pytorch_fids(trunk: InceptionV3) -> None:
    shapes = {k: tuple(v.shape) for k, v in trunk.state_dict().items()}
    weights = [k for k in shapes if not k.endswith("num_batches_tracked")]
    assert len(weights) == 94 * 5 + 2  # 94 convolutions with batch norm, and the classifier
    # Inception v3 without its auxiliary head has 23,834,568 with 1000 classes; here are 1008
    assert sum(p.numel() for p in trunk.parameters()) == 23_834_568 + 8 * 2049
    assert shapes["Conv2d_1a_3x3.conv.weight"] == (32, 3, 3, 3)
    assert shapes["Mixed_5b.branch5x5_2.conv.weight"] == (64, 48, 5, 5)
    assert shapes["Mixed_5d.branch_pool.conv.weight"] == (64, 288, 1, 1)
    assert shapes["Mixed_6a.branch3x3.conv.weight"] == (384, 288, 3, 3)
    assert shapes["Mixed_6b.branch7x7_2.conv.weight"] == (128, 128, 1, 7)
    assert shapes["Mixed_6e.branch7x7dbl_4.conv.weight"] == (192, 192, 7, 1)
    assert shapes["Mixed_7a.branch7x7x3_4.conv.weight"] == (192, 192, 3, 3)
    assert shapes["Mixed_7c.branch3x3dbl_3b.bn.running_var"] == (384,)
    assert shapes["fc.weight"] == (1008, 2048)


@pytest.mark.slow
@pytest.mark.parametrize("has_counters", [True, False])
def test_a_file_of_weights_loads_with_and_without_batch_norms_counters(
    trunk: InceptionV3, tmp_path: Path, has_counters: bool
) -> None:
    state = dict(trunk.state_dict())
    if not has_counters:
        state = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    torch.save(state, tmp_path / "inception.pth")
    network = load_features("inception", tmp_path / "inception.pth")
    assert network.name == "inception"
    assert network.num_features == 2048
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        features = network(images)
        assert network.logits(images).shape == (2, 1008)
        pixels = F.interpolate(images, (299, 299), mode="bicubic", antialias=True).clamp(-1, 1)
        *_, (layer, deepest) = trunk.stages(pixels)
    assert layer == "mixed7"
    expected = deepest.mean(dim=(2, 3))
    # Rounded elsewhere, as norms are folded into convolutions.
    torch.testing.assert_close(features, expected, rtol=0, atol=1e-3 * float(expected.std()))
    assert float(features.std(dim=0).max()) > 0


def test_maps_have_the_sizes_that_fid_is_known_by(trunk: InceptionV3) -> None:
    with torch.no_grad():
        shapes = [tuple(h.shape[1:]) for _, h in trunk.stages(torch.zeros(1, 3, 299, 299))]
    assert shapes == [(64, 73, 73), (192, 35, 35), (288, 35, 35), (768, 17, 17), (2048, 8, 8)]


def test_average_pools_do_not_count_their_padding(trunk: InceptionV3) -> None:
    for block, channels in [("Mixed_5b", 192), ("Mixed_6b", 768), ("Mixed_7b", 1280)]:
        ones = torch.ones(1, channels, 9, 9)
        assert torch.equal(_inputs_of(trunk, f"{block}.branch_pool", ones, block), ones)


def test_the_last_block_pools_by_maximum_and_the_one_before_by_mean(trunk: InceptionV3) -> None:
    x = torch.zeros(1, 2048, 8, 8)
    x[..., 4, 4] = 9
    last = _inputs_of(trunk, "Mixed_7c.branch_pool", x, "Mixed_7c")
    before = _inputs_of(trunk, "Mixed_7b.branch_pool", x[:, :1280], "Mixed_7b")
    assert torch.equal(last[0, 0, 3:6, 3:6], torch.full((3, 3), 9.0))
    torch.testing.assert_close(before[0, 0, 3:6, 3:6], torch.ones(3, 3))


def test_another_networks_file_is_refused(tmp_path: Path) -> None:
    torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / "resnet.pth")
    with pytest.raises(InputError, match=r"Conv2d_1a_3x3\.conv\.weight is missing.*pytorch-fid"):
        load_features("inception", tmp_path / "resnet.pth")
