"""Where and in what precision to compute."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Literal

import torch
from torch import nn

from diptych.errors import InputError, option
from diptych.files import cache_folder

Precision = Literal["auto", "fp32", "bf16", "fp16"]
_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
_WORTH_IT = 1.2
"""How much faster a bf16 convolution must be than a float32 one to be chosen."""

_ROUNDS, _SECONDS = 6, 0.3
"""How often, and how long, the two are timed at least."""


def find_device(name: str) -> torch.device:
    """The device called `name`; "auto" is CUDA, else MPS, else the CPU.

    Raises:
        InputError: no such device on this machine.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:  # torch without CUDA asserts
        reason = str(error).splitlines()[0]
        raise InputError(f"no device {name!r} here ({reason}): use cpu or auto") from error
    return device


def find_precision(precision: Precision, device: torch.device) -> Precision:
    """What "auto" stands for on this device: bf16 where it is fast, else fp32.

    Raises:
        InputError: fp16 on a CPU, where it is slow and its gradients vanish.
    """
    if precision == "fp16" and device.type == "cpu":
        raise InputError(f"{option('precision', 'fp16')} needs a GPU: take bf16 or fp32 on a CPU")
    if precision != "auto":
        return precision
    if device.type == "cuda":
        has_bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
        return "bf16" if has_bf16 else "fp32"
    if device.type == "cpu":
        return "bf16" if _bf16_speedup() >= _WORTH_IT else "fp32"
    return "fp32"


def make_autocast(
    precision: Precision, device: torch.device
) -> Callable[[], AbstractContextManager[object]]:
    """A context for forward passes in `precision`."""
    if precision == "fp32":
        return nullcontext
    return lambda: torch.autocast(device.type, dtype=_DTYPES[precision])


def keep_kernels() -> None:
    """Compiled kernels stay on disk for the next run, where the user has not said where."""
    if "TORCHINDUCTOR_CACHE_DIR" in os.environ:
        return
    folder = cache_folder() / "kernels"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return  # PyTorch's own choice is a temporary folder
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder)


@contextmanager
def cpu_threads(count: int) -> Iterator[None]:
    """`count` threads compute inside the block, and as many as before after it."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _bf16_speedup() -> float:
    """How many times as fast a bf16 convolution is here, forward and backward.

    Measured rather than looked up: it takes a third of a second and holds for any processor.
    """
    with torch.random.fork_rng(devices=[]):
        steps = {dtype: _convolution(dtype) for dtype in (torch.float32, torch.bfloat16)}
    seconds = dict.fromkeys(steps, math.inf)
    begin, done = time.perf_counter(), 0
    while done < _ROUNDS or time.perf_counter() - begin < _SECONDS:
        done += 1
        for dtype, step in steps.items():  # by turns: what slows one slows the other
            start = time.perf_counter()
            step()
            seconds[dtype] = min(seconds[dtype], time.perf_counter() - start)
    return seconds[torch.float32] / seconds[torch.bfloat16]


def _convolution(dtype: torch.dtype) -> Callable[[], object]:
    layout = torch.contiguous_format if dtype == torch.float32 else torch.channels_last
    network = nn.Conv2d(128, 128, 3).to(dtype=dtype, memory_format=layout)  # type: ignore[call-overload]
    image = torch.randn(1, 128, 32, 32, dtype=dtype).to(memory_format=layout).requires_grad_()
    return lambda: network(image).sum().backward()
