"""Compute the same networks faster, by fusing cheap layers.

Between two convolutions there are cheap layers: a norm, an activation, a padding. Separately,
each needs a pass through memory. The padding also needs a conversion to float32 and back under
autocast, and the norm a change of layout. Here such a run of layers in an `nn.Sequential`
becomes one function, which keeps the input's type. Compiled, it is one kernel forward and one
backward. A kernel depends only on the kinds of layers, so it is compiled once for all networks,
batches and image sizes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from itertools import pairwise
from types import FunctionType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from diptych.networks.norm import AveragesKept, instance_norm

_log = logging.getLogger("diptych")
Layer = Callable[[Tensor], Tensor]
_Key = tuple[tuple[Any, ...], ...]


def fuse(network: nn.Module, *, compiled: bool = False, segments: int = 1) -> None:
    """Replace the forward of every `nn.Sequential` in `network` by a faster one.

    Values are the same up to rounding. Modules, weights and their names stay. `compiled` needs
    a C++ compiler (or Triton on a GPU), and time to compile. With more than one of `segments`,
    the outermost sequences store only the input of each segment, and compute the rest again in
    the backward pass. This saves memory.
    """
    inner = {
        id(child)
        for module in network.modules()
        if isinstance(module, nn.Sequential)
        for child in module.modules()
        if child is not module
    }
    for module in network.modules():
        if isinstance(module, nn.Sequential):
            layers = _fused(list(module), compiled)
            if segments > 1 and id(module) not in inner:
                layers = _recomputed(layers, segments, module)
            module.forward = _chain(layers)  # type: ignore[method-assign]


def _chain(layers: Sequence[Layer]) -> Layer:
    def forward(x: Tensor) -> Tensor:
        for layer in layers:
            x = layer(x)
        return x

    return forward


def _fused(modules: Sequence[nn.Module], compiled: bool) -> list[Layer]:
    """Return the layers, with each run of cheap layers as one layer."""
    layers: list[Layer] = []
    run: list[tuple[Any, ...]] = []
    for module in modules:
        key = _key(module)
        if key is not None:
            run.append(key)
            continue
        if run:
            layers.append(_run(tuple(run), compiled))
            run = []
        layers.append(module)
    return layers + ([_run(tuple(run), compiled)] if run else [])


def _key(module: nn.Module) -> tuple[Any, ...] | None:
    """Return the kind and values of a cheap layer without weights; None for other modules."""
    match module:
        case nn.InstanceNorm2d(affine=False, track_running_stats=False):
            return ("norm", module.eps)
        case nn.LeakyReLU():
            return ("leaky", module.negative_slope)
        case nn.ReLU():
            return ("relu",)
        case nn.ReflectionPad2d():
            return ("pad", *module.padding)
    return None


@cache
def _run(keys: _Key, compiled: bool) -> Layer:
    """Return one function for a run of cheap layers. Equal runs give the same object."""
    plain = fast = _arithmetic(keys)
    if compiled and any(name == "norm" for name, *_ in keys):
        fast = _compiled(plain)

    def layer(x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):  # autocast would pad in float32
            # Without gradients, as for the pictures of a run, compiling is not worth the time.
            return fast(x) if torch.is_grad_enabled() else plain(x)

    return layer


def _compiled(plain: Layer) -> Layer:
    """Compile one kernel for all shapes, or use the plain function if compiling fails."""
    from torch._dynamo.exc import TorchDynamoException  # slow to import

    fast = torch.compile(plain, dynamic=True, fullgraph=True)
    fails = False

    def layer(x: Tensor) -> Tensor:
        nonlocal fails
        if fails:
            return plain(x)
        try:
            return fast(x)
        except TorchDynamoException as error:  # no compiler, or an unsuitable one
            fails = True
            reason = str(error).strip().splitlines()[0]
            _log.warning("cannot compile here (%s): continuing without", reason)
            return plain(x)

    return layer


def _arithmetic(keys: _Key) -> Layer:
    def compute(x: Tensor) -> Tensor:
        for name, *values in keys:
            if name == "norm":
                x = _norm(x, *values)
            elif name == "pad":
                x = F.pad(x, values, "reflect")
            else:
                x = F.leaky_relu(x, *values) if name == "leaky" else F.relu(x)
        return x

    # PyTorch counts recompilations by code object: each run of layers needs its own.
    name = "_".join(str(key[0]) for key in keys)
    code = compute.__code__.replace(co_name=name)
    return FunctionType(code, compute.__globals__, name, None, compute.__closure__)


def _norm(x: Tensor, eps: float) -> Tensor:
    if not torch.compiler.is_compiling():
        return instance_norm(x, eps)
    # Written out, it compiles for channels-last without a copy.
    variance, mean = torch.var_mean(x.float(), (2, 3), correction=0, keepdim=True)
    return ((x.float() - mean) * torch.rsqrt(variance + eps)).to(x.dtype)


def _recomputed(layers: Sequence[Layer], segments: int, module: nn.Module) -> list[Layer]:
    """Divide the layers of `module` into `segments` equal parts, each computed twice."""
    count = len(layers)
    cuts = [round(i * count / segments) for i in range(segments + 1)]
    parts = [_chain(layers[a:b]) for a, b in pairwise(cuts) if b > a]

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), AveragesKept(module)  # for the first pass, for the second

    def again(part: Layer) -> Layer:
        def forward(x: Tensor) -> Tensor:
            if not torch.is_grad_enabled():
                return part(x)
            return checkpoint(part, x, use_reentrant=False, context_fn=contexts)  # type: ignore[no-any-return]

        return forward

    return [again(part) for part in parts]
