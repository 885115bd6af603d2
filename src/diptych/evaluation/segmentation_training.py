"""Train an FCN-8s on images with pixel labels, and cache it.

Long et al. 2015, Sec. 3 and 4.3: the multinomial logistic loss over all pixels that have a
class. segmentation.py lists the deviations.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from diptych.data import Images, Palette, evaluation_pairs
from diptych.data.label_maps import LabelSquares
from diptych.data.raster import view
from diptych.errors import InputError
from diptych.evaluation.labels import IGNORED, true_class
from diptych.files import atomic_write, cache_folder
from diptych.networks.fcn import FCN8s
from diptych.networks.features import load_features

STEPS = 100
"""The default number of steps. For more than 1,600 images, see `steps_for`."""
BATCH = 16
LR = 3e-3
"""The learning rate at the first step. It falls linearly to 0."""
_FORMAT = 1
_HEADER = "diptych_fcn"
_TRUNK = "trunk."


@dataclass(frozen=True)
class LabelledPixels:
    """Images and label images. Item i of one belongs to item i of the other."""

    images: Images
    labels: Images
    palette: Palette
    is_tiled: bool
    may_mirror: bool

    def __post_init__(self) -> None:
        assert len(self.images) == len(self.labels)


def trained_fcn(
    labelled: LabelledPixels,
    *,
    key: str,
    what: str,
    size: int,
    folder: Path | None = None,
    seed: int = 0,
    steps: int | None = None,
    device: str = "cpu",
    console: Console | None = None,
) -> FCN8s:
    """Return the network of `train_fcn`, from the cache `folder` if it is there.

    `folder` is by default in the user's cache folder. `key` identifies the images. `what` is
    shown beside the progress bar.

    Raises:
        InputError: as for `train_fcn`, or `folder` cannot be written.
    """
    palette, steps = labelled.palette, steps or STEPS
    facts = {
        "format": _FORMAT,
        "key": key,
        "size": size,
        "seed": seed,
        "steps": steps,
        "classes": list(palette.names),
        "colours": [list(colour) for colour in (*palette.colours, *palette.ignored)],
    }
    text = json.dumps(facts, sort_keys=True)
    name = f"fcn-{hashlib.sha256(text.encode()).hexdigest()[:32]}.safetensors"
    path = (folder or cache_folder() / "fcn") / name
    network = _read(path, text, len(palette.names))
    if network is None:
        network = train_fcn(
            labelled,
            size=size,
            seed=seed,
            steps=steps,
            device=device,
            console=console,
            what=what,
        )
        _write(path, text, network)
    return network.to(device).eval().requires_grad_(False)


def steps_for(images: int) -> int:
    """Return the number of batches that show each of `images` once, at least `STEPS`."""
    return max(STEPS, math.ceil(images / BATCH))


def train_fcn(
    labelled: LabelledPixels,
    *,
    size: int,
    seed: int = 0,
    steps: int | None = None,
    device: str = "cpu",
    console: Console | None = None,
    what: str = "FCN",
    change: Callable[[Tensor], Tensor] | None = None,
) -> FCN8s:
    """Train an FCN-8s on `steps` batches, 100 by default.

    Images are scaled and cropped to `size` pixels. `change`, if given, translates (B, 3, size,
    size) images in [-1, 1] to the same shape, and the labels stay. `seed` draws the order and
    the mirroring; no other random number is drawn. The result is frozen, in eval mode.

    Raises:
        InputError: the `features` extra, which has the pretrained weights, is not installed, or
            no image can be used.
    """
    steps = steps or STEPS
    network = FCN8s(load_features(), len(labelled.palette.names)).to(device)
    trained = [weight for weight in network.parameters() if weight.requires_grad]
    optimiser = torch.optim.Adam(trained, lr=LR)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 1 - step / steps)
    console = console or Console(stderr=True)
    bars = Progress(console=console, transient=True, disable=not console.is_terminal)
    batches = _batches(labelled, size, torch.Generator().manual_seed(seed))
    with bars:
        for _ in bars.track(range(steps), description=escape(f"training {what}")):
            images, labels = next(batches)
            images, labels = images.to(device), labels.to(device)
            if change is not None:
                with torch.no_grad():
                    images = change(images).to(device)
            optimiser.zero_grad(set_to_none=True)
            torch.autograd.backward(pixel_loss(network(images), labels))
            optimiser.step()
            schedule.step()
    return network.eval().requires_grad_(False)


def on_its_device(network: FCN8s) -> Callable[[Tensor], Tensor]:
    """Return a function that moves images to the network's device and applies the network."""
    device = network.score8.weight.device
    return lambda images: network(images.to(device))


def pixel_loss(scores: Tensor, labels: Tensor) -> Tensor:
    """Return the mean of -log softmax of (B, K, H, W) scores at (B, H, W) classes, a scalar.

    Pixels of the class `IGNORED` are left out. If all are, the result is 0.
    """
    total = F.cross_entropy(scores, labels, ignore_index=IGNORED, reduction="sum")
    return total / (labels != IGNORED).sum().clamp(min=1)


def _batches(
    labelled: LabelledPixels, size: int, draws: torch.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield (B, 3, size, size) images and (B, size, size) classes without end.

    Each epoch has all images in a new random order, without unusable ones.
    """
    labels = LabelSquares(labelled.labels, size=size, is_tiled=labelled.is_tiled)
    pairs, count = (labelled.images, labels), len(labelled.images)
    waiting: list[int] = []
    failures = 0
    while True:
        while len(waiting) < BATCH:
            waiting += torch.randperm(count, generator=draws).tolist()
        chosen, waiting = waiting[:BATCH], waiting[BATCH:]
        try:
            image, label = evaluation_pairs(pairs, chosen, size=size, is_tiled=labelled.is_tiled)
        except InputError:  # every image of this batch is broken; others may be fine
            failures += 1
            if failures * BATCH >= count + BATCH:
                raise
            continue
        failures = 0
        image = view(image, labelled.images.pixels)
        classes = true_class(label, labelled.palette)
        mirrored = torch.rand(len(image), generator=draws) < 0.5
        if labelled.may_mirror:
            image[mirrored] = image[mirrored].flip(-1)
            classes[mirrored] = classes[mirrored].flip(-1)
        yield image, classes


def _write(path: Path, text: str, network: FCN8s) -> None:
    weights = {
        name: value.detach().cpu().contiguous()
        for name, value in network.state_dict().items()
        if not name.startswith(_TRUNK)
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as file:
            file.write(save(weights, {_HEADER: text}))
    except OSError as error:
        raise InputError(
            f"cannot save a trained FCN in {path.parent} ({error.strerror}): set DIPTYCH_CACHE to"
            " a folder that can be written"
        ) from error


def _read(path: Path, text: str, classes: int) -> FCN8s | None:
    """Read the file of `_write`; return None if it is missing, damaged or of another network."""
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as tensors:
            if (tensors.metadata() or {}).get(_HEADER) != text:
                return None
            weights = {name: tensors.get_tensor(name) for name in tensors.keys()}  # noqa: SIM118
    except (SafetensorError, OSError):
        return None
    network = FCN8s(load_features(), classes)
    own = {k: v.shape for k, v in network.state_dict().items() if not k.startswith(_TRUNK)}
    if own != {name: value.shape for name, value in weights.items()}:
        return None
    network.load_state_dict(weights, strict=False)
    return network
