"""Several processes that train one run together, started by torchrun.

Each process holds all the weights and takes its part of every batch; gradients
are averaged, so all take the same step. The first process alone writes files.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.rendezvous import rendezvous

T = TypeVar("T")


class LostProcessError(RuntimeError):
    """Another process of this run has ended, and this one cannot go on without it."""


_PATIENCE = timedelta(minutes=30)
"""How long a process waits for the others: one of them may be writing a report."""


class Ranks:
    """The processes of this run, as this one sees them; of one process alone by default."""

    def __init__(self, rank: int = 0, world: int = 1) -> None:
        self.rank, self.world = rank, world

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Each tensor, in place, becomes its mean over the processes: one exchange a type."""
        if self.world == 1:
            return
        for dtype in {tensor.dtype for tensor in tensors}:
            same = [tensor for tensor in tensors if tensor.dtype == dtype]
            flat = torch.cat([tensor.flatten() for tensor in same])
            with _exchange():
                dist.all_reduce(flat)
            flat /= self.world
            parts = torch.split(flat, [tensor.numel() for tensor in same])
            for tensor, part in zip(same, parts, strict=True):
                tensor.copy_(part.view(tensor.shape))

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """Whether each flag is set in any process: the same answer in all of them."""
        if self.world == 1:
            return flags
        device = "cuda" if dist.get_backend() == "nccl" else "cpu"
        votes = torch.tensor(flags, dtype=torch.int32, device=device)
        with _exchange():
            dist.all_reduce(votes, op=dist.ReduceOp.MAX)
        return tuple(bool(vote) for vote in votes.tolist())

    def share(self, value: T) -> T:
        """The first process's `value`, in all of them."""
        if self.world == 1:
            return value
        box: list[Any] = [value if self.is_first else None]
        with _exchange():
            dist.broadcast_object_list(box, src=0)
        return cast(T, box[0])

    def gather(self, value: T) -> list[T]:
        """The `value` of every process, in the first; an empty list in the others."""
        if self.world == 1:
            return [value]
        found: list[Any] | None = [None] * self.world if self.is_first else None
        with _exchange():
            dist.gather_object(value, found, dst=0)
        return cast(list[T], found or [])

    def wait(self) -> None:
        """Until all processes are here."""
        if self.world > 1:
            with _exchange():
                dist.barrier()

    @contextmanager
    def first_one_first(self) -> Iterator[None]:
        """The block runs in the first process, and only then in the others."""
        if not self.is_first:
            self.wait()
        yield
        if self.is_first:
            self.wait()


@contextmanager
def _exchange() -> Iterator[None]:
    """What goes wrong in an exchange between processes is that one of them is gone."""
    try:
        yield
    except RuntimeError as error:  # gloo's and NCCL's
        cause = str(error).splitlines()[0]
        raise LostProcessError(f"another process of this run has ended: {cause}") from error


def is_first_process() -> bool:
    """Whether this process is the one that speaks: torchrun's first, or one alone."""
    return os.environ.get("RANK", "0") == "0"


def is_restarted() -> bool:
    """Whether torchrun started this process again after a failure."""
    return _restarts() > 0


def _restarts() -> int:
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))


def join_ranks(device: torch.device) -> Ranks:
    """The processes that torchrun started with this one; one alone without torchrun."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        return Ranks()
    if not dist.is_initialized():
        # Its functions keep as a default the group that stands when it is first imported, which
        # an optimiser does: from then on nothing would end that group and its threads.
        import torch.distributed.nn

        if device.type == "cuda":
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        backend = "nccl" if device.type == "cuda" else "gloo"
        store, rank, size = next(rendezvous("env://", timeout=_PATIENCE))
        # torchrun's store still has the addresses of processes that it has started again.
        store = dist.PrefixStore(f"restart-{_restarts()}", store)  # type: ignore[attr-defined]
        with _exchange():
            dist.init_process_group(
                backend, store=store, rank=rank, world_size=size, timeout=_PATIENCE
            )
        atexit.register(_leave)
    return Ranks(dist.get_rank(), dist.get_world_size())


def _leave() -> None:
    """End the threads of the exchange before Python ends, as torch's documentation asks.

    Processes in which they still ran aborted now and then as they ended, and
    torchrun took that for a failure, though training was done.
    """
    if dist.is_initialized():
        dist.destroy_process_group()
