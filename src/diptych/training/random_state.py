"""PyTorch's global random numbers, which initialisation and dropout draw from.

Nothing of ours draws from Python's or NumPy's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch


def random_state(device: torch.device) -> dict[str, Any]:
    """The states of the CPU's generator and of the device's, by name; None for other devices."""
    return {
        "global_rng": torch.get_rng_state(),
        "cuda_rng": torch.cuda.get_rng_state() if device.type == "cuda" else None,
        "mps_rng": torch.mps.get_rng_state() if device.type == "mps" else None,
    }


def set_random_state(state: Mapping[str, Any], device: torch.device) -> None:
    """Go back to what `random_state` returned, perhaps on a machine with another device."""
    torch.set_rng_state(state["global_rng"])
    if device.type == "cuda" and state["cuda_rng"] is not None:
        torch.cuda.set_rng_state(state["cuda_rng"])
    if device.type == "mps" and state.get("mps_rng") is not None:
        torch.mps.set_rng_state(state["mps_rng"])


@contextmanager
def random_state_kept() -> Iterator[None]:
    """After the block the states of all devices are what they were before it.

    A seed sets the generators of every device, whichever one trains.
    """
    cpu = torch.get_rng_state()
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    mps = torch.mps.get_rng_state() if torch.backends.mps.is_available() else None
    try:
        yield
    finally:
        torch.set_rng_state(cpu)
        torch.cuda.set_rng_state_all(cuda)
        if mps is not None:
            torch.mps.set_rng_state(mps)
