"""The device, precision and number of threads to compute with."""

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
"""bf16 is chosen if its convolution is at least this many times as fast as float32's."""

_ROUNDS, _SECONDS = 6, 0.3
"""The least number of rounds, and the least time, that both are timed for."""


def find_device(name: str) -> torch.device:
    """Return the device called `name`. "auto" is CUDA, else MPS, else the CPU.

    Raises:
        InputError: this machine has no such device.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError):  # torch without CUDA asserts
        known = " or ".join(["auto", "cpu", *_accelerators()])
        raise InputError(f"no device {name!r} here: {option('device')} must be {known}") from None
    return device


def _accelerators() -> list[str]:
    """The names of this machine's devices besides the CPU."""
    count = torch.cuda.device_count()
    gpus = ["cuda", *(f"cuda:{i}" for i in range(count) if count > 1)] if count else []
    return gpus + ["mps"] * torch.backends.mps.is_available()


def find_precision(precision: Precision, device: torch.device) -> Precision:
    """Return `precision`, with "auto" replaced by bf16 if the device is fast at it, else fp32.

    Raises:
        InputError: `precision` is fp16 on a CPU, where it is slow and gradients underflow.
    """
    if precision == "fp16" and device.type == "cpu":
        raise InputError(f"{option('precision', 'fp16')} needs a GPU: use bf16 or fp32 on a CPU")
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
    """Return a function that makes a context for forward passes in `precision` (not "auto")."""
    if precision == "fp32":
        return nullcontext
    return lambda: torch.autocast(device.type, dtype=_DTYPES[precision])


def keep_kernels() -> None:
    """Cache compiled kernels for the next run, unless the user has set TORCHINDUCTOR_CACHE_DIR."""
    if "TORCHINDUCTOR_CACHE_DIR" in os.environ:
        return
    folder = cache_folder() / "kernels"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return  # PyTorch then uses a temporary folder
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder)


@contextmanager
def cpu_threads(count: int) -> Iterator[None]:
    """Compute with `count` threads inside the block, and restore the number afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _bf16_speedup() -> float:
    """Measure how many times as fast a bf16 convolution is on this CPU, forward and backward.

    A measurement takes about a third of a second and works for any processor.
    """
    with torch.random.fork_rng(devices=[]):
        steps = {dtype: _convolution(dtype) for dtype in (torch.float32, torch.bfloat16)}
    seconds = dict.fromkeys(steps, math.inf)
    begin, done = time.perf_counter(), 0
    while done < _ROUNDS or time.perf_counter() - begin < _SECONDS:
        done += 1
        for dtype, step in steps.items():  # in turns, so that other load slows both equally
            start = time.perf_counter()
            step()
            seconds[dtype] = min(seconds[dtype], time.perf_counter() - start)
    return seconds[torch.float32] / seconds[torch.bfloat16]


def _convolution(dtype: torch.dtype) -> Callable[[], object]:
    layout = torch.contiguous_format if dtype == torch.float32 else torch.channels_last
    network = nn.Conv2d(128, 128, 3).to(dtype=dtype, memory_format=layout)  # type: ignore[call-overload]
    image = torch.randn(1, 128, 32, 32, dtype=dtype).to(memory_format=layout).requires_grad_()
    return lambda: network(image).sum().backward()
