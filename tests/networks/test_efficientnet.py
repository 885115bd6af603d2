"""EfficientNet-Lite0, as its package holds it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from diptych.networks.efficientnet import EfficientNetLite0, _SameConv2d
from diptych.networks.features import FeatureNetwork
from tests.networks.test_features import _noise, _stored


def test_the_package_holds_every_weight_of_the_network_and_no_other() -> None:
    stored, trunk = _stored(), EfficientNetLite0()
    ours = {k for k in trunk.state_dict() if not k.endswith("num_batches_tracked")}
    assert ours == {k for k in stored if not k.endswith("num_batches_tracked")}
    # 4.652 M in d-li14/efficientnet-lite.pytorch's table of the same networks
    assert sum(p.numel() for p in trunk.parameters()) == 4_652_008


def test_norms_folded_into_convolutions_leave_every_map_as_it_was(lite: FeatureNetwork) -> None:
    trunk = EfficientNetLite0().eval()
    trunk.load_state_dict(_stored(), strict=False)
    images = _noise(2, 224)
    with torch.no_grad():
        plain = dict(trunk.stages(images))
        folded = lite.maps(images, lite.layers)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in lite.modules())
    for name, expected in plain.items():
        spread = float(expected.std())
        torch.testing.assert_close(folded[name], expected, rtol=0, atol=1e-4 * spread)


@pytest.mark.parametrize(("kernel", "centre"), [(3, 0), (5, 1)])
def test_strided_convolutions_pad_right_and_below_as_tensorflow_does(
    kernel: int, centre: int
) -> None:
    """SAME puts (kernel - stride) // 2 rows before and the odd one after."""
    convolution = _SameConv2d(1, 1, kernel, stride=2)
    weight = torch.zeros(1, 1, kernel, kernel)
    weight[0, 0, centre, centre] = 1
    convolution.weight = nn.Parameter(weight)
    x = torch.arange(64.0).view(1, 1, 8, 8)
    assert torch.equal(convolution(x), x[:, :, ::2, ::2])
