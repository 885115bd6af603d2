"""What a translation needs of memory and of its surroundings, found by running it small.

Both are properties of the method alone, so that what is decided by them does
not depend on the machine or on what else runs on it.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Forward = Callable[[Tensor], Tensor]
"""(1, C, H, W) in [-1, 1] to an image of the same size. H and W are multiples of what the method
asks for."""
NormCall = Callable[[nn.InstanceNorm2d, Tensor], Tensor]

WORKSPACE = 2.25
"""Peak of a process over the maps that modules pass on: sums outside modules,
kernels' own copies, the allocator's gaps. Measured; see docs/explanation/tiles.md."""

_PROBE_WIDTH = 640


def whole_image_norms(network: nn.Module) -> list[nn.InstanceNorm2d]:
    """Modules whose result at one pixel depends on all the others."""
    return [
        module
        for module in network.modules()
        if isinstance(module, nn.InstanceNorm2d) and not module.track_running_stats
    ]


@contextmanager
def replaced_norms(norms: Iterable[nn.InstanceNorm2d], call: NormCall) -> Iterator[None]:
    """In the block, `call(module, x)` runs instead of each module's `forward`."""
    norms = list(norms)
    for norm in norms:
        norm.__dict__["forward"] = partial(call, norm)
    try:
        yield
    finally:
        for norm in norms:
            del norm.__dict__["forward"]


def bytes_per_pixel(
    network: nn.Module, forward: Forward, *, size: int, channels: int = 3, device: torch.device
) -> float:
    """Memory that `forward` takes at its peak, for each pixel of its input.

    Counts the maps alive between leaf modules while a grey image of `size` pixels
    a side passes, and multiplies by `WORKSPACE`. Borders of reflection padding
    make it a little too high, the less the larger `size` is.
    """
    maps: dict[int, weakref.ref[Tensor]] = {}
    peak = 0

    def watch(values: Any) -> None:
        nonlocal peak
        for value in values if isinstance(values, tuple | list) else (values,):
            if isinstance(value, Tensor) and value.ndim == 4:
                maps[id(value)] = weakref.ref(value)
        alive = [value for ref in maps.values() if (value := ref()) is not None]
        storages = {v.untyped_storage().data_ptr(): v.untyped_storage().nbytes() for v in alive}
        peak = max(peak, sum(storages.values()))

    leaves = [m for m in network.modules() if next(m.children(), None) is None]
    hooks = [leaf.register_forward_pre_hook(lambda _, inputs: watch(inputs)) for leaf in leaves]
    hooks += [leaf.register_forward_hook(lambda *args: watch(args[2])) for leaf in leaves]
    try:
        image = torch.zeros(1, channels, size, size, device=device)
        watch((image, forward(image)))
    finally:
        for hook in hooks:
            hook.remove()
    return WORKSPACE * peak / size**2


def receptive_radius(
    network: nn.Module, forward: Forward, *, multiple: int, channels: int = 3, device: torch.device
) -> int | None:
    """How far, in pixels, an output pixel sees when all statistics are given.

    Rounded up to `multiple`; None if it sees more than 256 pixels or so, or
    everything. Found by sending in a few columns of NaN, which no layer stops.
    """
    height = max(32, 2 * multiple)
    width = -(-_PROBE_WIDTH // (2 * multiple)) * 2 * multiple
    left = width // 2
    image = torch.zeros(1, channels, height, width, device=device)
    image[..., left : left + multiple] = torch.nan  # every phase of the strides
    with replaced_norms(whole_image_norms(network), lambda _, x: x):
        output = forward(image)
    columns = output.isnan().flatten(0, 2).any(dim=0).nonzero().flatten().tolist()
    if not columns or columns[0] == 0 or columns[-1] == width - 1:
        return None
    radius = max(left - columns[0], columns[-1] - (left + multiple - 1), 1)
    return int(-(-radius // multiple) * multiple)


def normalise(norm: nn.InstanceNorm2d, x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    """`x` (1, C, H, W) as `norm` does it, with a mean and a variance (C,) from elsewhere."""
    return F.batch_norm(x, mean, variance, norm.weight, norm.bias, False, 0.0, norm.eps)
